package handlers

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

func TestSignIn_ReturnsToRequestedPage_AndSignsOut(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		s.userWithPassword("priya")
		b := newBrowserClient(t, s.handler)

		asked := b.get("/projects/new?x=1").wantStatus(http.StatusSeeOther)
		if got := asked.header.Get("Location"); got != "/users/sign_in?return_to=%2Fprojects%2Fnew%3Fx%3D1" {
			t.Fatalf("redirected to %q", got)
		}
		action, form := b.get(asked.header.Get("Location")).wantStatus(http.StatusOK).fields("form[action='/users/sign_in']")
		form.Set("login", "PRIYA")
		form.Set("password", testPassword)
		in := b.post(action, form).wantStatus(http.StatusSeeOther)
		if got := in.header.Get("Location"); got != "/projects/new?x=1" {
			t.Errorf("signing in redirects to %q", got)
		}
		cookie := strings.Join(in.header.Values("Set-Cookie"), "\n")
		for _, attribute := range []string{"HttpOnly", "SameSite=Lax", "Path=/"} {
			if !strings.Contains(cookie, attribute) {
				t.Errorf("the session cookie lacks %s: %s", attribute, cookie)
			}
		}
		if strings.Contains(cookie, "Max-Age") {
			t.Errorf("the cookie is kept although that was not requested: %s", cookie)
		}
		if page := b.get("/").wantStatus(http.StatusOK); !page.has("#user-menu") {
			t.Error("no user menu after signing in")
		}

		kept := b.cookies[sessionCookie]
		b.post("/users/sign_out", nil).wantStatus(http.StatusSeeOther)
		b.cookies[sessionCookie] = kept // the session must have ended
		b.get("/projects/new").wantStatus(http.StatusSeeOther)
	})
}

func TestSignIn_TooManyTries_LimitsAccountAndAddress(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		s.userWithPassword("priya")
		wrong := url.Values{"login": {"priya"}, "password": {"wrong wrong"}}
		right := url.Values{"login": {"priya"}, "password": {testPassword}}
		attacker, owner := newBrowserClient(t, s.handler), newBrowserClient(t, s.handler)
		owner.address = "198.51.100.7:1234"
		for range models.MaxSignInsPerAccount {
			attacker.post(signInPath, wrong).wantStatus(http.StatusUnprocessableEntity)
		}
		attacker.post(signInPath, right).wantStatus(http.StatusTooManyRequests)
		owner.post(signInPath, right).wantStatus(http.StatusSeeOther)
		// The owner's success does not reset the limit of the attacker.
		attacker.post(signInPath, right).wantStatus(http.StatusTooManyRequests)
		s.Clock.Advance(models.SignInWindow + time.Second)
		attacker.post(signInPath, right).wantStatus(http.StatusSeeOther)
	})
	s := newTestSite(t, modelstest.SQLite(t))
	b := newBrowserClient(t, s.handler)
	for i := range models.MaxSignInsPerAddress {
		if ok, err := s.Store.CountSignInAttempt(t.Context(), fmt.Sprint("name", i), "192.0.2.1"); !ok || err != nil {
			t.Fatalf("try %d: %v %v", i, ok, err)
		}
	}
	b.post(signInPath, url.Values{"login": {"somebody"}, "password": {"x"}}).wantStatus(http.StatusTooManyRequests)
}

func TestNewPassword_CommonPassword_IsRejected(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	s.userWithPassword("priya")
	b := newBrowserClient(t, s.handler)
	b.post(signInPath, url.Values{"login": {"priya"}, "password": {testPassword}}).wantStatus(http.StatusSeeOther)
	for _, chosen := range []string{"password123", "priya2026!"} {
		page := b.post(newPasswordPath, url.Values{"current_password": {testPassword}, "password": {chosen}, "password_confirmation": {chosen}})
		if got := page.wantStatus(http.StatusUnprocessableEntity).text("#password-error"); got != "This password is easy to guess" {
			t.Errorf("%s: %q", chosen, got)
		}
	}
}

