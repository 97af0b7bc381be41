package handlers

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/mergegate/mergegate/models"
)

// A merge whose source branch cannot be removed yet is a merge, and its page
// says what is still to come.
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
			t.Errorf("it is %s", got.State)
		}
	})
}
