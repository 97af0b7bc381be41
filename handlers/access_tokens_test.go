package handlers

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

func TestAccessToken_CreatedAndRevoked_IsShownOnce(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		priya := s.userWithPassword("priya")
		if _, err := s.Store.AddMember(t.Context(), s.Owner, models.RoleOwner, s.Project.ID, priya.ID, models.RoleMaintainer); err != nil {
			t.Fatal(err)
		}
		b := s.signIn("priya")
		for _, path := range []string{personalTokensPath, pearTokensPath} {
			action, form := b.get(path).wantStatus(http.StatusOK).fields("form.card__body")
			form["scopes"] = []string{"api"}
			form.Set("name", "  ci <b> ")
			page := b.postAndFollow(action, form)
			token := page.attr("#new-token", "value")
			if !auth.IsAccessToken(token) {
				t.Fatalf("%s: shows %q, want an access token", path, token)
			}
			if strings.Contains(strings.Join(page.header.Values("Set-Cookie"), ""), token) {
				t.Errorf("%s: the token is in a cookie", path)
			}
			found, user, err := s.Store.TokenUser(t.Context(), auth.Digest(token))
			if err != nil {
				t.Fatalf("%s: the token does not work: %v", path, err)
			}
			if found.Name != "ci <b>" || user.Bot != (path == pearTokensPath) {
				t.Errorf("%s: token %q, bot %v", path, found.Name, user.Bot)
			}
			page = b.get(path).wantStatus(http.StatusOK)
			if page.has("#new-token") || strings.Contains(page.body, token) {
				t.Errorf("%s: the token is shown twice", path)
			}
			revoke := page.attr("td.cell-actions a", "href")
			action, form = b.get(revoke).wantStatus(http.StatusOK).fields("form.dialog__foot")
			page = b.postAndFollow(action, form)
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
				t.Errorf("%s: the revoked tokens are %q", path, got)
			}
			b.get(revoke).wantStatus(http.StatusNotFound)
		}
	})
}

// A Maintainer cannot revoke an Owner's token: there is no link, and the form is
// forbidden.
func TestProjectToken_AboveOwnRole_CannotBeRevoked(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		priya := s.userWithPassword("priya")
		if _, err := s.Store.AddMember(t.Context(), s.Owner, models.RoleOwner, s.Project.ID, priya.ID, models.RoleMaintainer); err != nil {
			t.Fatal(err)
		}
		token, err := s.Store.CreateProjectToken(t.Context(), s.Owner, models.RoleOwner, s.Project.ID, models.AccessTokenInput{
			Name: "release", Scopes: []string{"api"}, ExpiresAt: s.Store.Now().AddDate(0, 1, 0), Digest: "release", Role: models.RoleOwner,
		})
		if err != nil {
			t.Fatal(err)
		}
		b, path := s.signIn("priya"), pearTokensPath+"/"+itoa(token.ID)+"/revoke"
		if page := b.get(pearTokensPath).wantStatus(http.StatusOK); !strings.Contains(page.body, "release") || page.has("td.cell-actions a") {
			t.Error("the token is not listed, or has a link to revoke it")
		}
		b.get(path).wantStatus(http.StatusForbidden)
		b.post(path, url.Values{}).wantStatus(http.StatusForbidden)
		if _, _, err := s.Store.TokenUser(t.Context(), "release"); err != nil {
			t.Errorf("the token was revoked: %v", err)
		}
	})
}

func TestNewAccessToken_OtherTokenPage_DoesNotShowIt(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	priya := s.userWithPassword("priya")
	if _, err := s.Store.AddMember(t.Context(), s.Owner, models.RoleOwner, s.Project.ID, priya.ID, models.RoleMaintainer); err != nil {
		t.Fatal(err)
	}
	b := s.signIn("priya")
	_, form := b.get(pearTokensPath).fields("form.card__body")
	form["scopes"], form["name"] = []string{"api"}, []string{"ci"}
	b.post(pearTokensPath, form).wantStatus(http.StatusSeeOther)
	if b.get(personalTokensPath).wantStatus(http.StatusOK).has("#new-token") {
		t.Error("the page of personal tokens shows a project token")
	}
	if !b.get(pearTokensPath).wantStatus(http.StatusOK).has("#new-token") {
		t.Error("the page of project tokens does not show the new token")
	}
}

