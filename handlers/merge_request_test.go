package handlers

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

const listPath = "/olga/pear/-/merge_requests"

func TestMergeRequestFromFormToMergeWithoutScript(t *testing.T) {
	eachMRSite(t, func(t *testing.T, s *mrSite) {
		service := s.Service("licence")
		s.gate(true)
		dev := s.Member("dev", models.RoleMaintainer)
		v := s.as(dev)

		form := v.get(listPath + "/new?merge_request%5Bsource_branch%5D=feature").want(200)
		action, fields := form.fields("main form")
		if fields.Get("source_branch") != "feature" || fields.Get("target_branch") != "main" || fields.Get("title") != "Commit on feature" {
			t.Fatalf("form comes with %v", fields)
		}
		fields.Set("title", "Trim the pear")
		fields.Set("description", "It has **too** many leaves.\r\n\r\n<script>alert(1)</script>")
		created := v.post(action, fields).want(303)
		path := created.header.Get("Location")
		page := v.get(path).want(200)
		if page.text("h1") != "Trim the pear" || page.text("#mr-state") != "Open" {
			t.Errorf("title %q, state %q", page.text("h1"), page.text("#mr-state"))
		}
		if page.text(".prose strong") != "too" || strings.Contains(page.body, "<script>alert") {
			t.Errorf("description = %q", page.text(".prose"))
		}
		if got := page.text("#merge-h"); got != "Merge blocked: 1 check pending" {
			t.Errorf("merge box = %q", got)
		}
		if got := page.attr("#merge-button", "aria-disabled"); got != "true" {
			t.Error("a blocked Merge button is not marked as disabled")
		}

		mr, _ := s.Reload(models.MergeRequest{ProjectID: s.Project.ID, IID: 1})
		mergeAction, mergeFields := page.fields("#merge-form")
		if mergeFields.Get("sha") != mr.HeadSHA {
			t.Errorf("the form carries HEAD %q, want %q", mergeFields.Get("sha"), mr.HeadSHA)
		}
		refused := v.post(mergeAction, mergeFields).want(422)
		if got := refused.text("#refused"); got != "The merge request cannot be merged now. The reasons stand below." {
			t.Errorf("refused = %q", got)
		}

		approve, _ := page.fields("#approvals form")
		v.post(approve, url.Values{}).want(303)
		if got := v.get(path).text("#approvals"); !strings.Contains(got, "1 approval") || !strings.Contains(got, "Approved by dev") || !strings.Contains(got, "Revoke approval") {
			t.Errorf("approvals = %q", got)
		}
		v.post(path+"/unapprove", url.Values{}).want(303)

		if err := s.Respond(mr, service, mr.HeadSHA, models.StatusPassed); err != nil {
			t.Fatal(err)
		}
		page = v.get(path).want(200)
		if got := page.text("#merge-h"); got != "Ready to merge!" {
			t.Fatalf("merge box = %q", got)
		}
		mergeAction, mergeFields = page.fields("#merge-form")
		mergeFields.Set("should_remove_source_branch", "true")
		v.post(mergeAction, mergeFields).want(303)
		merged := v.get(path).want(200)
		if got := merged.text("#merge-h"); got != "Merged by dev now" {
			t.Errorf("merge box = %q", got)
		}
		if merged.has("#merge-button") || merged.has(".check-row form") || merged.text("#mr-state") != "Merged" {
			t.Error("a merged merge request offers Merge or Retry, or does not say that it is merged")
		}
		if s.Git.Tip(s.Project.ID, "feature") != "" {
			t.Error("the source branch is still there")
		}
		v.post(mergeAction, mergeFields).want(422)
	})
}

