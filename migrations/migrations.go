// Package migrations contains the database schema of Mergegate as numbered SQL files,
// one directory per dialect, embedded into the program and run by goose. Up migrates a
// database, Check verifies its version.
//
// A file is named 00001_what_it_does.sql and has a `-- +goose Up` section. Both
// directories have the same numbers, so a schema version means the same on both
// databases.
package migrations

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
)

//go:embed postgres/*.sql sqlite/*.sql
var files embed.FS

// Dialect is a kind of database. Its value is both the directory of its migrations and
// the driver name in the configuration.
type Dialect string

// The databases that Mergegate runs on.
const (
	Postgres Dialect = "postgres"
	SQLite   Dialect = "sqlite"
)

// Files returns the SQL files of a dialect. It returns an error for an unknown dialect.
func Files(d Dialect) (fs.FS, error) {
	if d != Postgres && d != SQLite {
		return nil, fmt.Errorf("migrations: unknown database %q, want %q or %q", d, Postgres, SQLite)
	}
	return fs.Sub(files, string(d))
}

// Up migrates db to the newest version. On PostgreSQL it holds a session lock, so
// several instances can start at the same time: one migrates, the others wait.
func Up(ctx context.Context, db *sql.DB, d Dialect) error {
	fsys, err := Files(d)
	if err != nil {
		return err
	}
	return up(ctx, db, d, fsys)
}

// Version returns the schema version of db, 0 for an empty database.
func Version(ctx context.Context, db *sql.DB, d Dialect) (int64, error) {
	fsys, err := Files(d)
	if err != nil {
		return 0, err
	}
	return version(ctx, db, d, fsys)
}

// Check returns an error if the schema version of db is not the one that this program
// needs. The error is one line that says what to do.
func Check(ctx context.Context, db *sql.DB, d Dialect) error {
	fsys, err := Files(d)
	if err != nil {
		return err
	}
	return check(ctx, db, d, fsys)
}

// UpTo migrates db to a version that is not the newest, for a restore from a backup of
// an earlier version.
func UpTo(ctx context.Context, db *sql.DB, d Dialect, target int64) error {
	fsys, err := Files(d)
	if err != nil {
		return err
	}
	p, err := provider(db, d, fsys)
	if err != nil {
		return err
	}
	if _, err := p.UpTo(ctx, target); err != nil {
		return fmt.Errorf("migrate the %s database to version %d: %w", d, target, err)
	}
	return nil
}

// Latest returns the schema version that this program needs.
func Latest(d Dialect) (int64, error) {
	fsys, err := Files(d)
	if err != nil {
		return 0, err
	}
	return latest(fsys)
}

// VersionTable is the table in which the schema version is stored.
const VersionTable = "goose_db_version"

// querier is a database, a connection or a transaction.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Applied is Version for readers: it changes nothing, waits for no migration and works
// in a transaction.
func Applied(ctx context.Context, db querier, d Dialect) (int64, error) {
	exists := "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = '" + VersionTable + "'"
	if d == Postgres {
		exists = "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema() AND tablename = '" + VersionTable + "'"
	}
	var n, has int64
	if err := db.QueryRowContext(ctx, exists).Scan(&n); err != nil || n == 0 {
		return 0, err
	}
	err := db.QueryRowContext(ctx, "SELECT COALESCE(max(version_id), 0) FROM "+VersionTable).Scan(&has)
	return has, err
}

func up(ctx context.Context, db *sql.DB, d Dialect, fsys fs.FS) error {
	p, err := provider(db, d, fsys)
	if err != nil {
		return err
	}
	_, err = p.Up(ctx)
	var postgres interface{ SQLState() string }
	switch {
	case errors.As(err, &postgres) && postgres.SQLState() == lockNotAvailable:
		return fmt.Errorf("migrate the %s database: another transaction uses a table, such as a backup; start again when it has ended: %w", d, err)
	case err != nil:
		return fmt.Errorf("migrate the %s database: %w", d, err)
	}
	return nil
}

// lockNotAvailable is PostgreSQL's code for a lock time-out.
const lockNotAvailable = "55P03"

func version(ctx context.Context, db *sql.DB, d Dialect, fsys fs.FS) (int64, error) {
	p, err := provider(db, d, fsys)
	if err != nil {
		return 0, err
	}
	has, err := p.GetDBVersion(ctx)
	if err != nil {
		return 0, fmt.Errorf("read the schema version of the %s database: %w", d, err)
	}
	return has, nil
}

func latest(fsys fs.FS) (int64, error) {
	names, err := fs.Glob(fsys, "*.sql")
	if err != nil {
		return 0, err
	}
	var newest int64
	for _, name := range names {
		v, err := goose.NumericComponent(name)
		if err != nil {
			return 0, fmt.Errorf("migration %s: %w", name, err)
		}
		newest = max(newest, v)
	}
	return newest, nil
}

func check(ctx context.Context, db *sql.DB, d Dialect, fsys fs.FS) error {
	want, err := latest(fsys)
	if err != nil {
		return err
	}
	has, err := version(ctx, db, d, fsys)
	switch {
	case err != nil:
		return err
	case has < want:
		return fmt.Errorf("the database schema is version %d and this program needs %d: run `mergegate migrate` first", has, want)
	case has > want:
		return fmt.Errorf("the database schema is version %d and this program knows only %d: it was migrated by a newer Mergegate, use that one", has, want)
	}
	return nil
}

func provider(db *sql.DB, d Dialect, fsys fs.FS) (*goose.Provider, error) {
	dialect := goose.DialectSQLite3
	opts := []goose.ProviderOption{goose.WithDisableGlobalRegistry(true)}
	if d == Postgres {
		dialect = goose.DialectPostgres
		locker, err := newIndexLocker(fsys)
		if err != nil {
			return nil, fmt.Errorf("migrations: %w", err)
		}
		opts = append(opts, goose.WithSessionLocker(locker))
	}
	p, err := goose.NewProvider(dialect, db, fsys, opts...)
	if err != nil {
		return nil, fmt.Errorf("read the %s migrations: %w", d, err)
	}
	return p, nil
}
