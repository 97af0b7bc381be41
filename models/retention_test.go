package models_test

import (
	"testing"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// A process dies during an attempt at a delivery that was superseded meanwhile. The
// lease is removed once it has expired, and the attempt is logged as interrupted.
func TestDeleteExpired_AttemptAbandonedAfterSuperseding_IsLoggedAsInterrupted(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		service := w.Service("lint")
		mr := mergeRequests(w, 1)[0]
		if got := claim(t, w.Store, 1); len(got) != 1 {
			t.Fatalf("claimed %d deliveries", len(got))
		}
		if _, err := w.Store.CloseMergeRequest(t.Context(), w.Owner, mr.ProjectID, mr.IID); err != nil {
			t.Fatal(err)
		}
		abandoned := func() (models.Delivery, []models.DeliveryAttempt) {
			if err := w.Store.DeleteExpired(t.Context()); err != nil {
				t.Fatal(err)
			}
			d, attempts, err := w.Store.Delivery(t.Context(), w.Project.ID, service.ID, w.Deliveries(service)[0].ID)
			if err != nil {
				t.Fatal(err)
			}
			return d, attempts
		}
		if d, attempts := abandoned(); d.State != models.DeliverySuperseded || d.LeasedUntil == nil || len(attempts) != 0 {
			t.Fatalf("during the attempt: %s, leased until %v, %d attempts logged", d.State, d.LeasedUntil, len(attempts))
		}
		w.Clock.Advance(models.LeaseDuration)
		d, attempts := abandoned()
		if d.LeasedUntil != nil || len(attempts) != 1 || attempts[0].Error != models.ErrorInterrupted {
			t.Errorf("after the lease: leased until %v, attempts %+v", d.LeasedUntil, attempts)
		}
	})
}
