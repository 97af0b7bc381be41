package models

import (
	"context"
	"fmt"
	"strings"
)

// searchIndexes are the indexes of trigrams of PostgreSQL: name, table and columns.
// Migrations create them if they can.
var searchIndexes = []struct{ name, table, columns string }{
	{"merge_request_texts_trigrams", "merge_request_texts", "text %s"},
	{"namespaces_trigrams", "namespaces", "path_key %s"},
	{"projects_trigrams", "projects", "path_key %[1]s, lower(name) %[1]s"},
	{"users_trigrams", "users", "username_key %[1]s, lower(name) %[1]s"},
}

// Trigrams says how far PostgreSQL has the extension pg_trgm.
type Trigrams string

// What PostgreSQL has of the extension: nothing, its files, or the extension in this
// database.
const (
	TrigramsNotInstalled Trigrams = "not installed"
	TrigramsInstalled    Trigrams = "installed"
	TrigramsCreated      Trigrams = "created"
)

// SearchState says which indexes of searches are missing and how to create them.
type SearchState struct {
	// Missing are the names of the indexes.
	Missing  []string
	Trigrams Trigrams
	// SQL are the statements that create what is missing, "" if nothing is. If the first
	// one creates the extension, it needs a superuser.
	SQL string
}

// SearchState examines the indexes of trigrams. Searches give the same results without
// them, but read whole tables. They are missing if migrations ran without the right to
// create the extension pg_trgm, or without its files. On SQLite nothing is missing.
func (s *Store) SearchState(ctx context.Context) (state SearchState, err error) {
	if !s.postgres() {
		return state, nil
	}
	var found struct{ Schema, Extension string }
	err = s.reader(ctx).Raw(`SELECT quote_ident(current_schema()) AS schema, COALESCE(
		(SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_trgm'),
		(SELECT '-' FROM pg_available_extensions WHERE name = 'pg_trgm'), '') AS extension`).Scan(&found).Error
	if err != nil {
		return state, err
	}
	var statements []string
	operators := "gin_trgm_ops"
	switch found.Extension {
	case "":
		state.Trigrams = TrigramsNotInstalled
	case "-":
		state.Trigrams = TrigramsInstalled
	default:
		// The schema of the extension may be outside the search path.
		state.Trigrams, operators = TrigramsCreated, found.Extension+"."+operators
	}
	if state.Trigrams != TrigramsCreated {
		statements = []string{"CREATE EXTENSION IF NOT EXISTS pg_trgm;"}
	}
	for _, index := range searchIndexes {
		var exists bool
		if err := s.reader(ctx).Raw("SELECT to_regclass(?) IS NOT NULL", index.name).Scan(&exists).Error; err != nil {
			return state, err
		}
		if !exists {
			state.Missing = append(state.Missing, index.name)
			statements = append(statements, fmt.Sprintf("CREATE INDEX CONCURRENTLY %s ON %s.%s USING gin (%s);",
				index.name, found.Schema, index.table, fmt.Sprintf(index.columns, operators)))
		}
	}
	if len(state.Missing) > 0 {
		state.SQL = strings.Join(statements, " ")
	}
	return state, nil
}

// InvalidIndexes returns the indexes of PostgreSQL that it does not use, because they are
// being created or because that was interrupted.
func (s *Store) InvalidIndexes(ctx context.Context) (names []string, err error) {
	if !s.postgres() {
		return nil, nil
	}
	err = s.reader(ctx).Raw("SELECT i.indexrelid::regclass::text FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid " +
		"WHERE NOT i.indisvalid AND c.relnamespace = current_schema()::regnamespace ORDER BY 1").Scan(&names).Error
	return names, err
}
