package apiv4_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/models"
)

// createdToken is the answer to a request that creates or rotates a token.
type createdToken struct {
	ID        int64
	UserID    int64 `json:"user_id"`
	Token     string
	ExpiresAt string `json:"expires_at"`
}

func readToken(t *testing.T, a answer) createdToken {
	t.Helper()
	var token createdToken
	if err := json.Unmarshal([]byte(a.body), &token); err != nil || a.status >= 300 || token.Token == "" {
		t.Fatalf("status %d %s, %v", a.status, a.body, err)
	}
	return token
}

// doWithToken sends a JSON request with the given token.
func (s *testSite) doWithToken(secret, method, path, body string) answer {
	s.T.Helper()
	return s.send(method, path, body, http.Header{"Private-Token": {secret}, "Content-Type": {"application/json"}})
}

// tokenExpiringIn creates a personal access token with scope api that expires after
// the given time.
func (s *testSite) tokenExpiringIn(user models.User, lifetime time.Duration) string {
	s.T.Helper()
	secret := auth.NewAccessToken()
	_ = must(s.Store.CreatePersonalToken(s.T.Context(), user, models.AccessTokenInput{
		Name: "lasting", Scopes: []string{models.ScopeAPI}, ExpiresAt: s.Store.Now().Add(lifetime), Digest: auth.Digest(secret),
	}))(s.T)
	return secret
}

// On every route that creates or rotates a token, the new token does not expire
// after the token of the request, and is revoked with it.
func TestTokens_CreatedWithAToken_EndWithIt(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		date := func(days int) string { return s.Store.Now().AddDate(0, 0, days).Format(time.DateOnly) }
		other := must(s.Store.CreatePersonalToken(t.Context(), s.users["root"], models.AccessTokenInput{
			Name: "other", Scopes: []string{models.ScopeAPI}, ExpiresAt: s.Store.Now().AddDate(0, 0, 90), Digest: "other",
		}))(t)
		robot := must(s.Store.CreateProjectToken(t.Context(), s.Owner, models.RoleOwner, s.Project.ID, models.AccessTokenInput{
			Name: "robot", Scopes: []string{models.ScopeAPI}, ExpiresAt: s.Store.Now().AddDate(0, 0, 90), Digest: "robot", Role: models.RoleOwner,
		}))(t)
		for _, path := range []string{
			"/user/personal_access_tokens",
			fmt.Sprintf("/users/%d/personal_access_tokens", s.users["outsider"].ID),
			"/projects/1/access_tokens",
			fmt.Sprintf("/personal_access_tokens/%d/rotate", other.ID),
			fmt.Sprintf("/projects/1/access_tokens/%d/rotate", robot.ID),
		} {
			t.Run(path, func(t *testing.T) {
				short := s.tokenExpiringIn(s.users["root"], 48*time.Hour)
				body := `{"name":"n","scopes":["api"],"access_level":20,"expires_at":%q}`
				s.wantAnswer(t, s.doWithToken(short, "POST", path, fmt.Sprintf(body, date(3))), 400, "expires_at", "later than the expiry of the token")
				made := readToken(t, s.doWithToken(short, "POST", path, `{"name":"n","scopes":["api"],"access_level":20}`))
				if made.ExpiresAt > date(2) {
					t.Errorf("expires on %s", made.ExpiresAt)
				}
				s.wantAnswer(t, s.doWithToken(made.Token, "GET", "/user", ""), 200)
				s.wantAnswer(t, s.doWithToken(short, "DELETE", "/personal_access_tokens/self", ""), 204)
				s.wantAnswer(t, s.doWithToken(made.Token, "GET", "/user", ""), 401)
			})
		}
	})
}

