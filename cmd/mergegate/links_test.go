package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// TestLinks_OfPayloadsAndAPI_Exist follows every address of this server in a
// payload and in responses of the API, signed in or with a token.
func TestLinks_OfPayloadsAndAPI_Exist(t *testing.T) {
	t.Parallel()
	w := newWorld(t, modelstest.Database{Driver: models.DriverSQLite})
	w.await("the first event", func() bool { return len(w.service.got("open")) == 1 })
	links := map[string]string{}
	collect := func(from string, body []byte) {
		var value any
		if err := json.Unmarshal(body, &value); err != nil {
			t.Fatalf("%s: %v", from, err)
		}
		linksIn(value, w.url, func(link string) { links[link] = from })
	}
	collect("the payload", w.service.got("open")[0].body)
	project := fmt.Sprintf("/projects/%d", w.id)
	for _, path := range []string{
		"/user", "/projects", project, project + "/members", project + "/merge_requests", project + "/merge_requests/1",
		project + "/repository/branches", project + "/repository/commits", project + "/repository/compare?from=main&to=feature",
		project + "/merge_requests/1/commits", project + "/merge_requests/1/status_checks", project + "/merge_requests/1/approvals",
	} {
		var body json.RawMessage
		w.api.call("GET", path, nil, http.StatusOK, &body)
		collect(path, body)
	}
	browser := w.signedIn()
	kinds := map[string]bool{}
	for link, from := range links {
		if strings.HasPrefix(link, w.url+"/api/v4/") {
			w.api.call("GET", strings.TrimPrefix(link, w.url+"/api/v4"), nil, http.StatusOK, nil)
			continue
		}
		resp, err := browser.Get(link)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || resp.Request.URL.Path == "/users/sign_in" {
			t.Errorf("%s in %s: status %d at %s (%v)", link, from, resp.StatusCode, resp.Request.URL, err)
		}
		for _, kind := range []string{"/-/commit/", "/-/merge_requests/", "/-/compare/", "/-/branches", "/ada"} {
			if strings.Contains(link, kind) || strings.HasSuffix(link, kind) {
				kinds[kind] = true
			}
		}
		if strings.Contains(link, "/-/commit/") && !strings.Contains(string(body), "trim.txt") && !strings.Contains(string(body), "README.md") {
			t.Errorf("%s does not show the changes", link)
		}
	}
	if len(kinds) != 5 {
		t.Errorf("only these kinds of links were found: %v", kinds)
	}
	w.stop()
}

// linksIn calls f with every address below base in a JSON value.
func linksIn(value any, base string, f func(link string)) {
	switch v := value.(type) {
	case string:
		if strings.HasPrefix(v, base+"/") {
			f(v)
		}
	case []any:
		for _, item := range v {
			linksIn(item, base, f)
		}
	case map[string]any:
		for _, item := range v {
			linksIn(item, base, f)
		}
	}
}

// signedIn gives the administrator a password and returns a browser that is
// signed in. The program is restarted meanwhile.
func (w *world) signedIn() *http.Client {
	w.t.Helper()
	const password = "a long pear of orchards"
	w.stop()
	driver, dsn := w.database()
	store, err := models.Open(models.Config{Driver: driver, DSN: dsn})
	if err != nil {
		w.t.Fatal(err)
	}
	user, err := store.UserByUsername(w.t.Context(), "ada")
	if err != nil {
		w.t.Fatal(err)
	}
	digest, err := auth.HashPassword(w.t.Context(), password)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := store.SetPassword(w.t.Context(), user, digest, "", false); err != nil {
		w.t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		w.t.Fatal(err)
	}
	w.start(nil, "serve")
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	browser := &http.Client{Jar: jar}
	resp, err := browser.PostForm(w.url+"/users/sign_in", url.Values{"login": {"ada"}, "password": {password}})
	if err != nil {
		w.t.Fatal(err)
	}
	resp.Body.Close()
	if resp.Request.URL.Path != "/" {
		w.t.Fatalf("signing in led to %s", resp.Request.URL)
	}
	return browser
}
