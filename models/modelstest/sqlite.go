package modelstest

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"sync"
	"testing"

	_ "modernc.org/sqlite" // the driver named "sqlite"

	"github.com/mergegate/mergegate/migrations"
)

// SQLite returns a fresh SQLite database that has the schema. Its file is removed when
// the test ends.
func SQLite(t testing.TB) Database {
	t.Helper()
	empty, err := migratedFile()
	if err != nil {
		t.Fatalf("prepare a SQLite database: %v", err)
	}
	path := filepath.Join(t.TempDir(), "mergegate.db")
	if err := os.WriteFile(path, empty, 0o600); err != nil {
		t.Fatal(err)
	}
	return Database{Driver: "sqlite", DSN: path}
}

// migratedFile returns the content of a SQLite file that has the schema and no rows. It
// is created once per process.
var migratedFile = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "mergegate-test-sqlite-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "template.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		return nil, err
	}
	err = migrations.Up(context.Background(), db, migrations.SQLite)
	if closed := db.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})
