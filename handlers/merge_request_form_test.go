package handlers

import (
	"net/url"
	"strings"
	"testing"

	"github.com/mergegate/mergegate/models"
)

func TestMergeRequest_CreateToMerge_WithoutScript(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		service := s.Service("licence")
		s.setGate(true)
		dev := s.Member("dev", models.RoleMaintainer)
		v := s.as(dev)

		form := v.get(pearMergeRequestsPath + "/new?merge_request%5Bsource_branch%5D=feature").wantStatus(200)
		action, fields := form.fields("main form[method=post]")
		if fields.Get("source_branch") != "feature" || fields.Get("target_branch") != "main" || fields.Get("title") != "Trim the pear" {
			t.Fatalf("the form begins with %v", fields)
		}
		fields.Set("title", "Trim the pear")
		fields.Set("description", "It has **too** many leaves.\r\n\r\n<script>alert(1)</script>")
		created := v.post(action, fields).wantStatus(303)
		path := created.header.Get("Location")
		page := v.get(path).wantStatus(200)
		if page.text("h1") != "Trim the pear" || page.text("#mr-state") != "Open" {
			t.Errorf("title %q, state %q", page.text("h1"), page.text("#mr-state"))
		}
		if page.text(".prose strong") != "too" || strings.Contains(page.body, "<script>alert") {
			t.Errorf("description = %q", page.text(".prose"))
		}
		if got := page.text("#merge-h"); got != "Merge blocked: 1 check pending" {
			t.Errorf("merge box = %q", got)
		}
		if page.has("#merge-button") || !page.has("#merge-auto") {
			t.Error("auto-merge is not offered instead of Merge")
		}

		mr, _ := s.Reload(models.MergeRequest{ProjectID: s.Project.ID, IID: 1})
		mergeAction, mergeFields := page.fields("#merge-form")
		if mergeFields.Get("sha") != mr.HeadSHA {
			t.Errorf("the form has HEAD %q, want %q", mergeFields.Get("sha"), mr.HeadSHA)
		}
		rejected := v.post(mergeAction, mergeFields).wantStatus(422)
		if got := rejected.text("#refused"); got != "The merge request cannot be merged now. See the reasons below." {
			t.Errorf("message = %q", got)
		}

		approve, _ := page.fields("#approvals form")
		v.post(approve, url.Values{}).wantStatus(303)
		if got := v.get(path).text("#approvals"); !strings.Contains(got, "1 approval") || !strings.Contains(got, "Approved by dev") || !strings.Contains(got, "Revoke approval") {
			t.Errorf("approvals = %q", got)
		}
		v.post(path+"/unapprove", url.Values{}).wantStatus(303)

		if err := s.Respond(mr, service, mr.HeadSHA, models.StatusPassed); err != nil {
			t.Fatal(err)
		}
		page = v.get(path).wantStatus(200)
		if got := page.text("#merge-h"); got != "Ready to merge!" {
			t.Fatalf("merge box = %q", got)
		}
		mergeAction, mergeFields = page.fields("#merge-form")
		mergeFields.Set("should_remove_source_branch", "true")
		v.post(mergeAction, mergeFields).wantStatus(303)
		merged := v.get(path).wantStatus(200)
		if got := merged.text("#merge-h"); got != "Merged by dev now" {
			t.Errorf("merge box = %q", got)
		}
		if merged.has("#merge-button") || merged.has(".check-row form") || merged.text("#mr-state") != "Merged" {
			t.Error("a merged merge request offers Merge or Retry, or does not say that it is merged")
		}
		if s.Git.Tip(s.Project.ID, "feature") != "" {
			t.Error("the source branch is still there")
		}
		v.post(mergeAction, mergeFields).wantStatus(422)
	})
}

func TestMergeRequestEdit_SavesChangesAsOneEvent(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		service := s.Service("licence")
		mr := s.openMergeRequest("topic")
		v := s.as(s.Owner)
		edit := v.get(s.mrPath(mr, "/edit")).wantStatus(200)
		action, form := edit.fields("main form[method=post]")
		events := len(s.Deliveries(service))
		v.post(action, form).wantStatus(303)
		if got := len(s.Deliveries(service)); got != events {
			t.Errorf("an edit that changes nothing made %d deliveries", got-events)
		}
		form.Set("draft", "true")
		form.Set("description", "line\r\nline")
		v.post(action, form).wantStatus(303)
		changed, err := s.Store.MergeRequest(t.Context(), mr.ProjectID, mr.IID)
		if err != nil || !changed.Draft || changed.Title != "Draft: "+mr.Title || changed.Description != "line\nline" {
			t.Fatalf("saved %q %q draft=%v, %v", changed.Title, changed.Description, changed.Draft, err)
		}
		if got := len(s.Deliveries(service)); got != events+1 {
			t.Errorf("one edit made %d deliveries", got-events)
		}
		_, form = v.get(s.mrPath(mr, "/edit")).fields("main form[method=post]")
		if form.Get("title") != mr.Title || form.Get("draft") != "true" {
			t.Errorf("the form shows %v", form)
		}
		form.Del("draft")
		v.post(action, form).wantStatus(303)
		if changed, _ = s.Store.MergeRequest(t.Context(), mr.ProjectID, mr.IID); changed.Draft || changed.Title != mr.Title {
			t.Errorf("saved %q draft=%v", changed.Title, changed.Draft)
		}
		_, form = v.get(s.mrPath(mr, "/edit")).fields("main form[method=post]")
		form.Set("title", "")
		a := v.post(action, form).wantStatus(422)
		if a.text("#title-error") != "Enter a title" || a.attr("#mr-title", "aria-invalid") != "true" {
			t.Errorf("title: %q", a.text("#title-error"))
		}
		form.Set("title", "New")
		form.Set("target_branch", "feature")
		v.post(action, form).wantStatus(303)
		if changed, _ = s.Store.MergeRequest(t.Context(), mr.ProjectID, mr.IID); changed.TargetBranch != "feature" {
			t.Errorf("target = %q", changed.TargetBranch)
		}
	})
}
