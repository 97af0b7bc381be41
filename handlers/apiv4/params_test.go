package apiv4_test

import (
	"fmt"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/mergegate/mergegate/models"
)

// Creates the same service with every encoding that clients use for parameters.
func TestParameters_AllEncodings_AreEquivalent(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		main := must(s.Store.ProtectedBranchByName(t.Context(), s.Project.ID, "main"))(t).ID
		release := s.other.Branches[0].ProtectedBranchID
		form := url.Values{"name": {"x"}, "external_url": {"https://x.example/"}, "protected_branch_ids[]": {fmt.Sprint(main), fmt.Sprint(release)}}
		repeated := url.Values{"name": {"x"}, "external_url": {"https://x.example/"}, "protected_branch_ids": {fmt.Sprint(main), fmt.Sprint(release)}}
		var parts strings.Builder
		w := multipart.NewWriter(&parts)
		for _, field := range [][2]string{
			{"name", "x"}, {"external_url", "https://x.example/"},
			{"protected_branch_ids[]", fmt.Sprint(main)}, {"protected_branch_ids[]", fmt.Sprint(release)},
		} {
			if err := w.WriteField(field[0], field[1]); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		const json = "application/json"
		for name, test := range map[string]struct{ query, contentType, body string }{
			"json":                   {"", json, fmt.Sprintf(`{"name":"x","external_url":"https://x.example/","protected_branch_ids":[%d,%d],"shared_secret":null}`, main, release)},
			"json, with a charset":   {"", json + "; charset=utf-8", fmt.Sprintf(`{"name":"x","external_url":"https://x.example/","protected_branch_ids":[%d,%d]}`, main, release)},
			"numbers as strings":     {"", json, fmt.Sprintf(`{"name":"x","external_url":"https://x.example/","protected_branch_ids":["%d","%d"],"apply_to_open_merge_requests":"False"}`, main, release)},
			"commas":                 {"", json, fmt.Sprintf(`{"name":"x","external_url":"https://x.example/","protected_branch_ids":"%d, %d"}`, main, release)},
			"form":                   {"", "application/x-www-form-urlencoded", form.Encode()},
			"form, name repeated":    {"", "application/x-www-form-urlencoded", repeated.Encode()},
			"multipart":              {"", w.FormDataContentType(), parts.String()},
			"query and no body":      {"?" + form.Encode(), "", ""},
			"query, {}":              {"?" + form.Encode(), json, "{}"},
			"query, null":            {"?" + form.Encode(), json, "null"},
			"query, nothing as JSON": {"?" + form.Encode(), json, ""},
			"body over query":        {"?name=y", "application/x-www-form-urlencoded", form.Encode()},
		} {
			t.Run(name, func(t *testing.T) {
				header := http.Header{"Private-Token": {s.tokens["maintainer"]}}
				if test.contentType != "" {
					header.Set("Content-Type", test.contentType)
				}
				a := s.wantAnswer(t, s.send("POST", "/projects/olga%2Fpear/external_status_checks"+test.query, test.body, header), 201, `"name":"x"`)
				if n := strings.Count(a.body, `"code_owner_approval_required"`); n != 2 {
					t.Errorf("%d branches in the scope, want 2: %s", n, a.body)
				}
				s.wantAnswer(t, s.do("maintainer", "DELETE", "/projects/olga%2Fpear/external_status_checks/"+a.field(t, "id"), "{}"), 204)
			})
		}
	})
}

func TestParameters_BooleanSpellings_AreAccepted(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		for _, word := range []string{`true`, `"True"`, `"1"`, `1`, `"on"`} {
			for value, want := range map[string]string{word: "true", `"False"`: "false"} {
				a := s.do("maintainer", "PUT", "/projects/olga%2Fpear", `{"only_allow_merge_if_all_status_checks_passed":`+value+`}`)
				s.wantAnswer(t, a, 200)
				if got := a.field(t, "only_allow_merge_if_all_status_checks_passed"); got != want {
					t.Errorf("%s was read as %s", value, got)
				}
			}
		}
		s.wantAnswer(t, s.do("maintainer", "PUT", "/projects/olga%2Fpear", `{"only_allow_merge_if_all_status_checks_passed":"perhaps"}`), 400,
			`{"error":"only_allow_merge_if_all_status_checks_passed is invalid"}`)
	})
}

