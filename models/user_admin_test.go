package models_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

func createSession(t *testing.T, w *modelstest.Fixture, user models.User, digest string) {
	t.Helper()
	if _, err := w.Store.CreateSession(t.Context(), user, digest, "test", "192.0.2.1"); err != nil {
		t.Fatal(err)
	}
}

func TestBlockUser_EndsSessionsAndTokens_UnblockRevivesOnlyTokens(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		ctx, admin, mona := t.Context(), w.Admin("ada"), w.User("mona")
		createSession(t, w, mona, "s1")
		token, err := w.Store.CreatePersonalToken(ctx, mona, models.AccessTokenInput{
			Name: "CI", Scopes: []string{models.ScopeAPI}, ExpiresAt: w.Store.Now().Add(time.Hour), Digest: "t1",
		})
		if err != nil {
			t.Fatal(err)
		}
		usable := func(what string, session, token bool) {
			t.Helper()
			_, _, err := w.Store.SessionUser(ctx, "s1")
			_, _, tokenErr := w.Store.TokenUser(ctx, "t1")
			if (err == nil) != session || (tokenErr == nil) != token {
				t.Errorf("%s: session %v, token %v; want usable %t, %t", what, err, tokenErr, session, token)
			}
		}
		usable("before", true, true)
		if _, err := w.Store.BlockUser(ctx, admin, mona.ID); err != nil {
			t.Fatal(err)
		}
		usable("blocked", false, false)
		// The session of a sign-in that began before the block.
		createSession(t, w, mona, "s1")
		usable("blocked with a late session", false, false)
		if _, err := w.Store.UnblockUser(ctx, admin, mona.ID); err != nil {
			t.Fatal(err)
		}
		usable("unblocked", false, true)
		if _, err := w.Store.UnblockUser(ctx, admin, mona.ID); err != nil {
			t.Fatal(err)
		}
		events, _, err := w.Store.AuditEvents(ctx, 0, models.AuditFilter{Kind: models.AuditKindUsers}, models.Page{Number: 1, Size: 2})
		if err != nil || len(events) != 2 || events[0].Action != models.AuditUserUnblocked || events[1].Action != models.AuditUserBlocked {
			t.Errorf("events %+v, %v", events, err)
		}
		if events[0].UserName != "ada" || events[0].Target != "mona" {
			t.Errorf("event %+v", events[0])
		}
		_ = token
	})
}

func TestLastAdmin_CannotBeBlockedOrDemoted(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		ctx, ada, no := t.Context(), w.Admin("ada"), false
		demote := models.UserUpdate{Admin: &no}
		_, err := w.Store.UpdateUser(ctx, ada, ada.ID, demote)
		assertCode(t, err, models.CodeLastAdmin)
		_, err = w.Store.BlockUser(ctx, models.User{}, ada.ID)
		assertCode(t, err, models.CodeLastAdmin)
		_, err = w.Store.BlockUser(ctx, ada, ada.ID)
		assertCode(t, err, models.CodeOwnAccount)
		blocked := w.Admin("bert")
		if _, err = w.Store.BlockUser(ctx, ada, blocked.ID); err != nil {
			t.Fatal(err)
		}
		// A blocked administrator does not count.
		_, err = w.Store.UpdateUser(ctx, ada, ada.ID, demote)
		assertCode(t, err, models.CodeLastAdmin)
	})
}

// Two administrators who demote each other at the same time leave one.
func TestLastAdmin_ConcurrentDemotions_LeaveOne(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		admins := []models.User{w.Admin("ada"), w.Admin("bert")}
		no := false
		var both sync.WaitGroup
		errs := make([]error, len(admins))
		for i := range admins {
			both.Go(func() {
				_, errs[i] = w.Store.UpdateUser(t.Context(), admins[i], admins[1-i].ID, models.UserUpdate{Admin: &no})
			})
		}
		both.Wait()
		if (errs[0] == nil) == (errs[1] == nil) {
			t.Errorf("errors %v, want one", errs)
		}
		assertCode(t, errors.Join(errs...), models.CodeLastAdmin)
	})
}

