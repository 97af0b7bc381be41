package handlers

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

const tokensOfPear = "/olga/pear/-/settings/access_tokens"

func TestATokenIsShownOnceAndRevoked(t *testing.T) {
	eachMRSite(t, func(t *testing.T, s *mrSite) {
		priya := s.withPassword("priya", false)
		if _, err := s.Store.AddMember(t.Context(), s.Owner, models.RoleOwner, s.Project.ID, priya.ID, models.RoleMaintainer); err != nil {
			t.Fatal(err)
		}
		b := s.signedIn("priya")
		for _, path := range []string{personalTokensPath, tokensOfPear} {
			action, form := b.get(path).want(http.StatusOK).fields("form.card__body")
			form["scopes"] = []string{"api"}
			form.Set("name", "  ci <b> ")
			page := b.follow(action, form)
			token := page.attr("#new-token", "value")
			if !auth.IsAccessToken(token) {
				t.Fatalf("%s: shown token %q", path, token)
			}
			if strings.Contains(strings.Join(page.header.Values("Set-Cookie"), ""), token) {
				t.Errorf("%s: the token lies open in a cookie", path)
			}
			found, user, err := s.Store.TokenUser(t.Context(), auth.Digest(token))
			if err != nil {
				t.Fatalf("%s: the token does not work: %v", path, err)
			}
			if found.Name != "ci <b>" || user.Bot != (path == tokensOfPear) {
				t.Errorf("%s: token %q of a bot: %v", path, found.Name, user.Bot)
			}
			page = b.get(path).want(http.StatusOK)
			if page.has("#new-token") || strings.Contains(page.body, token) {
				t.Errorf("%s: the token is shown twice", path)
			}
			action, form = page.fields("td.cell-actions form")
			page = b.follow(action, form)
			if got := page.text("#toasts .toast > span"); got != "Token revoked." {
				t.Errorf("%s: toast %q", path, got)
			}
			if _, _, err := s.Store.TokenUser(t.Context(), auth.Digest(token)); models.KindOf(err) != models.KindNotFound {
				t.Errorf("%s: the token works after it was revoked: %v", path, err)
			}
			if page.has("td.cell-actions") {
				t.Errorf("%s: the revoked token is listed", path)
			}
		}
	})
}

func TestANewTokenIsShownOnItsOwnPageOnly(t *testing.T) {
	s := newMRSite(t, modelstest.SQLite(t))
	priya := s.withPassword("priya", false)
	if _, err := s.Store.AddMember(t.Context(), s.Owner, models.RoleOwner, s.Project.ID, priya.ID, models.RoleMaintainer); err != nil {
		t.Fatal(err)
	}
	b := s.signedIn("priya")
	_, form := b.get(tokensOfPear).fields("form.card__body")
	form["scopes"], form["name"] = []string{"api"}, []string{"ci"}
	b.post(tokensOfPear, form).want(http.StatusSeeOther)
	if b.get(personalTokensPath).want(http.StatusOK).has("#new-token") {
		t.Error("a project's token among the personal ones")
	}
	if !b.get(tokensOfPear).want(http.StatusOK).has("#new-token") {
		t.Error("the token is lost")
	}
}

func TestTokenFormTellsAllFaults(t *testing.T) {
	s := newMRSite(t, modelstest.SQLite(t))
	maintainer := s.Member("mara", models.RoleMaintainer)
	day := func(n int) string { return s.Clock.Now().AddDate(0, 0, n).Format(time.DateOnly) }
	for name, test := range map[string]struct {
		form url.Values
		want map[string]string
	}{
		"nothing": {url.Values{}, map[string]string{
			"name": "Please provide a name", "scopes": "Choose at least one scope",
			"expires_at": "Please provide a date such as 2027-02-22",
		}},
		"wrong": {url.Values{"name": {strings.Repeat("x", 256)}, "scopes": {"sudo"}, "expires_at": {day(0)}}, map[string]string{
			"name": "Cannot be longer than 255 characters", "scopes": "Not valid", "expires_at": "Must lie in the future",
		}},
		"too far": {url.Values{"name": {"a"}, "scopes": {"api"}, "expires_at": {day(400)}}, map[string]string{
			"name": "", "scopes": "", "expires_at": "Must lie within the next 365 days",
		}},
		"no such role": {url.Values{"name": {"a"}, "scopes": {"api"}, "expires_at": {day(30)}, "access_level": {"35"}}, map[string]string{
			"access_level": "Choose one of the roles", "name": "",
		}},
		"above one's own": {url.Values{"name": {"a"}, "scopes": {"api"}, "expires_at": {day(30)}, "access_level": {"50"}}, map[string]string{
			"access_level": "Choose a role that is not above your own",
		}},
	} {
		page := s.as(maintainer).post(tokensOfPear, test.form).want(http.StatusUnprocessableEntity)
		for field, want := range test.want {
			if got := page.text("#" + field + "-error"); got != want {
				t.Errorf("%s: %s: %q, want %q", name, field, got, want)
			}
		}
		for _, scope := range test.form["scopes"] {
			if scope == "api" && !page.has("#scopes-api[checked]") {
				t.Errorf("%s: the scope is not kept", name)
			}
		}
		if got := page.attr("#expires_at", "value"); got != test.form.Get("expires_at") {
			t.Errorf("%s: %q is kept of the date", name, got)
		}
	}
	tokens, err := s.Store.ProjectTokens(t.Context(), s.Project.ID)
	if err != nil || len(tokens) != 0 {
		t.Errorf("%d tokens were made of faulty forms: %v", len(tokens), err)
	}
}
