package models_test

import (
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// Deleting a user deletes the user's own projects; what the user did elsewhere stays.
func TestDeleteUser_DeletesOwnProjects_KeepsContributions(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		ctx, admin, mona := t.Context(), w.Admin("ada"), w.Member("mona", models.RoleDeveloper)
		own := w.NewProject(mona, "quince", models.VisibilityPrivate)
		createSession(t, w, mona, "s1")
		w.Push("topic")
		mr, err := w.Store.CreateMergeRequest(ctx, mona, w.Project.ID, models.MergeRequestInput{Title: "Topic", SourceBranch: "topic", TargetBranch: "main"})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Store.DeleteUser(ctx, admin, mona.ID); err != nil {
			t.Fatal(err)
		}
		for what, find := range map[string]func() error{
			"user":      func() error { _, err := w.Store.User(ctx, mona.ID); return err },
			"session":   func() error { _, _, err := w.Store.SessionUser(ctx, "s1"); return err },
			"namespace": func() error { _, err := w.Store.Namespace(ctx, "mona"); return err },
			"project":   func() error { _, err := w.Store.Project(ctx, own.ID); return err },
			"member":    func() error { _, err := w.Store.Member(ctx, w.Project.ID, mona.ID); return err },
		} {
			if models.KindOf(find()) != models.KindNotFound {
				t.Errorf("the %s is still there: %v", what, find())
			}
		}
		if now, _ := w.Reload(mr); now.AuthorID != nil || now.Title != "Topic" {
			t.Errorf("merge request %+v", now)
		}
		events, _, err := w.Store.AuditEvents(ctx, 0, models.AuditFilter{}, models.Page{Number: 1, Size: 2})
		if err != nil || len(events) != 2 || events[0].Action != models.AuditUserRemoved || events[0].Target != "mona" ||
			events[1].Action != models.AuditProjectRemoved || events[1].Target != "mona/quince" {
			t.Errorf("events %+v, %v", events, err)
		}
		if _, err := w.Store.CreateUser(ctx, admin, models.UserInput{Username: "mona"}); err != nil {
			t.Errorf("the name is not free again: %v", err)
		}
	})
}

func TestDeleteUser_Refusals(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		ctx, admin := t.Context(), w.Admin("ada")
		refused := func(by models.User, id int64, want models.Code) {
			t.Helper()
			if err := w.Store.DeleteUser(ctx, by, id); models.CodeOf(err) != want {
				t.Errorf("%v, want %s", err, want)
			}
		}
		refused(admin, admin.ID, models.CodeOwnAccount)
		refused(models.User{}, admin.ID, models.CodeLastAdmin)
		refused(admin, 999999, models.CodeNotFound)
		ns, err := w.Store.CreateNamespace(ctx, admin, "tools")
		if err != nil {
			t.Fatal(err)
		}
		project, err := w.Store.CreateProject(ctx, admin, models.ProjectInput{NamespaceID: ns.ID, Name: "p", Path: "p"}, false)
		if err != nil {
			t.Fatal(err)
		}
		second := w.Admin("ben")
		refused(second, admin.ID, models.CodeOnlyOwner)
		if _, err := w.Store.User(ctx, admin.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Store.AddMember(ctx, admin, models.RoleOwner, project.ID, second.ID, models.RoleOwner); err != nil {
			t.Fatal(err)
		}
		if err := w.Store.DeleteUser(ctx, second, admin.ID); err != nil {
			t.Errorf("with another Owner: %v", err)
		}
	})
}

// A token that was created with a token of the user ends with it, and its bot leaves the
// project. One that the user created on the page belongs to the project.
func TestDeleteUser_RevokesTokensMadeByTokens(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		ctx, admin, mona := t.Context(), w.Admin("ada"), w.Member("mona", models.RoleMaintainer)
		input := func(name string, madeBy *models.AccessToken) models.AccessTokenInput {
			return models.AccessTokenInput{Name: name, Scopes: []string{models.ScopeAPI}, ExpiresAt: w.Clock.Now().Add(24 * time.Hour),
				Role: models.RoleDeveloper, Digest: name + "-digest", MadeBy: madeBy}
		}
		personal, err := w.Store.CreatePersonalToken(ctx, mona, input("personal", nil))
		if err != nil {
			t.Fatal(err)
		}
		var tokens []models.AccessToken
		for name, madeBy := range map[string]*models.AccessToken{"made": &personal, "page": nil} {
			token, err := w.Store.CreateProjectToken(ctx, mona, models.RoleMaintainer, w.Project.ID, input(name, madeBy))
			if err != nil {
				t.Fatal(err)
			}
			tokens = append(tokens, token)
		}
		if err := w.Store.DeleteUser(ctx, admin, mona.ID); err != nil {
			t.Fatal(err)
		}
		for _, token := range tokens {
			_, _, tokenErr := w.Store.TokenUser(ctx, token.Digest)
			_, memberErr := w.Store.Member(ctx, w.Project.ID, token.UserID)
			if gone := token.Name == "made"; (tokenErr != nil) != gone || (memberErr != nil) != gone {
				t.Errorf("token %s: %v, its bot: %v", token.Name, tokenErr, memberErr)
			}
		}
	})
}