func TestUpdateUser_BotAndOldVersion_AreRefused(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		ctx, ada, mona := t.Context(), w.Admin("ada"), w.User("mona")
		name, other := "Mona Weiss", "Other"
		changed, err := w.Store.UpdateUser(ctx, ada, mona.ID, models.UserUpdate{Name: &name, Version: mona.Version()})
		if err != nil || changed.Name != name {
			t.Fatal(changed, err)
		}
		_, err = w.Store.UpdateUser(ctx, ada, mona.ID, models.UserUpdate{Name: &other, Version: mona.Version()})
		assertCode(t, err, models.CodeChangedMeanwhile)
		bot, err := w.Store.CreateUser(ctx, models.User{}, models.UserInput{Username: "a_bot", Bot: true})
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.Store.BlockUser(ctx, ada, bot.ID)
		assertCode(t, err, models.CodeBotUser)
		empty := " "
		_, err = w.Store.UpdateUser(ctx, ada, mona.ID, models.UserUpdate{Name: &empty})
		assertFieldError(t, err, "name", models.CodeBlank)
	})
}

func TestInvitation_WorksOnceAndExpires(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		ctx, ada := t.Context(), w.Admin("ada")
		mona, err := w.Store.InviteUser(ctx, ada, models.UserInput{Username: "mona", PasswordDigest: "ignored"}, "d1")
		if err != nil || mona.CanSignIn() {
			t.Fatalf("%+v, %v", mona, err)
		}
		// A new invitation replaces the old one.
		if _, err := w.Store.CreateInvitation(ctx, ada, mona.ID, "d2"); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Store.AcceptInvitation(ctx, "d1", "p"); models.KindOf(err) != models.KindNotFound {
			t.Errorf("replaced invitation: %v", err)
		}
		var twice sync.WaitGroup
		errs := make([]error, 2)
		for i := range errs {
			twice.Go(func() { _, errs[i] = w.Store.AcceptInvitation(ctx, "d2", "p") })
		}
		twice.Wait()
		if (errs[0] == nil) == (errs[1] == nil) {
			t.Errorf("accepted twice: %v, want one success", errs)
		}
		if mona, _ = w.Store.User(ctx, mona.ID); !mona.CanSignIn() {
			t.Error("the invited user cannot sign in")
		}
		if _, err := w.Store.CreateInvitation(ctx, ada, mona.ID, "d3"); err != nil {
			t.Fatal(err)
		}
		w.Clock.Advance(models.InvitationLifetime)
		if _, err := w.Store.AcceptInvitation(ctx, "d3", "q"); models.KindOf(err) != models.KindNotFound {
			t.Errorf("expired invitation: %v", err)
		}
		if err := w.Store.DeleteExpired(ctx); err != nil {
			t.Fatal(err)
		}
		if until, err := w.Store.InvitedUntil(ctx, []int64{mona.ID}); len(until) != 0 || err != nil {
			t.Errorf("invitations %v, %v", until, err)
		}
	})
}

func TestSetupLink_SeveralInstances_OneLinkAndOneAdministrator(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.Open(t, db)
		ctx := t.Context()
		digests := []string{"d1", "d2", "d3", "d4"}
		created := make([]bool, len(digests))
		var starts sync.WaitGroup
		for i, digest := range digests {
			starts.Go(func() {
				var err error
				if created[i], err = w.Store.CreateSetupLink(ctx, digest, time.Minute); err != nil {
					t.Error(err)
				}
			})
		}
		starts.Wait()
		valid := ""
		for i, digest := range digests {
			usable, err := w.Store.HasSetupLink(ctx, digest)
			if err != nil || usable != created[i] || usable && valid != "" {
				t.Errorf("link %d: created %t, usable %t, %v", i, created[i], usable, err)
			}
			if usable {
				valid = digest
			}
		}
		// A later start replaces the link.
		w.Clock.Advance(2 * time.Minute)
		if again, err := w.Store.CreateSetupLink(ctx, "d5", time.Minute); err != nil || !again {
			t.Fatal(again, err)
		}
		if _, err := w.Store.AcceptSetup(ctx, valid, models.UserInput{Username: "eve"}); models.KindOf(err) != models.KindNotFound {
			t.Errorf("replaced link: %v", err)
		}
		errs := make([]error, 2)
		var both sync.WaitGroup
		for i, name := range []string{"ada", "bert"} {
			both.Go(func() {
				_, errs[i] = w.Store.AcceptSetup(ctx, "d5", models.UserInput{Username: name, PasswordDigest: "p"})
			})
		}
		both.Wait()
		if (errs[0] == nil) == (errs[1] == nil) {
			t.Errorf("two administrators: %v, want one success", errs)
		}
		users, n, err := w.Store.ListUsers(ctx, models.UserFilter{Kind: models.UserKindAdmins}, models.Page{})
		if err != nil || n != 1 || len(users) != 1 {
			t.Errorf("%d administrators, %v", n, err)
		}
		if again, err := w.Store.CreateSetupLink(ctx, "d6", 0); again || err != nil {
			t.Errorf("a link although there is a user: %t, %v", again, err)
		}
	})
}

