package models_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

const day = 24 * time.Hour

// tokenFixture creates access tokens.
type tokenFixture struct {
	*modelstest.Fixture
	n int
}

func (s *tokenFixture) input(lasts time.Duration, by *models.AccessToken) models.AccessTokenInput {
	s.n++
	return models.AccessTokenInput{
		Name: fmt.Sprintf("token %d", s.n), Digest: fmt.Sprintf("%012d-digest", s.n), Scopes: []string{models.ScopeAPI},
		ExpiresAt: s.Store.Now().Add(lasts), Role: models.RoleMaintainer, MadeBy: by,
	}
}

func (s *tokenFixture) personal(t *testing.T, user models.User, lasts time.Duration, by *models.AccessToken) models.AccessToken {
	t.Helper()
	made, err := s.Store.CreatePersonalToken(t.Context(), user, s.input(lasts, by))
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func (s *tokenFixture) ofProject(t *testing.T, role models.Role, by *models.AccessToken) models.AccessToken {
	t.Helper()
	in := s.input(day, by)
	in.Role = role
	made, err := s.Store.CreateProjectToken(t.Context(), s.Owner, models.RoleOwner, s.Project.ID, in)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func (s *tokenFixture) assertActive(t *testing.T, want bool, all ...models.AccessToken) {
	t.Helper()
	for _, token := range all {
		if _, _, err := s.Store.TokenUser(t.Context(), token.Digest); (err == nil) != want {
			t.Errorf("%s (id %d): active is %v, want %v", token.Name, token.ID, err == nil, want)
		}
	}
}

func eachTokenFixture(t *testing.T, test func(t *testing.T, s *tokenFixture)) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) { test(t, &tokenFixture{Fixture: modelstest.New(t, db)}) })
}

func TestCreateToken_ExceedsParentToken_IsRefused(t *testing.T) {
	eachTokenFixture(t, func(t *testing.T, s *tokenFixture) {
		short := s.personal(t, s.Owner, 2*day, nil)
		_, err := s.Store.CreatePersonalToken(t.Context(), s.Owner, s.input(2*day+time.Second, &short))
		assertFieldError(t, err, "expires_at", models.CodeOutlivesToken)
		_, err = s.Store.CreateProjectToken(t.Context(), s.Owner, models.RoleOwner, s.Project.ID, s.input(365*day, &short))
		assertFieldError(t, err, "expires_at", models.CodeOutlivesToken)

		reading := s.input(day, nil)
		reading.Scopes = []string{models.ScopeReadAPI}
		reader, err := s.Store.CreatePersonalToken(t.Context(), s.Owner, reading)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Store.CreatePersonalToken(t.Context(), s.Owner, s.input(time.Hour, &reader))
		assertFieldError(t, err, "scopes", models.CodeInvalid)

		s.assertActive(t, true, s.personal(t, s.Owner, 2*day, &short))
		if err := s.Store.RevokePersonalToken(t.Context(), s.Owner, s.Owner.ID, short.ID); err != nil {
			t.Fatal(err)
		}
		_, err = s.Store.CreatePersonalToken(t.Context(), s.Owner, s.input(time.Hour, &short))
		assertCode(t, err, models.CodeTokenEnded)
	})
}

// Revocation includes tokens created by created tokens, of any owner and kind.
func TestRevoke_AlsoRevokesCreatedTokens(t *testing.T) {
	eachTokenFixture(t, func(t *testing.T, s *tokenFixture) {
		other := s.User("other")
		root := s.personal(t, s.Owner, 9*day, nil)
		child := s.personal(t, s.Owner, 8*day, &root)
		foreign := s.personal(t, other, 8*day, &root)
		bot := s.ofProject(t, models.RoleDeveloper, &child)
		grandchild := s.personal(t, s.Owner, 7*day, &child)
		apart := s.personal(t, s.Owner, 9*day, nil)
		s.assertActive(t, true, root, child, foreign, bot, grandchild, apart)

		if err := s.Store.RevokePersonalToken(t.Context(), s.Owner, s.Owner.ID, root.ID); err != nil {
			t.Fatal(err)
		}
		s.assertActive(t, false, root, child, foreign, bot, grandchild)
		s.assertActive(t, true, apart)
		if _, err := s.Store.Member(t.Context(), s.Project.ID, bot.UserID); models.KindOf(err) != models.KindNotFound {
			t.Errorf("the bot is still a member: %v", err)
		}
	})
}

