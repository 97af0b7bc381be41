package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"time"

	"github.com/caarlos0/env/v11"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/handlers/apiv4"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/webhook"
)

// config holds all settings. They are read from the environment once, at start.
type config struct {
	// Listen is the address that the server listens on.
	Listen string `env:"MERGEGATE_LISTEN" envDefault:"127.0.0.1:8080"`
	// BaseURL is the address under which people and services reach the server.
	// It may be empty only if Listen is a loopback address.
	BaseURL string `env:"MERGEGATE_BASE_URL"`
	// Data is the folder of the repositories and the SQLite database.
	Data string `env:"MERGEGATE_DATA" envDefault:"./data"`
	// DatabaseURL is the URL of PostgreSQL. Empty means SQLite in Data.
	// DatabaseURLFile names a file that contains it; see readSecretFiles.
	DatabaseURL     string `env:"MERGEGATE_DATABASE_URL"`
	DatabaseURLFile string `env:"MERGEGATE_DATABASE_URL_FILE"`
	// SecretKey seals stored secrets and signs cookies.
	SecretKey     string `env:"MERGEGATE_SECRET_KEY"`
	SecretKeyFile string `env:"MERGEGATE_SECRET_KEY_FILE"`
	// OldSecretKeys lists earlier values of SecretKey, which can still open what
	// they sealed.
	OldSecretKeys     string `env:"MERGEGATE_OLD_SECRET_KEYS"`
	OldSecretKeysFile string `env:"MERGEGATE_OLD_SECRET_KEYS_FILE"`
	// OutboundAllow lists networks, hosts and host:port pairs to which
	// deliveries are allowed although they are not public.
	OutboundAllow string `env:"MERGEGATE_OUTBOUND_ALLOW"`
	// TrustedProxies are the networks whose X-Forwarded-For header is used.
	TrustedProxies []string `env:"MERGEGATE_TRUSTED_PROXIES"`
	// LogFormat is "text" or "json", LogLevel "debug", "info", "warn" or
	// "error".
	LogFormat string     `env:"MERGEGATE_LOG_FORMAT" envDefault:"text"`
	LogLevel  slog.Level `env:"MERGEGATE_LOG_LEVEL" envDefault:"info"`
	// MetricsListen is the address that serves /metrics. Empty disables it.
	MetricsListen string `env:"MERGEGATE_METRICS_LISTEN"`
	// MaxPackBytes is the maximum size of the pack of one push.
	MaxPackBytes int64 `env:"MERGEGATE_MAX_PACK_BYTES" envDefault:"1073741824"`
	// DatabaseConnections is the maximum number of connections to PostgreSQL.
	DatabaseConnections int `env:"MERGEGATE_DATABASE_CONNECTIONS" envDefault:"20"`
	// DatabaseWait is how long the server waits at start for PostgreSQL to
	// answer; 0 means that it exits at once.
	DatabaseWait time.Duration `env:"MERGEGATE_DATABASE_WAIT" envDefault:"1m"`
	// ShutdownDelay is how long the server goes on serving after SIGTERM, while
	// /readyz says that it is not ready.
	ShutdownDelay time.Duration `env:"MERGEGATE_SHUTDOWN_DELAY" envDefault:"0s"`
	// APIRatePerToken and APIRatePerAddress are the API requests allowed per
	// minute; 0 means no limit.
	APIRatePerToken   int `env:"MERGEGATE_API_RATE_PER_TOKEN" envDefault:"6000"`
	APIRatePerAddress int `env:"MERGEGATE_API_RATE_PER_ADDRESS" envDefault:"12000"`

	keyring *auth.Keyring
	allow   webhook.AllowList
	// source is, for each setting with a secret, what its value was read from.
	source map[string]string
}

// readConfig reads the settings. Its error lists every invalid setting, one per
// line.
func readConfig() (config, error) { return readSettings(true) }

