package handlers

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/models"
)

// invite creates a user with an invitation and returns the token of its link.
func (s *testSite) invite(username string) string {
	s.T.Helper()
	token := auth.NewSessionID()
	if _, err := s.Store.InviteUser(s.T.Context(), models.User{}, models.UserInput{Username: username}, auth.Digest(token)); err != nil {
		s.T.Fatal(err)
	}
	return token
}

const goodPassword = "a long quince and pear"

// signInWith signs in with a password and returns the response.
func (s *testSite) signInWith(username, password string) response {
	s.T.Helper()
	return s.signedOut().post(signInPath, url.Values{"login": {username}, "password": {password}})
}

// An administrator creates a user, whose one-time password is shown once and has to be
// changed.
func TestAdminUsers_NewUser_OneTimePasswordIsShownOnce(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		admin := s.as(s.Admin("root"))
		to := admin.post(adminUsersPath, url.Values{"username": {"mona"}, "name": {"Mona Weiss"}, "email": {"mona@example.test"}, "access": {"password"}}).
			wantStatus(http.StatusSeeOther).header.Get("Location")
		if to != "/admin/users/mona" {
			t.Fatalf("redirected to %s", to)
		}
		password := admin.get(to).attr("#shown-value", "value")
		if len(password) < 12 {
			t.Fatalf("one-time password %q", password)
		}
		if admin.get(to).has("#shown-value") {
			t.Error("the password is shown again")
		}
		answer := s.signInWith("mona", password).wantStatus(http.StatusSeeOther)
		mona := visitor{t: t, site: s, cookie: sessionOf(answer)}
		if to := mona.get("/").wantStatus(http.StatusSeeOther).header.Get("Location"); to != newPasswordPath {
			t.Errorf("sent to %s, want the form for a new password", to)
		}
		row := collapseSpace(admin.get(adminUsersPath + "?search=weiss").wantStatus(http.StatusOK).Find("tbody tr").Text())
		for _, want := range []string{"Mona Weiss", "@mona", "One-time password", "mona@example.test"} {
			if !strings.Contains(row, want) {
				t.Errorf("row %q lacks %q", row, want)
			}
		}
	})
}

// sessionOf returns the session cookie that a response sets.
func sessionOf(a response) string {
	for _, cookie := range a.header.Values("Set-Cookie") {
		if strings.HasPrefix(cookie, sessionCookie+"=") {
			value, _, _ := strings.Cut(cookie, ";")
			return value
		}
	}
	return ""
}

func TestAdminUsers_Invitation_LinkIsUsedOnce(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		admin := s.as(s.Admin("root"))
		admin.post(adminUsersPath, url.Values{"username": {"mona"}, "access": {"link"}}).wantStatus(http.StatusSeeOther)
		link := admin.get("/admin/users/mona").attr("#shown-value", "value")
		path, found := strings.CutPrefix(link, "http://mergegate.test")
		if !found {
			t.Fatalf("link %q", link)
		}
		action := s.signedOut().get(path).wantStatus(http.StatusOK).attr("form", "action")
		form := url.Values{"password": {goodPassword}, "password_confirmation": {goodPassword}}
		answer := s.signedOut().post(action, form).wantStatus(http.StatusSeeOther)
		visitor{t: t, site: s, cookie: sessionOf(answer)}.get(userSettingsPath).wantStatus(http.StatusOK)
		s.signedOut().get(path).wantStatus(http.StatusNotFound)
		s.signedOut().post(action, form).wantStatus(http.StatusNotFound)
		s.signInWith("mona", goodPassword).wantStatus(http.StatusSeeOther)

		admin.post("/admin/users/mona/invitation", nil).wantStatus(http.StatusSeeOther)
		link = admin.get("/admin/users/mona").attr("#shown-value", "value")
		s.Clock.Advance(models.InvitationLifetime)
		s.signedOut().get(strings.TrimPrefix(link, "http://mergegate.test")).wantStatus(http.StatusNotFound)
	})
}

func TestAdminUsers_Block_EndsAccessAtOnce(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		root := s.Admin("root")
		admin, mona := s.as(root), s.User("mona")
		browser := s.as(mona)
		browser.get("/").wantStatus(http.StatusOK)
		admin.get("/admin/users/mona/block").wantStatus(http.StatusOK)
		admin.post("/admin/users/mona/block", nil).wantStatus(http.StatusSeeOther)
		browser.get(userSettingsPath).wantStatus(http.StatusSeeOther) // to sign-in
		page := admin.get("/admin/users/mona")
		if got := page.text("#sessions .count"); got != "0" {
			t.Errorf("%s sessions", got)
		}
		if !page.has("#unblock-user") || page.has("#block-user") {
			t.Error("the page does not offer to unblock")
		}
		admin.post("/admin/users/mona/password", nil).wantStatus(http.StatusSeeOther) // allowed, but useless until unblocked
		admin.post("/admin/users/mona/invitation", nil).wantStatus(http.StatusUnprocessableEntity)
		admin.post("/admin/users/mona/unblock", nil).wantStatus(http.StatusSeeOther)
		browser.get(userSettingsPath).wantStatus(http.StatusSeeOther)

		admin.post("/admin/users/root/block", nil).wantStatus(http.StatusUnprocessableEntity)
		form := url.Values{"name": {"root"}, "version": {root.Version()}}
		refused := admin.post("/admin/users/root", form).wantStatus(http.StatusUnprocessableEntity)
		if got := refused.text("#form-error"); !strings.Contains(got, "last active administrator") {
			t.Errorf("message %q", got)
		}
	})
}

