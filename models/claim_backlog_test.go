package models_test

import (
	"database/sql"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// The statistics of PostgreSQL are usually from a time when nothing waited. It expects one
// waiting delivery at most then, and takes any index of them for as good as any other.
// Nothing may read all waiting deliveries all the same: a backlog would slow down its own
// end.
func TestDeliveries_BacklogUnknownToStatistics_FewRowsRead(t *testing.T) {
	const (
		delivered, waiting = 20_000, 1000 // per service
		limit              = 30           // rows that one delivery may read
	)
	for name, seen := range map[string]bool{"new": false, "seen by a claim": true} {
		t.Run(name, func(t *testing.T) {
			db := modelstest.Postgres(t)
			check := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			w := modelstest.New(t, db)
			service := w.Service("one")
			w.Service("two")
			mr := w.MergeRequest("feature", "main")
			finish(t, w.Store, answer200, claim(t, w.Store, 10)...)
			conn := db.SQL(t)
			// The merge requests of copies do not exist.
			if _, err := conn.Exec("ALTER TABLE deliveries DROP CONSTRAINT deliveries_merge_request_id_fkey"); err != nil {
				t.Fatal(err)
			}
			copyDeliveries(t, conn, models.DeliveryDelivered, delivered)
			if _, err := conn.Exec("VACUUM ANALYZE"); err != nil {
				t.Fatal(err)
			}
			copyDeliveries(t, conn, models.DeliveryWaiting, waiting)
			if seen {
				_, err := conn.Exec("UPDATE service_queues SET next_at = $1", w.Clock.Now())
				check(err)
			} else {
				// It reads indexes of deliveries, which a session of the store reports before the steps.
				_, err := w.Store.DB().Exec("INSERT INTO arrived_deliveries SELECT id, external_status_check_id FROM deliveries WHERE state = 'waiting'")
				check(err)
			}
			defer w.Store.OfferPlaces(func(models.Delivery) models.Place { return nil })()
			var claimed []models.Delivery
			for _, step := range []struct {
				name       string
				deliveries int
				do         func()
			}{
				{"push before the first claim", 2, func() { w.Push("feature") }},
				{"claim", 4*20 + map[bool]int{false: 2 * waiting}[seen], func() {
					for range 20 {
						claimed = claim(t, w.Store, 4)
						finish(t, w.Store, answer200, claimed[:2]...)
						finish(t, w.Store, answer503, claimed[2])
						_, err := w.Store.FinishDeliveries(t.Context(), []models.FinishedDelivery{{Delivery: claimed[3], Result: answer200}})
						check(err)
					}
				}},
				{"push", 2, func() { w.Push("feature") }},
				{"edit", 2, func() {
					title := "Edited"
					_, err := w.Store.UpdateMergeRequest(t.Context(), w.Owner, w.Project.ID, mr.IID, models.MergeRequestUpdate{Title: &title})
					check(err)
				}},
				{"retry", 1, func() {
					check(w.Respond(mr, service, w.Git.Tip(w.Project.ID, "feature"), models.StatusFailed))
					_, err := w.Store.RetryCheck(t.Context(), w.Owner, w.Project.ID, mr.IID, service.ID)
					check(err)
				}},
				{"send test", 1, func() {
					_, err := w.Store.SendTest(t.Context(), w.Owner, w.Project.ID, service.ID)
					check(err)
				}},
				{"redeliver", 1, func() {
					_, err := w.Store.Redeliver(t.Context(), w.Owner, w.Project.ID, service.ID, claimed[0].ID)
					check(err)
				}},
				{"close", 2, func() {
					_, err := w.Store.CloseMergeRequest(t.Context(), w.Owner, w.Project.ID, mr.IID)
					check(err)
				}},
				{"log of the service", 20, func() {
					_, _, err := w.Store.Deliveries(t.Context(), w.Project.ID, service.ID, models.DeliveryFilter{}, models.Page{Number: 1, Size: 20})
					check(err)
				}},
				{"background work", 4 * waiting / limit, func() { // it counts what waits and what was new
					_, err := w.Store.BackgroundWork(t.Context(), 20)
					check(err)
				}},
				{"next time", 1, func() {
					_, _, err := w.Store.NextDeliveryAt(t.Context(), w.Store.Now())
					check(err)
				}},
			} {
				before := deliveryRowsRead(t, conn, w.Store)
				step.do()
				read := deliveryRowsRead(t, conn, w.Store) - before
				t.Logf("%s: %d rows", step.name, read)
				if read > limit*step.deliveries {
					t.Errorf("%s: %d rows of indexes of deliveries read for %d deliveries", step.name, read, step.deliveries)
				}
			}
		})
	}
}

// copyDeliveries inserts n deliveries of other merge requests for each service.
func copyDeliveries(t *testing.T, conn *sql.DB, state models.DeliveryState, n int) {
	t.Helper()
	_, err := conn.Exec(`INSERT INTO deliveries (project_id, external_status_check_id, merge_request_id, uuid, event_uuid, kind, action,
			sha, url, payload, state, next_attempt_at, created_at)
		SELECT d.project_id, d.external_status_check_id, i, CAST($1 AS text) || s.id || '-' || i, 'event-' || i, d.kind, 'update',
			d.sha, d.url, d.payload, $1, d.created_at, d.created_at
		FROM external_status_checks s, generate_series(1000, 999 + CAST($2 AS int)) i,
			LATERAL (SELECT * FROM deliveries WHERE external_status_check_id = s.id ORDER BY id LIMIT 1) d`, state, n)
	if err != nil {
		t.Fatal(err)
	}
}

// deliveryRowsRead returns how many rows of the indexes of deliveries all sessions have
// read so far.
func deliveryRowsRead(t *testing.T, conn *sql.DB, store *models.Store) (n int) {
	t.Helper()
	// A session reports what it has read when it ends.
	store.DB().SetMaxIdleConns(0)
	defer store.DB().SetMaxIdleConns(1)
	others := 1
	for deadline := time.Now().Add(time.Minute); others > 0; {
		if time.Now().After(deadline) {
			t.Fatalf("%d sessions of the store are still open", others)
		}
		err := conn.QueryRow("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()").
			Scan(&others)
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.QueryRow("SELECT SUM(idx_tup_read) FROM pg_stat_user_indexes WHERE relname = 'deliveries'").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
