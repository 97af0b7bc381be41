package apiv4_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/mergegate/mergegate/handlers/apiv4"
	"github.com/mergegate/mergegate/models"
)

var pathParameter = regexp.MustCompile(`:\w+`)

// examplePath replaces the parameters of a route by values that exist on the site.
func (s *testSite) examplePath(route string) string {
	return pathParameter.ReplaceAllStringFunc(route, func(name string) string {
		switch name {
		case ":name":
			return "main"
		case ":sha":
			return s.mr.HeadSHA
		case ":file_path":
			return "README.md"
		case ":tag":
			return "v1"
		}
		return "1"
	})
}

func (s *testSite) setVisibility(t *testing.T, visibility models.Visibility) {
	t.Helper()
	if _, err := s.Store.UpdateProject(t.Context(), s.Owner, s.Project.ID, models.ProjectUpdate{Visibility: &visibility}); err != nil {
		t.Fatal(err)
	}
}

// Without a token, only the routes that openapi.yaml marks as such can be used, and
// only for public projects.
func TestAnonymous_ReadsPublicProjectsOnly(t *testing.T) {
	doc, err := openAPIDocument()
	if err != nil {
		t.Fatal(err)
	}
	eachDatabase(t, func(t *testing.T, s *testSite) {
		s.tag("v1", "main")
		for _, visibility := range []models.Visibility{models.VisibilityPrivate, models.VisibilityInternal, models.VisibilityPublic} {
			s.setVisibility(t, visibility)
			for _, r := range apiv4.RoutesForTest() {
				described := doc.Paths.Value(regexp.MustCompile(`:(\w+)`).ReplaceAllString(r.Path, "{$1}")).GetOperation(r.Method)
				isEmpty := func(needs openapi3.SecurityRequirement) bool { return len(needs) == 0 }
				free := described.Security != nil && slices.ContainsFunc(*described.Security, isEmpty)
				if free != r.Anonymous {
					t.Errorf("%s %s: anonymous %v, in openapi.yaml %v", r.Method, r.Path, r.Anonymous, free)
				}
				path := s.examplePath(r.Path)
				if strings.HasSuffix(path, "/compare") {
					path += "?from=main&to=feature"
				}
				want := http.StatusUnauthorized
				if free && visibility == models.VisibilityPublic {
					want = http.StatusOK
				}
				if a := s.send(r.Method, path, "", nil); a.status != want {
					t.Errorf("%v: %s %s: status %d, want %d: %s", visibility, r.Method, path, a.status, want, a.body)
				}
				s.wantAnswer(t, s.send(r.Method, path, "", http.Header{"Private-Token": {"wrong"}}), http.StatusUnauthorized)
				s.wantAnswer(t, s.send(r.Method, path, "", http.Header{"Authorization": {"Basic eDp5"}}), http.StatusUnauthorized)
			}
		}
		s.wantAnswer(t, s.send("GET", "/projects/999", "", nil), 401)
		s.wantAnswer(t, s.send("GET", "/projects/1/merge_requests/999", "", nil), 404)
		a := s.wantAnswer(t, s.send("GET", "/projects/olga%2Fpear/merge_requests", "", nil), 200, `"iid":1`, `"detailed_merge_status"`)
		if strings.Contains(a.body, "status_checks") {
			t.Errorf("the answer shows status checks: %s", a.body)
		}
	})
}

func TestSudo_IsRefusedOnEveryRoute(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		token := s.tokens["root"]
		for _, r := range apiv4.RoutesForTest() {
			if strings.HasSuffix(r.Path, "/callback") {
				continue // it takes no access token
			}
			path := s.examplePath(r.Path)
			s.wantAnswer(t, s.send(r.Method, path, "", http.Header{"Private-Token": {token}, "Sudo": {"developer"}}), 403, "403 Forbidden")
			s.wantAnswer(t, s.send(r.Method, path+"?sudo=developer", "", http.Header{"Private-Token": {token}}), 403, "403 Forbidden")
			s.wantAnswer(t, s.send(r.Method, path+"?sudo=1", "", nil), 401)
			if r.Method == "POST" || r.Method == "PUT" {
				s.wantAnswer(t, s.doWithToken(token, r.Method, path, `{"sudo":1}`), 403, "403 Forbidden")
			}
		}
	})
}