func TestPagination_SetsHeadersAndLinks(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		for i := range 5 {
			s.Service(fmt.Sprintf("pager%d", i))
		}
		const path = "/projects/olga%2Fpear/external_status_checks"
		a := s.wantAnswer(t, s.do("maintainer", "GET", path+"?page=2&per_page=3", ""), 200)
		for name, want := range map[string]string{
			"X-Page": "2", "X-Per-Page": "3", "X-Total": "7", "X-Total-Pages": "3", "X-Next-Page": "3", "X-Prev-Page": "1",
			"Link": `<https://gate.example/api/v4` + path + `?page=1&per_page=3>; rel="prev", ` +
				`<https://gate.example/api/v4` + path + `?page=3&per_page=3>; rel="next", ` +
				`<https://gate.example/api/v4` + path + `?page=1&per_page=3>; rel="first", ` +
				`<https://gate.example/api/v4` + path + `?page=3&per_page=3>; rel="last"`,
		} {
			if got := a.header.Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		if n := strings.Count(a.body, `"external_url"`); n != 3 {
			t.Errorf("%d services on page 2, want 3", n)
		}
		for query, want := range map[string]int{
			"?page=3&per_page=3": 1, "?page=4&per_page=3": 0, "?page=9223372036854775807": 0, "?per_page=1000": 7, "": 7,
		} {
			a := s.wantAnswer(t, s.do("maintainer", "GET", path+query, ""), 200)
			if n := strings.Count(a.body, `"external_url"`); n != want || !strings.HasPrefix(a.body, "[") {
				t.Errorf("%s: %d services, want %d: %s", query, n, want, a.body)
			}
		}
		for _, query := range []string{"?page=0", "?page=-1", "?page=x", "?per_page=0", "?page=9223372036854775808"} {
			s.wantAnswer(t, s.do("maintainer", "GET", path+query, ""), 400, `"error":"`)
		}
		a = s.send("GET", path+"?per_page=1&private_token="+s.tokens["maintainer"], "", nil)
		if strings.Contains(a.header.Get("Link"), s.tokens["maintainer"]) {
			t.Error("the Link header contains the token")
		}
	})
}

// If a response has several faults, the order decides which one is reported. A
// valid response is stored with all its fields.
func TestSetStatus_ReportsFirstFault(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		const path = "/projects/olga%2Fpear/merge_requests/1/status_check_responses"
		body := func(id int64, sha, status, more string) string {
			return fmt.Sprintf(`{"external_status_check_id":%d,"sha":%q,"status":%q%s}`, id, sha, status, more)
		}
		stale := strings.Repeat("0", 40)
		for name, test := range map[string]struct {
			who, path, body string
			status          int
			text            string
		}{
			"no token":            {"", path, body(s.service.ID, s.mr.HeadSHA, "passed", ""), 401, "401 Unauthorized"},
			"404 before role":     {"outsider", path, "{", 404, "404"},
			"no merge request":    {"reporter", "/projects/1/merge_requests/9/status_check_responses", "{", 404, "404 Merge Request Not Found"},
			"role before params":  {"reporter", path, "{", 403, `{"message":"403 Forbidden"}`},
			"params before check": {"developer", path, body(999, stale, "perhaps", ""), 400, `{"error":"status does not have a valid value"}`},
			"missing":             {"developer", path, `{}`, 400, `{"error":"external_status_check_id is missing, sha is missing, status is missing"}`},
			"status is required":  {"developer", path, fmt.Sprintf(`{"external_status_check_id":%d,"sha":%q}`, s.service.ID, s.mr.HeadSHA), 400, "status is missing"},
			"bad type":            {"developer", path, `{"external_status_check_id":"x","sha":{},"status":"passed"}`, 400, `{"error":"external_status_check_id is invalid, sha is invalid"}`},
			"check before SHA":    {"developer", path, body(999, stale, "passed", ""), 404, "404"},
			"other target":        {"developer", path, body(s.other.ID, s.mr.HeadSHA, "passed", ""), 404, "404"},
			"stale":               {"developer", path, body(s.service.ID, stale, "passed", ""), 409, `{"message":"SHA does not match HEAD of source branch: ` + s.mr.HeadSHA + `"}`},
			"abbreviated":         {"developer", path, body(s.service.ID, s.mr.HeadSHA[:12], "passed", ""), 409, "SHA does not match"},
			"long description":    {"developer", path, body(s.service.ID, s.mr.HeadSHA, "passed", `,"description":"`+strings.Repeat("é", 256)+`"`), 400, "description"},
			"javascript link":     {"developer", path, body(s.service.ID, s.mr.HeadSHA, "passed", `,"target_url":"javascript:alert(1)"`), 400, "target_url"},
		} {
			t.Run(name, func(t *testing.T) {
				s.wantAnswer(t, s.do(test.who, "POST", test.path, test.body), test.status, test.text)
				if got := s.Status(s.mr, s.service); got != models.StatusPending {
					t.Errorf("status became %s", got)
				}
			})
		}

		failed := body(s.service.ID, s.mr.HeadSHA, "failed", `,"description":"3 licences","target_url":"https://x.example/1"`)
		a := s.wantAnswer(t, s.do("developer", "POST", path, failed), 201)
		for field, want := range map[string]string{
			"sha": `"` + s.mr.HeadSHA + `"`, "status": `"failed"`, "description": `"3 licences"`, "target_url": `"https://x.example/1"`,
			"external_status_check": fmt.Sprintf(`{"external_url":"https://checks.example/mr","id":%d,"name":"licences"}`, s.service.ID),
		} {
			if got := a.field(t, field); got != want {
				t.Errorf("%s is %s, want %s", field, got, want)
			}
		}
		a = s.wantAnswer(t, s.do("developer", "POST", path, body(s.service.ID, s.mr.HeadSHA, "passed", "")), 201)
		if a.field(t, "description") != "null" || a.field(t, "target_url") != "null" {
			t.Errorf("after a response without description and target_url: %s", a.body)
		}
		a = s.wantAnswer(t, s.do("reporter", "GET", "/projects/1/merge_requests/1/status_checks", ""), 200, `"external_url":""`, `"status":"passed"`)
		if a.header.Get("Poll-Interval") != "10000" {
			t.Error("no Poll-Interval")
		}
	})
}

