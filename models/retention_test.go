package models_test

import (
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// Old deliveries are deleted in batches, whatever lies between them: what waits, what
// finished late, and what is newer stays.
func TestDeleteExpired_OldDeliveries_AreDeletedInBatches(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		w.Service("lint")
		w.MergeRequest("feature", "main")
		conn := db.SQL(t)
		// Of 2,500 copies, every fourth waits and every fifth of the others finished late.
		_, err := conn.Exec(`WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 2500)
			INSERT INTO deliveries (project_id, external_status_check_id, merge_request_id, merge_request_iid, uuid, event_uuid, kind, action, sha, url,
				payload, state, attempts, next_attempt_at, finished_at, created_at)
			SELECT project_id, external_status_check_id, merge_request_id, merge_request_iid, uuid || '-' || s.n, event_uuid, kind, action, sha, url,
				payload, CASE WHEN s.n % 4 = 0 THEN 'waiting' ELSE 'delivered' END, 1, next_attempt_at,
				CASE WHEN s.n % 4 = 0 THEN NULL WHEN s.n % 5 = 0 THEN $1 ELSE created_at END, created_at
			FROM deliveries, s`, w.Clock.Now().Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		left := func() (n int) {
			t.Helper()
			if err := w.Store.DeleteExpired(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := conn.QueryRow("SELECT count(*) FROM deliveries").Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		const all, waiting, late = 2501, 626, 375 // with the original, which waits
		w.Clock.Advance(models.DeliveryRetention - time.Minute)
		if n := left(); n != all {
			t.Errorf("before the end of retention: %d deliveries, want %d", n, all)
		}
		w.Clock.Advance(2 * time.Minute)
		if n := left(); n != waiting+late {
			t.Errorf("after retention: %d deliveries, want %d", n, waiting+late)
		}
		w.Clock.Advance(time.Hour)
		if n := left(); n != waiting {
			t.Errorf("an hour later: %d deliveries, want %d", n, waiting)
		}
	})
}

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
