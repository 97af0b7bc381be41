package models_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// The single query returns all columns that the two queries return, and nothing if one
// of them returns nothing.
func TestTokenAccess_EqualsTokenUserAndAccess(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		ctx := t.Context()
		token := func(user models.User, digest string, lasts time.Duration) models.AccessToken {
			made, err := w.Store.CreatePersonalToken(ctx, user, models.AccessTokenInput{
				Name: "test", Scopes: []string{models.ScopeAPI, models.ScopeReadAPI}, ExpiresAt: w.Store.Now().Add(lasts), Digest: digest,
			})
			if err != nil {
				t.Fatal(err)
			}
			return made
		}
		dana := w.Member("dana", models.RoleDeveloper)
		token(w.Owner, "owner", time.Hour)
		token(dana, "developer", time.Hour)
		token(w.User("zoe"), "outsider", time.Hour)
		token(w.Admin("ruth"), "admin", time.Hour)
		short := token(dana, "short", time.Minute)
		if err := w.Store.RevokePersonalToken(ctx, dana, dana.ID, token(dana, "revoked", time.Hour).ID); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Store.CreateProjectToken(ctx, w.Owner, models.RoleOwner, w.Project.ID, models.AccessTokenInput{
			Name: "bot", Scopes: []string{models.ScopeReadAPI}, ExpiresAt: w.Store.Now().Add(time.Hour), Digest: "bot", Role: models.RoleMaintainer,
		}); err != nil {
			t.Fatal(err)
		}
		w.Clock.Advance(2 * time.Minute)
		if short.ActiveAt(w.Store.Now()) {
			t.Fatal("the short token lasts too long")
		}
		p, err := w.Store.Project(ctx, w.Project.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, digest := range []string{"owner", "developer", "outsider", "admin", "bot", "short", "revoked", "nobody"} {
			wantToken, user, missing := w.Store.TokenUser(ctx, digest)
			wantAccess := models.Access{}
			if missing == nil {
				if wantAccess, err = w.Store.AccessByID(ctx, &user, p.ID); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(p, wantAccess.Project); diff != "" {
					t.Errorf("project (-Project, +AccessByID):\n%s", diff)
				}
			}
			compare := func(name string, gotToken models.AccessToken, gotAccess models.Access, err error) {
				t.Helper()
				if models.KindOf(err) != models.KindOf(missing) {
					t.Errorf("%s of %s: %v, want %v", name, digest, err, missing)
				}
				if missing != nil {
					return
				}
				if diff := cmp.Diff(wantToken, gotToken) + cmp.Diff(wantAccess, gotAccess); diff != "" {
					t.Errorf("%s of %s (-two queries, +one query):\n%s", name, digest, diff)
				}
			}
			gotToken, gotAccess, err := w.Store.TokenAccessByID(ctx, digest, p.ID)
			compare("by id", gotToken, gotAccess, err)
			gotToken, gotAccess, err = w.Store.TokenAccessByPath(ctx, digest, p.Namespace.Path, p.Path)
			compare("by path", gotToken, gotAccess, err)
			if _, _, err = w.Store.TokenAccessByID(ctx, digest, p.ID+1); models.KindOf(err) != models.KindNotFound {
				t.Errorf("%s without a project: %v", digest, err)
			}
		}
	})
}

func TestTokenAccess_UpdatesLastUsedAt(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		made, err := w.Store.CreatePersonalToken(t.Context(), w.Owner, models.AccessTokenInput{
			Name: "test", Scopes: []string{models.ScopeAPI}, ExpiresAt: w.Store.Now().Add(time.Hour), Digest: "owner",
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := w.Store.TokenAccessByID(t.Context(), "owner", w.Project.ID); err != nil {
			t.Fatal(err)
		}
		kept, err := w.Store.PersonalToken(t.Context(), made.ID)
		if err != nil || kept.LastUsedAt == nil || !kept.LastUsedAt.Equal(w.Store.Now()) {
			t.Errorf("last used at %v, %v", kept.LastUsedAt, err)
		}
	})
}
