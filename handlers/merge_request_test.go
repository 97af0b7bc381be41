package handlers

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mergegate/mergegate/gitrepo"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

func TestMergeBox_Blocked_NamesEveryReason(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		failing, _ := s.Service("licence"), s.Service("security")
		third := s.Service("load")
		mr := s.openMergeRequest("topic")
		developer := s.as(s.Member("dev", models.RoleDeveloper))
		if err := s.Respond(mr, failing, mr.HeadSHA, models.StatusFailed); err != nil {
			t.Fatal(err)
		}
		// Without the gate checks do not block.
		page := s.as(s.Owner).get(s.mrPath(mr, "")).wantStatus(200)
		if got := page.text("#merge-state"); got != "Ready to merge1 check failed, 2 pending. This project does not require status checks to succeed." {
			t.Errorf("without the gate: %q", got)
		}
		s.setGate(true)
		if got := s.as(s.Owner).get(s.mrPath(mr, "")).text("#merge-h"); got != "Merge blocked: 1 check failed, 2 pending" {
			t.Errorf("with the gate: %q", got)
		}
		for _, service := range []models.ExternalStatusCheck{failing, third} {
			if err := s.Respond(mr, service, mr.HeadSHA, models.StatusFailed); err != nil {
				t.Fatal(err)
			}
		}
		if got := s.as(s.Owner).get(s.mrPath(mr, "")).text("#merge-h"); got != "Merge blocked: 2 checks failed, 1 pending" {
			t.Errorf("with the gate: %q", got)
		}

		unmet := func(v visitor) string {
			var list []string
			for _, item := range v.get(s.mrPath(mr, "")).wantStatus(200).Find("#merge-checks li").EachIter() {
				if text, found := strings.CutPrefix(collapseSpace(item.Text()), "Not met: "); found {
					list = append(list, text)
				}
			}
			return strings.Join(list, " | ")
		}
		s.setGate(false)
		if got := unmet(s.as(s.Owner)); got != "" {
			t.Errorf("unmet conditions %q, want none", got)
		}
		if got := unmet(developer); got != "You must be allowed to merge into main." {
			t.Errorf("a Developer and a protected branch: %s", got)
		}
		developer.post(s.mrPath(mr, "/merge"), url.Values{"sha": {mr.HeadSHA}}).wantStatus(403)

		s.Git.Conflicts = []string{"src/pear.go", "leaf.txt"}
		s.Push("main")
		if got := unmet(s.as(s.Owner)); !strings.Contains(got, "Merge conflicts must be resolved. 2 files conflict:src/pear.goleaf.txt") {
			t.Errorf("conflicts: %s", got)
		}
		conflict := s.as(s.Owner).post(s.mrPath(mr, "/merge"), url.Values{"sha": {mr.HeadSHA}}).wantStatus(422)
		if !strings.Contains(conflict.text("#refused"), "conflict") {
			t.Errorf("message = %q", conflict.text("#refused"))
		}
		s.Git.Conflicts = nil
		s.Push("main")

		draft := true
		if _, err := s.Store.UpdateMergeRequest(t.Context(), s.Owner, mr.ProjectID, mr.IID, models.MergeRequestUpdate{Draft: &draft}); err != nil {
			t.Fatal(err)
		}
		if got := unmet(s.as(s.Owner)); got != "Merge request must not be draft." {
			t.Errorf("draft: %s", got)
		}
		draft = false
		if _, err := s.Store.UpdateMergeRequest(t.Context(), s.Owner, mr.ProjectID, mr.IID, models.MergeRequestUpdate{Draft: &draft}); err != nil {
			t.Fatal(err)
		}

		stale := s.as(s.Owner).post(s.mrPath(mr, "/merge"), url.Values{"sha": {strings.Repeat("0", 40)}}).wantStatus(409)
		if !strings.Contains(stale.text("#refused"), "New commits were pushed") {
			t.Errorf("message = %q", stale.text("#refused"))
		}

		s.Git.SetBranch(s.Project.ID, "topic", "")
		s.RecordPush("topic", mr.HeadSHA, strings.Repeat("0", 40))
		if got := unmet(s.as(s.Owner)); got != "Source branch must exist." {
			t.Errorf("source gone: %s", got)
		}
		main := s.Git.Tip(s.Project.ID, "main")
		s.Git.SetBranch(s.Project.ID, "main", "")
		if got := unmet(s.as(s.Owner)); !strings.Contains(got, "Target branch must exist.") {
			t.Errorf("target gone: %s", got)
		}
		s.as(s.Owner).get(s.mrPath(mr, "/commits")).wantStatus(200)
		s.as(s.Owner).get(s.mrPath(mr, "/diffs")).wantStatus(200)
		s.Git.SetBranch(s.Project.ID, "main", main)
	})
}