func TestMergeBoxNamesEveryReason(t *testing.T) {
	eachMRSite(t, func(t *testing.T, s *mrSite) {
		failing, _ := s.Service("licence"), s.Service("security")
		third := s.Service("load")
		mr := s.open("topic")
		developer := s.as(s.Member("dev", models.RoleDeveloper))
		if err := s.Respond(mr, failing, mr.HeadSHA, models.StatusFailed); err != nil {
			t.Fatal(err)
		}
		// Without the gate checks only inform.
		page := s.as(s.Owner).get(s.mrPath(mr, "")).want(200)
		if got := page.text("#merge-state"); got != "Ready to merge1 check failed, 2 pending. This project does not require status checks to succeed." {
			t.Errorf("without the gate: %q", got)
		}
		s.gate(true)
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
			for _, item := range v.get(s.mrPath(mr, "")).want(200).Find("#merge-checks li").EachIter() {
				if text, found := strings.CutPrefix(squeeze(item.Text()), "Not met: "); found {
					list = append(list, text)
				}
			}
			return strings.Join(list, " | ")
		}
		s.gate(false)
		if got := unmet(s.as(s.Owner)); got != "" {
			t.Errorf("nothing is amiss, yet: %s", got)
		}
		if got := unmet(developer); got != "You are not allowed to merge into main ." && got != "You are not allowed to merge into main." {
			t.Errorf("a developer before a protected branch: %s", got)
		}
		developer.post(s.mrPath(mr, "/merge"), url.Values{"sha": {mr.HeadSHA}}).want(403)

		s.Git.Conflicts = []string{"src/pear.go", "leaf.txt"}
		if got := unmet(s.as(s.Owner)); !strings.Contains(got, "Merge conflicts must be resolved. 2 files conflict:src/pear.goleaf.txt") {
			t.Errorf("conflicts: %s", got)
		}
		conflict := s.as(s.Owner).post(s.mrPath(mr, "/merge"), url.Values{"sha": {mr.HeadSHA}}).want(422)
		if !strings.Contains(conflict.text("#refused"), "conflict") {
			t.Errorf("refused = %q", conflict.text("#refused"))
		}
		s.Git.Conflicts = nil

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

		stale := s.as(s.Owner).post(s.mrPath(mr, "/merge"), url.Values{"sha": {strings.Repeat("0", 40)}}).want(409)
		if !strings.Contains(stale.text("#refused"), "New commits were pushed meanwhile") {
			t.Errorf("refused = %q", stale.text("#refused"))
		}

		s.Git.Set(s.Project.ID, "topic", "")
		s.TellPush("topic", mr.HeadSHA, strings.Repeat("0", 40))
		if got := unmet(s.as(s.Owner)); got != "Source branch exists." {
			t.Errorf("source gone: %s", got)
		}
		main := s.Git.Tip(s.Project.ID, "main")
		s.Git.Set(s.Project.ID, "main", "")
		if got := unmet(s.as(s.Owner)); !strings.Contains(got, "Target branch exists.") {
			t.Errorf("target gone: %s", got)
		}
		s.as(s.Owner).get(s.mrPath(mr, "/commits")).want(200)
		s.as(s.Owner).get(s.mrPath(mr, "/diffs")).want(200)
		s.Git.Set(s.Project.ID, "main", main)
	})
}

func TestMergeRequestWithoutCommits(t *testing.T) {
	s := newMRSite(t, modelstest.SQLite(t))
	mr := s.open("topic")
	// A force push makes the source end where the target stands.
	main := s.Git.Tip(s.Project.ID, "main")
	s.Git.Set(s.Project.ID, "topic", main)
	s.TellPush("topic", mr.HeadSHA, main)
	page := s.as(s.Owner).get(s.mrPath(mr, "")).want(200)
	if got := page.text("#merge-h"); got != "Merge blocked: 1 condition not met" {
		t.Errorf("merge box = %q", got)
	}
	if !strings.Contains(page.text("#merge-checks"), "Not met: Source branch contains commits that the target branch lacks.") {
		t.Errorf("conditions = %q", page.text("#merge-checks"))
	}
}

