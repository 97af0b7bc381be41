// Package modelstest provides databases, a store and a fake git for tests. Use Each to
// run a test on a fresh SQLite and a fresh PostgreSQL database, and New to create a
// Fixture on one: a store with a user and a project.
//
// PostgreSQL is a temporary server: the one named by the environment variable
// MERGEGATE_TEST_POSTGRES_DSN (`make test` starts one for all packages), otherwise the
// first test of the process starts one. The schema is migrated once into a template
// database, named by a hash of the migrations, and every test gets a copy.
package modelstest

import (
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/mergegate/mergegate/migrations"
	"github.com/mergegate/mergegate/models"
)

// Database says how to open the database of one test. Its fields are those of
// models.Config.
type Database struct {
	// Driver is "sqlite" or "postgres".
	Driver string
	// DSN is the file's path for SQLite, a postgres:// URL for PostgreSQL.
	DSN string
}

// Dialect returns the dialect of the database's migrations.
func (db Database) Dialect() migrations.Dialect { return migrations.Dialect(db.Driver) }

// SQL opens db without GORM, for tests that read rows or the schema directly. It is
// closed when the test ends.
func (db Database) SQL(t testing.TB) *sql.DB {
	t.Helper()
	driver, dsn := "sqlite", models.SQLiteDSN(db.DSN)
	if db.Dialect() == migrations.Postgres {
		driver, dsn = "pgx", db.DSN
	}
	conn, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// DatabasesVariable names the environment variable that limits Each and EachEmpty to one
// database, "sqlite" or "postgres". `make check` and `make test` set it.
const DatabasesVariable = "MERGEGATE_TEST_DATABASES"

// Each runs test as a subtest on SQLite and on PostgreSQL, each with a fresh database
// that has the schema and no rows.
func Each(t *testing.T, test func(t *testing.T, db Database)) {
	t.Helper()
	each(t, test, SQLite, Postgres)
}

// EachEmpty is Each with databases that have no schema.
func EachEmpty(t *testing.T, test func(t *testing.T, db Database)) {
	t.Helper()
	each(t, test, func(t testing.TB) Database {
		return Database{Driver: models.DriverSQLite, DSN: filepath.Join(t.TempDir(), "mergegate.db")}
	}, EmptyPostgres)
}

func each(t *testing.T, test func(t *testing.T, db Database), sqlite, postgres func(testing.TB) Database) {
	t.Helper()
	only := os.Getenv(DatabasesVariable)
	if only != models.DriverPostgres {
		t.Run(models.DriverSQLite, func(t *testing.T) { test(t, sqlite(t)) })
	}
	if only != models.DriverSQLite {
		t.Run(models.DriverPostgres, func(t *testing.T) { test(t, postgres(t)) })
	}
}

// Main runs the tests of a package. Afterwards it stops the PostgreSQL server, if the
// package started one, and removes its directory. Without Main the server still ends
// with the process, and the next run removes the directory.
//
//	func TestMain(m *testing.M) { os.Exit(modelstest.Main(m)) }
func Main(m *testing.M) int {
	defer stopOwnServer()
	return m.Run()
}

// MainWithPlans is Main. After tests that passed it also fails the package for each
// statement with a problem of CheckPlans.
func MainWithPlans(m *testing.M, allowed map[string]string) int {
	defer stopOwnServer()
	statements.collected = true
	if code := m.Run(); code != 0 {
		return code
	}
	problems := CheckPlans(allowed)
	for _, problem := range problems {
		fmt.Println("--- FAIL: plan:", problem)
	}
	return min(len(problems), 1)
}

// schemaHash returns a hash of the migrations of a dialect.
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
