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

// auto_merge sets auto-merge while a check has not passed, in projects with and without
// "Status checks must succeed", and merges at once otherwise.
func TestMerge_AutoMerge_IsSetCancelledAndReplaced(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		const mr = "/projects/1/merge_requests/1"
		const merge, cancel = mr + "/merge", mr + "/cancel_merge_when_pipeline_succeeds"
		const isSet, isNotSet = `"merge_when_pipeline_succeeds":true`, `"merge_when_pipeline_succeeds":false`
		respond := func(status string) {
			t.Helper()
			body := fmt.Sprintf(`{"external_status_check_id":1,"sha":%q,"status":%q}`, s.mr.HeadSHA, status)
			s.wantAnswer(t, s.do("olga", "POST", mr+"/status_check_responses", body), 201)
		}
		s.wantAnswer(t, s.do("maintainer", "POST", cancel, ""), 406, `{"message":"Can't cancel the automatic merge"}`)
		s.wantAnswer(t, s.do("developer", "PUT", merge, `{"auto_merge":true}`), 403)
		s.wantAnswer(t, s.do("maintainer", "PUT", merge, `{"auto_merge":true,"sha":"0000"}`), 409)
		set := s.wantAnswer(t, s.do("maintainer", "PUT", merge+"?auto_merge=true&sha="+s.mr.HeadSHA, ""), 200, isSet, `"state":"opened"`, `"merged_by":null`)
		wantMergeUser(t, set)
		s.wantAnswer(t, s.do("maintainer", "POST", cancel, "{}"), 201, isNotSet, `"merge_user":null`)

		s.wantAnswer(t, s.do("olga", "PUT", "/projects/1", `{"only_allow_merge_if_all_status_checks_passed":true}`), 200)
		respond("failed")
		s.wantAnswer(t, s.do("olga", "PUT", merge, `{"merge_when_pipeline_succeeds":"true","squash":true}`), 200, isSet)
		// Sent again, it replaces the options and the user.
		s.wantAnswer(t, s.do("maintainer", "PUT", merge, `{"auto_merge":true,"should_remove_source_branch":true}`), 200, isSet)
		s.wantAnswer(t, s.do("reporter", "GET", mr, ""), 200, isSet)
		s.wantAnswer(t, s.do("reporter", "GET", "/projects/1/merge_requests", ""), 200, isSet)
		if claimed, err := s.Store.ClaimAutoMerges(t.Context(), 10); err != nil || len(claimed) != 0 {
			t.Fatalf("%d due with a failed check, %v", len(claimed), err)
		}
		// Whoever may not see checks does not learn of it.
		public := models.VisibilityPublic
		if _, err := s.Store.UpdateProject(t.Context(), s.Owner, s.Project.ID, models.ProjectUpdate{Visibility: &public}); err != nil {
			t.Fatal(err)
		}
		s.wantAnswer(t, s.do("outsider", "GET", mr, ""), 200, isNotSet, `"merge_user":null`)
		respond("passed")
		claimed, err := s.Store.ClaimAutoMerges(t.Context(), 10)
		if err != nil || len(claimed) != 1 {
			t.Fatalf("%d due, %v", len(claimed), err)
		}
		if merged, err := s.Store.RunAutoMerge(t.Context(), claimed[0]); err != nil || !merged {
			t.Fatalf("merged %v, %v", merged, err)
		}
		merged := s.wantAnswer(t, s.do("olga", "GET", mr, ""), 200, isNotSet, `"state":"merged"`, `"squash_commit_sha":null`)
		wantMergeUser(t, merged)
		s.wantAnswer(t, s.do("olga", "GET", "/projects/1/repository/branches/feature", ""), 404)
		s.wantAnswer(t, s.do("olga", "POST", cancel, ""), 405)
		s.wantAnswer(t, s.do("olga", "PUT", merge, `{"auto_merge":true}`), 405)
	})
}

// The reason why auto-merge ended is in merge_error and in the audit events.
func TestMerge_AutoMergeAborted_SaysWhy(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		const mr, auto = "/projects/1/merge_requests/1", `{"auto_merge":true}`
		const why, none = `"merge_error":"Auto-merge was cancelled: the merge request was marked as draft"`, `"merge_error":null`
		s.wantAnswer(t, s.do("maintainer", "PUT", mr+"/merge", auto), 200, none)
		s.wantAnswer(t, s.do("maintainer", "PUT", mr, `{"title":"Draft: trim the cache"}`), 200, why)
		s.wantAnswer(t, s.do("reporter", "GET", mr, ""), 200, why, `"merge_when_pipeline_succeeds":false`)
		s.wantAnswer(t, s.do("root", "GET", "/audit_events?entity_type=Project&entity_id=1", ""), 200, `{"field":"reason","to":"draft_status"}`)
		public := models.VisibilityPublic
		if _, err := s.Store.UpdateProject(t.Context(), s.Owner, s.Project.ID, models.ProjectUpdate{Visibility: &public}); err != nil {
			t.Fatal(err)
		}
		s.wantAnswer(t, s.do("outsider", "GET", mr, ""), 200, none)
		s.wantAnswer(t, s.do("maintainer", "PUT", mr, `{"title":"Trim the cache"}`), 200, why)
		s.wantAnswer(t, s.do("maintainer", "PUT", mr+"/merge", auto), 200, none)
	})
}

func wantMergeUser(t *testing.T, a answer) {
	t.Helper()
	object, _ := a.json(t).(map[string]any)
	if user, _ := object["merge_user"].(map[string]any); user["username"] != "maintainer" {
		t.Errorf("merge_user = %v", user)
	}
}

func TestMerge_AutoMergeWithPassedChecks_MergesAtOnce(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		passed := fmt.Sprintf(`{"external_status_check_id":1,"sha":%q,"status":"passed"}`, s.mr.HeadSHA)
		s.wantAnswer(t, s.do("olga", "POST", "/projects/1/merge_requests/1/status_check_responses", passed), 201)
		s.wantAnswer(t, s.do("olga", "PUT", "/projects/1/merge_requests/1/merge", `{"auto_merge":true,"should_remove_source_branch":true}`), 200, `"state":"merged"`)
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
