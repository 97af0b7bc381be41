package handlers

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/mergegate/mergegate/models/modelstest"
)

// The language applies to pages, fragments, polls and errors.
func TestLanguage_UserThenBrowserThenEnglish(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	setLanguage := func(choice string) {
		t.Helper()
		if err := s.Store.SetTheme(t.Context(), s.Owner.ID, "", choice); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct{ chosen, browser, want string }{
		{"", "", "en"}, {"", "ja", "ja"}, {"", "fr", "en"}, {"en", "ja", "en"}, {"ja", "en", "ja"}, {"ja", "", "ja"}, {"xx", "ja", "ja"},
	} {
		setLanguage(tt.chosen)
		a := s.as(s.Owner).withLanguage(tt.browser).get("/").wantStatus(http.StatusOK)
		if got := a.attr("html", "lang"); got != tt.want {
			t.Errorf("chosen %q, browser %q: %q, want %q", tt.chosen, tt.browser, got, tt.want)
		}
		if vary := strings.Join(a.header.Values("Vary"), ","); !strings.Contains(vary, "Accept-Language") {
			t.Errorf("Vary: %s", vary)
		}
	}
	setLanguage("ja")
	if got := s.as(s.Owner).get("/nobody/nothing").wantStatus(http.StatusNotFound).text("h1"); got != "ページが見つかりません" {
		t.Errorf("error page: %q", got)
	}
	if got := s.signedOut().withLanguage("ja").get(signInPath).text("h1"); got != "サインイン" {
		t.Errorf("sign-in page: %q", got)
	}
	if got := s.as(s.Owner).withHTMX().get(pearServicesPath + "/new").wantStatus(http.StatusOK).text("dialog h2"); got != "ステータスチェックの追加" {
		t.Errorf("fragment: %q", got)
	}
	service := s.Service("licence")
	mr := s.openMergeRequest("topic")
	if err := s.Respond(mr, service, mr.HeadSHA, "failed"); err != nil {
		t.Fatal(err)
	}
	a := s.as(s.Owner).withHTMX().get(s.mrPath(mr, "/status_checks")).wantStatus(http.StatusOK)
	if got := a.text("#status-checks-body"); !strings.Contains(got, "失敗") || strings.Contains(got, "Failed") {
		t.Errorf("poll: %q", got)
	}
}

func TestPreferences_SaveThemeAndLanguage(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		s.userWithPassword("priya")
		b := s.signIn("priya")
		action, form := b.get(userSettingsPath).wantStatus(http.StatusOK).fields("#preferences")
		if form.Get("theme") != "system" || form.Get("language") != "browser" {
			t.Errorf("initial choice: %v", form)
		}
		form.Set("theme", "dark")
		form.Set("language", "ja")
		page := b.postAndFollow(action, form)
		if page.attr("html", "data-theme") != "dark" || page.attr("html", "lang") != "ja" {
			t.Errorf("theme %q, language %q", page.attr("html", "data-theme"), page.attr("html", "lang"))
		}
		if got := page.text("#toasts .toast span"); got != "変更を保存しました。" {
			t.Errorf("toast %q", got)
		}
		if b.cookies[themeCookie] != "dark" {
			t.Errorf("the theme cookie is %q", b.cookies[themeCookie])
		}
		_, form = page.fields("#preferences")
		if form.Get("theme") != "dark" || form.Get("language") != "ja" {
			t.Errorf("saved choice: %v", form)
		}
		// Signing in with another browser applies both.
		other := s.signIn("priya")
		if page := other.get("/"); other.cookies[themeCookie] != "dark" || page.attr("html", "data-theme") != "dark" || page.attr("html", "lang") != "ja" {
			t.Errorf("other browser: cookie %q, theme %q", other.cookies[themeCookie], page.attr("html", "data-theme"))
		}
		// The button of the menu changes both user and cookie, with and without script.
		b.post("/-/theme", nil).wantStatus(http.StatusSeeOther)
		if got := other.get("/").attr("html", "data-theme"); got != "light" || b.cookies[themeCookie] != "light" {
			t.Errorf("after the button: user %q, cookie %q", got, b.cookies[themeCookie])
		}
		b.header.Set("HX-Request", "true")
		b.post("/-/theme", url.Values{"theme": {"light"}}).wantStatus(http.StatusNoContent)
		b.header.Del("HX-Request")
		if page := other.get("/"); page.attr("html", "data-theme") != "light" || page.attr("html", "lang") != "ja" {
			t.Error("the theme is not saved, or the language is lost")
		}
		b.postAndFollow(userSettingsPath, url.Values{"theme": {"system"}, "language": {"browser"}})
		if page := b.get("/"); page.attr("html", "lang") != "en" || page.Find("html[data-theme]").Length() != 0 || b.cookies[themeCookie] != "" {
			t.Error("the defaults cannot be restored")
		}
	})
}

func TestSessions_CanBeEnded(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		s.userWithPassword("priya")
		mallory := s.as(s.User("mallory"))
		here, second, third := s.signIn("priya"), s.signIn("priya"), s.signIn("priya")
		page := here.get(userSettingsPath).wantStatus(http.StatusOK)
		if n := page.Find("#sessions tbody tr").Length(); n != 3 {
			t.Fatalf("%d sessions, want 3", n)
		}
		if n := page.Find("#sessions .badge").Length(); n != 1 || page.has("#sessions tr:has(.badge) form") {
			t.Error("the current session is not marked, or can be ended")
		}
		if got := page.text("#sessions tbody"); !strings.Contains(got, "192.0.2.1") || !strings.Contains(got, "now") {
			t.Errorf("sessions: %q", got)
		}
		if got := page.Find("#sessions tbody td:first-child .break").First(); collapseSpace(got.Text()) != "Firefox on Linux" || got.AttrOr("title", "") != exampleAgent {
			t.Errorf("browser %q", collapseSpace(got.Text()))
		}
		one, _ := page.Find("#sessions tbody form").First().Attr("action")
		mallory.post(one, url.Values{}).wantStatus(http.StatusNotFound)
		if got := here.postAndFollow(one, nil).text("#toasts .toast span"); got != "Session ended." {
			t.Errorf("toast %q", got)
		}
		here.post(one, nil).wantStatus(http.StatusNotFound)
		ended := 0
		for _, b := range []*browserClient{second, third} {
			if b.get(userSettingsPath).status == http.StatusSeeOther {
				ended++
			}
		}
		if ended != 1 {
			t.Fatalf("%d sessions ended, want 1", ended)
		}
		here.postAndFollow(userSettingsPath+"/sessions/end_others", nil)
		second.get(userSettingsPath).wantStatus(http.StatusSeeOther)
		third.get(userSettingsPath).wantStatus(http.StatusSeeOther)
		page = here.get(userSettingsPath).wantStatus(http.StatusOK)
		if n := page.Find("#sessions tbody tr").Length(); n != 1 || page.has("#end-others") {
			t.Errorf("%d sessions left, button to end others: %t", n, page.has("#end-others"))
		}
		if got := here.postAndFollow(userSettingsPath+"/sessions/end_others", nil).text("#toasts .toast span"); got != "There was no other session to end." {
			t.Errorf("toast %q", got)
		}
		mallory.get(userSettingsPath).wantStatus(http.StatusOK)
		var events int
		if err := s.DB.SQL(t).QueryRow("SELECT count(*) FROM audit_events WHERE action = 'session_ended' AND user_name = 'priya'").Scan(&events); err != nil || events != 2 {
			t.Errorf("%d audit events, want 2 (%v)", events, err)
		}
	})
}