// TestNewAccessToken_UntilShown_IsStoredEncrypted follows a new token from the
// form to the page that shows it. It appears in no address, cookie, log or
// table, except encrypted in the session's row until it is shown.
func TestNewAccessToken_UntilShown_IsStoredEncrypted(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		var log bytes.Buffer
		e, err := New(Deps{
			Store: s.Store, Git: s.git, Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})), BaseURL: "http://mergegate.test",
			SessionKey: []byte("an example key of thirty-two bytes!!"),
		})
		if err != nil {
			t.Fatal(err)
		}
		s.handler = e
		v := s.as(s.Owner)
		_, form := v.get(pearTokensPath).wantStatus(http.StatusOK).fields("#token-form")
		form["scopes"], form["name"] = []string{"api"}, []string{"ci"}
		made := v.post(pearTokensPath, form).wantStatus(http.StatusSeeOther)
		if made.header.Get("Location") != pearTokensPath || len(made.header.Values("Set-Cookie")) != 0 {
			t.Errorf("the response has the header %v", made.header)
		}
		var sealed []byte
		if err := s.DB.SQL(t).QueryRow("SELECT shown_once FROM sessions WHERE shown_once IS NOT NULL").Scan(&sealed); err != nil {
			t.Fatal(err)
		}
		v.do(http.MethodHead, pearTokensPath, nil).wantStatus(http.StatusOK)
		s.as(s.Owner).get(pearTokensPath).wantStatus(http.StatusOK) // the same user in another browser
		page := v.get(pearTokensPath).wantStatus(http.StatusOK)
		token := page.attr("#new-token", "value")
		if !auth.IsAccessToken(token) {
			t.Fatalf("the page shows %q, want an access token", token)
		}
		if got := page.header.Get("Cache-Control"); got != "private, no-store" {
			t.Errorf("Cache-Control %q", got)
		}
		if strings.Contains(string(sealed), token) || strings.Contains(log.String(), token) || strings.Contains(log.String(), form.Get("form_id")) {
			t.Error("the token or its form id is stored or logged as plain text")
		}
		if n := s.queryInt(t, "SELECT count(*) FROM sessions WHERE shown_once IS NOT NULL"); n != 0 {
			t.Errorf("%d sessions still hold a token", n)
		}

		// After its lifetime the token is not shown any more.
		form.Set("form_id", "another")
		v.post(pearTokensPath, form).wantStatus(http.StatusSeeOther)
		s.Clock.Advance(shownOnceLifetime + time.Second)
		if v.get(pearTokensPath).wantStatus(http.StatusOK).has("#new-token") {
			t.Error("an expired token was shown")
		}
	})
}

func TestAccessTokens_ExpirationText_ShowsTimeLeft(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	v := s.as(s.Owner)
	now := s.Clock.Now()
	for name, expires := range map[string]time.Time{
		"far": now.AddDate(0, 2, 0), "days": now.Add(6*24*time.Hour + time.Hour), "day": now.Add(25 * time.Hour), "hours": now.Add(5 * time.Hour), "minutes": now.Add(5 * time.Minute),
		"gone": now.Add(time.Minute),
	} {
		if _, err := s.Store.CreatePersonalToken(t.Context(), s.Owner, models.AccessTokenInput{Name: name, Scopes: []string{"api"}, ExpiresAt: expires, Digest: auth.Digest(name)}); err != nil {
			t.Fatal(err)
		}
	}
	s.Clock.Advance(2 * time.Minute)
	for language, want := range map[string]map[string]string{
		"en": {"far": now.AddDate(0, 2, 0).Format("2 Jan 2006"), "days": "in 6 days", "day": "in 1 day", "hours": "in 4 hours", "minutes": "within the hour", "gone": "Expired 1 minute ago"},
		"ja": {"far": now.AddDate(0, 2, 0).Format("2006年1月2日"), "days": "6日後", "day": "1日後", "hours": "4時間後", "minutes": "1時間以内", "gone": "1分前に期限切れ"},
	} {
		page := v.withLanguage(language).get(personalTokensPath).wantStatus(http.StatusOK)
		page.Find("tbody tr").Each(func(_ int, row *goquery.Selection) {
			name, text := collapseSpace(row.Find("strong").Text()), collapseSpace(row.Text())
			if !strings.Contains(text, want[name]) || row.Find(".warning-text").Length() == 1 != (name != "far" && name != "gone") {
				t.Errorf("%s: %s reads %q, want %q", language, name, text, want[name])
			}
		})
	}
}