// The new token is either revoked with its parent or not created.
func TestRevoke_ConcurrentCreation_RevokesNewToken(t *testing.T) {
	eachTokenFixture(t, func(t *testing.T, s *tokenFixture) {
		for range 20 {
			maker := s.personal(t, s.Owner, day, nil)
			in := s.input(time.Hour, &maker)
			rotation := models.TokenRotation{Digest: in.Digest + "r", MadeBy: s.personal(t, s.Owner, day, &maker)}
			var wait sync.WaitGroup
			wait.Go(func() {
				if err := s.Store.RevokePersonalToken(t.Context(), s.Owner, s.Owner.ID, maker.ID); err != nil {
					t.Error(err)
				}
			})
			wait.Go(func() {
				copied := maker
				in.MadeBy = &copied
				if _, err := s.Store.CreatePersonalToken(t.Context(), s.Owner, in); err != nil {
					assertCode(t, err, models.CodeTokenEnded)
				}
			})
			wait.Go(func() {
				if _, err := s.Store.RotatePersonalToken(t.Context(), s.Owner, s.Owner.ID, rotation.MadeBy.ID, rotation); err != nil {
					assertCode(t, err, models.CodeTokenEnded)
				}
			})
			wait.Wait()
			s.assertActive(t, false, models.AccessToken{Digest: in.Digest}, models.AccessToken{Digest: rotation.Digest})
		}
	})
}

func TestRevoke_ProjectTokenAboveOwnRole_IsForbidden(t *testing.T) {
	eachTokenFixture(t, func(t *testing.T, s *tokenFixture) {
		max := s.Member("max", models.RoleMaintainer)
		owners, maintainers := s.ofProject(t, models.RoleOwner, nil), s.ofProject(t, models.RoleMaintainer, nil)
		assertCode(t, s.Store.RevokeProjectToken(t.Context(), max, models.RoleMaintainer, s.Project.ID, owners.ID), models.CodeRoleTooHigh)
		_, err := s.Store.RotateProjectToken(t.Context(), max, models.RoleMaintainer, s.Project.ID, owners.ID,
			models.TokenRotation{Digest: "d", MadeBy: s.personal(t, max, day, nil)})
		assertCode(t, err, models.CodeRoleTooHigh)
		s.assertActive(t, true, owners)
		if err := s.Store.RevokeProjectToken(t.Context(), max, models.RoleMaintainer, s.Project.ID, maintainers.ID); err != nil {
			t.Error(err)
		}
		if err := s.Store.RevokeProjectToken(t.Context(), s.Owner, models.RoleOwner, s.Project.ID, owners.ID); err != nil {
			t.Error(err)
		}
		s.assertActive(t, false, owners, maintainers)
	})
}

func TestChangeMember_Bot_IsRefused(t *testing.T) {
	eachTokenFixture(t, func(t *testing.T, s *tokenFixture) {
		bot := s.ofProject(t, models.RoleDeveloper, nil)
		_, err := s.Store.ChangeMember(t.Context(), s.Owner, models.RoleOwner, s.Project.ID, bot.UserID,
			models.RoleMaintainer, "")
		assertCode(t, err, models.CodeBotMember)
		assertCode(t, s.Store.RemoveMember(t.Context(), s.Owner, models.RoleOwner, s.Project.ID, bot.UserID), models.CodeBotMember)
		_, err = s.Store.AddMember(t.Context(), s.Owner, models.RoleOwner, s.Project.ID, bot.UserID, models.RoleOwner)
		if models.KindOf(err) != models.KindNotFound {
			t.Errorf("adding a bot: %v", err)
		}
		member, err := s.Store.Member(t.Context(), s.Project.ID, bot.UserID)
		if err != nil || member.Role != models.RoleDeveloper {
			t.Errorf("the bot is %v, %v", member.Role, err)
		}
	})
}

