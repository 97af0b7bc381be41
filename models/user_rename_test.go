package models_test

import (
	"testing"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// After a user is renamed, old addresses of projects redirect, also those of renamed projects,
// and the old name is taken until its namespace is deleted.
func TestUpdateUser_Username_OldPathsRedirect(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		ctx, admin, mona := t.Context(), w.Admin("ada"), w.User("mona")
		rename := func(to string) error {
			t.Helper()
			_, err := w.Store.UpdateUser(ctx, admin, mona.ID, models.UserUpdate{Username: &to})
			return err
		}
		found := func(namespace, path, want string, redirected bool) {
			t.Helper()
			access, moved, err := w.Store.AccessByPath(ctx, &mona, namespace, path)
			switch {
			case want == "" && models.KindOf(err) == models.KindNotFound:
			case err != nil || access.Project.FullPath() != want || moved != redirected:
				t.Errorf("%s/%s leads to %s, redirected %t, %v", namespace, path, access.Project.FullPath(), moved, err)
			}
		}
		if err := rename("lisa"); err != nil { // without projects
			t.Fatal(err)
		}
		if _, err := w.Store.Namespace(ctx, "mona"); models.KindOf(err) != models.KindNotFound {
			t.Errorf("the old name is not free: %v", err)
		}
		if err := rename("Mona"); err != nil {
			t.Fatal(err)
		}
		project := w.NewProject(mona, "quince", models.VisibilityPrivate)
		path := "apple"
		if _, err := w.Store.UpdateProject(ctx, mona, project.ID, models.ProjectUpdate{Path: &path}); err != nil {
			t.Fatal(err)
		}
		if err := rename("lisa"); err != nil {
			t.Fatal(err)
		}
		found("lisa", "apple", "lisa/apple", false)
		found("lisa", "quince", "lisa/apple", true)
		found("mona", "apple", "lisa/apple", true)
		found("mona", "quince", "lisa/apple", true)
		taken := func(err error) {
			t.Helper()
			if fields := models.FieldErrorsOf(err); len(fields) != 1 || fields[0].Field != "username" || fields[0].Code != models.CodeTaken {
				t.Errorf("%v, want a name that is taken", err)
			}
		}
		_, err := w.Store.CreateUser(ctx, admin, models.UserInput{Username: "MONA"})
		taken(err)
		taken(rename("ada"))
		ns, err := w.Store.Namespace(ctx, "mona")
		if err != nil {
			t.Fatal(err)
		}
		if err := rename("mona"); err != nil { // back again
			t.Fatal(err)
		}
		found("mona", "apple", "mona/apple", false)
		found("lisa", "apple", "mona/apple", true)
		if ns, err = w.Store.Namespace(ctx, "lisa"); err != nil {
			t.Fatal(err)
		}
		if err := w.Store.DeleteNamespace(ctx, admin, ns.ID); err != nil {
			t.Fatal(err)
		}
		found("lisa", "apple", "", false)
		if err := rename("admin"); models.KindOf(err) != models.KindInvalid {
			t.Errorf("a reserved name: %v", err)
		}
		events, _, err := w.Store.AuditEvents(ctx, 0, models.AuditFilter{Kind: models.AuditKindUsers}, models.Page{Number: 1, Size: 1})
		if err != nil || events[0].Target != "mona" || len(events[0].Details) != 1 || events[0].Details[0] != (models.AuditChange{Field: "username", From: "lisa", To: "mona"}) {
			t.Errorf("events %+v, %v", events, err)
		}
	})
}
