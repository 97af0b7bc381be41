package handlers

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// TestSetup_FirstAdministrator uses the set-up link on an empty database.
func TestSetup_FirstAdministrator(t *testing.T) {
	eachEmptySite(t, func(t *testing.T, s *testSite) {
		if got := s.signedOut().get(signInPath).text(".alert"); !strings.Contains(got, "set-up link") {
			t.Errorf("the sign-in page says %q", got)
		}
		token := auth.NewSessionID()
		if _, err := s.Store.CreateSetupLink(t.Context(), auth.Digest(token), 0); err != nil {
			t.Fatal(err)
		}
		path := SetupURL(token)
		s.signedOut().get(setupPath + "?token=x").wantStatus(http.StatusNotFound)
		for _, language := range []string{"en", "ja"} {
			page := s.signedOut().withLanguage(language).get(path).wantStatus(http.StatusOK)
			assertContentSecurityPolicy(t, page)
			assertOutline(t, page, language)
			assertLanguage(t, page, language)
		}
		good := url.Values{"username": {"ada"}, "name": {"Ada"}, "password": {goodPassword}, "password_confirmation": {goodPassword}}
		form := formCase{name: "set-up", action: path, good: good, hidden: []string{"password", "password_confirmation"}}
		for _, tt := range []fault{
			{name: "no username", change: url.Values{"username": nil}, want: oneMessage("username", "Please provide a username")},
			{name: "reserved", change: url.Values{"username": {"admin"}}, want: oneMessage("username", "This name is reserved")},
			{name: "everything", change: url.Values{"username": {"-"}, "password": {"short"}, "password_confirmation": {"other"}}, want: map[string]string{
				"username": usernameRule, "password": "The password needs at least 8 characters", "password_confirmation": "The two passwords are not the same"}},
		} {
			assertFault(t, form, tt, s.signedOut().withLanguage("en"))
			assertFault(t, form, tt, s.signedOut().withLanguage("ja"))
		}
		answer := s.signedOut().post(path, good).wantStatus(http.StatusSeeOther)
		admin := visitor{t: t, site: s, cookie: sessionOf(answer)}
		admin.get(adminUsersPath).wantStatus(http.StatusOK)
		good.Set("username", "eve")
		s.signedOut().post(path, good).wantStatus(http.StatusNotFound)
		s.signedOut().get(path).wantStatus(http.StatusNotFound)
		if _, err := s.Store.UserByUsername(t.Context(), "eve"); models.KindOf(err) != models.KindNotFound {
			t.Errorf("a second administrator: %v", err)
		}
	})
}

// eachEmptySite runs a test on a new site without users per database.
func eachEmptySite(t *testing.T, test func(t *testing.T, s *testSite)) {
	t.Helper()
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) { test(t, siteOf(t, modelstest.Open(t, db))) })
}
