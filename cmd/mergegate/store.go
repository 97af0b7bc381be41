package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/mergegate/mergegate/cmd/mergegate/metrics"
	"github.com/mergegate/mergegate/cmd/mergegate/repositories"
	"github.com/mergegate/mergegate/cmd/mergegate/tracing"
	"github.com/mergegate/mergegate/gitrepo"
	"github.com/mergegate/mergegate/migrations"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/webhook"
)

// app is what the commands that use data share: the settings, the
// repositories and the store. The database has the schema of this version.
type app struct {
	config  config
	metrics *metrics.Metrics
	tracing *tracing.Tracing // nil without tracing
	repos   *gitrepo.Store
	store   *models.Store
	lock    *os.File // SQLite only
	// stopping ends when the server has been asked to stop; nil until it runs.
	stopping context.Context
	// background is handlers.Deps.Background; nil until the server runs.
	background func(func(context.Context))
}

// openApp reads the settings, migrates the database and opens the store. The
// caller closes the result.
func openApp(ctx context.Context) (*app, error) {
	c, err := readConfig()
	if err != nil {
		return nil, err
	}
	return openAppWith(ctx, c)
}

// openAppWith is openApp with settings that were read before.
func openAppWith(ctx context.Context, c config) (_ *app, err error) {
	a := &app{config: c, metrics: metrics.New(version(), revision())}
	defer func() {
		if err != nil {
			a.close()
		}
	}()
	if err = c.checkRestored(); err != nil {
		return nil, err
	}
	if a.tracing, err = tracing.New(ctx, version(), c.logger()); err != nil {
		return nil, err
	}
	if !c.postgres() {
		if a.lock, err = c.lockData(); err != nil {
			return nil, err
		}
	}
	a.repos, err = gitrepo.New(filepath.Join(c.Data, "repositories"), gitrepo.Options{
		HooksDir: filepath.Join(c.Data, "hooks"), MaxPackBytes: c.MaxPackBytes, Log: c.logger(),
		Observe: a.observeGit,
	})
	if err != nil {
		return nil, err
	}
	if err = c.migrate(ctx); err != nil {
		return nil, err
	}
	driver, dsn := c.database()
	settings := models.Config{
		Driver: driver, DSN: dsn, Payload: webhook.Payload(c.BaseURL), Sealer: c.keyring.Sealer(secretsAtRest),
		Git: repositories.Git{Store: a.repos}, MaxConns: c.DatabaseConnections,
	}
	if a.tracing != nil {
		settings.TraceParent = a.tracing.TraceParent
	}
	if a.store, err = models.Open(settings); err != nil {
		return a, err
	}
	a.store.SetHooks(storeHooks)
	a.metrics.WatchDatabase(a.store, a.store.Pools())
	return a, a.store.RewriteURLs(ctx)
}

// storeHooks lets tests end the process at a chosen point. It is empty in the
// released binary.
var storeHooks models.Hooks

func (a *app) close() {
	if a.tracing != nil {
		if err := a.tracing.Close(); err != nil {
			a.config.logger().Warn("sending the last traces failed", "error", err)
		}
	}
	if a.store != nil {
		a.store.Close()
	}
	if a.lock != nil {
		a.lock.Close()
	}
}

// migrate migrates the database to the schema of this version. Only one
// instance migrates at a time. A newer schema is an error.
func (c config) migrate(ctx context.Context) error {
	db, dialect, err := c.rawDatabase()
	if err != nil {
		return err
	}
	defer db.Close()
	if err := migrations.Up(ctx, db, dialect); err != nil {
		return fmt.Errorf("migrate the database to the schema of this version: %w", err)
	}
	return migrations.Check(ctx, db, dialect)
}

const (
	databaseRetry  = time.Second      // between two attempts to connect
	databaseNotice = 10 * time.Second // between two log messages about it
)

// waitForDatabase waits until PostgreSQL answers, at most DatabaseWait, because
// both may be started at the same time. Other errors, such as a wrong password,
// are returned at once. With SQLite it does nothing.
func (c config) waitForDatabase(ctx context.Context) error {
	if !c.postgres() {
		return nil
	}
	db, err := models.OpenPostgres(c.DatabaseURL)
	if err != nil {
		return err
	}
	defer db.Close()
	log, begin := c.logger(), time.Now()
	limited, cancel := context.WithTimeout(ctx, max(c.DatabaseWait, databaseRetry))
	defer cancel()
	var noticed time.Time
	for {
		err := db.PingContext(limited)
		switch {
		case err == nil:
			if !noticed.IsZero() {
				log.Info("database reachable", "waited", time.Since(begin).Round(time.Millisecond))
			}
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case limited.Err() == nil && models.KindOf(err) != models.KindUnavailable:
			return fmt.Errorf("connect to the database: %w", err)
		case time.Since(begin)+databaseRetry > c.DatabaseWait:
			return fmt.Errorf("the database did not answer within %v (MERGEGATE_DATABASE_WAIT): %w", c.DatabaseWait, err)
		}
		if time.Since(noticed) >= databaseNotice {
			noticed = time.Now()
			log.Warn("waiting for database", "limit", c.DatabaseWait, "error", err)
		}
		select {
		case <-limited.Done():
		case <-time.After(databaseRetry):
		}
	}
}

// rawDatabase opens the database for migrations, without the store.
func (c config) rawDatabase() (*sql.DB, migrations.Dialect, error) {
	driver, dsn := c.database()
	if driver == models.DriverPostgres {
		db, err := models.OpenPostgres(dsn)
		return db, migrations.Postgres, err
	}
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return nil, "", fmt.Errorf("create the data folder: %w", err)
	}
	if err := makePrivate(dsn); err != nil {
		return nil, "", fmt.Errorf("create the database file: %w", err)
	}
	db, err := sql.Open("sqlite", models.SQLiteDSN(dsn))
	return db, migrations.SQLite, err
}

// makePrivate makes the database file readable only by its owner, and the files
// that SQLite keeps next to it. It creates a missing database file, because
// SQLite gives the other files its mode.
func makePrivate(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		if err := os.Chmod(name, 0o600); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// migrateCommand migrates the database and prints the version of its schema.
func migrateCommand(ctx context.Context, args []string, out io.Writer) error {
	if len(args) != 0 {
		return errUsage
	}
	c, err := readConfig()
	if err != nil {
		return err
	}
	if !c.postgres() {
		lock, err := c.lockData()
		if err != nil {
			return err
		}
		defer lock.Close()
	}
	if err := c.migrate(ctx); err != nil {
		return err
	}
	db, dialect, err := c.rawDatabase()
	if err != nil {
		return err
	}
	defer db.Close()
	at, err := migrations.Version(ctx, db, dialect)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "Database schema version: %d\n", at)
	return err
}
