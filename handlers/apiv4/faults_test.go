package apiv4_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// invalidValues are values that are invalid for at least some fields.
var invalidValues = []string{
	`null`, `""`, `" "`, `[]`, `{}`, `true`, `0`, `-1`, `1.5`, `1e400`, `9223372036854775808`, `"9223372036854775807"`,
	`"a\u0000b"`, `"\ud800"`, `"💥\u202e"`, `"../../etc"`, `"%2e%2e%2f"`, `[null]`, `[[1]]`, `[{"access_level":"x"}]`, `["x"]`, `{"a":{"b":[]}}`,
	`"` + strings.Repeat("x", 3000) + `"`,
}

// writeRoutes are routes that write, with valid values for their parameters.
var writeRoutes = []struct {
	method, path string
	values       map[string]string
}{
	{"POST", "/projects/1/external_status_checks", map[string]string{
		"name": `"n"`, "external_url": `"https://n.example/"`, "shared_secret": `"s"`, "protected_branch_ids": `[]`, "apply_to_open_merge_requests": `true`}},
	{"PUT", "/projects/1/external_status_checks/2", map[string]string{
		"name": `"m"`, "external_url": `"https://m.example/"`, "shared_secret": `""`, "protected_branch_ids": `[]`}},
	{"POST", "/projects/1/merge_requests/1/status_check_responses", map[string]string{
		"external_status_check_id": `1`, "sha": `"SHA"`, "status": `"passed"`, "description": `"d"`, "target_url": `"https://d.example/"`}},
	{"POST", "/projects/1/merge_requests", map[string]string{
		"title": `"t"`, "source_branch": `"spare"`, "target_branch": `"main"`, "description": `"d"`, "target_project_id": `1`, "squash": `true`}},
	{"PUT", "/projects/1/merge_requests/1", map[string]string{
		"title": `"t"`, "description": `"d"`, "target_branch": `"main"`, "state_event": `"reopen"`, "remove_source_branch": `false`}},
	{"PUT", "/projects/1/merge_requests/1/merge", map[string]string{
		"sha": `"0000"`, "squash": `true`, "merge_commit_message": `"m"`, "auto_merge": `true`, "should_remove_source_branch": `false`}},
	{"POST", "/projects/1/merge_requests/1/approve", map[string]string{"sha": `"SHA"`}},
	{"POST", "/projects", map[string]string{
		"name": `"p"`, "path": `"p"`, "namespace_id": `1`, "description": `"d"`, "visibility": `"public"`, "default_branch": `"main"`,
		"initialize_with_readme": `true`}},
	{"PUT", "/projects/1", map[string]string{
		"name": `"pear"`, "path": `"pear"`, "description": `"d"`, "default_branch": `"main"`, "visibility": `"private"`}},
	{"POST", "/projects/1/members", map[string]string{"user_id": `3`, "access_level": `10`, "username": `"outsider"`}},
	{"PUT", "/projects/1/members/4", map[string]string{"access_level": `10`}},
	{"POST", "/projects/1/protected_branches", map[string]string{
		"name": `"b"`, "push_access_level": `40`, "merge_access_level": `40`, "allow_force_push": `false`, "allowed_to_push": `[]`}},
	{"PATCH", "/projects/1/protected_branches/main", map[string]string{"allow_force_push": `false`, "allowed_to_merge": `[]`}},
	{"POST", "/projects/1/access_tokens", map[string]string{"name": `"k"`, "scopes": `["api"]`, "access_level": `10`, "expires_at": `"2027-01-01"`}},
	{"POST", "/user/personal_access_tokens", map[string]string{"name": `"k"`, "scopes": `["api"]`, "expires_at": `"2027-01-01"`}},
}

// Sets each field of each route to each invalid value. The answer must not be a
// server error, and a refused request must not write anything.
func TestExhaustiveFields_InvalidValue_GetsCleanAnswer(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		s.commit("main", "spare", map[string]string{"spare.txt": "x\n"})
		for _, route := range writeRoutes {
			for field := range route.values {
				for _, value := range invalidValues {
					var members []string
					for name, good := range route.values {
						if name == field {
							good = value
						}
						members = append(members, fmt.Sprintf("%q:%s", name, strings.ReplaceAll(good, "SHA", s.mr.HeadSHA)))
					}
					before := s.countRows(t)
					a := s.do("olga", route.method, route.path, "{"+strings.Join(members, ",")+"}")
					s.assertCleanAnswer(t, a, fmt.Sprintf("%s %s with %s=%s", route.method, route.path, field, shorten(value)), before)
				}
			}
		}
	})
}

