package models_test

import (
	"crypto/rand"
	"net/url"
	"strings"
	"testing"

	"github.com/mergegate/mergegate/migrations"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// A database user without the right to create the extension pg_trgm can migrate and
// search. The indexes can be added later.
func TestSearch_WithoutTrigrams(t *testing.T) {
	server := modelstest.EmptyPostgres(t).SQL(t)
	role := "test_" + strings.ToLower(rand.Text())
	if _, err := server.Exec("CREATE ROLE " + role + " LOGIN"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // after the database with the rights of the role was dropped
		if _, err := server.Exec("DROP ROLE " + role); err != nil {
			t.Error(err)
		}
	})
	db := modelstest.EmptyPostgres(t)
	superuser := db.SQL(t)
	if _, err := superuser.Exec("GRANT ALL ON SCHEMA public TO " + role); err != nil {
		t.Fatal(err)
	}
	address, err := url.Parse(db.DSN)
	if err != nil {
		t.Fatal(err)
	}
	address.User = url.User(role)
	db.DSN = address.String()
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
	missing, err := w.Store.MissingSearchIndexes(t.Context())
	if err != nil || len(missing) != 4 {
		t.Errorf("missing indexes: %+v, %v", missing, err)
	}

	if _, err := superuser.Exec("CREATE EXTENSION pg_trgm"); err != nil {
		t.Fatal(err)
	}
	for _, index := range missing {
		if _, err := superuser.Exec(index.Statement); err != nil {
			t.Errorf("%s: %v", index.Statement, err)
		}
	}
	assertFound()
	if missing, err = w.Store.MissingSearchIndexes(t.Context()); err != nil || len(missing) != 0 {
		t.Errorf("missing indexes afterwards: %+v, %v", missing, err)
	}
}