func TestStatus_PendingForTwoMinutes_ReadsAsFailed(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		const checks = "/projects/1/merge_requests/1/status_checks"
		s.Clock.Advance(models.DefaultTimeout)
		s.wantAnswer(t, s.do("developer", "GET", checks, ""), 200, `"status":"pending"`)
		s.wantAnswer(t, s.do("developer", "POST", fmt.Sprintf("%s/%d/retry", checks, s.service.ID), ""), 422, "External status check must be failed")
		s.Clock.Advance(1000)
		s.wantAnswer(t, s.do("developer", "GET", checks, ""), 200, `"status":"failed"`)
		s.wantAnswer(t, s.do("developer", "POST", fmt.Sprintf("%s/%d/retry", checks, s.service.ID), "null"), 202, `{"message":"202 Accepted"}`)
		s.wantAnswer(t, s.do("developer", "GET", checks, ""), 200, `"status":"pending"`)
	})
}

func TestKeysetPagination_FollowsLinks(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		s.commit("main", "second", map[string]string{"second.txt": "2\n"})
		s.wantAnswer(t, s.do("developer", "POST", "/projects/1/merge_requests", `{"source_branch":"second","target_branch":"main","title":"Second"}`), 201)
		for path, want := range map[string][]string{
			"/projects/1/merge_requests?order_by=updated_at&sort=asc&private_token=x": {`"iid":1,`, `"iid":2,`},
			"/merge_requests?scope=all":                            {`"iid":2,`, `"iid":1,`},
			"/projects?order_by=id&membership=true":                {`"id":1,`},
			"/projects/1/external_status_checks/1/deliveries":      {`"id":2,`, `"id":1,`},
			"/projects/1/merge_requests?search=Second&view=simple": {`"iid":2,`},
		} {
			separator := "?"
			if strings.Contains(path, "?") {
				separator = "&"
			}
			next := path + separator + "pagination=keyset&per_page=1"
			for _, part := range want {
				a := s.wantAnswer(t, s.do("olga", "GET", next, ""), 200, part)
				if a.header.Get("X-Total") != "" || strings.Contains(a.header.Get("Link"), "private_token") {
					t.Errorf("%s: headers %v", next, a.header)
				}
				link, rest, _ := strings.Cut(strings.TrimPrefix(a.header.Get("Link"), "<https://gate.example/api/v4"), ">")
				if rest != `; rel="next"` {
					t.Fatalf("%s: Link %q", next, a.header.Get("Link"))
				}
				next = link
			}
			if a := s.wantAnswer(t, s.do("olga", "GET", next, ""), 200); a.body != "[]\n" && a.body != "[]" || a.header.Get("Link") != "" {
				t.Errorf("%s after the last page: %s, %v", next, a.body, a.header)
			}
		}
		s.wantAnswer(t, s.do("olga", "GET", "/projects/1/merge_requests?pagination=keyset&order_by=title", ""), 405, "Keyset pagination is not yet available")
		s.wantAnswer(t, s.do("olga", "GET", "/projects/1/merge_requests?pagination=keyset&cursor=!", ""), 400, "cursor does not have a valid value")
	})
}
