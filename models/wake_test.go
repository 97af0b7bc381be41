package models_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// After an outage, what waits for the service is sent at once, however much it is. It is made
// due in batches, because one statement for all would hold up other deliveries.
func TestWake_LongBacklog_IsMadeDueInBatches(t *testing.T) {
	const batch, waiting = 200, 250
	for name, wake := range map[string]func(t *testing.T, w *modelstest.Fixture, service models.ExternalStatusCheck){
		"success of the probe": func(t *testing.T, w *modelstest.Fixture, service models.ExternalStatusCheck) {
			t.Helper()
			_, err := w.DB.SQL(t).Exec(`UPDATE service_queues SET failures = 5, opened_at = $1, open_until = $1, open_times = 1, probe_at = $1, next_at = $1
				WHERE external_status_check_id = $2`, w.Clock.Now(), service.ID)
			if err != nil {
				t.Fatal(err)
			}
			probe := claim(t, w.Store, 10)
			if len(probe) != 1 {
				t.Fatalf("%d deliveries are claimed while the breaker is open", len(probe))
			}
			finish(t, w.Store, models.AttemptResult{HTTPStatus: http.StatusOK}, probe...)
		},
		"an administrator": func(t *testing.T, w *modelstest.Fixture, service models.ExternalStatusCheck) {
			t.Helper()
			if err := w.Store.WakeService(t.Context(), w.Owner, service.ID); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
				w := modelstest.New(t, db)
				service := w.Service("lint")
				w.MergeRequest("feature", "main")
				conn, now := db.SQL(t), w.Clock.Now()
				// One is held back by its service. None has a merge request, so that none waits for another.
				_, err := conn.Exec(`WITH RECURSIVE s(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM s WHERE n < $1)
					INSERT INTO deliveries (project_id, external_status_check_id, uuid, event_uuid, kind, action, sha, url, payload, state, attempts,
						next_attempt_at, created_at)
					SELECT project_id, external_status_check_id, uuid || '-' || s.n, event_uuid, kind, action, sha, url, payload, 'waiting', 6,
						$2, created_at FROM deliveries, s`, waiting, now.Add(2*time.Hour))
				if err != nil {
					t.Fatal(err)
				}
				if _, err := conn.Exec("UPDATE deliveries SET not_before = $1 WHERE uuid LIKE '%-0'", now.Add(time.Hour)); err != nil {
					t.Fatal(err)
				}
				wake(t, w, service)
				sent := 0
				for list := claim(t, w.Store, 64); len(list) > 0; list = claim(t, w.Store, 64) {
					var due int
					err := conn.QueryRow("SELECT count(*) FROM deliveries WHERE state = 'waiting' AND next_attempt_at <= $1", now).Scan(&due)
					if err != nil || due > batch+1 { // with that of the merge request
						t.Fatalf("%d are due at once, %v", due, err)
					}
					finish(t, w.Store, models.AttemptResult{HTTPStatus: http.StatusOK}, list...)
					sent += len(list)
				}
				if sent < waiting || sent > waiting+1 {
					t.Errorf("%d of %d are sent", sent, waiting)
				}
				var left int
				err = conn.QueryRow("SELECT count(*) FROM service_queues WHERE woken_at IS NOT NULL").Scan(&left)
				if err != nil || left > 0 {
					t.Errorf("%d queues are still woken, %v", left, err)
				}
				w.Clock.Advance(time.Hour)
				if held := claim(t, w.Store, 64); len(held) != 1 {
					t.Errorf("%d are sent at the end of the time for which one was held back", len(held))
				}
			})
		})
	}
}