func TestBody_Invalid_IsRefused(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		const path = "/projects/1/external_status_checks"
		const good = `{"name":"n","external_url":"https://n.example/","description":"`
		for name, test := range map[string]struct {
			contentType, body string
			status            int
		}{
			"not JSON":           {"application/json", `{"name":`, 400},
			"two objects":        {"application/json", `{} {}`, 400},
			"a list":             {"application/json", `[1]`, 400},
			"a string":           {"application/json", `"x"`, 400},
			"deep":               {"application/json", strings.Repeat(`{"a":`, 20000), 400},
			"not UTF-8":          {"application/json", "{\"name\":\"\xff\xfe\"}", 400},
			"NUL":                {"application/json", `{"name":"a\u0000"}`, 400},
			"form, not UTF-8":    {"application/x-www-form-urlencoded", "name=%ff&external_url=https://n.example/", 400},
			"form, NUL":          {"application/x-www-form-urlencoded", "name=%00&external_url=https://n.example/", 400},
			"form, bad escape":   {"application/x-www-form-urlencoded", "name=%zz", 400},
			"no boundary":        {"multipart/form-data", "x", 400},
			"multipart, cut off": {"multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nx", 400},
			"unknown type":       {"text/xml", "<a/>", 415},
			"no content type":    {"", `{"name":"n"}`, 415},
			"bad content type":   {"; ;", `{"name":"n"}`, 400},
			"10 MB":              {"application/json", good + strings.Repeat("x", 10<<20) + `"}`, 413},
		} {
			t.Run(name, func(t *testing.T) {
				before := s.countRows(t)
				header := http.Header{"Private-Token": {s.tokens["olga"]}}
				if test.contentType != "" {
					header.Set("Content-Type", test.contentType)
				}
				a := s.wantAnswer(t, s.send("POST", path, test.body, header), test.status, `{"error":"`)
				s.assertCleanAnswer(t, a, name, before)
			})
		}
	})
}

// Paths with unknown or malformed ids get 404. Malformed queries get a clean answer.
func TestPath_UnknownID_IsNotFound(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		segments := []string{
			"0", "-1", "9223372036854775808", "x", "%00", "%ff", "%2F", "a%2Fb%2Fc", "..", "%2e%2e", "main%2F..", "*",
			"%20", "100%25", "olga%2F", "'", "@", "HEAD", strings.Repeat("x", 2000),
		}
		templates := []string{
			"/projects/%s", "/projects/1/merge_requests/%s", "/projects/1/merge_requests/1/versions/%s", "/projects/1/members/%s",
			"/projects/1/external_status_checks/%s/deliveries", "/projects/1/external_status_checks/1/deliveries/%s",
			"/projects/1/protected_branches/%s", "/projects/1/repository/branches/%s", "/projects/1/repository/commits/%s",
			"/projects/1/access_tokens/%s", "/personal_access_tokens/%s", "/users/%s", "/namespaces/%s",
		}
		for _, template := range templates {
			for _, part := range segments {
				before := s.countRows(t)
				path := fmt.Sprintf(template, part)
				a := s.do("olga", "GET", path, "")
				if a.status != 404 {
					t.Errorf("GET %s: %d, want 404: %s", path, a.status, a.body)
				}
				s.assertCleanAnswer(t, a, path, before)
			}
		}
		queries := []string{
			"search=", "search=%00", "search=%ff", "search=%25_%5C", "order_by=x", "sort=up", "state=x", "author_id=x",
			"author_username=%00", "iids[]=x", "created_after=yesterday", "visibility=x", "owned=perhaps",
			"ref_name=%00", "ref_name=..", "from=x&to=y", "from=main&to=feature&straight=x", "%zz", "a[b][c]=d",
		}
		lists := []string{
			"/projects", "/projects/1/merge_requests", "/projects/1/members", "/projects/1/protected_branches",
			"/projects/1/repository/branches", "/projects/1/repository/commits", "/projects/1/repository/compare", "/users",
		}
		for _, query := range queries {
			for _, path := range lists {
				before := s.countRows(t)
				s.assertCleanAnswer(t, s.do("root", "GET", path+"?"+query, ""), path+"?"+query, before)
			}
		}
		s.wantAnswer(t, s.do("olga", "GET", "/projects/1/repository/compare?from=main&to="+url.QueryEscape("feature"), ""), 200, `"new_path":"pears.txt"`)
	})
}

func shorten(text string) string { return text[:min(len(text), 40)] }

// countRows returns the numbers of rows in the main tables, for comparison.
func (s *testSite) countRows(t *testing.T) string {
	t.Helper()
	var counts [10]int
	err := s.Store.DB().QueryRowContext(t.Context(), `SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM projects), (SELECT count(*) FROM members),
		(SELECT count(*) FROM access_tokens), (SELECT count(*) FROM protected_branches), (SELECT count(*) FROM external_status_checks),
		(SELECT count(*) FROM merge_requests), (SELECT count(*) FROM status_check_responses), (SELECT count(*) FROM deliveries),
		(SELECT count(*) FROM audit_events)`).Scan(&counts[0], &counts[1], &counts[2], &counts[3], &counts[4], &counts[5], &counts[6], &counts[7], &counts[8], &counts[9])
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(counts)
}

// assertCleanAnswer fails the test if the answer is a redirect or a server error,
// or if it is a refusal that is not JSON or that has changed the number of rows.
// before is the result of countRows before the request.
func (s *testSite) assertCleanAnswer(t *testing.T, a answer, what, before string) {
	t.Helper()
	if a.status >= 500 || a.status < 200 || a.status >= 300 && a.status < 400 {
		t.Errorf("%s: %d %s", what, a.status, a.body)
	}
	if a.status >= 400 {
		a.json(t)
		if after := s.countRows(t); after != before {
			t.Errorf("%s: refused with %d, but row counts changed from %s to %s", what, a.status, before, after)
		}
	}
}
