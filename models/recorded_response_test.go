package models_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// What RecordResponse returns is what a later reading returns, except for the fields that
// the answer does not show.
func TestRecordResponse_ReturnsState(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		service := w.Service("licence")
		informs, err := w.Store.CreateExternalStatusCheck(t.Context(), w.Owner, w.Project.ID, models.ExternalStatusCheckInput{
			Name: "load", ExternalURL: "https://load.example.test/hook", Informational: true,
		}, false)
		if err != nil {
			t.Fatal(err)
		}
		mr, err := w.Store.CreateMergeRequest(t.Context(), w.Owner, w.Project.ID, models.MergeRequestInput{
			Title: "Draft: Trim", Description: "It has leaves.", SourceBranch: "feature", TargetBranch: "main", Squash: true, RemoveSourceBranch: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		w.Clock.Advance(time.Second)
		record := func(service models.ExternalStatusCheck) models.RecordedResponse {
			t.Helper()
			recorded, err := w.Store.RecordResponse(t.Context(), w.Owner, mr.ProjectID, mr.IID, models.ResponseInput{
				ExternalStatusCheckID: service.ID, SHA: mr.HeadSHA, Status: models.StatusFailed, Description: "2 findings", TargetURL: "https://x.example.test/1",
			})
			if err != nil {
				t.Fatal(err)
			}
			return recorded
		}
		record(informs)
		assertRead := func(recorded models.RecordedResponse) {
			t.Helper()
			after, checks := w.Reload(mr)
			notShown := cmpopts.IgnoreFields(models.MergeRequest{}, "HeadMessage", "HeadAuthorName", "HeadAuthorEmail", "HeadCommittedAt", "UpdatedByID",
				"ChecksRequired", "MergingSHA", "MergingHeadSHA", "MergingBaseSHA", "MergingUserID", "AutoMergeSHA")
			author := cmpopts.IgnoreFields(models.User{}, "UsernameKey", "CreatedAt", "UpdatedAt")
			if diff := cmp.Diff(after, recorded.MergeRequest, notShown, author); diff != "" {
				t.Errorf("merge request (-read +recorded):\n%s", diff)
			}
			if diff := cmp.Diff(checks, recorded.Checks,
				cmpopts.IgnoreFields(models.MergeRequestCheck{}, "Scope", "DeliveryID", "Delivery", "CreatedAt", "UpdatedAt")); diff != "" {
				t.Errorf("checks (-read +recorded):\n%s", diff)
			}
		}
		assertRead(record(service))
		if _, err := w.Store.CloseMergeRequest(t.Context(), w.Owner, mr.ProjectID, mr.IID); err != nil {
			t.Fatal(err)
		}
		assertRead(record(service))
	})
}
