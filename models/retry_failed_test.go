package models_test

import (
	"errors"
	"testing"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// If one payload cannot be rendered, no check is retried.
func TestRetryFailedChecks_ErrorInBetween_ChangesNothing(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		var broken string
		f := modelstest.New(t, db, modelstest.WithPayload(func(e models.Event) ([]byte, error) {
			if e.Service.Name == broken {
				return nil, errors.New("no payload")
			}
			return modelstest.RenderPayload(e)
		}))
		services := []models.ExternalStatusCheck{f.Service("a"), f.Service("b")}
		mr := f.MergeRequest("feature", "main")
		for _, service := range services {
			if err := f.Respond(mr, service, mr.HeadSHA, models.StatusFailed); err != nil {
				t.Fatal(err)
			}
		}
		broken = "b"
		if _, err := f.Store.RetryFailedChecks(t.Context(), f.Owner, f.Project.ID, mr.IID); err == nil {
			t.Fatal("no error")
		}
		broken = ""
		for _, service := range services {
			if got := f.Status(mr, service); got != models.StatusFailed || len(f.Deliveries(service)) != 1 {
				t.Errorf("%s: %s, %d deliveries", service.Name, got, len(f.Deliveries(service)))
			}
		}
		retried, err := f.Store.RetryFailedChecks(t.Context(), f.Owner, f.Project.ID, mr.IID)
		if err != nil || len(retried) != 2 {
			t.Fatalf("%d retried: %v", len(retried), err)
		}
		if _, err := f.Store.RetryFailedChecks(t.Context(), f.Owner, f.Project.ID, mr.IID); models.CodeOf(err) != models.CodeNotFailed {
			t.Errorf("second time: %v", err)
		}
		if _, err := f.Store.CloseMergeRequest(t.Context(), f.Owner, f.Project.ID, mr.IID); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Store.RetryFailedChecks(t.Context(), f.Owner, f.Project.ID, mr.IID); models.CodeOf(err) != models.CodeNotOpen {
			t.Errorf("closed: %v", err)
		}
	})
}