// readSettings is readConfig. Without createKey, a missing key in the data folder is not
// created and leaves the keyring nil.
func readSettings(createKey bool) (config, error) {
	var c config
	if err := env.Parse(&c); err != nil {
		return c, parseError(err)
	}
	var faults []error
	var err error
	if c.source, err = c.readSecretFiles(); err != nil {
		faults = append(faults, err)
	}
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	host, port, listenErr := net.SplitHostPort(c.Listen)
	if listenErr != nil {
		fault("MERGEGATE_LISTEN is %q; it must be an address and a port, such as 127.0.0.1:8080 or :8080", c.Listen)
	}
	if c.BaseURL == "" && listenErr == nil {
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			fault("MERGEGATE_BASE_URL is missing; it must be the address under which people reach this server, such as https://git.example.com")
		}
		c.BaseURL = "http://localhost:" + port
	} else if c.BaseURL == "" {
		c.BaseURL = "http://localhost" // the invalid MERGEGATE_LISTEN is reported already
	}
	if _, _, err := net.SplitHostPort(c.MetricsListen); err != nil && c.MetricsListen != "" {
		fault("MERGEGATE_METRICS_LISTEN is %q; it must be an address and a port, such as 127.0.0.1:9464", c.MetricsListen)
	}
	c.BaseURL = strings.TrimRight(c.BaseURL, "/")
	if u, err := url.Parse(c.BaseURL); err != nil || u.Host == "" || u.User != nil || u.Path != "" || (u.Scheme != "http" && u.Scheme != "https") {
		fault("MERGEGATE_BASE_URL is not an http or https URL without a path, such as https://git.example.com")
	}
	if c.DatabaseURL != "" && !strings.HasPrefix(c.DatabaseURL, "postgres://") && !strings.HasPrefix(c.DatabaseURL, "postgresql://") {
		fault("%s must begin with postgres://; leave it empty to use SQLite in the data folder", c.source["MERGEGATE_DATABASE_URL"])
	}
	if c.LogFormat != "text" && c.LogFormat != "json" {
		fault("MERGEGATE_LOG_FORMAT is %q; it must be text or json", c.LogFormat)
	}
	for _, network := range c.TrustedProxies {
		if _, err := netip.ParsePrefix(network); err != nil {
			fault("MERGEGATE_TRUSTED_PROXIES has %q; it must be a comma-separated list of networks such as 10.0.0.0/8", network)
		}
	}
	if c.MaxPackBytes <= 0 {
		fault("MERGEGATE_MAX_PACK_BYTES must be a number of bytes greater than 0")
	}
	if c.DatabaseConnections < 4 {
		fault("MERGEGATE_DATABASE_CONNECTIONS must be at least 4")
	}
	if c.DatabaseWait < 0 {
		fault("MERGEGATE_DATABASE_WAIT must not be negative")
	}
	if c.ShutdownDelay < 0 || c.ShutdownDelay > maxShutdownDelay {
		fault("MERGEGATE_SHUTDOWN_DELAY must be between 0s and %v", maxShutdownDelay)
	}
	checkRate := func(name string, rate int) {
		if rate < 0 || rate > maxAPIRate {
			fault("%s must be a number of requests per minute between 0 and %d; 0 means no limit", name, maxAPIRate)
		}
	}
	checkRate("MERGEGATE_API_RATE_PER_TOKEN", c.APIRatePerToken)
	checkRate("MERGEGATE_API_RATE_PER_ADDRESS", c.APIRatePerAddress)
	if c.allow, err = webhook.ParseAllowList(c.OutboundAllow); err != nil {
		fault("MERGEGATE_OUTBOUND_ALLOW is invalid: %w", err)
	}
	if c.Data, err = filepath.Abs(c.Data); err != nil {
		fault("MERGEGATE_DATA is invalid: %w", err)
	}
	if err := errors.Join(faults...); err != nil {
		return c, err
	}
	return c, c.readKeys(createKey)
}

// parseError replaces the errors of the env library, which name struct fields,
// by errors that name the variable and say which values it takes.
func parseError(err error) error {
	var all env.AggregateError
	if !errors.As(err, &all) {
		return fmt.Errorf("read the settings: %w", err)
	}
	var faults []error
	for _, err := range all.Errors {
		var parse env.ParseError
		if !errors.As(err, &parse) {
			faults = append(faults, fmt.Errorf("read the settings: %w", err))
			continue
		}
		takes := "a whole number"
		switch parse.Name {
		case "LogLevel":
			takes = "debug, info, warn or error"
		case "DatabaseWait", "ShutdownDelay":
			takes = "a duration, such as 30s or 2m"
		}
		field, _ := reflect.TypeFor[config]().FieldByName(parse.Name)
		faults = append(faults, fmt.Errorf("%s must be %s", field.Tag.Get("env"), takes))
	}
	return errors.Join(faults...)
}

