package migrations_test

import (
	"testing"

	"github.com/mergegate/mergegate/migrations"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// What no claim has seen and what a killed process was sending when 0.1.0 ended gets its
// row in the tables that later versions read.
func TestUp_DeliveriesThatWait_GetArrivalsAndLeases(t *testing.T) {
	modelstest.EachEmpty(t, func(t *testing.T, database modelstest.Database) {
		db, d := database.SQL(t), database.Dialect()
		db.SetMaxOpenConns(1)
		if err := migrations.UpTo(t.Context(), db, d, 19); err != nil {
			t.Fatal(err)
		}
		// The project and the service of the rows do not exist.
		ignoreReferences := map[string]string{models.DriverSQLite: "PRAGMA foreign_keys = OFF", models.DriverPostgres: "SET session_replication_role = replica"}
		for _, statement := range []string{
			ignoreReferences[database.Driver],
			`INSERT INTO deliveries (id, project_id, external_status_check_id, merge_request_id, uuid, event_uuid, kind, url, payload, state, queued, attempts,
				next_attempt_at, last_attempt_at, leased_until, created_at) VALUES
				(1, 7, 8, 9, 'a', 'e', 'event', 'http://x.test/', '{}', 'waiting', FALSE, 0, '2026-11-26 10:00:00', NULL, NULL, '2026-11-26 10:00:00'),
				(2, 7, 8, 9, 'b', 'e', 'event', 'http://x.test/', '{}', 'waiting', TRUE, 1, '2026-11-26 10:00:00', '2026-11-26 10:00:00', NULL, '2026-11-26 10:00:00'),
				(3, 7, 8, 9, 'c', 'e', 'event', 'http://x.test/', '{}', 'waiting', TRUE, 3, '2026-11-26 10:00:00', '2026-11-26 10:00:05', '2026-11-26 10:00:35', '2026-11-26 10:00:00'),
				(4, 7, 8, 9, 'd', 'e', 'event', 'http://x.test/', '{}', 'delivered', TRUE, 1, '2026-11-26 10:00:00', '2026-11-26 10:00:00', NULL, '2026-11-26 10:00:00')`,
		} {
			if _, err := db.Exec(statement); err != nil {
				t.Fatal(err)
			}
		}
		if err := migrations.Up(t.Context(), db, d); err != nil {
			t.Fatal(err)
		}
		for query, want := range map[string]int{
			"SELECT COUNT(*) FROM arrived_deliveries WHERE delivery_id = 1 AND external_status_check_id = 8": 1,
			"SELECT COUNT(*) FROM arrived_deliveries":                                                        1,
			"SELECT COUNT(*) FROM delivery_leases":                                                           1,
			`SELECT COUNT(*) FROM delivery_leases WHERE delivery_id = 3 AND external_status_check_id = 8 AND merge_request_id = 9 AND attempt = 3
				AND started_at = '2026-11-26 10:00:05' AND leased_until = '2026-11-26 10:00:35'`: 1,
			"SELECT attempts FROM deliveries WHERE id = 2": 1,
			"SELECT attempts FROM deliveries WHERE id = 3": 2,
		} {
			var got int
			if err := db.QueryRow(query).Scan(&got); err != nil || got != want {
				t.Errorf("%s: %d, want %d, error %v", query, got, want, err)
			}
		}
	})
}
