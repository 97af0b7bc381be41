package apiv4_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/mergegate/mergegate/models"
)

// The list of all projects contains the merge requests that the user may see; by
// default only their own.
func TestMergeRequests_AllProjects_ListsVisibleOnes(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		for _, test := range []struct {
			who, query string
			n          int
		}{
			{"olga", "", 1}, {"reporter", "", 0}, {"reporter", "?scope=all", 1}, {"guest", "?scope=all", 0}, {"outsider", "?scope=all", 0},
			{"root", "?scope=all", 1}, {"olga", "?scope=assigned_to_me", 0}, {"olga", "?author_id=999", 0}, {"olga", "?scope=all&author_id=999", 0},
			{"reporter", "?scope=all&state=opened&source_branch=feature", 1}, {"reporter", "?scope=all&state=merged", 0},
		} {
			a := s.wantAnswer(t, s.do(test.who, "GET", "/merge_requests"+test.query, ""), 200)
			if got := a.header.Get("X-Total"); got != fmt.Sprint(test.n) {
				t.Errorf("%s%s: %s merge requests, want %d", test.who, test.query, got, test.n)
			}
		}
		s.wantAnswer(t, s.do("olga", "GET", "/merge_requests?scope=mine", ""), 400, "scope does not have a valid value")
		public, gate := models.VisibilityPublic, true
		update := models.ProjectUpdate{Visibility: &public, OnlyAllowMergeIfAllStatusChecksPassed: &gate}
		if _, err := s.Store.UpdateProject(t.Context(), s.Owner, s.Project.ID, update); err != nil {
			t.Fatal(err)
		}
		s.wantAnswer(t, s.do("guest", "GET", "/merge_requests?scope=all", ""), 200, `"detailed_merge_status":"merge_request_blocked"`)
		s.wantAnswer(t, s.do("reporter", "GET", "/merge_requests?scope=all", ""), 200, `"detailed_merge_status":"status_checks_must_pass"`)
	})
}

func TestMerge_AutoMerge_MergesAtOnceOrIsRefused(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		s.wantAnswer(t, s.do("olga", "PUT", "/projects/1", `{"only_allow_merge_if_all_status_checks_passed":true}`), 200)
		const merge, body = "/projects/1/merge_requests/1/merge", `{"auto_merge":true,"should_remove_source_branch":true}`
		s.wantAnswer(t, s.do("olga", "PUT", merge, body), 405, `"detailed_merge_status":"status_checks_must_pass"`)
		passed := fmt.Sprintf(`{"external_status_check_id":1,"sha":%q,"status":"passed"}`, s.mr.HeadSHA)
		s.wantAnswer(t, s.do("olga", "POST", "/projects/1/merge_requests/1/status_check_responses", passed), 201)
		s.wantAnswer(t, s.do("olga", "PUT", merge, body), 200, `"state":"merged"`)
		s.wantAnswer(t, s.do("olga", "GET", "/projects/1/repository/branches/feature", ""), 404)
	})
}

func TestResponses_AreListedNewestFirst(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		const path = "/projects/1/merge_requests/1/status_checks/1/responses"
		s.wantAnswer(t, s.do("reporter", "GET", path, ""), 200, "[]")
		for _, word := range []string{"failed", "pending", "passed"} {
			s.wantAnswer(t, s.do("developer", "POST", "/projects/1/merge_requests/1/status_check_responses",
				fmt.Sprintf(`{"external_status_check_id":1,"sha":%q,"status":%q,"description":"it %s"}`, s.mr.HeadSHA, word, word)), 201)
		}
		a := s.wantAnswer(t, s.do("reporter", "GET", path+"?per_page=2", ""), 200, `"description":"it passed"`, `"description":"it pending"`)
		if a.header.Get("X-Total") != "3" || a.header.Get("X-Next-Page") != "2" {
			t.Errorf("pagination headers: %v", a.header)
		}
		s.wantAnswer(t, s.do("reporter", "GET", "/projects/1/merge_requests/1/status_checks/2/responses", ""), 404)
		s.wantAnswer(t, s.do("guest", "GET", path, ""), 404)
	})
}

func TestRoutes_UnknownMethodOrPath_IsRefusedInJSON(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		for _, test := range []struct {
			method, path string
			status       int
			allow        string
		}{
			{"DELETE", "/version", 405, "GET, HEAD"},
			{"PATCH", "/projects/olga%2Fpear", 405, "DELETE, GET, HEAD, PUT"},
			{"GET", "/projects/1/merge_requests/1/merge", 405, "PUT"},
			{"POST", "/projects/1/protected_branches/a%2Fb", 405, "DELETE, GET, HEAD, PATCH"},
			{"OPTIONS", "/projects", 405, "GET, HEAD, POST"},
			{"GET", "/projects/1/push_rule", 404, ""},
			{"POST", "/oranges", 404, ""},
			{"GET", "", 404, ""},
		} {
			a := s.wantAnswer(t, s.send(test.method, test.path, "", http.Header{}), test.status, `{"error":"`)
			if got := a.header.Get("Allow"); got != test.allow {
				t.Errorf("%s %s: Allow is %q, want %q", test.method, test.path, got, test.allow)
			}
		}
	})
}
