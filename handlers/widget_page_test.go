package handlers

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// assertOneHead checks that all parts of a page or of a poll's response show the
// same HEAD.
func assertOneHead(t *testing.T, a response, head string) {
	t.Helper()
	for _, selector := range []string{"#merge-adds code", ".check-row__meta code"} {
		if got := a.text(selector); got != head[:8] {
			t.Errorf("%s shows %q, want %s", selector, got, head[:8])
		}
	}
}

// After a push by somebody else the poll brings the new HEAD, counts and
// reasons. The page announces the new commits once, and Merge stays disabled
// until a reload.
func TestPoll_AfterPush_ShowsNewHeadEverywhere(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		s.Service("licence")
		mr := s.openMergeRequest("topic")
		v := s.as(s.Owner).withHTMX()
		page := s.as(s.Owner).get(s.mrPath(mr, "")).wantStatus(200)
		assertOneHead(t, page, mr.HeadSHA)
		old := mr.HeadSHA
		head := s.Push("topic")

		update := v.get(page.pollURL()).wantStatus(200)
		assertOneHead(t, update, head)
		if got := update.text(`[hx-swap-oob="innerHTML:#new-commits"]`); got != "New commits were pushed "+head[:8]+"Reload" {
			t.Errorf("banner = %q", got)
		}
		if got := update.attr("#reload", "href"); got != s.mrPath(mr, "") {
			t.Errorf("Reload links to %q", got)
		}
		if got := update.text("#mr-head .tabs a:nth-child(2) .count"); got != "2" {
			t.Errorf("count of commits = %q, want 2", got)
		}
		if got := update.text("#merge-h"); got != "Merge blocked: HEAD has moved" {
			t.Errorf("headline = %q", got)
		}
		if update.attr("#merge-button", "aria-disabled") != "true" {
			t.Error("Merge is enabled before the reload")
		}
		if page.attr("#merge-form input[name=sha]", "value") != old || update.has("#merge-form") {
			t.Error("the form does not send the HEAD that the reader saw")
		}
		v.get(update.pollURL()).wantStatus(204)

		// Other updates do not repeat the notice, and Merge stays disabled.
		if err := s.Respond(mr, models.ExternalStatusCheck{ID: s.serviceID(mr)}, head, models.StatusPassed); err != nil {
			t.Fatal(err)
		}
		final := v.get(update.pollURL()).wantStatus(200)
		if final.has(`[hx-swap-oob="innerHTML:#new-commits"]`) {
			t.Error("the notice is sent twice")
		}
		if final.attr("#merge-button", "aria-disabled") != "true" {
			t.Error("Merge is enabled before the reload")
		}
		settled := final.attr("#status-checks-body", "data-url")
		v.get(settled).wantStatus(204)
		// A second push shows the notice again; returning to the page's HEAD removes it.
		second := s.Push("topic")
		if got := v.get(settled).wantStatus(200).text("#new-commits, [hx-swap-oob='innerHTML:#new-commits']"); !strings.Contains(got, second[:8]) {
			t.Errorf("banner after the second push %q", got)
		}
		s.Git.SetBranch(s.Project.ID, "topic", old)
		s.RecordPush("topic", second, old)
		back := v.get(settled).wantStatus(200)
		if !back.has(`[hx-swap-oob="innerHTML:#new-commits"]`) || back.has("#reload") || back.attr("#merge-button", "aria-disabled") == "true" {
			t.Error("HEAD is that of the page again, but the notice stays or Merge is disabled")
		}

		fresh := s.as(s.Owner).get(s.mrPath(mr, "")).wantStatus(200)
		if fresh.has("#reload") || fresh.attr("#merge-button", "aria-disabled") == "true" {
			t.Error("a new page shows the notice or disables Merge")
		}
	})
}

// serviceID returns the service of the only check of a merge request.
func (s *testSite) serviceID(mr models.MergeRequest) int64 {
	_, checks := s.Reload(mr)
	return checks[0].ExternalStatusCheckID
}

func TestPoll_MergeReasonsChange_BringsUpdate(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		s.Service("licence")
		mr := s.openMergeRequest("topic")
		v := s.as(s.Owner).withHTMX()
		poll := s.as(s.Owner).get(s.mrPath(mr, "")).wantStatus(200).pollURL()
		v.get(poll).wantStatus(204)
		draft := true
		for _, step := range []struct {
			name, headline string
			do             func() error
		}{
			{"the rule", "Merge blocked: 1 check pending", func() error { s.setGate(true); return nil }},
			{"a draft", "Merge blocked: 1 check pending, 1 more reason", func() error {
				_, err := s.Store.UpdateMergeRequest(t.Context(), s.Owner, mr.ProjectID, mr.IID, models.MergeRequestUpdate{Draft: &draft})
				return err
			}},
			{"a push to the target", "Merge blocked: 1 check pending, 2 more reasons", func() error {
				s.Git.Conflicts = []string{"leaf.txt"}
				s.Push("main")
				return nil
			}},
			{"the rule again", "Merge blocked: merge conflicts, 1 more reason", func() error { s.setGate(false); return nil }},
		} {
			s.Clock.Advance(time.Millisecond)
			if err := step.do(); err != nil {
				t.Fatal(err)
			}
			update := v.get(poll).wantStatus(200)
			if got := update.text("#merge-h"); got != step.headline {
				t.Errorf("after %s: %q, want %q", step.name, got, step.headline)
			}
			poll = update.pollURL()
			v.get(poll).wantStatus(204)
		}
		s.Clock.Advance(time.Millisecond)
		if err := s.Store.ApproveMergeRequest(t.Context(), s.Owner, mr.ProjectID, mr.IID, ""); err != nil {
			t.Fatal(err)
		}
		if got := v.get(poll).wantStatus(200).text("#approvals .widget__title"); got != "1 approval" {
			t.Errorf("approvals = %q", got)
		}
	})
}