func TestSetupLink_ExpiresAndEndsWithTheFirstUser(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.Open(t, db)
		if _, err := w.Store.CreateSetupLink(t.Context(), "d1", 0); err != nil {
			t.Fatal(err)
		}
		w.Clock.Advance(models.SetupLinkLifetime)
		if usable, err := w.Store.HasSetupLink(t.Context(), "d1"); usable || err != nil {
			t.Errorf("expired: %t, %v", usable, err)
		}
		if _, err := w.Store.CreateSetupLink(t.Context(), "d2", 0); err != nil {
			t.Fatal(err)
		}
		w.User("olga") // by command
		if _, err := w.Store.AcceptSetup(t.Context(), "d2", models.UserInput{Username: "ada"}); models.KindOf(err) != models.KindNotFound {
			t.Errorf("with a user: %v", err)
		}
	})
}

func TestListUsers_Kinds(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		ctx, ada, mona := t.Context(), w.Admin("ada"), w.User("mona")
		if _, err := w.Store.BlockUser(ctx, ada, mona.ID); err != nil {
			t.Fatal(err)
		}
		for kind, want := range map[models.UserKind]string{
			models.UserKindPeople: "mona ada olga ", models.UserKindActive: "ada olga ", models.UserKindAdmins: "ada ",
			models.UserKindBlocked: "mona ", models.UserKindBots: "", "nonsense": "",
		} {
			users, n, err := w.Store.ListUsers(ctx, models.UserFilter{Kind: kind}, models.Page{Number: 1, Size: 20})
			got := ""
			for _, u := range users {
				got += u.Username + " "
			}
			if err != nil || got != want || int(n) != len(users) {
				t.Errorf("%s: %q, %d, %v; want %q", kind, got, n, err, want)
			}
		}
		users, _, err := w.Store.ListUsers(ctx, models.UserFilter{Search: "ON"}, models.Page{Number: 1, Size: 20})
		if err != nil || len(users) != 1 || users[0].ID != mona.ID {
			t.Errorf("search: %+v, %v", users, err)
		}
	})
}

func TestNamespace_WithProjects_CannotBeDeleted(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		ctx, ada := t.Context(), w.Admin("ada")
		ns, err := w.Store.CreateNamespace(ctx, ada, "tools")
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.Store.CreateNamespace(ctx, ada, "OLGA")
		assertFieldError(t, err, "path", models.CodeTaken)
		project, err := w.Store.CreateProject(ctx, ada, models.ProjectInput{NamespaceID: ns.ID, Name: "p", Path: "p"}, false)
		if err != nil {
			t.Fatal(err)
		}
		assertCode(t, w.Store.DeleteNamespace(ctx, ada, ns.ID), models.CodeNotEmpty)
		list, n, err := w.Store.FreeNamespaces(ctx, "OO", models.Page{Number: 1, Size: 20})
		if err != nil || n != 1 || len(list) != 1 || list[0].Projects != 1 {
			t.Errorf("%+v, %d, %v", list, n, err)
		}
		if err := w.Store.DeleteProject(ctx, ada, project.ID); err != nil {
			t.Fatal(err)
		}
		if err := w.Store.DeleteNamespace(ctx, ada, ns.ID); err != nil {
			t.Error(err)
		}
		own, err := w.Store.Namespace(ctx, "olga")
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Store.DeleteNamespace(ctx, ada, own.ID); models.KindOf(err) != models.KindNotFound {
			t.Errorf("namespace of a user: %v", err)
		}
	})
}
