package models_test

import (
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// A new delivery that is not admitted is taken by a later claim, and each of two to the same
// service has its turn.
func TestClaim_NewDeliveries_AreTakenOnce(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		lint, licence := w.Service("lint"), w.Service("licence")
		mr := w.MergeRequest("feature", "main")
		claimed, err := w.Store.Claim(t.Context(), models.ClaimOptions{Limit: 100, Admit: func(d models.Delivery, _ bool) bool {
			return d.ExternalStatusCheckID == lint.ID
		}})
		if err != nil || len(claimed) != 1 || claimed[0].Delivery.ExternalStatusCheckID != lint.ID || claimed[0].SecretError != nil {
			t.Fatalf("claimed %+v, error %v", claimed, err)
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

// A claim keeps the row of a delivery that another transaction is about to change, such as
// a Redeliver whose change it does not see yet.
func TestClaim_ArrivalHeldByAnotherTransaction_IsKept(t *testing.T) {
	db := modelstest.Postgres(t)
	w := modelstest.New(t, db)
	service := w.Service("lint")
	w.MergeRequest("feature", "main")
	other, err := db.SQL(t).BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Exec("UPDATE arrived_deliveries SET external_status_check_id = external_status_check_id"); err != nil {
		t.Fatal(err)
	}
	finish(t, w.Store, answer200, claim(t, w.Store, 10)...)
	if err := other.Commit(); err != nil {
		t.Fatal(err)
	}
	// Without the row, nothing would look at the service.
	if _, err := db.SQL(t).Exec("UPDATE deliveries SET state = 'waiting', single_attempt = TRUE"); err != nil {
		t.Fatal(err)
	}
	if list := claim(t, w.Store, 10); len(list) != 1 || list[0].ExternalStatusCheckID != service.ID {
		t.Errorf("claimed %+v", list)
	}
}

// While there are fewer places than deliveries, services get equal shares of them.
func TestClaim_FewPlaces_ServicesGetEqualShares(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		for _, name := range []string{"one", "two", "three"} {
			w.Service(name)
		}
		mergeRequests(w, 20)
		taken := map[int64]int{}
		for range 12 {
			list := claim(t, w.Store, 4)
			for _, d := range list {
				taken[d.ExternalStatusCheckID]++
			}
			left, err := w.Store.FinishDeliveries(t.Context(), finished(answer200, list))
			if err != nil || len(left) != 0 {
				t.Fatalf("%d left, %v", len(left), err)
			}
			w.Clock.Advance(time.Second)
		}
		for service, n := range taken {
			if len(taken) != 3 || n < 15 || n > 17 {
				t.Errorf("service %d got %d of 48 places", service, n)
			}
		}
	})
}

// finished returns the same result for all deliveries.
func finished(r models.AttemptResult, list []models.Delivery) (all []models.FinishedDelivery) {
	for _, d := range list {
		all = append(all, models.FinishedDelivery{Delivery: d, Result: r})
	}
	return all
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
			for _, statement := range []string{
				"DELETE FROM delivery_leases",
				"INSERT INTO arrived_deliveries SELECT id, external_status_check_id FROM deliveries WHERE state = 'waiting'",
				"UPDATE service_queues SET next_at = NULL",
			} {
				if _, err := w.Store.DB().Exec(statement); err != nil {
					t.Fatal(err)
				}
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
