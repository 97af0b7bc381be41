package handlers

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// ended is a browser whose session was ended elsewhere, as name was signed in.
func (s *testSite) signInAndEndSession(name string) *browserClient {
	s.T.Helper()
	b := s.signIn(name)
	if _, err := s.DB.SQL(s.T).Exec("DELETE FROM sessions"); err != nil {
		s.T.Fatal(err)
	}
	return b
}

func (b *browserClient) signInFrom(page response, name string) response {
	b.t.Helper()
	_, form := page.fields(`form[action="` + signInPath + `"]`)
	form.Set("login", name)
	form.Set("password", testPassword)
	return b.post(signInPath, form).wantStatus(http.StatusSeeOther)
}

// TestForms_SentAfterSessionEnded_AreRestoredAfterSignIn sends every form of the
// tables of faults, as it would be accepted, without a session, and signs in.
func TestForms_SentAfterSessionEnded_AreRestoredAfterSignIn(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		s.memberWithPassword("olaf", models.RoleOwner, false)
		db := s.DB.SQL(t)
		for _, form := range s.formCases() {
			if form.action == signInPath || strings.Contains(form.name, "delete") {
				continue
			}
			t.Run(form.name, func(t *testing.T) {
				b := s.signInAndEndSession("olaf")
				b.t = t
				sent := url.Values{}
				for name, values := range form.good {
					sent[name] = slices.Clone(values)
				}
				if _, ok := sent["description"]; ok {
					sent.Set("description", "\r\nfirst line is empty\r\n")
				}
				if form.name == "new project" {
					sent.Del("namespace_id") // olga's
				}
				page := b.post(form.action, sent).wantStatus(http.StatusUnauthorized)
				for _, field := range form.hidden {
					if secret := sent.Get(field); secret != "" && strings.Contains(page.body, secret) {
						t.Errorf("the sign-in page shows %s", field)
					}
				}
				if !strings.Contains(page.text("#kept-form"), "What you entered is kept") {
					t.Errorf("the sign-in page says %q", page.text("#kept-form"))
				}
				to := b.signInFrom(page, "olaf").header.Get("Location")
				before := databaseSnapshot(t, db)
				a := b.get(to).wantStatus(http.StatusOK)
				if now := databaseSnapshot(t, db); now != before {
					t.Errorf("the form was sent by itself:\n%s", now)
				}
				if !strings.Contains(a.text("#kept-form"), "Nothing was saved") {
					t.Errorf("the page %s says %q", to, a.text("#kept-form"))
				}
				found := a.Find(`form[method=post][action="` + form.action + `"]`)
				if found.Length() != 1 {
					t.Fatalf("%d forms post to %s on %s", found.Length(), form.action, to)
				}
				for field, values := range sent {
					assertInputKept(t, to, found, field, withLF(values), slices.Contains(form.hidden, field))
				}
				if b.get(to).wantStatus(http.StatusOK).has("#kept-form") {
					t.Error("the form comes back twice")
				}
			})
		}
	})
}

func withLF(values []string) []string {
	lines := slices.Clone(values)
	for i := range lines {
		lines[i] = strings.ReplaceAll(lines[i], "\r\n", "\n")
	}
	return lines
}

// TestKeptForm_OtherUserExpiredOrForged_IsNotShown: only who typed a form gets it back, in
// time and unforged.
func TestKeptForm_OtherUserExpiredOrForged_IsNotShown(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		s.memberWithPassword("olaf", models.RoleOwner, false)
		s.memberWithPassword("mona", models.RoleOwner, false)
		typed := url.Values{"name": {"Typed by Olaf"}}
		refused := func(what string, b *browserClient, page response, name string) {
			t.Helper()
			to := b.signInFrom(page, name).header.Get("Location")
			if strings.Contains(to, keptFormParam) || strings.Contains(b.get(to).wantStatus(http.StatusOK).body, "Typed by Olaf") {
				t.Errorf("%s: led to %s", what, to)
			}
		}
		b := s.signInAndEndSession("olaf")
		refused("another user", b, b.post("/projects", typed).wantStatus(http.StatusUnauthorized), "mona")

		b = s.signInAndEndSession("olaf")
		page := b.post("/projects", typed).wantStatus(http.StatusUnauthorized)
		s.Clock.Advance(25 * time.Hour)
		refused("a day later", b, page, "olaf")

		b = s.signInAndEndSession("olaf")
		b.cookies[lastUserCookie] = strings.Replace(b.cookies[lastUserCookie], ".", "9.", 1)
		b.post("/projects", typed).wantStatus(http.StatusSeeOther)
		delete(b.cookies, lastUserCookie)
		b.post("/projects", typed).wantStatus(http.StatusSeeOther)

		// A form too large to be carried is not.
		b = s.signInAndEndSession("olaf")
		b.post("/projects", url.Values{"name": {strings.Repeat("x", maxKeptForm)}}).wantStatus(http.StatusSeeOther)

		// A wrong password does not lose it, and a dialog's form is sent anew.
		b = s.signInAndEndSession("olaf")
		page = b.post("/projects", typed).wantStatus(http.StatusUnauthorized)
		_, form := page.fields(`form[action="` + signInPath + `"]`)
		form.Set("login", "olaf")
		form.Set("password", "wrong")
		page = b.post(signInPath, form).wantStatus(http.StatusUnprocessableEntity)
		if to := b.signInFrom(page, "olaf").header.Get("Location"); to != "/projects/new?kept_form=1" {
			t.Errorf("led to %s", to)
		}
		b = s.signInAndEndSession("olaf")
		b.header.Set("HX-Request", "true")
		if a := b.post(pearServicesPath, typed).wantStatus(http.StatusUnauthorized); a.header.Get("HX-Refresh") != "" {
			t.Error("the dialog is thrown away with its page")
		}
	})
}

// TestKeptForm_FormNotOnPage_ListsInput: a Maintainer's page lacks the
// Owner's form.
func TestKeptForm_FormNotOnPage_ListsInput(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	s.memberWithPassword("olaf", models.RoleMaintainer, false)
	b := s.signInAndEndSession("olaf")
	page := b.post(pearGeneralPath+"/advanced", url.Values{"name": {"Typed"}}).wantStatus(http.StatusUnauthorized)
	a := b.get(b.signInFrom(page, "olaf").header.Get("Location")).wantStatus(http.StatusOK)
	if got := a.text("#kept-form"); !strings.Contains(got, "not available any more") || !strings.Contains(got, "Typed") {
		t.Errorf("the page says %q", got)
	}
}

// TestKeptForm_PasswordFields_AreLeftOut: every password field of every page is among the
// fields that are left out.
func TestKeptForm_PasswordFields_AreLeftOut(t *testing.T) {
	visitEveryPage(t, newTestSite(t, modelstest.SQLite(t)), "en", func(t *testing.T, a response) {
		a.Find("input[type=password]").Each(func(_ int, e *goquery.Selection) {
			if name := e.AttrOr("name", ""); !slices.Contains(secretFields, name) {
				t.Errorf("%s would be kept", name)
			}
		})
	})
}
