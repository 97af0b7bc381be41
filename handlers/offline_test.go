package handlers

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// The page depends only on the language and theme in its address. Its policy
// allows the style sheet and the script that the service worker inlines, by
// their hashes.
func TestOfflinePage_IsTheSameForEveryUser(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	for query, want := range map[string][3]string{
		"":                                      {"en", "", "Mergegate cannot be reached"},
		"?lang=ja&theme=dark":                   {"ja", "dark", "Mergegateに接続できません"},
		"?lang=xx&theme=%22%3E":                 {"en", "", "Mergegate cannot be reached"},
		"?lang=en&theme=light&release=whatever": {"en", "light", "Mergegate cannot be reached"},
	} {
		path := offlinePath + query
		page := s.signedOut().get(path).wantStatus(http.StatusOK)
		if got := [3]string{page.attr("html", "lang"), page.attr("html", "data-theme"), page.text("h1")}; got != want {
			t.Errorf("%s: %q", path, got)
		}
		if again := s.as(s.Owner).withLanguage("en").get(path); again.body != page.body {
			t.Errorf("%s differs for a signed-in user", path)
		}
		if page.Find("script[src]").Length() != 1 || page.Find(`link[rel="stylesheet"]`).Length() != 1 || page.Find("style").Length() != 0 {
			t.Errorf("%s: assets other than one script and one style sheet", path)
		}
	}
	policy := s.signedOut().get(offlinePath).header.Get("Content-Security-Policy")
	for directive, file := range map[string]string{"script-src": "app.js", "style-src": "style.css"} {
		content, err := os.ReadFile("../static/" + file)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(content)
		if want := directive + " 'self' 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "';"; !strings.Contains(policy, want) {
			t.Errorf("policy %q lacks %q", policy, want)
		}
	}
	if strings.Contains(policy, "unsafe") {
		t.Errorf("policy %q", policy)
	}
}

func TestOfflinePage_AddressNamesLanguageAndTheme(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	offlineAddress := func(v visitor, path string) string { return v.get(path).attr("#app-texts", "data-kept-page") }
	english := offlineAddress(s.signedOut(), signInPath)
	if !strings.HasPrefix(english, offlinePath+"?lang=en&release=") || !strings.HasSuffix(english, "&theme=") {
		t.Errorf("the address for a visitor is %s", english)
	}
	if err := s.Store.SetTheme(t.Context(), s.Owner.ID, "dark", "ja"); err != nil {
		t.Fatal(err)
	}
	if got, want := offlineAddress(s.as(s.Owner), "/"), strings.Replace(english, "lang=en", "lang=ja", 1)+"dark"; got != want {
		t.Errorf("the address for the owner is %s, want %s", got, want)
	}
	if got := offlineAddress(s.signedOut(), offlinePath); got != "" {
		t.Errorf("the offline page refers to an offline page, %s", got)
	}
}

func TestServiceWorker_ScopeIsWholeSite(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	path := s.signedOut().get(signInPath).attr("#app-texts", "data-worker")
	worker := s.signedOut().get(path).wantStatus(http.StatusOK)
	for header, want := range map[string]string{
		"Content-Type": "text/javascript; charset=utf-8", "Cache-Control": "no-cache", "Service-Worker-Allowed": "/", "Set-Cookie": "",
	} {
		if got := worker.header.Get(header); got != want {
			t.Errorf("%s: %q, want %q", header, got, want)
		}
	}
	if worker.header.Get("ETag") == "" || !strings.Contains(worker.body, "mergegate-offline") {
		t.Error("the worker has no ETag or no cache")
	}
}

// The link leads to the Referer if that is a page of this site other than the
// failed one.
func TestErrorPage_BackLink_StaysOnThisSite(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	guest := s.Member("gus", models.RoleGuest)
	backLink := func(user models.User, path, referer string) string {
		t.Helper()
		b := newBrowserClient(t, s.handler)
		b.header.Set("Cookie", s.as(user).cookie)
		b.header.Set("Referer", referer)
		page := b.get(path)
		if page.status < 400 {
			t.Fatalf("%s: %d", path, page.status)
		}
		link := page.Find(".row a.btn:contains('Go back')")
		return link.AttrOr("href", "")
	}
	for referer, want := range map[string]string{
		"http://mergegate.test/olga/pear?a=b": "/olga/pear?a=b", "http://mergegate.test/": "/", "": "", "http://mergegate.test/olga/nothing": "",
		"https://evil.test/olga/pear": "", "http://mergegate.test@evil.test/": "", "http://mergegate.test//evil.test/": "/", `http://mergegate.test/\evil.test`: "/",
		"javascript:alert(1)": "", "%": "", pearPath: "",
	} {
		if got := backLink(s.Owner, "/olga/nothing", referer); got != want {
			t.Errorf("from %q: %q, want %q", referer, got, want)
		}
	}
	if got := backLink(guest, pearMembersPath, "http://mergegate.test/olga/pear"); got != "" {
		t.Errorf("the page for 403 links back to %q", got)
	}
}
