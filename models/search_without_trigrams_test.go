package models_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/mergegate/mergegate/migrations"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// A database user without the right to create the extension pg_trgm can migrate and
// search. The indexes can be added later.
func TestSearch_WithoutTrigrams(t *testing.T) {
	db, superuser := modelstest.RestrictedPostgres(t)
	if err := migrations.Up(t.Context(), db.SQL(t), db.Dialect()); err != nil {
		t.Fatal(err)
	}

	w := modelstest.New(t, db)
	mr := w.MergeRequest("feature", "main")
	assertFound := func() {
		t.Helper()
		page := models.Page{Number: 1, Size: 20}
		for _, search := range []string{"zzz", mr.Title[1:]} {
			if got := listed(t, w.Store, models.MergeRequestFilter{ProjectIDs: []int64{w.Project.ID}, Search: search}, page); (len(got) == 1) != (search != "zzz") {
				t.Errorf("merge requests with %q: %q", search, got)
			}
		}
		projects, _, err := w.Store.Projects(t.Context(), &w.Owner, models.ProjectFilter{Search: "EAR"}, page)
		if err != nil || len(projects) != 1 {
			t.Errorf("projects found: %d, %v", len(projects), err)
		}
		users, _, err := w.Store.ListUsers(t.Context(), models.UserFilter{Kind: models.UserKindPeople, Search: strings.ToUpper(w.Owner.Username[1:])}, page)
		if err != nil || len(users) != 1 {
			t.Errorf("users found: %d, %v", len(users), err)
		}
	}
	assertFound()
	state, err := w.Store.SearchState(t.Context())
	if err != nil || len(state.Missing) != 4 || state.Trigrams != models.TrigramsInstalled {
		t.Errorf("without indexes: %+v, %v", state, err)
	}
	// The schema of the extension may be outside the search path.
	state.SQL = strings.Replace(state.SQL, "pg_trgm;", "pg_trgm SCHEMA elsewhere;", 1)
	create, indexes, _ := strings.Cut(state.SQL, "; ")
	for _, statement := range []string{"CREATE SCHEMA elsewhere", create, "GRANT USAGE ON SCHEMA elsewhere TO PUBLIC"} {
		if _, err := superuser.SQL(t).Exec(statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	state, err = w.Store.SearchState(t.Context())
	if err != nil || len(state.Missing) != 4 || state.Trigrams != models.TrigramsCreated || strings.Contains(state.SQL, "EXTENSION") || state.SQL == indexes {
		t.Fatalf("with the extension: %+v, %v", state, err)
	}
	for statement := range strings.SplitSeq(strings.TrimSuffix(state.SQL, ";"), "; ") {
		if _, err := db.SQL(t).Exec(statement); err != nil {
			t.Errorf("%s: %v", statement, err)
		}
	}
	assertFound()
	if state, err = w.Store.SearchState(t.Context()); err != nil || len(state.Missing) != 0 || state.SQL != "" {
		t.Errorf("with indexes: %+v, %v", state, err)
	}
}

func TestInvalidIndexes(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		var want []string
		if db.Driver == models.DriverPostgres {
			want = []string{"approvals_user"}
			if _, err := db.SQL(t).Exec("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'approvals_user'::regclass"); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := w.Store.InvalidIndexes(t.Context()); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
	})
}
