package backup

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"github.com/mergegate/mergegate/migrations"
)

// table is a table with its columns.
type table struct {
	Name    string   `json:"table"`
	Columns []column `json:"columns"`
	refers  []string // to tables
}

// column is a column with its portable type.
type column struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// The portable types of columns, and how the databases name them. In JSON, bytes are in
// base64 and times in RFC 3339.
const (
	typeInteger = "integer"
	typeReal    = "real"
	typeBoolean = "boolean"
	typeText    = "text"
	typeBytes   = "bytes"
	typeTime    = "time"
)

var portableTypes = map[string]string{
	"integer": typeInteger, "bigint": typeInteger, "smallint": typeInteger,
	"real": typeReal, "double precision": typeReal,
	"boolean": typeBoolean, "text": typeText, "character varying": typeText,
	"blob": typeBytes, "bytea": typeBytes,
	"datetime": typeTime, "timestamp with time zone": typeTime, "timestamptz": typeTime,
}

// The index of searches, merge_request_texts, is left out: triggers write it when the rows
// of merge_requests are restored.
const (
	sqliteCatalog = `SELECT m.name, c.name, lower(c.type) FROM sqlite_master m JOIN pragma_table_info(m.name) c
		WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite\_%' ESCAPE '\' AND m.name <> '` + migrations.VersionTable + `'
		AND m.name NOT LIKE 'merge\_request\_texts%' ESCAPE '\' ORDER BY m.name, c.cid`
	sqliteReferences = `SELECT m.name, f."table" FROM sqlite_master m JOIN pragma_foreign_key_list(m.name) f WHERE m.type = 'table' ORDER BY 1, 2`

	postgresCatalog = `SELECT c.table_name, c.column_name, c.data_type FROM information_schema.columns c
		JOIN information_schema.tables t ON t.table_schema = c.table_schema AND t.table_name = c.table_name AND t.table_type = 'BASE TABLE'
		WHERE c.table_schema = current_schema() AND c.table_name <> '` + migrations.VersionTable + `' AND c.table_name <> 'merge_request_texts' ORDER BY c.table_name, c.ordinal_position`
	postgresReferences = `SELECT f.relname, t.relname FROM pg_constraint k JOIN pg_class f ON f.oid = k.conrelid JOIN pg_class t ON t.oid = k.confrelid
		WHERE k.contype = 'f' AND f.relname <> 'merge_request_texts' AND f.relnamespace = current_schema()::regnamespace ORDER BY 1, 2`
)

// querier is a database or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// tables returns all tables, each after those that it refers to.
func tables(ctx context.Context, db querier, d migrations.Dialect) ([]table, error) {
	catalog, references := sqliteCatalog, sqliteReferences
	if d == migrations.Postgres {
		catalog, references = postgresCatalog, postgresReferences
	}
	var all []table
	var unknown error
	err := query(ctx, db, catalog, func(rows *sql.Rows) error {
		var name string
		var c column
		if err := rows.Scan(&name, &c.Name, &c.Type); err != nil {
			return err
		}
		portable, ok := portableTypes[c.Type]
		if !ok {
			unknown = fmt.Errorf("backups do not support the type %q of column %s.%s", c.Type, name, c.Name)
		}
		c.Type = portable
		if len(all) == 0 || all[len(all)-1].Name != name {
			all = append(all, table{Name: name})
		}
		t := &all[len(all)-1]
		t.Columns = append(t.Columns, c)
		return nil
	})
	if err == nil {
		err = unknown
	}
	if err != nil {
		return nil, fmt.Errorf("read the tables: %w", err)
	}
	err = query(ctx, db, references, func(rows *sql.Rows) error {
		var from, to string
		err := rows.Scan(&from, &to)
		for i := range all {
			if all[i].Name == from && from != to {
				all[i].refers = append(all[i].refers, to)
			}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the foreign keys: %w", err)
	}
	return sortTables(all)
}

// sortTables puts each table after those that it refers to.
func sortTables(all []table) ([]table, error) {
	var sorted []table
	done := map[string]bool{}
	for len(sorted) < len(all) {
		before := len(sorted)
		for _, t := range all {
			if !done[t.Name] && !slices.ContainsFunc(t.refers, func(to string) bool { return !done[to] }) {
				done[t.Name] = true
				sorted = append(sorted, t)
			}
		}
		if len(sorted) == before {
			return nil, fmt.Errorf("tables refer to each other in a circle; done are %d of %d", len(sorted), len(all))
		}
	}
	return sorted, nil
}

// query calls scan with each row.
func query(ctx context.Context, db querier, statement string, scan func(*sql.Rows) error, args ...any) error {
	rows, err := db.QueryContext(ctx, statement, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// names returns the quoted names of the columns.
func (t table) names() string {
	quoted := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		quoted[i] = `"` + c.Name + `"`
	}
	return strings.Join(quoted, ", ")
}

// has reports whether the table has a column.
func (t table) has(name string) bool {
	return slices.ContainsFunc(t.Columns, func(c column) bool { return c.Name == name })
}

// lastIDs returns the last id that each table has given.
func lastIDs(ctx context.Context, db querier, d migrations.Dialect, all []table) (map[string]int64, error) {
	last := map[string]int64{}
	if d == migrations.SQLite {
		return last, query(ctx, db, "SELECT name, seq FROM sqlite_sequence WHERE name <> '"+migrations.VersionTable+"'", func(rows *sql.Rows) error {
			var name string
			var id int64
			err := rows.Scan(&name, &id)
			last[name] = id
			return err
		})
	}
	for _, t := range all {
		sequence, err := sequenceOf(ctx, db, t)
		if err != nil || sequence == "" {
			if err != nil {
				return nil, err
			}
			continue
		}
		var id int64
		if err := db.QueryRowContext(ctx, "SELECT CASE WHEN is_called THEN last_value ELSE last_value - 1 END FROM "+sequence).Scan(&id); err != nil {
			return nil, err
		}
		last[t.Name] = id
	}
	return last, nil
}

// sequenceOf returns the sequence of a table's ids on PostgreSQL, "" if it has none.
func sequenceOf(ctx context.Context, db querier, t table) (string, error) {
	if !t.has("id") {
		return "", nil
	}
	var sequence sql.NullString
	err := db.QueryRowContext(ctx, "SELECT pg_get_serial_sequence($1, 'id')", `"`+t.Name+`"`).Scan(&sequence)
	return sequence.String, err
}

// setLastID makes a table give ids after id.
func setLastID(ctx context.Context, db querier, d migrations.Dialect, t table, id int64) error {
	if id <= 0 || !t.has("id") {
		return nil
	}
	if d == migrations.Postgres {
		sequence, err := sequenceOf(ctx, db, t)
		if err != nil || sequence == "" {
			return err
		}
		_, err = db.ExecContext(ctx, "SELECT setval($1, GREATEST($2::bigint, (SELECT COALESCE(max(id), 1) FROM \""+t.Name+"\")))", sequence, id)
		return err
	}
	result, err := db.ExecContext(ctx, "UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = ?", id, t.Name)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n > 0 {
		return err
	}
	_, err = db.ExecContext(ctx, "INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", t.Name, id)
	return err
}
