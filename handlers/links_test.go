package handlers

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"

	"github.com/mergegate/mergegate/models/modelstest"
)

// TestLinks_OnEveryPage_AnswerOK follows every link of every page as the owner
// and, if that fails, as an administrator.
func TestLinks_OnEveryPage_AnswerOK(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	admin := s.Admin("ada")
	found := map[string]string{}
	visitEveryPage(t, s, "en", func(t *testing.T, a response) {
		a.Find("a[href], form[method=get], form:not([method])").Each(func(_ int, e *goquery.Selection) {
			link, err := url.Parse(e.AttrOr("href", e.AttrOr("action", "")))
			if err != nil {
				t.Errorf("link %q: %v", e.AttrOr("href", ""), err)
				return
			}
			if strings.HasPrefix(link.Path, "/api/") {
				return // testSite does not serve the API
			}
			if link.Host == "mergegate.test" || link.Host == "" && strings.HasPrefix(link.Path, "/") {
				link.Scheme, link.Host, link.Fragment = "", "", ""
				found[link.String()] = t.Name()
			}
		})
	})
	if len(found) < 40 {
		t.Fatalf("only %d links were found, want at least 40", len(found))
	}
	for link, page := range found {
		if a := s.as(s.Owner).get(link); a.status < http.StatusBadRequest {
			continue
		}
		// Pages of the instance need an administrator.
		if a := s.as(admin).get(link); a.status >= http.StatusBadRequest {
			t.Errorf("%s on %s: status %d", link, page, a.status)
		}
	}
}

// TestLinks_InGoldens_HaveARoute checks the addresses of this server in the
// golden payloads and API responses.
func TestLinks_InGoldens_HaveARoute(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	var pages []*regexp.Regexp
	parameter := regexp.MustCompile(`:[a-z]+`)
	for _, r := range s.routeTable() {
		if r.method == http.MethodGet {
			pages = append(pages, regexp.MustCompile("^"+parameter.ReplaceAllString(regexp.QuoteMeta(r.path), `[^/]+`)+"$"))
		}
	}
	ours := regexp.MustCompile(`https://(?:git\.orchard\.test|gate\.example)(/[^"?#\\]*)`)
	seen := 0
	for _, pattern := range []string{"../webhook/testdata/*.golden.json", "apiv4/testdata/*.golden.json"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %v", pattern, files, err)
		}
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, match := range ours.FindAllStringSubmatch(string(content), -1) {
				path := strings.TrimSuffix(match[1], ".git")
				if strings.HasPrefix(path, "/api/v4/") {
					continue // checked by the tests of cmd/mergegate
				}
				seen++
				known := false
				for _, page := range pages {
					known = known || page.MatchString(path)
				}
				if !known {
					t.Errorf("%s: no route for %s", file, path)
				}
			}
		}
	}
	if seen < 100 {
		t.Errorf("only %d addresses were found, want at least 100", seen)
	}
}

func TestTrailingSlash_Redirects(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	v := s.as(s.Owner)
	for path, want := range map[string]string{
		"/olga/pear/":                       pearPath,
		"/olga/pear//":                      pearPath,
		"/olga/pear/-/branches/?search=a%2": "/olga/pear/-/branches?search=a%2",
		"/users/sign_in/":                   "/users/sign_in",
		"/olga/pear/-/merge_requests/new/":  pearMergeRequestsPath + "/new",
	} {
		if got := v.get(path).wantStatus(http.StatusPermanentRedirect).header.Get("Location"); got != want {
			t.Errorf("%s redirects to %q, want %q", path, got, want)
		}
	}
	v.post(pearGeneralPath+"/", url.Values{"name": {"Pear"}}).wantStatus(http.StatusPermanentRedirect)
	v.get("/").wantStatus(http.StatusOK)
	// The redirect stays on this host.
	for _, path := range []string{"//evil.test/", "//evil.test//", "///evil.test/"} {
		if to := v.get(path).header.Get("Location"); strings.HasPrefix(to, "//") || strings.Contains(to, "://") {
			t.Errorf("%s redirects to %q", path, to)
		}
	}
}