func TestMergeBox_NoCommits_BlocksMerge(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	mr := s.openMergeRequest("topic")
	// A force push moves the source to the commit of the target.
	main := s.Git.Tip(s.Project.ID, "main")
	s.Git.SetBranch(s.Project.ID, "topic", main)
	s.RecordPush("topic", mr.HeadSHA, main)
	page := s.as(s.Owner).get(s.mrPath(mr, "")).wantStatus(200)
	if got := page.text("#merge-h"); got != "Merge blocked: no commits to merge" {
		t.Errorf("merge box = %q", got)
	}
	if !strings.Contains(page.text("#merge-checks"), "Not met: Source branch must contain commits that the target branch lacks.") {
		t.Errorf("conditions = %q", page.text("#merge-checks"))
	}
}

func TestMergeRequest_CloseAndReopen(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		mr := s.openMergeRequest("topic")
		v := s.as(s.Owner)
		v.post(s.mrPath(mr, "/reopen"), url.Values{}).wantStatus(422)
		v.post(s.mrPath(mr, "/close"), url.Values{}).wantStatus(303)
		closed := v.get(s.mrPath(mr, "")).wantStatus(200)
		if closed.text("#merge-h") != "Closed by olga now" || !closed.has("#reopen") || closed.has("#close") || closed.has("#merge-button") {
			t.Errorf("closed page: %q", closed.text("#merge-box"))
		}
		v.post(s.mrPath(mr, "/approve"), url.Values{}).wantStatus(422)
		v.post(s.mrPath(mr, "/unapprove"), url.Values{}).wantStatus(422)
		v.post(s.mrPath(mr, "/reopen"), url.Values{}).wantStatus(303)
		if got := v.get(s.mrPath(mr, "")).text("#mr-state"); got != "Open" {
			t.Errorf("state = %q", got)
		}
		v.post(s.mrPath(mr, "/unapprove"), url.Values{}).wantStatus(404)
		v.post(s.mrPath(mr, "/close"), url.Values{}).wantStatus(303)
		second := s.MergeRequest("topic", "main")
		rejected := v.post(s.mrPath(mr, "/reopen"), url.Values{}).wantStatus(409)
		if got := rejected.text("#refused"); got != "Another open merge request already exists for these branches." {
			t.Errorf("message = %q", got)
		}
		v.post(s.mrPath(second, "/close"), url.Values{}).wantStatus(303)
		s.Git.SetBranch(s.Project.ID, "topic", "")
		if got := v.post(s.mrPath(mr, "/reopen"), url.Values{}).wantStatus(422).text("#refused"); got != "The source branch no longer exists." {
			t.Errorf("message = %q", got)
		}
	})
}