func TestAdminUsers_Delete_EndsAccessAndProjects(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		admin, mona := s.as(s.Admin("root")), s.User("mona")
		browser := s.as(mona)
		s.NewProject(mona, "quince", models.VisibilityPublic)
		action := admin.get("/admin/users/mona").wantStatus(http.StatusOK).attr("#delete-user", "href")
		_, form := admin.get(action).wantStatus(http.StatusOK).fields(`form[action$="/delete"]`)
		admin.post(action, form).wantStatus(http.StatusUnprocessableEntity) // nothing is typed
		if to := admin.post(action, url.Values{"confirm": {"mona"}}).wantStatus(http.StatusSeeOther).header.Get("Location"); to != adminUsersPath {
			t.Errorf("redirected to %s", to)
		}
		browser.get(userSettingsPath).wantStatus(http.StatusSeeOther) // to sign-in
		admin.get("/mona/quince").wantStatus(http.StatusNotFound)
		admin.get("/admin/users/mona").wantStatus(http.StatusNotFound)
		if admin.get("/admin/users/root").has("#delete-user") {
			t.Error("administrators can delete themselves")
		}
		admin.post("/admin/users/root/delete", url.Values{"confirm": {"root"}}).wantStatus(http.StatusUnprocessableEntity)
	})
}

func TestAdminUsers_SessionsAndTokens_AreEndedByAdmin(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		admin, browser := s.as(s.Admin("root")), s.as(s.Owner)
		personal, project := s.createTokens()
		page := admin.get("/admin/users/olga").wantStatus(http.StatusOK)
		if page.Find("#sessions tbody tr").Length() != 1 || page.Find("#tokens tbody tr").Length() != 1 || page.Find("#project-tokens tbody tr").Length() != 1 {
			t.Fatal("the page does not list the session and both tokens")
		}
		for _, form := range []string{
			page.attr("#sessions tbody form", "action"),
			page.attr("#tokens tbody a", "href"), page.attr("#project-tokens tbody td:last-child a", "href"),
		} {
			admin.post(form, nil).wantStatus(http.StatusSeeOther)
		}
		browser.get(userSettingsPath).wantStatus(http.StatusSeeOther)
		for _, list := range []models.TokenList{{UserID: s.Owner.ID}, {ProjectID: s.Project.ID}} {
			if tokens, _, err := s.Store.Tokens(t.Context(), list, models.Page{}); err != nil || len(tokens) != 0 {
				t.Errorf("tokens %v, %v", tokens, err)
			}
		}
		// Ids of another user are not found.
		admin.post("/admin/users/root/personal_access_tokens/"+itoa(personal.ID)+"/revoke", nil).wantStatus(http.StatusNotFound)
		admin.post("/admin/users/root/access_tokens/"+itoa(project.ID)+"/revoke", nil).wantStatus(http.StatusNotFound)
		events, _, err := s.Store.AuditEvents(t.Context(), 0, models.AuditFilter{Kind: models.AuditKindSignIns}, models.Page{Number: 1, Size: 1})
		if err != nil || len(events) != 1 || events[0].Action != models.AuditSessionEnded || events[0].UserName != "root" || events[0].Target != "olga" {
			t.Errorf("events %+v, %v", events, err)
		}
	})
}

func TestAdminUsers_ConcurrentEdit_IsShown(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		admin, mona := s.as(s.Admin("root")), s.User("mona")
		admin.post("/admin/users/mona", url.Values{"name": {"Mona"}, "version": {mona.Version()}}).wantStatus(http.StatusSeeOther)
		page := admin.post("/admin/users/mona", url.Values{"name": {"Other"}, "version": {mona.Version()}}).wantStatus(http.StatusConflict)
		if got := page.text("#form-error dd"); !strings.Contains(got, "Mona") {
			t.Errorf("current value %q", got)
		}
		again := url.Values{"name": {"Other"}, "version": {page.attr("input[name=version]", "value")}}
		admin.post("/admin/users/mona", again).wantStatus(http.StatusSeeOther)
	})
}

func TestAdminArea_OthersGetNotFound(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		s.as(s.Owner).get(adminUsersPath).wantStatus(http.StatusNotFound)
		if s.as(s.Owner).get("/").has("a[href='/admin/users']") {
			t.Error("the menu of an ordinary user leads to the admin area")
		}
		if !s.as(s.Admin("root")).get("/").has("a[href='/admin/users']") {
			t.Error("the menu of an administrator does not lead to the admin area")
		}
	})
}

func TestAdminSettings_ShowValuesAndSources(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		rows := collapseSpace(s.as(s.Admin("root")).get(adminSettingsPath).wantStatus(http.StatusOK).Find("#settings tbody").Text())
		for _, want := range []string{"MERGEGATE_LISTEN127.0.0.1:8080Default", "MERGEGATE_SECRET_KEYSet (not shown)File"} {
			if !strings.Contains(rows, want) {
				t.Errorf("%q lacks %q", rows, want)
			}
		}
		s.as(s.Owner).get(adminSettingsPath).wantStatus(http.StatusNotFound)
	})
}

// Nobody resets their own password: the session that would show the new one ends with it.
func TestAdminUsers_OwnPassword_IsChangedInUserSettings(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		root := s.Admin("root")
		admin := s.as(root)
		if admin.get("/admin/users/root").wantStatus(http.StatusOK).has("#reset-password") {
			t.Error("the page offers to reset one's own password")
		}
		to := admin.post("/admin/users/root/password", nil).wantStatus(http.StatusSeeOther).header.Get("Location")
		if now, err := s.Store.User(t.Context(), root.ID); to != newPasswordPath || err != nil || now.PasswordDigest != root.PasswordDigest {
			t.Errorf("redirected to %s, password changed: %t, %v", to, now.PasswordDigest != root.PasswordDigest, err)
		}
	})
}
