package handlers

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/mergegate/mergegate/models"
)

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
