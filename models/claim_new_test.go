package models_test

import (
	"strings"
	"testing"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// New deliveries to idle services are claimed with few statements, with the credentials
// of their services. One that is not admitted is taken by a later claim, and a second one
// to the same service waits for its turn.
func TestClaim_NewDeliveries_TakesFewStatements(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		lint, licence := w.Service("lint"), w.Service("licence")
		mr := w.MergeRequest("feature", "main")
		var statements []string
		w.Store.SetHooks(models.Hooks{Query: func(sql string) { statements = append(statements, sql) }})
		claimed, err := w.Store.Claim(t.Context(), models.ClaimOptions{Limit: 100, Admit: func(d models.Delivery, _ bool) bool {
			return d.ExternalStatusCheckID == lint.ID
		}})
		w.Store.SetHooks(models.Hooks{})
		if err != nil || len(claimed) != 1 || claimed[0].Delivery.ExternalStatusCheckID != lint.ID || claimed[0].SecretError != nil {
			t.Fatalf("claimed %+v, error %v", claimed, err)
		}
		// On PostgreSQL the lock, on SQLite the two settings; then one query and two updates.
		if limit := 5; len(statements) == 0 || len(statements) > limit {
			t.Errorf("%d statements, want at most %d:\n%s", len(statements), limit, strings.Join(statements, "\n"))
		}
		if stored := w.Deliveries(lint)[0]; stored.LeasedUntil == nil || !stored.LeasedUntil.Equal(*claimed[0].Delivery.LeasedUntil) || stored.Attempts != 1 {
			t.Errorf("stored %+v", stored)
		}
		if list := claim(t, w.Store, 100); len(list) != 1 || list[0].ExternalStatusCheckID != licence.ID {
			t.Fatalf("then claimed %+v", list)
		}
		finish(t, w.Store, answer200, w.Deliveries(lint)[0], w.Deliveries(licence)[0])

		w.Push("feature")
		other := mergeRequests(w, 1)[0]
		list := claim(t, w.Store, 100)
		if len(list) != 4 {
			t.Errorf("%d of %d deliveries of %d and %d are claimed", len(list), 4, mr.IID, other.IID)
		}
		if list := claim(t, w.Store, 100); len(list) != 0 {
			t.Errorf("claimed twice: %+v", list)
		}
	})
}

// A crash of the database loses a claim, because its commit did not wait for the disk.
// The result of the attempt is stored all the same, unless a later claim has taken the
// delivery.
func TestFinishDelivery_ClaimLost_IsStored(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		service := w.Service("lint")
		w.MergeRequest("feature", "main")
		lose := func() models.Delivery {
			t.Helper()
			claimed := claim(t, w.Store, 10)
			if len(claimed) != 1 {
				t.Fatalf("claimed %+v", claimed)
			}
			_, err := w.Store.DB().Exec("UPDATE deliveries SET attempts = 0, leased_until = NULL, last_attempt_at = NULL, schedule_started_at = NULL, queued = FALSE")
			if err == nil {
				_, err = w.Store.DB().Exec("UPDATE service_queues SET next_at = NULL")
			}
			if err != nil {
				t.Fatal(err)
			}
			return claimed[0]
		}
		lost := lose()
		again := claim(t, w.Store, 10)
		finish(t, w.Store, answer200, again...)
		finish(t, w.Store, answer503, lost)
		stored, attempts, err := w.Store.Delivery(t.Context(), service.ProjectID, service.ID, lost.ID)
		if err != nil || stored.State != models.DeliveryDelivered || len(attempts) != 1 {
			t.Errorf("after a later claim: %+v with %d attempts, %v", stored, len(attempts), err)
		}

		w.Push("feature")
		lost = lose()
		w.Push("feature") // supersedes it
		finish(t, w.Store, answer200, lost)
		stored, attempts, err = w.Store.Delivery(t.Context(), service.ProjectID, service.ID, lost.ID)
		if err != nil || stored.State != models.DeliveryDelivered || stored.Attempts != 1 || stored.LeasedUntil != nil || len(attempts) != 1 {
			t.Errorf("%+v with %d attempts, %v", stored, len(attempts), err)
		}
	})
}