func TestMergeRequestPages_Roles_SeeWhatTheyMay(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		mr := s.openMergeRequest("topic")
		reporter, developer := s.Member("reporter", models.RoleReporter), s.Member("dev", models.RoleDeveloper)
		guest, stranger := s.Member("guest", models.RoleGuest), s.User("stranger")
		gets := []string{"/new", fmt.Sprintf("/%d/edit", mr.IID)}
		posts := []string{"", "/1", "/1/close", "/1/reopen", "/1/approve", "/1/unapprove", "/1/merge", "/1/cancel_auto_merge", "/1/status_checks/1/retry", "/1/status_checks/retry_failed"}
		for _, path := range gets {
			s.as(reporter).get(pearMergeRequestsPath + path).wantStatus(403)
			s.as(guest).get(pearMergeRequestsPath + path).wantStatus(404)
			s.as(stranger).get(pearMergeRequestsPath + path).wantStatus(404)
			s.signedOut().get(pearMergeRequestsPath + path).wantStatus(303)
			s.as(developer).get(pearMergeRequestsPath + path).wantStatus(200)
		}
		for _, path := range posts {
			s.as(reporter).post(pearMergeRequestsPath+path, url.Values{}).wantStatus(403)
			s.as(guest).post(pearMergeRequestsPath+path, url.Values{}).wantStatus(404)
			s.as(stranger).post(pearMergeRequestsPath+path, url.Values{}).wantStatus(404)
			s.signedOut().post(pearMergeRequestsPath+path, url.Values{}).wantStatus(303)
		}
		for _, path := range []string{"", "/1", "/1/commits", "/1/diffs"} {
			s.as(reporter).get(pearMergeRequestsPath + path).wantStatus(200)
			s.as(guest).get(pearMergeRequestsPath + path).wantStatus(404)
			if got := s.signedOut().get(pearMergeRequestsPath + path).wantStatus(303).header.Get("Location"); !strings.HasPrefix(got, "/users/sign_in?return_to=") {
				t.Errorf("Location = %q", got)
			}
		}
		page := s.as(reporter).get(pearMergeRequestsPath + "/1")
		for _, control := range []string{"#merge-button", "#approve", "#close", `a[href$="/edit"]`} {
			if page.has(control) {
				t.Errorf("a Reporter sees %s", control)
			}
		}
		// The same number does not exist in another project.
		other := s.NewProject(s.Owner, "plum", models.VisibilityPrivate)
		s.as(s.Owner).get("/olga/" + other.Path + "/-/merge_requests/1").wantStatus(404)
	})
}

func TestMergeRequestList_FiltersAndPages(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		var first models.MergeRequest
		for i := range 23 {
			s.Clock.Advance(time.Minute)
			mr := s.openMergeRequest(fmt.Sprintf("topic-%d", i))
			if i == 0 {
				first = mr
			}
		}
		v := s.as(s.Owner)
		v.post(s.mrPath(first, "/close"), url.Values{}).wantStatus(303)
		page := v.get(pearMergeRequestsPath).wantStatus(200)
		if got := page.text(".tabs a"); got != "Open 22 Merged 0 Closed 1 All 23" && got != "Open 22Merged 0Closed 1All 23" {
			t.Errorf("tabs = %q", got)
		}
		if n := page.Find("#mr-list .list > li").Length(); n != 20 {
			t.Errorf("%d rows", n)
		}
		if got := page.text(".pagination > span:first-child"); got != "Showing 1 to 20 of 22" {
			t.Errorf("pagination = %q", got)
		}
		if n := v.get(page.Find(".pagination a").Last().AttrOr("href", "")).wantStatus(200).Find("#mr-list .list > li").Length(); n != 2 {
			t.Errorf("%d rows on the second page", n)
		}
		for query, want := range map[string]int{
			"?state=closed": 1, "?state=merged": 0, "?state=all": 20, "?state=nonsense": 20, "?search=topic-22": 1, "?search=%2523": 0, "?search=!3": 1,
			"?search=!x": 0, "?page=-1": 20, "?page=99": 0, "?page=x": 20, "?search=%ff%00": 20,
		} {
			if n := v.get(pearMergeRequestsPath + query).wantStatus(200).Find("#mr-list .list > li").Length(); n != want {
				t.Errorf("%d rows for %s, want %d", n, query, want)
			}
		}
	})
}