func TestMergeRequestFormFaults(t *testing.T) {
	eachMRSite(t, func(t *testing.T, s *mrSite) {
		s.open("other")
		v := s.as(s.Owner)
		tests := []struct {
			name   string
			change url.Values
			status int
			field  string // id of the message
			says   string
		}{
			{"no title", url.Values{"title": {"  "}}, 422, "#title-error", "Enter a title"},
			{"long title", url.Values{"title": {strings.Repeat("a", 256)}}, 422, "#title-error", "Title cannot be longer than 255 characters"},
			{"control character", url.Values{"title": {"a\x01b"}}, 422, "#title-error", "Title cannot contain control characters"},
			{"no source", url.Values{"source_branch": {""}}, 422, "#source_branch-error", "Select a branch"},
			{"no target", url.Values{"target_branch": {""}}, 422, "#target_branch-error", "Select a branch"},
			{"unknown source", url.Values{"source_branch": {"nowhere"}}, 422, "#source_branch-error", "This branch does not exist"},
			{"impossible source", url.Values{"source_branch": {"a..b"}}, 422, "#source_branch-error", "This branch does not exist"},
			{"unknown target", url.Values{"target_branch": {"nowhere"}}, 422, "#target_branch-error", "This branch does not exist"},
			{"same branch", url.Values{"target_branch": {"feature"}}, 422, "#target_branch-error", "Select another branch than the source branch"},
			{"no commits", url.Values{"source_branch": {"main"}, "target_branch": {"feature"}}, 422, "#source_branch-error", "The source branch has no commits that the target branch lacks"},
			{"duplicate", url.Values{"source_branch": {"other"}}, 409, "#form-error", "Another open merge request already exists for these branches: !1"},
			{"bytes", url.Values{"title": {"\xff\x00"}}, 422, "#title-error", "Title cannot contain control characters"},
		}
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				form := url.Values{
					"source_branch": {"feature"}, "target_branch": {"main"}, "title": {"Typed"}, "description": {"Typed <b>too</b>"},
					"draft": {"true"}, "squash": {"true"},
				}
				for name, values := range test.change {
					form[name] = values
				}
				if test.name == "long title" {
					form.Del("draft") // its mark would make another title
				}
				a := v.post(listPath, form).want(test.status)
				if got := a.text(test.field); got != test.says {
					t.Errorf("%s = %q, want %q", test.field, got, test.says)
				}
				if strings.HasSuffix(a.text(test.field), ".") {
					t.Error("the message ends in a full stop")
				}
				_, again := a.fields("main form")
				for _, name := range []string{"description", "squash", "draft", "target_branch"} {
					if again.Get(name) != form.Get(name) {
						t.Errorf("%s comes back as %q, was %q", name, again.Get(name), form.Get(name))
					}
				}
			})
		}
		if _, total, err := s.Store.MergeRequests(t.Context(), models.MergeRequestFilter{}, models.Page{}); err != nil || total != 1 {
			t.Errorf("%d merge requests, %v", total, err)
		}
	})
}

func TestEditMergeRequest(t *testing.T) {
	eachMRSite(t, func(t *testing.T, s *mrSite) {
		service := s.Service("licence")
		mr := s.open("topic")
		v := s.as(s.Owner)
		edit := v.get(s.mrPath(mr, "/edit")).want(200)
		action, form := edit.fields("main form")
		events := len(s.Deliveries(service))
		v.post(action, form).want(303)
		if got := len(s.Deliveries(service)); got != events {
			t.Errorf("an edit that changes nothing made %d deliveries", got-events)
		}
		form.Set("draft", "true")
		form.Set("description", "line\r\nline")
		v.post(action, form).want(303)
		changed, err := s.Store.MergeRequest(t.Context(), mr.ProjectID, mr.IID)
		if err != nil || !changed.Draft || changed.Title != "Draft: "+mr.Title || changed.Description != "line\nline" {
			t.Fatalf("saved %q %q draft=%v, %v", changed.Title, changed.Description, changed.Draft, err)
		}
		if got := len(s.Deliveries(service)); got != events+1 {
			t.Errorf("one edit made %d deliveries", got-events)
		}
		_, form = v.get(s.mrPath(mr, "/edit")).fields("main form")
		if form.Get("title") != mr.Title || form.Get("draft") != "true" {
			t.Errorf("the form shows %v", form)
		}
		form.Del("draft")
		v.post(action, form).want(303)
		if changed, _ = s.Store.MergeRequest(t.Context(), mr.ProjectID, mr.IID); changed.Draft || changed.Title != mr.Title {
			t.Errorf("saved %q draft=%v", changed.Title, changed.Draft)
		}
		form.Set("title", "")
		a := v.post(action, form).want(422)
		if a.text("#title-error") != "Enter a title" || a.attr("#mr-title", "aria-invalid") != "true" {
			t.Errorf("title: %q", a.text("#title-error"))
		}
		form.Set("title", "New")
		form.Set("target_branch", "feature")
		v.post(action, form).want(303)
		if changed, _ = s.Store.MergeRequest(t.Context(), mr.ProjectID, mr.IID); changed.TargetBranch != "feature" {
			t.Errorf("target = %q", changed.TargetBranch)
		}
	})
}

