package models_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// BenchmarkClaim measures a claim of one delivery while many others wait behind open
// breakers or are stored. It alternates between a database with few and one with many,
// and reports the ratio of the medians.
func BenchmarkClaim(b *testing.B) {
	for _, c := range []struct {
		name      string
		few, many int
		state     models.DeliveryState
	}{
		{"waiting behind open breakers", 100, 100_000, models.DeliveryWaiting},
		{"stored", 100, 1_000_000, models.DeliveryDelivered},
	} {
		for _, driver := range []string{models.DriverSQLite, models.DriverPostgres} {
			b.Run(driver+"/"+c.name, func(b *testing.B) {
				few, many := newClaimBench(b, driver, c.few, c.state), newClaimBench(b, driver, c.many, c.state)
				var fast, slow []time.Duration
				for b.Loop() {
					fast, slow = append(fast, few.claim(b)), append(slow, many.claim(b))
				}
				slices.Sort(fast)
				slices.Sort(slow)
				p50 := func(all []time.Duration) float64 { return float64(all[len(all)/2].Microseconds()) / 1000 }
				b.ReportMetric(p50(fast), "few-p50-ms")
				b.ReportMetric(p50(slow), "many-p50-ms")
				b.ReportMetric(p50(slow)/p50(fast), "ratio")
			})
		}
	}
}

// claimBench is a store with a delivery that is claimed again and again.
type claimBench struct {
	*modelstest.Fixture
	delivery models.Delivery
}

func newClaimBench(b *testing.B, driver string, n int, state models.DeliveryState) claimBench {
	b.Helper()
	db := modelstest.SQLite(b)
	if driver == models.DriverPostgres {
		db = modelstest.Postgres(b)
	}
	w := modelstest.New(b, db)
	good := w.Service("good")
	w.MergeRequest("feature", "main")
	const services = 50
	for i := range services {
		w.Service(fmt.Sprintf("dead-%d", i))
	}
	exec := func(statement string) {
		b.Helper()
		if _, err := w.Store.DB().ExecContext(b.Context(), statement); err != nil {
			b.Fatal(err)
		}
	}
	at, later := "'2026-11-22 08:00:00+00:00'", "'2026-11-22 09:10:00+00:00'"
	if state == models.DeliveryWaiting {
		exec(`UPDATE service_queues SET failures = 9, opened_at = ` + at + `, open_until = ` + later + `, open_times = 6, probe_at = ` + later + `,
			next_at = ` + later + ` WHERE external_status_check_id <> ` + fmt.Sprint(good.ID))
	}
	exec(fmt.Sprintf(`INSERT INTO deliveries (project_id, external_status_check_id, uuid, event_uuid, kind, url, payload, state, next_attempt_at, created_at)
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
		SELECT %d, %d + 1 + i %% %d, 'bulk-' || CAST(i AS text), 'bulk', 'event', 'http://dead.example.test/', CAST('{}' AS %s), '%s',
			%s, %s FROM n`, n, w.Project.ID, good.ID, services,
		map[string]string{models.DriverSQLite: "blob", models.DriverPostgres: "bytea"}[driver], state,
		cast(driver, at), cast(driver, at)))
	exec("ANALYZE")
	list := w.Deliveries(good)
	return claimBench{w, list[len(list)-1]}
}

func cast(driver, at string) string {
	if driver == models.DriverPostgres {
		return "CAST(" + at + " AS timestamptz)"
	}
	return at
}

// claim makes the delivery due, measures the claim, and ends the attempt.
func (c claimBench) claim(b *testing.B) time.Duration {
	b.Helper()
	if _, err := c.Store.Redeliver(b.Context(), c.Owner, c.Project.ID, c.delivery.ExternalStatusCheckID, c.delivery.ID); err != nil {
		b.Fatal(err)
	}
	begin := time.Now()
	claimed, err := c.Store.Claim(b.Context(), models.ClaimOptions{Limit: 64})
	took := time.Since(begin)
	if err != nil || len(claimed) != 1 {
		b.Fatalf("claimed %d, %v", len(claimed), err)
	}
	if err := c.Store.FinishDelivery(b.Context(), claimed[0].Delivery, models.AttemptResult{StartedAt: c.Clock.Now(), HTTPStatus: 200}); err != nil {
		b.Fatal(err)
	}
	return took
}