func TestMergeRequestTabs_ShowCommitsAndDiffs(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	mr := s.openMergeRequest("topic")
	s.git.changes = gitrepo.Diff{TotalFiles: 1003, Additions: 3, Deletions: 1, Files: []gitrepo.FileDiff{
		{NewPath: "a.go", OldPath: "a.go", Status: "M", Additions: 2, Deletions: 1, Patch: "@@ -9,3 +9,4 @@ func main() {\n context\n-old <b>\n+new\n+more\n\\ No newline at end of file\n"},
		{NewPath: "new.go", OldPath: "old.go", Status: "R"},
		{NewPath: "big.sql", OldPath: "big.sql", Status: "A", Additions: 90000, TooLarge: true},
		{NewPath: "pear.png", OldPath: "pear.png", Status: "A", Binary: true},
	}}
	v := s.as(s.Owner)
	commits := v.get(s.mrPath(mr, "/commits")).wantStatus(200)
	if commits.text(".list__title") != "Trim the pear" || commits.text("pre") != "It had <b>too</b> many leaves." || commits.text(".tabs .count") != "11003" {
		t.Errorf("commits: %q %q %q", commits.text(".list__title"), commits.text("pre"), commits.text(".tabs .count"))
	}
	changes := v.get(s.mrPath(mr, "/diffs")).wantStatus(200)
	var lines []string
	for _, row := range changes.Find("#file-1 .diff tr").EachIter() {
		lines = append(lines, collapseSpace(row.Text()))
	}
	want := "@@ -9,3 +9,4 @@ func main() { | 9 9 context | 10 - old <b> | 10 + new | 11 + more | No newline at end of file"
	if got := strings.Join(strings.Fields(strings.Join(lines, " | ")), " "); strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(want, " ", "") {
		t.Errorf("lines:\n%s\nwant:\n%s", got, want)
	}
	for selector, want := range map[string]string{
		"#file-2": "old.go → new.go", "#file-3": "The lines are not shown", "#file-4": "Binary file, not shown.", "#changes-cut": "999 more files changed",
	} {
		if got := changes.text(selector); !strings.Contains(got, want) {
			t.Errorf("%s = %q, want %q in it", selector, got, want)
		}
	}
}

func TestClose_CrossOriginRequest_IsForbidden(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	mr := s.openMergeRequest("topic")
	v := s.as(s.Owner)
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, s.mrPath(mr, "/close"), nil)
	r.Host = "mergegate.test"
	r.Header.Set("Cookie", v.cookie)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	if w.Code != http.StatusForbidden {
		t.Errorf("status %d", w.Code)
	}
	if fresh, _ := s.Reload(mr); fresh.State != models.StateOpened {
		t.Errorf("state = %s", fresh.State)
	}
}

// A merge succeeds although the source branch cannot be removed yet; the message
// says that the removal is retried.
func TestMerge_SourceBranchLocked_MergesAndSaysSo(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		mr := s.openMergeRequest("topic")
		s.Fixture.Git.SetLocked(mr.SourceBranch, true)
		owner := s.as(s.Owner)
		form := url.Values{"sha": {mr.HeadSHA}, "should_remove_source_branch": {"true"}}
		merged := owner.post(s.mrPath(mr, "/merge"), form).wantStatus(http.StatusSeeOther)
		owner.cookie += "; " + merged.header.Get("Set-Cookie")
		page := owner.get(s.mrPath(mr, "")).wantStatus(http.StatusOK)
		if got := page.text("#toasts .toast > span"); got != "Merge request merged. The source branch could not be removed yet; Mergegate keeps trying." {
			t.Errorf("toast %q", got)
		}
		if got, _ := s.Reload(mr); got.State != models.StateMerged {
			t.Errorf("state %s, want merged", got.State)
		}
	})
}
