package models_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// Responses after the merge are recorded as late and do not change the checks, whatever
// their state.
func TestRecordResponse_AfterMerge_ChecksAreFinal(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		passed, failed, timedOut, pending := w.Service("passed"), w.Service("failed"), w.Service("timed-out"), w.Service("pending")
		mr := w.MergeRequest("feature", "main")
		w.Clock.Advance(3 * time.Minute) // all have timed out
		answers := map[models.Status]models.ExternalStatusCheck{models.StatusPassed: passed, models.StatusFailed: failed, models.StatusPending: pending}
		for status, service := range answers {
			if err := w.Respond(mr, service, mr.HeadSHA, status); err != nil {
				t.Fatal(err)
			}
		}
		merged, err := w.Store.Merge(t.Context(), w.Owner, w.Project.ID, mr.IID,
			models.MergeOptions{Role: models.RoleOwner})
		if err != nil {
			t.Fatal(err)
		}
		if merged.ChecksRequired == nil || *merged.ChecksRequired {
			t.Errorf("rule in force = %v, want a recorded false", merged.ChecksRequired)
		}
		_, before := w.Reload(mr)
		for _, service := range []models.ExternalStatusCheck{passed, failed, timedOut, pending} {
			for _, status := range []models.Status{models.StatusPending, models.StatusFailed, models.StatusPassed} {
				w.Clock.Advance(time.Minute)
				recorded, err := w.Store.RecordResponse(t.Context(), w.Owner, mr.ProjectID, mr.IID, models.ResponseInput{
					ExternalStatusCheckID: service.ID, SHA: mr.HeadSHA, Status: status, Description: "late",
				})
				response, check := recorded.Response, recorded.Check
				if err != nil || !response.Late || response.Status != status || check.Description != "" {
					t.Errorf("%s after the merge: late %t, recorded %s, check says %q, %v", status,
						response.Late, response.Status, check.Description, err)
				}
			}
		}
		if _, err := w.Store.ExpirePending(t.Context(), 100); err != nil {
			t.Fatal(err)
		}
		_, after := w.Reload(mr)
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("the checks of a merged merge request changed:\n%s", diff)
		}
		if got := models.CountStatuses(after, w.Clock.Now()); got != (models.StatusCounts{Passed: 1, Pending: 1, Failed: 2}) {
			t.Errorf("counts = %+v", got)
		}
		late, err := w.Store.LateResponses(t.Context(), mr.ID)
		if err != nil || len(late) != 4 || late[failed.ID].Status != models.StatusPassed {
			t.Errorf("late responses = %+v, %v", late, err)
		}
		all, _, err := w.Store.Responses(t.Context(), mr.ID, passed.ID, models.Page{Number: 1, Size: 10})
		if err != nil || len(all) != 4 || all[3].Late || !all[2].Late {
			t.Errorf("history = %+v, %v", all, err)
		}
	})
}

// A closed merge request can be reopened, so its checks still change.
func TestRecordResponse_AfterClose_UpdatesCheck(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		licence := w.Service("licence")
		mr := w.MergeRequest("feature", "main")
		if _, err := w.Store.CloseMergeRequest(t.Context(), w.Owner, mr.ProjectID, mr.IID); err != nil {
			t.Fatal(err)
		}
		if err := w.Respond(mr, licence, mr.HeadSHA, models.StatusPassed); err != nil {
			t.Fatal(err)
		}
		late, err := w.Store.LateResponses(t.Context(), mr.ID)
		if got := w.Status(mr, licence); got != models.StatusPassed || len(late) != 0 || err != nil {
			t.Errorf("status = %s, late = %v, %v", got, late, err)
		}
	})
}

func TestMerge_StoresChecksRequired(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		set := func(on bool) {
			t.Helper()
			if _, err := w.Store.UpdateProject(t.Context(), w.Owner, w.Project.ID, models.ProjectUpdate{OnlyAllowMergeIfAllStatusChecksPassed: &on}); err != nil {
				t.Fatal(err)
			}
		}
		mr := w.MergeRequest("feature", "main")
		set(true)
		if _, err := w.Store.Merge(t.Context(), w.Owner, w.Project.ID, mr.IID, models.MergeOptions{Role: models.RoleOwner}); err != nil {
			t.Fatal(err)
		}
		set(false)
		if merged, _ := w.Reload(mr); merged.ChecksRequired == nil || !*merged.ChecksRequired {
			t.Errorf("rule in force = %v, want true", merged.ChecksRequired)
		}
	})
}