func TestRotate_LimitsLifetime(t *testing.T) {
	eachTokenFixture(t, func(t *testing.T, s *tokenFixture) {
		rotate := func(old, by models.AccessToken, lasts time.Duration) (models.AccessToken, error) {
			s.n++
			in := models.TokenRotation{Digest: fmt.Sprintf("%012d-digest", s.n), MadeBy: by}
			if lasts != 0 {
				until := s.Store.Now().Add(lasts)
				in.ExpiresAt = &until
			}
			return s.Store.RotatePersonalToken(t.Context(), s.Owner, s.Owner.ID, old.ID, in)
		}
		lasts := func(token models.AccessToken) time.Duration { return token.ExpiresAt.Sub(s.Store.Now()) }

		// A token that rotates itself gets its original lifetime again.
		own := s.personal(t, s.Owner, 3*day, nil)
		made := s.personal(t, s.Owner, day, &own)
		s.Clock.Advance(day / 2)
		_, err := rotate(own, own, 3*day+time.Second)
		assertFieldError(t, err, "expires_at", models.CodeOutlivesToken)
		s.assertActive(t, true, own, made)
		next, err := rotate(own, own, 0)
		if err != nil || lasts(next) != 3*day || next.Name != own.Name || next.UserID != own.UserID {
			t.Fatalf("rotated token %+v, %v", next, err)
		}
		s.assertActive(t, false, own, made)
		s.assertActive(t, true, next)
		_, err = rotate(own, own, 0)
		assertCode(t, err, models.CodeTokenEnded)

		// It keeps the expiry limit of its parent.
		maker := s.personal(t, s.Owner, 5*day, nil)
		child := s.personal(t, s.Owner, 4*day, &maker)
		s.Clock.Advance(2 * day)
		renewed, err := rotate(child, child, 0)
		if err != nil || lasts(renewed) != 3*day {
			t.Fatalf("rotated to %v, %v", lasts(renewed), err)
		}
		if err := s.Store.RevokePersonalToken(t.Context(), s.Owner, s.Owner.ID, maker.ID); err != nil {
			t.Fatal(err)
		}
		s.assertActive(t, false, renewed)

		// A token that rotates another becomes its parent.
		long, short := s.personal(t, s.Owner, 90*day, nil), s.personal(t, s.Owner, 2*day, nil)
		_, err = rotate(long, short, 3*day)
		assertFieldError(t, err, "expires_at", models.CodeOutlivesToken)
		bound, err := rotate(long, short, 0)
		if err != nil || lasts(bound) != 2*day {
			t.Fatalf("rotated to %v, %v", lasts(bound), err)
		}
		if err := s.Store.RevokePersonalToken(t.Context(), s.Owner, s.Owner.ID, short.ID); err != nil {
			t.Fatal(err)
		}
		s.assertActive(t, false, bound)

		// A token cannot rotate its parent, because that would revoke it.
		first := s.personal(t, s.Owner, 9*day, nil)
		second := s.personal(t, s.Owner, 9*day, &first)
		_, err = rotate(first, second, 0)
		assertCode(t, err, models.CodeTokenEnded)
		s.assertActive(t, true, first, second)
	})
}

func TestRotate_ProjectToken_KeepsItsBot(t *testing.T) {
	eachTokenFixture(t, func(t *testing.T, s *tokenFixture) {
		old := s.ofProject(t, models.RoleDeveloper, nil)
		next, err := s.Store.RotateProjectToken(t.Context(), s.Owner, models.RoleOwner, s.Project.ID, old.ID,
			models.TokenRotation{Digest: "next", MadeBy: old})
		if err != nil || next.UserID != old.UserID {
			t.Fatalf("rotated token %+v, %v", next, err)
		}
		s.assertActive(t, false, old)
		_, access, err := s.Store.TokenAccessByID(t.Context(), "next", s.Project.ID)
		if err != nil || access.Role != models.RoleDeveloper {
			t.Errorf("the new token has the role %v, %v", access.Role, err)
		}
	})
}
