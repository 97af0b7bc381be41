package models_test

import (
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

const (
	sqliteReferences   = `SELECT m.name, f."from" FROM sqlite_master m JOIN pragma_foreign_key_list(m.name) f WHERE m.type = 'table'`
	postgresReferences = `SELECT c.conrelid::regclass::text, a.attname FROM pg_constraint c
		JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1] WHERE c.contype = 'f'`
	// postgresIndexed asks for an index that begins with a column and has each of its values.
	postgresIndexed = `SELECT EXISTS (SELECT 1 FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
		WHERE i.indisvalid AND i.indrelid = $1::regclass AND a.attname = $2
		AND (i.indpred IS NULL OR pg_get_expr(i.indpred, i.indrelid) = format('(%I IS NOT NULL)', a.attname)))`
)

// To delete a row, the databases look for it in each column that refers to it. Pushes in
// progress are few.
func TestReferences_HaveAnIndex(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, place modelstest.Database) {
		db := place.SQL(t)
		query, isIndexed := sqliteReferences, isIndexedBySQLite
		if place.Driver == models.DriverPostgres {
			query, isIndexed = postgresReferences, isIndexedByPostgres
		}
		references := referencesOf(t, db, query)
		if len(references) < 40 {
			t.Fatalf("columns that refer to rows: %v", references)
		}
		for _, r := range references {
			if r[0] != "pending_pushes" && !isIndexed(t, db, r[0], r[1]) {
				t.Errorf("%s.%s has no index", r[0], r[1])
			}
		}
	})
}

// referencesOf returns the tables and columns that refer to rows.
func referencesOf(t *testing.T, db *sql.DB, query string) (references [][2]string) {
	t.Helper()
	rows, err := db.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var r [2]string
		if err := rows.Scan(&r[0], &r[1]); err != nil {
			t.Fatal(err)
		}
		references = append(references, r)
	}
	return references
}

func isIndexedByPostgres(t *testing.T, db *sql.DB, table, column string) (ok bool) {
	t.Helper()
	if err := db.QueryRow(postgresIndexed, table, column).Scan(&ok); err != nil {
		t.Fatal(err)
	}
	return ok
}

// isIndexedBySQLite asks for the plan of the statement that a foreign key executes.
func isIndexedBySQLite(t *testing.T, db *sql.DB, table, column string) bool {
	t.Helper()
	var id, parent, unused int
	var detail string
	err := db.QueryRow(fmt.Sprintf("EXPLAIN QUERY PLAN SELECT rowid FROM %s WHERE %s = ?", table, column), 1).Scan(&id, &parent, &unused, &detail)
	if err != nil {
		t.Fatal(err)
	}
	return strings.HasPrefix(detail, "SEARCH")
}

// PostgreSQL counts how often a transaction reads a table from end to end, in the
// statements of foreign keys, too.
func TestDeletions_ReadNoTableFromEndToEnd(t *testing.T) {
	w := modelstest.New(t, modelstest.Postgres(t))
	mona := w.User("mona")
	for deletion, allowed := range map[string][]string{
		fmt.Sprint("DELETE FROM users WHERE id = ", mona.ID):         {"pending_pushes"},
		fmt.Sprint("DELETE FROM projects WHERE id = ", w.Project.ID): nil,
	} {
		if tables := tablesScanned(t, w.DB.SQL(t), deletion); !slices.Equal(tables, allowed) {
			t.Errorf("%s reads from end to end: %v", deletion, tables)
		}
	}
}

// tablesScanned returns the tables that a statement reads from end to end. It rolls back.
func tablesScanned(t *testing.T, db *sql.DB, statement string) []string {
	t.Helper()
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	// The tables are empty: PostgreSQL would read them.
	for _, s := range []string{"SET LOCAL enable_seqscan = off", statement} {
		if _, err := tx.Exec(s); err != nil {
			t.Fatal(err)
		}
	}
	var scanned string
	err = tx.QueryRow("SELECT COALESCE(string_agg(relname, ' '), '') FROM pg_stat_xact_user_tables WHERE seq_scan > 0").Scan(&scanned)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(scanned)
}
