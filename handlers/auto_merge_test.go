package handlers

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/mergegate/mergegate/models"
)

// runAutoMerges does what the background job does.
func (s *testSite) runAutoMerges(t *testing.T) {
	t.Helper()
	claimed, err := s.Store.ClaimAutoMerges(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, mr := range claimed {
		if _, err := s.Store.RunAutoMerge(t.Context(), mr); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAutoMerge_Page_SetShowCancelAndMerge(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		licence := s.Service("licence")
		mr := s.openMergeRequest("topic")
		owner, reporter := s.as(s.Owner), s.as(s.Member("rea", models.RoleReporter))
		page := func(v visitor) response { t.Helper(); return v.get(s.mrPath(mr, "")).wantStatus(200) }
		form := url.Values{"sha": {mr.HeadSHA}, "auto_merge": {"true"}, "squash": {"true"}}

		// Checks that only inform: Merge is offered beside it.
		if a := page(owner); !a.has("#merge-button:not([aria-disabled])") || a.text("#merge-auto") != "Set to auto-merge" || a.text("#merge-auto-hint") != "Merge when checks pass" {
			t.Errorf("without the gate: %s", a.text("#merge-form"))
		}
		s.setGate(true)
		before := page(owner)
		if before.has("#merge-button") || before.text("#merge-auto") != "Set to auto-merge" {
			t.Errorf("with the gate: %s", before.text("#merge-form"))
		}
		if page(reporter).has("#merge-auto") {
			t.Error("a Reporter can set auto-merge")
		}
		poll := owner.withHTMX()
		shownBefore := before.pollURL()

		owner.post(s.mrPath(mr, "/merge"), form).wantStatus(303)
		set := page(owner)
		if got := set.text("#auto-merge-state"); got != "Set by olga to be merged automatically when all checks pass, now. Commits will be squashed." {
			t.Errorf("state = %q", got)
		}
		if set.has("#merge-button") || set.has("#merge-squash") || set.attr("#merge-cancel", "formaction") != s.mrPath(mr, "/cancel_auto_merge") {
			t.Errorf("form: %s", set.text("#merge-form"))
		}
		if a := page(reporter); !a.has("#auto-merge-state") || a.has("#merge-cancel") {
			t.Error("a Reporter does not see that it is set, or can cancel it")
		}
		// The poll of a page from before replaces the whole form, one of a page that
		// shows auto-merge only its buttons.
		update := poll.get(shownBefore).wantStatus(200)
		if !update.has("#merge-form #merge-cancel") || !update.has("#merge-state #auto-merge-state") {
			t.Errorf("poll: %s", update.body)
		}
		poll.get(update.pollURL()).wantStatus(http.StatusNoContent)

		// A passed check does not end the polling: the merge follows.
		if err := s.Respond(mr, licence, mr.HeadSHA, models.StatusPassed); err != nil {
			t.Fatal(err)
		}
		passed := poll.get(update.pollURL()).wantStatus(200)
		if passed.has("#merge-form") || !passed.has("#merge-action #merge-cancel") {
			t.Errorf("poll after the check has passed: %s", passed.body)
		}
		if err := s.Respond(mr, licence, mr.HeadSHA, models.StatusPending); err != nil {
			t.Fatal(err)
		}
		if cancelled := owner.post(s.mrPath(mr, "/cancel_auto_merge"), form).wantStatus(303); cancelled.header.Get("Location") != s.mrPath(mr, "") {
			t.Errorf("Location = %q", cancelled.header.Get("Location"))
		}
		if a := page(owner); a.has("#auto-merge-state") || !a.has("#merge-auto") {
			t.Error("auto-merge is not cancelled")
		}
		if a := owner.post(s.mrPath(mr, "/cancel_auto_merge"), form).wantStatus(422); a.text("#refused") != "Auto-merge is not set." {
			t.Errorf("cancelled twice: %q", a.text("#refused"))
		}

		owner.post(s.mrPath(mr, "/merge"), form).wantStatus(303)
		shown := page(owner).pollURL()
		if err := s.Respond(mr, licence, mr.HeadSHA, models.StatusPassed); err != nil {
			t.Fatal(err)
		}
		s.runAutoMerges(t)
		if got := poll.get(shown).wantStatus(200).text("#merge-h"); !strings.HasPrefix(got, "Merged by olga") {
			t.Errorf("after the merge: %q", got)
		}
	})
}

func TestAutoMerge_Page_AbortedShowsAndAuditsReason(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		licence := s.Service("licence")
		mr := s.openMergeRequest("topic")
		max := s.Member("max", models.RoleMaintainer)
		s.as(max).post(s.mrPath(mr, "/merge"), url.Values{"sha": {mr.HeadSHA}, "auto_merge": {"true"}}).wantStatus(303)
		owner := s.as(s.Owner)
		shown := owner.get(s.mrPath(mr, "")).pollURL()
		if _, err := s.Store.ChangeMember(t.Context(), s.Owner, models.RoleOwner, mr.ProjectID, max.ID, models.RoleDeveloper, ""); err != nil {
			t.Fatal(err)
		}
		if err := s.Respond(mr, licence, mr.HeadSHA, models.StatusPassed); err != nil {
			t.Fatal(err)
		}
		s.runAutoMerges(t)
		const want = "The auto-merge set by max was cancelled now: this user may no longer merge."
		for name, a := range map[string]response{"poll": owner.withHTMX().get(shown), "page": owner.get(s.mrPath(mr, ""))} {
			if got := a.wantStatus(200).text("#auto-merge-state"); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		audit := collapseSpace(owner.get(pearAuditPath).wantStatus(200).Text())
		for _, want := range []string{"Set auto-merge", "Auto-merge aborted", "this user may no longer merge"} {
			if !strings.Contains(audit, want) {
				t.Errorf("the audit events do not contain %q", want)
			}
		}
		// The reader of a public project may see no checks, so no auto-merge either.
		s.setVisibility(models.VisibilityPublic)
		if s.signedOut().get(s.mrPath(mr, "")).wantStatus(200).has("#auto-merge-state") {
			t.Error("a visitor sees the auto-merge")
		}
	})
}