func TestTokens_RotateThemselves(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		date := func(days int) string { return s.Store.Now().AddDate(0, 0, days).Format(time.DateOnly) }
		personal := s.tokenExpiringIn(s.users["developer"], 20*24*time.Hour)
		next := readToken(t, s.doWithToken(personal, "POST", "/personal_access_tokens/self/rotate", ""))
		if next.ExpiresAt != date(7) || next.UserID != s.users["developer"].ID {
			t.Errorf("rotated to %+v", next)
		}
		s.wantAnswer(t, s.doWithToken(personal, "GET", "/user", ""), 401)
		s.wantAnswer(t, s.doWithToken(next.Token, "POST", "/personal_access_tokens/self/rotate", `{"expires_at":"`+date(8)+`"}`), 400)
		s.wantAnswer(t, s.doWithToken(next.Token, "POST", "/projects/1/access_tokens/self/rotate", ""), 404)
		readOnly := s.token(s.users["developer"], models.ScopeReadAPI)
		s.wantAnswer(t, s.doWithToken(readOnly, "POST", "/personal_access_tokens/self/rotate", ""), 403, "insufficient_scope")
		last := readToken(t, s.doWithToken(next.Token, "POST", fmt.Sprintf("/personal_access_tokens/%d/rotate", next.ID), `{"expires_at":"`+date(7)+`"}`))
		s.wantAnswer(t, s.doWithToken(last.Token, "GET", "/user", ""), 200)
		s.wantAnswer(t, s.do("outsider", "POST", fmt.Sprintf("/personal_access_tokens/%d/rotate", last.ID), ""), 404)

		secret := s.tokenExpiringIn(s.Owner, 60*24*time.Hour)
		robot := readToken(t, s.doWithToken(secret, "POST", "/projects/1/access_tokens",
			`{"name":"robot","scopes":["api"],"access_level":20,"expires_at":"`+date(30)+`"}`))
		for _, path := range []string{"/projects/1/access_tokens/self/rotate", "/personal_access_tokens/self/rotate"} {
			renewed := readToken(t, s.doWithToken(robot.Token, "POST", path, `{"expires_at":"`+date(29)+`"}`))
			s.wantAnswer(t, s.doWithToken(robot.Token, "GET", "/projects/1", ""), 401)
			s.wantAnswer(t, s.doWithToken(renewed.Token, "GET", "/projects/1/merge_requests/1", ""), 200)
			if renewed.UserID != robot.UserID {
				t.Errorf("bot %d, want %d", renewed.UserID, robot.UserID)
			}
			robot = renewed
		}
	})
}

// Maintainers cannot change tokens with a higher role. Nobody can change the
// membership of a bot directly.
func TestProjectTokens_OfAnOwner_CannotBeChangedByMaintainers(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		owners := readToken(t, s.do("olga", "POST", "/projects/1/access_tokens", `{"name":"owners","scopes":["api"],"access_level":50}`))
		path := fmt.Sprintf("/projects/1/access_tokens/%d", owners.ID)
		s.wantAnswer(t, s.do("maintainer", "GET", path, ""), 200, `"access_level":50`)
		s.wantAnswer(t, s.do("maintainer", "DELETE", path, ""), 403, "403 Forbidden")
		s.wantAnswer(t, s.do("maintainer", "POST", path+"/rotate", ""), 403, "403 Forbidden")
		member := fmt.Sprintf("/projects/1/members/%d", owners.UserID)
		for _, who := range []string{"maintainer", "olga", "root"} {
			s.wantAnswer(t, s.do(who, "PUT", member, `{"access_level":10}`), 403, "403 Forbidden")
			s.wantAnswer(t, s.do(who, "DELETE", member, ""), 403, "403 Forbidden")
			body := fmt.Sprintf(`{"user_id":%d,"access_level":10}`, owners.UserID)
			s.wantAnswer(t, s.do(who, "POST", "/projects/1/members", body), 404, "404 User Not Found")
		}
		s.wantAnswer(t, s.doWithToken(owners.Token, "GET", "/projects/1", ""), 200)
		s.wantAnswer(t, s.do("olga", "DELETE", path, ""), 204)
		s.wantAnswer(t, s.doWithToken(owners.Token, "GET", "/projects/1", ""), 401)
	})
}
