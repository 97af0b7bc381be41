package models_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/mergegate/mergegate/models"
)

// Statements that a connection keeps prepared give what new ones would: while the same
// one is being read, after an error, after a change of the schema, and after more
// statements than are kept. PRAGMAs are never kept.
func TestOpenSQLite_KeptStatements_WorkAsNewOnes(t *testing.T) {
	db, err := models.OpenPreparing(models.SQLiteDSN(filepath.Join(t.TempDir(), "test.db")))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	exec := func(query string, args ...any) {
		t.Helper()
		if _, err := conn.ExecContext(t.Context(), query, args...); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
	}
	number := func(query string, args ...any) (n int) {
		t.Helper()
		if err := conn.QueryRowContext(t.Context(), query, args...).Scan(&n); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		return n
	}
	exec("CREATE TABLE numbers (n integer PRIMARY KEY)")
	for n := range 3 {
		exec("INSERT INTO numbers VALUES (?)", n)
	}

	const list = "SELECT n FROM numbers ORDER BY n"
	outer, err := conn.QueryContext(t.Context(), list)
	if err != nil {
		t.Fatal(err)
	}
	read := 0
	for outer.Next() {
		read++
		if first := number(list); first != 0 {
			t.Errorf("the same statement gives %d while it is being read", first)
		}
	}
	if err := outer.Err(); err != nil || read != 3 {
		t.Errorf("read %d of 3 rows: %v", read, err)
	}

	const insert = "INSERT INTO numbers VALUES (?)"
	if _, err := conn.ExecContext(t.Context(), insert, 1); err == nil {
		t.Error("a number was inserted twice")
	}
	exec(insert, 3)

	const sum = "SELECT SUM(n) FROM numbers"
	if got := number(sum); got != 6 {
		t.Errorf("sum %d, want 6", got)
	}
	exec("ALTER TABLE numbers RENAME TO others")
	exec("CREATE TABLE numbers (other text, n integer)")
	exec("INSERT INTO numbers VALUES ('x', 40)")
	if got := number(sum); got != 40 {
		t.Errorf("sum %d after the table was replaced, want 40", got)
	}

	for range 2 {
		for i := range 2 * models.KeptStatements {
			if got := number(fmt.Sprintf("SELECT %d + ?", i), 1); got != i+1 {
				t.Fatalf("%d + 1 = %d", i, got)
			}
		}
	}

	for range 2 {
		for name, want := range map[string]int{"NORMAL": 1, "FULL": 2} {
			exec("PRAGMA synchronous = " + name)
			if got := number("PRAGMA synchronous"); got != want {
				t.Errorf("synchronous is %d, want %d", got, want)
			}
		}
	}
}
