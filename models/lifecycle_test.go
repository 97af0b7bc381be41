package models_test

import (
	"strings"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

func TestMergeRequest_OpenPushRespondMerge(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		licence := w.Service("licence")
		on := true
		if _, err := w.Store.UpdateProject(t.Context(), w.Owner, w.Project.ID, models.ProjectUpdate{OnlyAllowMergeIfAllStatusChecksPassed: &on}); err != nil {
			t.Fatal(err)
		}
		mr := w.MergeRequest("feature", "main")
		if got := w.Status(mr, licence); got != models.StatusPending {
			t.Fatalf("a new merge request's check is %q", got)
		}
		head := w.Push("feature")
		mr, _ = w.Reload(mr)
		if mr.HeadSHA != head {
			t.Fatalf("HEAD is %s, not the pushed %s", mr.HeadSHA, head)
		}
		_, err := w.Store.Merge(t.Context(), w.Owner, w.Project.ID, mr.IID, models.MergeOptions{Role: models.RoleOwner})
		if models.CodeOf(err) != models.CodeMergeBlocked {
			t.Fatalf("merging with a pending check: %v", err)
		}
		if err := w.Respond(mr, licence, head, models.StatusPassed); err != nil {
			t.Fatal(err)
		}
		merged, err := w.Store.Merge(t.Context(), w.Owner, w.Project.ID, mr.IID,
			models.MergeOptions{Role: models.RoleOwner})
		if err != nil {
			t.Fatal(err)
		}
		if merged.State != models.StateMerged || w.Git.Tip(w.Project.ID, "main") != merged.MergeCommitSHA {
			t.Fatalf("merged: %+v", merged)
		}
		var actions []models.Action
		for _, d := range w.Deliveries(licence) {
			actions = append(actions, w.PayloadOf(d).Action)
		}
		want := []models.Action{models.ActionOpen, models.ActionUpdate, models.ActionMerged}
		if len(actions) != 3 || actions[0] != want[0] || actions[1] != want[1] || actions[2] != want[2] {
			t.Fatalf("deliveries: %v, want %v", actions, want)
		}
		claimed, err := w.Store.Claim(t.Context(), models.ClaimOptions{Limit: 10})
		if err != nil || len(claimed) != 1 || claimed[0].Delivery.Action != models.ActionMerged {
			t.Fatalf("claimed %v, %v", claimed, err)
		}
		err = w.Store.FinishDelivery(t.Context(), claimed[0].Delivery,
			models.AttemptResult{StartedAt: w.Clock.Now(), HTTPStatus: 200, Duration: time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestStateChange_PayloadHasPreviousUpdatedAt(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		service := w.Service("licence")
		mr := w.MergeRequest("feature", "main")
		steps := []struct {
			action models.Action
			do     func() (models.MergeRequest, error)
		}{
			{models.ActionClose, func() (models.MergeRequest, error) {
				return w.Store.CloseMergeRequest(t.Context(), w.Owner, mr.ProjectID, mr.IID)
			}},
			{models.ActionReopen, func() (models.MergeRequest, error) {
				return w.Store.ReopenMergeRequest(t.Context(), w.Owner, mr.ProjectID, mr.IID)
			}},
			{models.ActionMerged, func() (models.MergeRequest, error) {
				return w.Store.Merge(t.Context(), w.Owner, mr.ProjectID, mr.IID, models.MergeOptions{Role: models.RoleOwner})
			}},
		}
		for _, step := range steps {
			before, _ := w.Reload(mr)
			w.Clock.Advance(time.Minute)
			if _, err := step.do(); err != nil {
				t.Fatal(err)
			}
			list := w.Deliveries(service)
			payload := w.PayloadOf(list[len(list)-1])
			if payload.Action != step.action || payload.Previous["updated_at"] != before.UpdatedAt.Format(time.RFC3339Nano) {
				t.Errorf("%s: %q was updated before at %v, not %v", step.action, payload.Action,
					payload.Previous["updated_at"], before.UpdatedAt)
			}
		}
	})
}

// SQLite refuses long LIKE patterns, so the store cuts them.
func TestSearch_VeryLongText_FindsNothing(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		endless := strings.Repeat("%é", 40_000)
		for name, search := range map[string]func() (int64, error){
			"merge requests": func() (int64, error) {
				_, n, err := w.Store.MergeRequests(t.Context(),
					models.MergeRequestFilter{ProjectIDs: []int64{w.Project.ID}, Search: endless}, models.Page{})
				return n, err
			},
			"protected branches": func() (int64, error) {
				_, n, err := w.Store.ProtectedBranches(t.Context(), w.Project.ID, endless, models.Page{})
				return n, err
			},
			"members": func() (int64, error) {
				_, n, err := w.Store.Members(t.Context(), w.Project.ID, endless, models.RoleNone, models.Page{})
				return n, err
			},
		} {
			if n, err := search(); n != 0 || err != nil {
				t.Errorf("%s: %d found, %v", name, n, err)
			}
		}
	})
}
