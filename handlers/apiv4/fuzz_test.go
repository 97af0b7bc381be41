package apiv4_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/mergegate/mergegate/models/modelstest"
)

// currentTest forwards to the test of the current input, so that all inputs share
// one site.
type currentTest struct{ testing.TB }

func fuzzSite(f *testing.F) (*testSite, *currentTest) {
	now := &currentTest{f}
	return newSite(now, modelstest.SQLite(f)), now
}

// FuzzParameters sends random queries and bodies to routes that read parameters.
// The answer must never be a server error and must match openapi.yaml.
func FuzzParameters(f *testing.F) {
	for _, seed := range []struct{ query, kind, body string }{
		{"", "application/json", `{"name":"n","external_url":"https://n.example/","protected_branch_ids":["1",2]}`},
		{"", "application/json", `{"external_status_check_id":1,"sha":"x","status":"passed","target_url":"https://[::1"}`},
		{"page=0&per_page=-1", "application/json", `null`},
		{"name[]=a&name[b][c]=d", "application/x-www-form-urlencoded", "scopes[]=api&expires_at=2027-02-30&access_level=1e9"},
		{"state=opened&iids[]=1&created_after=2020-01-01", "multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nx\r\n--b--\r\n"},
		{"search=%25_%5c&order_by=title", "", ""},
		{"scope=all&author_id=9223372036854775808", "application/json; charset=\"", `{"allowed_to_push":[{"access_level":"40","_destroy":1}],"title":1e400}`},
	} {
		for route := range fuzzRoutes {
			f.Add(uint8(route), seed.query, seed.kind, seed.body)
		}
	}
	s, now := fuzzSite(f)
	f.Fuzz(func(t *testing.T, route uint8, query, kind, body string) {
		now.TB = t
		r := fuzzRoutes[int(route)%len(fuzzRoutes)]
		if strings.ContainsFunc(query, func(c rune) bool { return c <= ' ' || c == 0x7f }) {
			return // net/http refuses such requests
		}
		header := http.Header{"Private-Token": {s.tokens["olga"]}, "Content-Type": {kind}}
		a := s.send(r.method, r.path+"?"+query, body, header)
		if a.status >= 500 || a.status < 200 || a.status >= 300 && a.status < 400 {
			t.Errorf("%s %s?%q with %q %q: %d %s", r.method, r.path, query, kind, body, a.status, a.body)
		}
	})
}

// FuzzPath sends GET requests with random paths. The answer must never be a server
// error.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{
		"/projects/olga%2Fpear", "/projects/1/merge_requests/1/status_checks", "/projects/1/protected_branches/release%2F*", "/projects/1/repository/commits/HEAD~1",
		"/projects/1/repository/branches/%00", "/users/%ff", "/projects/1/external_status_checks/1/deliveries/9223372036854775807", "/..%2f..", "//", "/namespaces/%F0%9F%92%A5",
	} {
		f.Add(seed)
	}
	s, now := fuzzSite(f)
	f.Fuzz(func(t *testing.T, path string) {
		now.TB = t
		_, err := http.NewRequest("GET", "http://gate.example/api/v4"+path, nil)
		if err != nil || strings.ContainsFunc(path, func(c rune) bool { return c <= ' ' || c >= 0x7f }) {
			return // net/http refuses such requests
		}
		if a := s.send("GET", path, "", http.Header{"Private-Token": {s.tokens["olga"]}}); a.status >= 500 {
			t.Errorf("%q: %d %s", path, a.status, a.body)
		}
	})
}

// fuzzRoutes are routes that read parameters. Routes that would delete the site's
// data are left out.
var fuzzRoutes = []struct{ method, path string }{
	{"POST", "/projects/1/external_status_checks"}, {"PUT", "/projects/1/external_status_checks/2"},
	{"POST", "/projects/1/merge_requests/1/status_check_responses"}, {"POST", "/projects/1/merge_requests"}, {"PUT", "/projects/1/merge_requests/1"},
	{"PUT", "/projects/1/merge_requests/1/merge"}, {"POST", "/projects/1/merge_requests/1/approve"}, {"POST", "/projects"}, {"PUT", "/projects/1"},
	{"POST", "/projects/1/members"}, {"PUT", "/projects/1/members/4"}, {"POST", "/projects/1/protected_branches"}, {"PATCH", "/projects/1/protected_branches/main"},
	{"POST", "/projects/1/access_tokens"}, {"POST", "/user/personal_access_tokens"}, {"GET", "/merge_requests"}, {"GET", "/projects"},
	{"GET", "/projects/1/merge_requests"}, {"GET", "/projects/1/repository/commits"}, {"GET", "/projects/1/repository/compare"}, {"GET", "/projects/1/members"},
	{"GET", "/personal_access_tokens"}, {"GET", "/users"},
}