// maxShutdownDelay is the highest delay that can be set.
const maxShutdownDelay = 5 * time.Minute

// maxAPIRate is the highest API rate that can be set, in requests per minute.
const maxAPIRate = 1_000_000

// apiLimits returns the limits of the API. The burst is ten seconds of the rate.
func (c config) apiLimits() apiv4.Limits {
	limit := func(perMinute int) apiv4.Limit {
		if perMinute == 0 {
			return apiv4.Limit{PerMinute: -1}
		}
		return apiv4.Limit{PerMinute: perMinute, Burst: perMinute / 6}
	}
	return apiv4.Limits{Token: limit(c.APIRatePerToken), Address: limit(c.APIRatePerAddress)}
}

// readKeys sets the keyring from the secret keys. With SQLite, it creates a
// missing key in the data folder, which only one process uses, if create is set.
func (c *config) readKeys(create bool) error {
	var faults []error
	parse := func(name, text string) []byte {
		key, err := auth.ParseSecretKey(text)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s %w", name, err))
		}
		return key
	}
	text, name := c.SecretKey, c.source["MERGEGATE_SECRET_KEY"]
	switch {
	case text == "" && c.postgres():
		return errors.New("MERGEGATE_SECRET_KEY is missing; create one with `openssl rand -base64 32` and use the same on every instance")
	case text == "":
		var err error
		name = "the secret key in the data folder"
		if text, err = keyInData(filepath.Join(c.Data, "secret_key"), create); err != nil || text == "" {
			return err
		}
	}
	current := parse(name, text)
	var older [][]byte
	for _, text := range strings.FieldsFunc(c.OldSecretKeys, func(r rune) bool { return r == ',' || r == '\n' }) {
		older = append(older, parse(c.source["MERGEGATE_OLD_SECRET_KEYS"], text))
	}
	if err := errors.Join(faults...); err != nil {
		return err
	}
	var err error
	c.keyring, err = auth.NewKeyring(current, older...)
	return err
}

// keyInData returns the key in the file at path. If the file is missing, it creates one
// or, without create, returns "".
func keyInData(path string, create bool) (string, error) {
	content, err := os.ReadFile(path)
	if err == nil {
		return string(content), nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("read the secret key in the data folder: %w", err)
	}
	if !create {
		return "", nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", fmt.Errorf("create the data folder: %w", err)
	}
	text := auth.NewSecretKey()
	if err := writePrivate(path, []byte(text+"\n")); err != nil {
		return "", fmt.Errorf("write the secret key: %w", err)
	}
	return text, nil
}

// writePrivate writes a file atomically, readable only by its owner.
func writePrivate(path string, content []byte) error {
	temporary := path + ".new"
	file, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	err = errors.Join(err, file.Sync(), file.Close())
	if err != nil {
		return err
	}
	return os.Rename(temporary, path)
}

func (c config) postgres() bool { return c.DatabaseURL != "" }

// database returns the driver and the data source name for models.Open.
func (c config) database() (driver, dsn string) {
	if c.postgres() {
		return models.DriverPostgres, c.DatabaseURL
	}
	return models.DriverSQLite, filepath.Join(c.Data, "mergegate.db")
}

// logger returns a logger that writes to standard error.
func (c config) logger() *slog.Logger {
	options := &slog.HandlerOptions{Level: c.LogLevel}
	if c.LogFormat == "json" {
		return slog.New(contextHandler{slog.NewJSONHandler(os.Stderr, options)})
	}
	return slog.New(contextHandler{slog.NewTextHandler(os.Stderr, options)})
}

// errDataInUse is returned to a second process on the same SQLite database.
var errDataInUse = errors.New("another Mergegate process uses this data folder, and SQLite supports only one; stop it, or use PostgreSQL (MERGEGATE_DATABASE_URL)")

// lockData locks the data folder for this process until the returned file is
// closed. It returns errDataInUse if another process has the lock.
func (c config) lockData() (*os.File, error) {
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return nil, fmt.Errorf("create the data folder: %w", err)
	}
	file, err := lockFile(filepath.Join(c.Data, "mergegate.lock"))
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, errDataInUse
	}
	return file, err
}