func TestCloseAndReopen(t *testing.T) {
	eachMRSite(t, func(t *testing.T, s *mrSite) {
		mr := s.open("topic")
		v := s.as(s.Owner)
		v.post(s.mrPath(mr, "/reopen"), url.Values{}).want(422)
		v.post(s.mrPath(mr, "/close"), url.Values{}).want(303)
		closed := v.get(s.mrPath(mr, "")).want(200)
		if closed.text("#merge-h") != "Closed by olga now" || !closed.has("#reopen") || closed.has("#close") || closed.has("#merge-button") {
			t.Errorf("closed page: %q", closed.text("#merge-box"))
		}
		v.post(s.mrPath(mr, "/approve"), url.Values{}).want(422)
		v.post(s.mrPath(mr, "/unapprove"), url.Values{}).want(422)
		v.post(s.mrPath(mr, "/reopen"), url.Values{}).want(303)
		if got := v.get(s.mrPath(mr, "")).text("#mr-state"); got != "Open" {
			t.Errorf("state = %q", got)
		}
		v.post(s.mrPath(mr, "/unapprove"), url.Values{}).want(404)
		v.post(s.mrPath(mr, "/close"), url.Values{}).want(303)
		second := s.MergeRequest("topic", "main")
		refused := v.post(s.mrPath(mr, "/reopen"), url.Values{}).want(409)
		if got := refused.text("#refused"); got != "Another open merge request already exists for these branches." {
			t.Errorf("refused = %q", got)
		}
		v.post(s.mrPath(second, "/close"), url.Values{}).want(303)
		s.Git.Set(s.Project.ID, "topic", "")
		if got := v.post(s.mrPath(mr, "/reopen"), url.Values{}).want(422).text("#refused"); got != "The source branch no longer exists." {
			t.Errorf("refused = %q", got)
		}
	})
}

func TestMergeRequestRights(t *testing.T) {
	eachMRSite(t, func(t *testing.T, s *mrSite) {
		mr := s.open("topic")
		reporter, developer := s.Member("reporter", models.RoleReporter), s.Member("dev", models.RoleDeveloper)
		guest, stranger := s.Member("guest", models.RoleGuest), s.User("stranger")
		gets := []string{"/new", fmt.Sprintf("/%d/edit", mr.IID)}
		posts := []string{"", "/1", "/1/close", "/1/reopen", "/1/approve", "/1/unapprove", "/1/merge", "/1/status_checks/1/retry"}
		for _, path := range gets {
			s.as(reporter).get(listPath + path).want(403)
			s.as(guest).get(listPath + path).want(404)
			s.as(stranger).get(listPath + path).want(404)
			s.nobody().get(listPath + path).want(303)
			s.as(developer).get(listPath + path).want(200)
		}
		for _, path := range posts {
			s.as(reporter).post(listPath+path, url.Values{}).want(403)
			s.as(guest).post(listPath+path, url.Values{}).want(404)
			s.as(stranger).post(listPath+path, url.Values{}).want(404)
			s.nobody().post(listPath+path, url.Values{}).want(303)
		}
		for _, path := range []string{"", "/1", "/1/commits", "/1/diffs"} {
			s.as(reporter).get(listPath + path).want(200)
			s.as(guest).get(listPath + path).want(404)
			if got := s.nobody().get(listPath + path).want(303).header.Get("Location"); !strings.HasPrefix(got, "/users/sign_in?return_to=") {
				t.Errorf("Location = %q", got)
			}
		}
		page := s.as(reporter).get(listPath + "/1")
		for _, control := range []string{"#merge-button", "#approve", "#close", `a[href$="/edit"]`} {
			if page.has(control) {
				t.Errorf("reporters are offered %s", control)
			}
		}
		// Another project's number finds nothing here.
		other := s.NewProject(s.Owner, "plum", models.VisibilityPrivate)
		s.as(s.Owner).get("/olga/" + other.Path + "/-/merge_requests/1").want(404)
	})
}

