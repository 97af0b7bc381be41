package main

import (
	"fmt"
	"io"
	"reflect"
	"strings"
)

// setting is one environment variable that the program reads.
type setting struct {
	name     string
	fallback string // its default
	meaning  string // one or more sentences, in Markdown
}

// settings returns all settings in the order of the fields of config.
func settings() []setting {
	var all []setting
	for _, field := range reflect.VisibleFields(reflect.TypeFor[config]()) {
		if name := field.Tag.Get("env"); name != "" {
			all = append(all, setting{name, field.Tag.Get("envDefault"), settingMeanings[name]})
		}
	}
	return all
}

// printSettings prints the settings as text for a terminal.
func printSettings(out io.Writer) error {
	for _, s := range settings() {
		line := s.name
		if s.fallback != "" {
			line += " (default " + s.fallback + ")"
		}
		text := wrap(strings.ReplaceAll(s.meaning, "`", ""), 76)
		if _, err := fmt.Fprintf(out, "%s\n    %s\n", line, strings.ReplaceAll(text, "\n", "\n    ")); err != nil {
			return err
		}
	}
	return nil
}

// wrap breaks text at spaces into lines of at most width characters, except
// where one word is longer.
func wrap(text string, width int) string {
	var b strings.Builder
	column := 0
	for i, word := range strings.Fields(text) {
		switch n := len([]rune(word)); {
		case i == 0:
			column = n
		case column+1+n > width:
			b.WriteByte('\n')
			column = n
		default:
			b.WriteByte(' ')
			column += 1 + n
		}
		b.WriteString(word)
	}
	return b.String()
}

// settingMeanings explains each setting of config to operators.
var settingMeanings = map[string]string{
	"MERGEGATE_LISTEN": "Address and port to listen on, such as `:8080` for every address.",
	"MERGEGATE_BASE_URL": "Address under which people and services reach the server, such as `https://git.example.com`, " +
		"without a path. When empty: `http://localhost` with the port, which is allowed only when the server listens on " +
		"this machine alone.",
	"MERGEGATE_DATA": "Folder of the repositories, and of the SQLite database.",
	"MERGEGATE_DATABASE_URL": "`postgres://USER:PASSWORD@HOST/DATABASE`. When empty: SQLite in the data folder. " +
		"Credential: `mergegate.database_url`.",
	"MERGEGATE_DATABASE_URL_FILE": "File that holds the database URL, instead of `MERGEGATE_DATABASE_URL`.",
	"MERGEGATE_SECRET_KEY": "At least 32 random bytes in base64 or hexadecimal. Seals secrets and signs cookies. With " +
		"SQLite it is made in the data folder when missing. Credential: `mergegate.secret_key`.",
	"MERGEGATE_SECRET_KEY_FILE": "File that holds the secret key, instead of `MERGEGATE_SECRET_KEY`.",
	"MERGEGATE_OLD_SECRET_KEYS": "Earlier secret keys, separated by commas or line breaks. They still open what they " +
		"sealed. Credential: `mergegate.old_secret_keys`.",
	"MERGEGATE_OLD_SECRET_KEYS_FILE": "File that holds earlier secret keys, instead of `MERGEGATE_OLD_SECRET_KEYS`.",
	"MERGEGATE_OUTBOUND_ALLOW": "What deliveries may reach beyond the public internet: ranges (`10.0.0.0/8`) and hosts " +
		"or addresses with or without a port (`ci.internal:8080`), separated by commas or spaces. Metadata services of " +
		"clouds are never reached.",
	"MERGEGATE_TRUSTED_PROXIES": "Networks whose `X-Forwarded-For` is believed, separated by commas, such as `127.0.0.1/32`.",
	"MERGEGATE_LOG_FORMAT":      "`text` or `json`.",
	"MERGEGATE_LOG_LEVEL":       "`debug`, `info`, `warn` or `error`.",
	"MERGEGATE_METRICS_LISTEN": "Address and port that serve the metrics for Prometheus, such as `127.0.0.1:9464`. When " +
		"empty: none.",
	"MERGEGATE_MAX_PACK_BYTES":       "Largest pack that a push may send, in bytes.",
	"MERGEGATE_DATABASE_CONNECTIONS": "Most connections to PostgreSQL, at least 4.",
	"MERGEGATE_SHUTDOWN_DELAY": "How long the server goes on serving after SIGTERM while `/readyz` answers 503. Set it to " +
		"longer than the interval at which a proxy in front of several instances asks `/readyz`, such as `10s`.",
	"MERGEGATE_DATABASE_WAIT": "How long the server waits at start for a PostgreSQL that does not answer; `0` means that " +
		"it exits at once.",
	"MERGEGATE_API_RATE_PER_TOKEN": "Requests per minute that the API takes with one access token, a sixth of them at " +
		"once; `0` means any number. Each instance counts for itself.",
	"MERGEGATE_API_RATE_PER_ADDRESS": "The same for one address, whoever asks.",
}
