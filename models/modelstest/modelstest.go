// Package modelstest gives tests a database of their own, on SQLite and on a
// real PostgreSQL.
//
// PostgreSQL is a throw-away server: the one named by the environment variable
// MERGEGATE_TEST_POSTGRES_DSN (`make test` starts one for all packages), else
// one that the first test of the process starts. The schema is migrated once
// into a template database, named by a hash of the migrations, and every test
// gets a copy of it.
package modelstest

import (
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/mergegate/mergegate/migrations"
)

// Database says how to reach the database of one test. Its fields are what
// models.Config takes.
type Database struct {
	// Driver is "sqlite" or "postgres".
	Driver string
	// DSN is the path of the file for SQLite, a postgres:// address otherwise.
	DSN string
}

// Dialect is the kind of database that db is.
func (db Database) Dialect() migrations.Dialect { return migrations.Dialect(db.Driver) }

// SQL opens db below any ORM, for tests that look at rows or at the schema
// themselves. It is closed when the test ends.
func (db Database) SQL(t testing.TB) *sql.DB {
	t.Helper()
	driver := "sqlite"
	if db.Dialect() == migrations.Postgres {
		driver = "pgx"
	}
	conn, err := sql.Open(driver, db.DSN)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// DatabasesVariable names the environment variable that, set to "sqlite",
// leaves out PostgreSQL in Each and EachEmpty. Only `make check` sets it.
const DatabasesVariable = "MERGEGATE_TEST_DATABASES"

// Each runs test as a subtest on SQLite and as one on PostgreSQL, each with a
// fresh database that has the schema and no rows.
func Each(t *testing.T, test func(t *testing.T, db Database)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, SQLite(t)) })
	if os.Getenv(DatabasesVariable) != "sqlite" {
		t.Run("postgres", func(t *testing.T) { test(t, Postgres(t)) })
	}
}

// EachEmpty is Each with databases that have no schema at all.
func EachEmpty(t *testing.T, test func(t *testing.T, db Database)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		test(t, Database{Driver: "sqlite", DSN: filepath.Join(t.TempDir(), "mergegate.db")})
	})
	if os.Getenv(DatabasesVariable) != "sqlite" {
		t.Run("postgres", func(t *testing.T) { test(t, EmptyPostgres(t)) })
	}
}

// Main runs the tests of a package and then stops the PostgreSQL server, if
// the package started one, and removes its folder. Without it the server ends
// with the process all the same, and the next run removes the folder:
//
//	func TestMain(m *testing.M) { os.Exit(modelstest.Main(m)) }
func Main(m *testing.M) int {
	defer stopOwnServer()
	return m.Run()
}

// schemaHash tells apart databases made by different migrations.
func schemaHash(d migrations.Dialect) (string, error) {
	fsys, err := migrations.Files(d)
	if err != nil {
		return "", err
	}
	names, err := fs.Glob(fsys, "*.sql")
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	for _, name := range names {
		text, err := fs.ReadFile(fsys, name)
		if err != nil {
			return "", err
		}
		part := sha256.Sum256(text)
		hash.Write([]byte(name))
		hash.Write(part[:])
	}
	return hex.EncodeToString(hash.Sum(nil))[:16], nil
}
