package models_test

import (
	"strings"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// statusEvents returns the audit events about check states, oldest first, as "action
// target from>to".
func statusEvents(t *testing.T, w *modelstest.Fixture) string {
	t.Helper()
	events, _, err := w.Store.AuditEvents(t.Context(), w.Project.ID,
		models.AuditFilter{Kind: models.AuditKindStatusChecks}, models.Page{Number: 1, Size: 100})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, event := range events {
		if len(event.Details) > 0 && event.Details[0].Field == "status" {
			change := event.Details[0]
			lines = append([]string{string(event.Action) + " " + event.Target + " " + change.From + ">" + change.To}, lines...)
		}
	}
	return strings.Join(lines, "; ")
}

func TestExpirePending_ManyChecksOfOneMergeRequest_OneAuditEvent(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		w.Service("b")
		w.Service("a")
		answered := w.Service("c")
		for _, branch := range []string{"one", "two"} {
			w.Git.SetBranch(w.Project.ID, branch, w.Git.Tip(w.Project.ID, "feature"))
		}
		first := w.MergeRequest("one", "main")
		w.MergeRequest("two", "main")
		if err := w.Respond(first, answered, first.HeadSHA, models.StatusPassed); err != nil {
			t.Fatal(err)
		}
		w.Clock.Advance(3 * time.Minute)
		if n, err := w.Store.ExpirePending(t.Context(), 10); n != 5 || err != nil {
			t.Fatalf("expired %d, %v", n, err)
		}
		want := "status_check_response c pending>passed; status_check_timed_out a, b pending>failed; status_check_timed_out a, b, c pending>failed"
		if got := statusEvents(t, w); got != want {
			t.Errorf("audit events:\n got %s\nwant %s", got, want)
		}
	})
}

func TestRecordResponse_SameStatusAgain_NoAuditEvent(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		service := w.Service("a")
		mr := w.MergeRequest("feature", "main")
		for _, status := range []models.Status{models.StatusPending, models.StatusPassed, models.StatusPassed, models.StatusFailed, models.StatusFailed} {
			if err := w.Respond(mr, service, mr.HeadSHA, status); err != nil {
				t.Fatal(err)
			}
		}
		if got := statusEvents(t, w); got != "status_check_response a pending>passed; status_check_response a passed>failed" {
			t.Errorf("audit events: %s", got)
		}
	})
}

// The time-out is audited before the response, even if no job has stored it, and the
// response is audited although the state is failed before and after.
func TestRecordResponse_AfterTimeout_RecordsBoth(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		service := w.Service("a")
		mr := w.MergeRequest("feature", "main")
		w.Clock.Advance(3 * time.Minute)
		if err := w.Respond(mr, service, mr.HeadSHA, models.StatusFailed); err != nil {
			t.Fatal(err)
		}
		if got := statusEvents(t, w); got != "status_check_timed_out a pending>failed; status_check_response a >failed" {
			t.Errorf("audit events: %s", got)
		}
	})
}

func TestEachAuditEvent_EndsAtLimit(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		for _, limit := range []int{1, 1000} {
			n := 0
			more, err := w.Store.EachAuditEvent(t.Context(), w.Project.ID, models.AuditFilter{}, limit, func(models.AuditEvent) error {
				n++
				return nil
			})
			if err != nil || more != (limit == 1) || n > limit || n == 0 {
				t.Errorf("limit %d: %d events, more %t, %v", limit, n, more, err)
			}
		}
	})
}