// With the prefix __Host- a sibling domain cannot set the cookie.
func TestSessionCookie_HTTPS_HasHostPrefix(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	s.userWithPassword("priya")
	e, err := New(Deps{
		Store: s.Store, Git: s.git, Log: slog.New(slog.DiscardHandler), BaseURL: "https://mergegate.test", SessionKey: []byte("an example key of thirty-two bytes!!"),
	})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, signInPath, strings.NewReader(url.Values{"login": {"priya"}, "password": {testPassword}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	e.ServeHTTP(w, r)
	for _, cookie := range w.Result().Cookies() {
		if cookie.Name != "__Host-mergegate_session" {
			continue
		}
		if !cookie.Secure || cookie.Path != "/" || cookie.Domain != "" || !cookie.HttpOnly {
			t.Errorf("cookie %s lacks an attribute of the prefix __Host-", cookie)
		}
		for name, want := range map[string]int{cookie.Name: http.StatusOK, sessionCookie: http.StatusSeeOther} {
			r := httptest.NewRequest(http.MethodGet, userSettingsPath, nil)
			r.AddCookie(&http.Cookie{Name: name, Value: cookie.Value})
			w := httptest.NewRecorder()
			e.ServeHTTP(w, r)
			if w.Code != want {
				t.Errorf("a session in %s: status %d, want %d", name, w.Code, want)
			}
		}
		return
	}
	t.Errorf("cookies %v", w.Result().Cookies())
}

func TestSignIn_Again_ReplacesSession(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	s.userWithPassword("priya")
	b := s.signIn("priya")
	old := b.cookies[sessionCookie]
	again := b.post(signInPath, url.Values{"login": {"priya"}, "password": {testPassword}, "remember_me": {"1"}}).wantStatus(http.StatusSeeOther)
	if b.cookies[sessionCookie] == old {
		t.Fatal("the id is the same after signing in again")
	}
	if cookie := strings.Join(again.header.Values("Set-Cookie"), "\n"); !strings.Contains(cookie, "Max-Age=1209600") {
		t.Errorf("the cookie is not kept for 14 days: %s", cookie)
	}
	b.cookies[sessionCookie] = old
	b.get("/projects/new").wantStatus(http.StatusSeeOther)
}

func TestOneTimePassword_MustBeChanged(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		s.createUser(models.UserInput{Username: "priya", PasswordChangeRequired: true})
		b := s.signIn("priya")
		if to := b.get("/").wantStatus(http.StatusSeeOther).header.Get("Location"); to != newPasswordPath {
			t.Fatalf("redirected to %q", to)
		}
		b.header.Set("HX-Request", "true")
		if b.get("/").wantStatus(http.StatusUnauthorized).header.Get("HX-Refresh") != "true" {
			t.Error("the response to a fragment has no HX-Refresh")
		}
		b.header.Del("HX-Request")

		page := b.post(newPasswordPath, url.Values{"current_password": {"wrong"}, "password": {"short"}, "password_confirmation": {"other"}}).
			wantStatus(http.StatusUnprocessableEntity)
		if n := page.Find(".error").Length(); n != 3 {
			t.Errorf("%d messages, want 3", n)
		}
		page = b.post(newPasswordPath, url.Values{"current_password": {testPassword}, "password": {testPassword}, "password_confirmation": {testPassword}}).
			wantStatus(http.StatusUnprocessableEntity)
		if got := page.text("#password-error"); got != "Choose a password other than the current one" {
			t.Errorf("message %q", got)
		}
		home := b.postAndFollow(newPasswordPath, url.Values{"current_password": {testPassword}, "password": {"a better password"}, "password_confirmation": {"a better password"}})
		if got := home.text("#toasts .toast > span"); got != "Password changed." {
			t.Errorf("toast %q", got)
		}
		if home = b.get("/").wantStatus(http.StatusOK); home.has("#toasts .toast") {
			t.Error("the toast is shown twice")
		}
		if page = b.get(newPasswordPath).wantStatus(http.StatusOK); strings.Contains(page.text("main"), "administrator") {
			t.Error("the page says that an administrator set the password, although the user did")
		}
		newBrowserClient(t, s.handler).post(signInPath, url.Values{"login": {"priya"}, "password": {"a better password"}}).wantStatus(http.StatusSeeOther)
	})
}

func TestSafePath_OtherSites_BecomeRoot(t *testing.T) {
	for path, want := range map[string]string{
		pearPath:                        pearPath,
		"/olga/pear/-/branches?page=2":  "/olga/pear/-/branches?page=2",
		"":                              "/",
		"//evil.example":                "/",
		"///evil.example":               "/",
		`/\evil.example`:                "/",
		"/%5Cevil.example":              "/",
		"/%2Fevil.example":              "/",
		"https://evil.example/":         "/",
		"javascript:alert(1)":           "/",
		"/\tevil":                       "/",
		" /evil":                        "/",
		"/users/sign_in?return_to=%2Fa": "/",
		"evil":                          "/",
		"/" + strings.Repeat("a", 3000): "/",
	} {
		if got := safePath(path); got != want {
			t.Errorf("safePath(%q) = %q, want %q", path, got, want)
		}
	}
	s := newTestSite(t, modelstest.SQLite(t))
	s.userWithPassword("priya")
	to := newBrowserClient(t, s.handler).post(signInPath, url.Values{"login": {"priya"}, "password": {testPassword}, "return_to": {"//evil.example"}})
	if got := to.wantStatus(http.StatusSeeOther).header.Get("Location"); got != "/" {
		t.Errorf("redirected to %q", got)
	}
}