// An approval applies to the HEAD that the reader saw.
func TestApprove_HeadMoved_Conflicts(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	mr := s.openMergeRequest("topic")
	_, form := s.as(s.Owner).get(s.mrPath(mr, "")).wantStatus(200).fields("#approvals form")
	s.Push("topic")
	s.as(s.Owner).post(s.mrPath(mr, "/approve"), form).wantStatus(409)
	s.as(s.Owner).post(s.mrPath(mr, "/approve"), url.Values{}).wantStatus(303)
}

// A page that was loaded while the merge request was closed gets the form after
// it is reopened.
func TestPoll_Reopened_BringsMergeForm(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	s.Service("licence")
	mr := s.openMergeRequest("topic")
	owner := s.as(s.Owner)
	owner.post(s.mrPath(mr, "/close"), nil).wantStatus(303)
	closed := owner.get(s.mrPath(mr, "")).wantStatus(200).attr("#status-checks-body", "data-url")
	owner.post(s.mrPath(mr, "/reopen"), nil).wantStatus(303)
	if update := owner.withHTMX().get(closed).wantStatus(200); !update.has("form#merge-form[hx-swap-oob] #merge-button") {
		t.Error("the update has no form to merge")
	}
}

// The result of a merged merge request is final; a later response is shown
// beside it.
func TestWidget_ResponseAfterMerge_IsShownSeparately(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		licence := s.Service("licence")
		mr := s.openMergeRequest("topic")
		owner := s.as(s.Owner)
		if err := s.Respond(mr, licence, mr.HeadSHA, models.StatusFailed); err != nil {
			t.Fatal(err)
		}
		owner.post(s.mrPath(mr, "/merge"), url.Values{"sha": {mr.HeadSHA}}).wantStatus(303)
		merged := owner.get(s.mrPath(mr, "")).wantStatus(200)
		if got := merged.text("#merge-state"); !strings.Contains(got, "Status checks did not have to succeed.") {
			t.Errorf("merge box = %q", got)
		}
		if got := merged.text("#approvals"); got != "No approvals" {
			t.Errorf("approvals = %q", got)
		}
		s.Clock.Advance(time.Minute)
		if err := s.Respond(mr, licence, mr.HeadSHA, models.StatusPassed); err != nil {
			t.Fatal(err)
		}
		update := owner.withHTMX().get(merged.attr("#status-checks-body", "data-url")).wantStatus(200)
		for name, page := range map[string]response{"poll": update, "page": owner.get(s.mrPath(mr, "")).wantStatus(200)} {
			if got := page.checkRows(); got != "licence Failed" {
				t.Errorf("%s: rows = %q", name, got)
			}
			if got := page.text(".check-row__late"); got != "Answered after the merge: Passed, now" {
				t.Errorf("%s: late = %q", name, got)
			}
		}
		if got := owner.get(s.mrPath(mr, "")).text("#status-checks-summary"); !strings.Contains(got, "1 failed Final result for "+mr.HeadSHA[:8]) {
			t.Errorf("summary = %q", got)
		}
	})
}

// A poll without a session does not reload the page; a request by the reader
// does.
func TestPoll_SessionEnded_DoesNotRefresh(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	s.Service("licence")
	mr := s.openMergeRequest("topic")
	for _, poll := range []bool{true, false} {
		r := httptest.NewRequest(http.MethodGet, s.mrPath(mr, "/status_checks?rev=x"), nil)
		r.Header.Set("HX-Request", "true")
		if poll {
			r.Header.Set("Mergegate-Poll", "true")
		}
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		if refresh := w.Header().Get("HX-Refresh") == "true"; w.Code != 401 || refresh == poll {
			t.Errorf("poll %t: status %d, HX-Refresh %t", poll, w.Code, refresh)
		}
	}
}

func TestCompareNames_SortsNaturally(t *testing.T) {
	want := []string{"9", "10", "a", "B", "job 2", "Job 009", "job 9", "job 10", "job 10 b", "job 11", "Zoo", "é"}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, compareNames)
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// A signed-out reader gets a link to sign in instead of the advice to ask for a
// role.
func TestWidget_SignedOut_OffersSignIn(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	s.Service("licence")
	mr := s.openMergeRequest("topic")
	s.setVisibility(models.VisibilityPublic)
	if got := s.signedOut().get(s.mrPath(mr, "")).wantStatus(200); !got.has("#status-checks-sign-in") || strings.Contains(got.text("#status-checks"), "role") {
		t.Errorf("signed out: %q", got.text("#status-checks"))
	}
	if got := s.as(s.User("stranger")).get(s.mrPath(mr, "")).wantStatus(200); got.has("#status-checks-sign-in") {
		t.Errorf("signed in: %q", got.text("#status-checks"))
	}
}
