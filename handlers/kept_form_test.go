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

// signInAndEndSession returns a client that signed in and whose session has
// ended since.
func (s *testSite) signInAndEndSession(name string) *browserClient {
	s.T.Helper()
	b := s.signIn(name)
	if _, err := s.DB.SQL(s.T).Exec("DELETE FROM sessions"); err != nil {
		s.T.Fatal(err)
	}
	return b
}

// signInFrom signs in with the form of a sign-in page, hidden fields included.
func (b *browserClient) signInFrom(page response, name string) response {
	b.t.Helper()
	_, form := page.fields(`form[action="` + signInPath + `"]`)
	form.Set("login", name)
	form.Set("password", testPassword)
	return b.post(signInPath, form).wantStatus(http.StatusSeeOther)
}

// TestExhaustiveForms_SentAfterSessionEnded_AreRestoredAfterSignIn sends the good values
// of every form after the session ended, and signs in again.
func TestExhaustiveForms_SentAfterSessionEnded_AreRestoredAfterSignIn(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		s.memberWithPassword("olaf", models.RoleOwner, false)
		s.createUser(models.UserInput{Username: "ada", Admin: true})
		db := s.DB.SQL(t)
		for _, form := range s.formCases() {
			if form.as.cookie == "" || strings.Contains(form.name, "delete") {
				continue // needs no session
			}
			name := "olaf"
			if isAdminPage(form.action) {
				name = "ada"
			}
			t.Run(form.name, func(t *testing.T) {
				b := s.signInAndEndSession(name)
				b.t = t
				sent := url.Values{}
				for name, values := range form.good {
					sent[name] = slices.Clone(values)
				}
				if _, ok := sent["description"]; ok {
					sent.Set("description", "\r\nfirst line is empty\r\n")
				}
				if form.name == "new project" {
					sent.Del("namespace_id") // belongs to another user
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
				to := b.signInFrom(page, name).header.Get("Location")
				before := databaseSnapshot(t, db)
				a := b.get(to).wantStatus(http.StatusOK)
				if now := databaseSnapshot(t, db); now != before {
					t.Errorf("the form was submitted automatically:\n%s", now)
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
					t.Error("the form is restored twice")
				}
			})
		}
	})
}

// withLF returns the values with line breaks as HTML shows them.
func withLF(values []string) []string {
	lines := slices.Clone(values)
	for i := range lines {
		lines[i] = strings.ReplaceAll(lines[i], "\r\n", "\n")
	}
	return lines
}

// A form is restored only for the user who sent it, within a day, and if its
// cookie is authentic.
func TestKeptForm_OtherUserExpiredOrForged_IsNotShown(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		s.memberWithPassword("olaf", models.RoleOwner, false)
		s.memberWithPassword("mona", models.RoleOwner, false)
		typed := url.Values{"name": {"Typed by Olaf"}}
		assertNotRestored := func(what string, b *browserClient, page response, name string) {
			t.Helper()
			to := b.signInFrom(page, name).header.Get("Location")
			if strings.Contains(to, keptFormParam) || strings.Contains(b.get(to).wantStatus(http.StatusOK).body, "Typed by Olaf") {
				t.Errorf("%s: the form is restored at %s", what, to)
			}
		}
		b := s.signInAndEndSession("olaf")
		assertNotRestored("another user", b, b.post("/projects", typed).wantStatus(http.StatusUnauthorized), "mona")

		b = s.signInAndEndSession("olaf")
		page := b.post("/projects", typed).wantStatus(http.StatusUnauthorized)
		s.Clock.Advance(25 * time.Hour)
		assertNotRestored("a day later", b, page, "olaf")

		b = s.signInAndEndSession("olaf")
		b.cookies[lastUserCookie] = strings.Replace(b.cookies[lastUserCookie], ".", "9.", 1)
		b.post("/projects", typed).wantStatus(http.StatusSeeOther)
		delete(b.cookies, lastUserCookie)
		b.post("/projects", typed).wantStatus(http.StatusSeeOther)

		// A form over the size limit is not kept.
		b = s.signInAndEndSession("olaf")
		b.post("/projects", url.Values{"name": {strings.Repeat("x", maxKeptForm)}}).wantStatus(http.StatusSeeOther)

		// A wrong password keeps the form. A form in a dialog stays on its page.
		b = s.signInAndEndSession("olaf")
		page = b.post("/projects", typed).wantStatus(http.StatusUnauthorized)
		_, form := page.fields(`form[action="` + signInPath + `"]`)
		form.Set("login", "olaf")
		form.Set("password", "wrong")
		page = b.post(signInPath, form).wantStatus(http.StatusUnprocessableEntity)
		if to := b.signInFrom(page, "olaf").header.Get("Location"); to != "/projects/new?kept_form=1" {
			t.Errorf("redirected to %s", to)
		}
		b = s.signInAndEndSession("olaf")
		b.header.Set("HX-Request", "true")
		if a := b.post(pearServicesPath, typed).wantStatus(http.StatusUnauthorized); a.header.Get("HX-Refresh") != "" {
			t.Error("the response reloads the page and loses the dialog")
		}
	})
}

// A Maintainer's page lacks a form that only Owners have, so the page lists the
// input instead.
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

// Every password field of every page is in secretFields.
func TestKeptForm_PasswordFields_AreLeftOut(t *testing.T) {
	visitEveryPage(t, newTestSite(t, modelstest.SQLite(t)), "en", func(t *testing.T, a response) {
		a.Find("input[type=password]").Each(func(_ int, e *goquery.Selection) {
			if name := e.AttrOr("name", ""); !slices.Contains(secretFields, name) {
				t.Errorf("secretFields lacks %s", name)
			}
		})
	})
}
