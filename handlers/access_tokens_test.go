package handlers

import (
	"net/http"
	"strings"
	"testing"

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
			revoke := page.attr("td.cell-actions a", "href")
			action, form = b.get(revoke).want(http.StatusOK).fields("form.dialog__foot")
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
			if got := page.text("#ended-tokens tbody"); !strings.Contains(got, "ci <b>") || !strings.Contains(got, "Revoked now") {
				t.Errorf("%s: of the revoked token the page says %q", path, got)
			}
			b.get(revoke).want(http.StatusNotFound)
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