func TestMergeRequestList(t *testing.T) {
	eachMRSite(t, func(t *testing.T, s *mrSite) {
		var first models.MergeRequest
		for i := range 23 {
			s.Clock.Advance(time.Minute)
			mr := s.open(fmt.Sprintf("topic-%d", i))
			if i == 0 {
				first = mr
			}
		}
		v := s.as(s.Owner)
		v.post(s.mrPath(first, "/close"), url.Values{}).want(303)
		page := v.get(listPath).want(200)
		if got := page.text(".tabs a"); got != "Open 22 Merged 0 Closed 1 All 23" && got != "Open 22Merged 0Closed 1All 23" {
			t.Errorf("tabs = %q", got)
		}
		if n := page.Find("#mr-list .list > li").Length(); n != 20 {
			t.Errorf("%d rows", n)
		}
		if got := page.text(".pagination > span:first-child"); got != "Showing 1 to 20 of 22" {
			t.Errorf("pagination = %q", got)
		}
		if n := v.get(page.Find(".pagination a").Last().AttrOr("href", "")).want(200).Find("#mr-list .list > li").Length(); n != 2 {
			t.Errorf("%d rows on the second page", n)
		}
		for query, want := range map[string]int{
			"?state=closed": 1, "?state=merged": 0, "?state=all": 20, "?state=nonsense": 20, "?search=topic-22": 1, "?search=%2523": 0, "?search=!3": 1,
			"?search=!x": 0, "?page=-1": 20, "?page=99": 0, "?page=x": 20, "?search=%ff%00": 20,
		} {
			if n := v.get(listPath + query).want(200).Find("#mr-list .list > li").Length(); n != want {
				t.Errorf("%d rows for %s, want %d", n, query, want)
			}
		}
	})
}

func TestCommitsAndChanges(t *testing.T) {
	s := newMRSite(t, modelstest.SQLite(t))
	mr := s.open("topic")
	s.git.changes = Changes{TotalFiles: 1003, Additions: 3, Deletions: 1, Files: []FileChange{
		{Path: "a.go", OldPath: "a.go", Status: "M", Additions: 2, Deletions: 1, Patch: "@@ -9,3 +9,4 @@ func main() {\n context\n-old <b>\n+new\n+more\n\\ No newline at end of file\n"},
		{Path: "new.go", OldPath: "old.go", Status: "R"},
		{Path: "big.sql", OldPath: "big.sql", Status: "A", Additions: 90000, Cut: true},
		{Path: "pear.png", OldPath: "pear.png", Status: "A", Binary: true},
	}}
	v := s.as(s.Owner)
	commits := v.get(s.mrPath(mr, "/commits")).want(200)
	if commits.text(".list__title") != "Trim the pear" || commits.text("pre") != "It had <b>too</b> many leaves." || commits.text(".tabs .count") != "1" {
		t.Errorf("commits: %q %q %q", commits.text(".list__title"), commits.text("pre"), commits.text(".tabs .count"))
	}
	changes := v.get(s.mrPath(mr, "/diffs")).want(200)
	var lines []string
	for _, row := range changes.Find("#file-1 .diff tr").EachIter() {
		lines = append(lines, squeeze(row.Text()))
	}
	want := "@@ -9,3 +9,4 @@ func main() { | 9 9 context | 10 - old <b> | 10 + new | 11 + more | \\ No newline at end of file"
	if got := strings.Join(strings.Fields(strings.Join(lines, " | ")), " "); strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(want, " ", "") {
		t.Errorf("lines:\n%s\nwant:\n%s", got, want)
	}
	for selector, says := range map[string]string{
		"#file-2": "old.go → new.go", "#file-3": "too large to be shown", "#file-4": "Binary file, not shown.", ".alert--warning": "999 more files changed",
	} {
		if got := changes.text(selector); !strings.Contains(got, says) {
			t.Errorf("%s = %q, want %q in it", selector, got, says)
		}
	}
}

func TestCrossOriginMergeIsRefused(t *testing.T) {
	s := newMRSite(t, modelstest.SQLite(t))
	mr := s.open("topic")
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
