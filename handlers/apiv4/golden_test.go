package apiv4_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mergegate/mergegate/models"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// randomValues matches what differs from run to run: tokens and UUIDs.
var randomValues = regexp.MustCompile(`mgat-[0-9A-Za-z]{32}|project_1_bot_[0-9a-f]{12}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// Compares complete answers with golden files, which are the same for both
// databases. The clock and the commit ids of a site do not change between runs.
func TestEntities_MatchGoldens(t *testing.T) {
	const p, mr = "/projects/olga%2Fpear", "/projects/olga%2Fpear/merge_requests/1"
	eachDatabase(t, func(t *testing.T, s *testSite) {
		s.tag("v1", "feature")
		response := `{"external_status_check_id":1,"sha":"` + s.mr.HeadSHA + `","status":"passed",` +
			`"description":"all good","target_url":"https://checks.example/1"}`
		for _, test := range []struct{ name, method, path, body string }{
			{"version", "GET", "/version", ""},
			{"metadata", "GET", "/metadata", ""},
			{"settings", "GET", "/application/settings", ""},
			{"user", "GET", "/user", ""},
			{"project", "GET", p + "?license=true&with_custom_attributes=true", ""},
			{"services", "GET", p + "/external_status_checks", ""},
			{"protected_branches", "GET", p + "/protected_branches", ""},
			{"members", "GET", p + "/members/all?per_page=2", ""},
			{"merge_requests", "GET", p + "/merge_requests", ""},
			{"merge_requests_simple", "GET", p + "/merge_requests?view=simple", ""},
			{"projects_simple", "GET", "/projects?simple=true", ""},
			{"other_user", "GET", "/users/1", ""},
			{"merge_request", "GET", mr + "?include_diverged_commits_count=true&include_rebase_in_progress=true&render_html=true", ""},
			{"merge_request_changes", "GET", mr + "/changes", ""},
			{"commits", "GET", mr + "/commits", ""},
			{"diffs", "GET", mr + "/diffs", ""},
			{"version_of_merge_request", "GET", mr + "/versions/1", ""},
			{"branches", "GET", p + "/repository/branches", ""},
			{"tree", "GET", p + "/repository/tree?ref=feature", ""},
			{"file", "GET", p + "/repository/files/pears.txt?ref=feature", ""},
			{"tags", "GET", p + "/repository/tags", ""},
			{"commit_diff", "GET", p + "/repository/commits/feature/diff", ""},
			{"compare", "GET", p + "/repository/compare?from=main&to=feature", ""},
			{"checks", "GET", mr + "/status_checks", ""},
			{"response", "POST", mr + "/status_check_responses", response},
			{"approvals", "POST", mr + "/approve", ""},
			{"approval_state", "GET", mr + "/approval_state", ""},
			{"deliveries", "GET", p + "/external_status_checks/1/deliveries", ""},
			{"delivery", "GET", p + "/external_status_checks/1/deliveries/1", ""},
			{"test_delivery", "POST", p + "/external_status_checks/1/test", ""},
			{"redelivery", "POST", p + "/external_status_checks/1/deliveries/1/redeliver", ""},
			{"project_token", "POST", p + "/access_tokens", `{"name":"robot","scopes":["read_api"],"access_level":20,"expires_at":"2027-01-31"}`},
			{"own_token", "GET", "/personal_access_tokens/self", ""},
			{"merged", "PUT", mr + "/merge", `{"sha":"` + s.mr.HeadSHA + `"}`},
		} {
			t.Run(test.name, func(t *testing.T) {
				a := s.do("root", test.method, test.path, test.body)
				if a.status >= 300 {
					t.Fatalf("%d %s", a.status, a.body)
				}
				var got bytes.Buffer
				if err := json.Indent(&got, randomValues.ReplaceAll([]byte(a.body), []byte("RANDOM")), "", "  "); err != nil {
					t.Fatal(err)
				}
				assertGolden(t, filepath.Join("testdata", test.name+".golden.json"), got.Bytes())
			})
		}
	})
}

func assertGolden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs (run with -update if the change is intended):\n%s", path, diff)
	}
}

func TestMergeRequest_WithoutRightToSeeChecks_HidesThem(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		public, gate := models.VisibilityPublic, true
		update := models.ProjectUpdate{Visibility: &public, OnlyAllowMergeIfAllStatusChecksPassed: &gate}
		if _, err := s.Store.UpdateProject(t.Context(), s.Owner, s.Project.ID, update); err != nil {
			t.Fatal(err)
		}
		s.wantAnswer(t, s.do("reporter", "GET", "/projects/1/merge_requests/1", ""), 200, `"detailed_merge_status":"status_checks_must_pass"`)
		s.wantAnswer(t, s.do("outsider", "GET", "/projects/1/merge_requests/1", ""), 200, `"detailed_merge_status":"merge_request_blocked"`)
		s.wantAnswer(t, s.do("outsider", "GET", "/projects/1/merge_requests", ""), 200, `"detailed_merge_status":"merge_request_blocked"`)
		s.wantAnswer(t, s.do("outsider", "GET", "/projects/1/merge_requests/1/status_checks", ""), 404)
		s.wantAnswer(t, s.do("olga", "PUT", "/projects/1/merge_requests/1/merge", ""), 405, `"detailed_merge_status":"status_checks_must_pass"`)

		internal := models.VisibilityInternal
		if _, err := s.Store.UpdateProject(t.Context(), s.Owner, s.Project.ID, models.ProjectUpdate{Visibility: &internal}); err != nil {
			t.Fatal(err)
		}
		s.wantAnswer(t, s.do("outsider", "GET", "/projects/1/merge_requests/1/status_checks", ""), 200, `"status":"pending"`, `"external_url":""`)
	})
}

func TestMerge_Conflict_NamesFilesAndStaysOpen(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		s.commit("main", "main", map[string]string{"pears.txt": "williams\n"})
		s.wantAnswer(t, s.do("maintainer", "GET", "/projects/1/merge_requests/1", ""), 200, `"detailed_merge_status":"conflict"`, `"has_conflicts":true`)
		s.wantAnswer(t, s.do("maintainer", "PUT", "/projects/1/merge_requests/1/merge", "null"), 405, `"conflicts":["pears.txt"]`)
		s.wantAnswer(t, s.do("maintainer", "GET", "/projects/1/merge_requests/1", ""), 200, `"state":"opened"`)
		s.wantAnswer(t, s.do("developer", "PUT", "/projects/1/merge_requests/1/merge", "{}"), 403, "403 Forbidden")
	})
}