// Every DELETE route honours If-Unmodified-Since.
func TestDelete_IfUnmodifiedSince_KeepsChangedResources(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		robot := readToken(t, s.do("olga", "POST", "/projects/1/access_tokens", `{"name":"robot","scopes":["api"]}`))
		mine := readToken(t, s.do("olga", "POST", "/user/personal_access_tokens", `{"name":"mine","scopes":["api"]}`))
		paths := map[string]string{
			"/projects/:id/external_status_checks/:check_id": "/projects/1/external_status_checks/1",
			"/projects/:id/members/:user_id":                 fmt.Sprintf("/projects/1/members/%d", s.users["guest"].ID),
			"/projects/:id/protected_branches/:name":         "/projects/1/protected_branches/main",
			"/projects/:id/access_tokens/:token_id":          fmt.Sprintf("/projects/1/access_tokens/%d", robot.ID),
			"/personal_access_tokens/:token_id":              fmt.Sprintf("/personal_access_tokens/%d", mine.ID),
			"/users/:user_id":                                fmt.Sprintf("/users/%d", s.users["outsider"].ID),
			"/projects/:id":                                  "/projects/1",
			"/personal_access_tokens/self":                   "/personal_access_tokens/self",
		}
		last := []string{"/projects/:id", "/personal_access_tokens/self"} // tested last, because later requests would fail
		routes := slices.Collect(func(yield func(string) bool) {
			for _, r := range apiv4.RoutesForTest() {
				if r.Method == "DELETE" && !slices.Contains(last, r.Path) && !yield(r.Path) {
					return
				}
			}
		})
		changed := s.Store.Now()
		for _, route := range append(routes, last...) {
			path, known := paths[route]
			if !known {
				t.Fatalf("DELETE %s is missing in this test", route)
			}
			token := s.tokens["olga"]
			if route == "/users/:user_id" {
				token = s.tokens["root"]
			}
			remove := func(since string) answer {
				return s.send("DELETE", path, "", http.Header{"Private-Token": {token}, "If-Unmodified-Since": {since}})
			}
			s.wantAnswer(t, remove(changed.Add(-time.Second).UTC().Format(http.TimeFormat)), 412, "412 Precondition Failed")
			if a := remove(changed.UTC().Format(http.TimeFormat)); a.status != 204 && a.status != 202 {
				t.Errorf("DELETE %s of an unmodified resource: status %d %s", path, a.status, a.body)
			}
		}
	})
}

// A path with more segments than its route is not found. A trailing slash is
// allowed.
func TestPaths_WithExtraSegments_AreNotFound(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		for _, r := range apiv4.RoutesForTest() {
			path := s.examplePath(r.Path)
			further := []string{"/nothing/at/all"}
			if strings.HasPrefix(r.Path[strings.LastIndex(r.Path, "/")+1:], ":") {
				further = append(further, "/nothing")
			}
			for _, more := range further {
				a := s.do("root", r.Method, path+more, "")
				if a.status != 404 || a.body != "{\"error\":\"404 Not Found\"}\n" {
					t.Errorf("%s %s%s: status %d %s", r.Method, path, more, a.status, a.body)
				}
				s.wantAnswer(t, s.do("root", "OPTIONS", path+more, ""), 404)
			}
		}
		s.wantAnswer(t, s.do("reporter", "GET", "/version/", ""), 200)
		s.wantAnswer(t, s.do("reporter", "GET", "/projects/olga%2Fpear/", ""), 200, `"path_with_namespace":"olga/pear"`)
		s.wantAnswer(t, s.do("reporter", "GET", "/projects/olga%2Fpear/repository/branches/main/", ""), 200, `"name":"main"`)
	})
}

func TestVersion_IsThatOfGitLab(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		for _, path := range []string{"/version", "/metadata"} {
			a := s.wantAnswer(t, s.do("guest", "GET", path, ""), 200)
			var body struct{ Version string }
			if err := json.Unmarshal([]byte(a.body), &body); err != nil || !regexp.MustCompile(`^\d+\.\d+\.\d+$`).MatchString(body.Version) {
				t.Errorf("%s: body %s", path, a.body)
			}
			if got := a.header.Get("X-Mergegate-Version"); got != "1.2.3" {
				t.Errorf("%s: X-Mergegate-Version is %q", path, got)
			}
		}
	})
}

// Addresses in answers begin with the base URL, whatever host and scheme a request
// claims.
func TestAddresses_IgnoreHostHeaders(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		for _, r := range apiv4.RoutesForTest() {
			if r.Method != "GET" {
				continue
			}
			a := s.send("GET", s.examplePath(r.Path)+"?per_page=1", "", http.Header{
				"Private-Token": {s.tokens["root"]}, "Host": {"evil.example"}, "X-Forwarded-Host": {"evil.example"}, "X-Forwarded-Proto": {"gopher"},
			})
			if link := a.header.Get("Link"); link != "" && !strings.HasPrefix(link, "<https://gate.example/api/v4/") {
				t.Errorf("%s: Link is %s", r.Path, link)
			}
			if text := fmt.Sprint(a.header) + a.body; strings.Contains(text, "evil.example") || strings.Contains(text, "gopher") {
				t.Errorf("%s repeats the host: %s", r.Path, text)
			}
		}
	})
}
