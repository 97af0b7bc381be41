package jobs

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
	"github.com/mergegate/mergegate/webhook"
)

// BenchmarkCommitToReceiver measures the way of a payload from the end of the
// push that caused it, just before its transaction commits, to the first byte
// at a receiver on this machine: the commit to disk, the wake-up, the claim
// and the connection. Beside it, in turn, the same payload is sent directly,
// without a database; the ratio of the two does not depend on how busy the
// machine is.
func BenchmarkCommitToReceiver(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) { benchmarkCommitToReceiver(b, modelstest.SQLite(b)) })
	b.Run("postgres", func(b *testing.B) {
		db := modelstest.Postgres(b)
		// Test servers do not wait for the disk; the measured one does.
		_, err := db.SQL(b).Exec(`DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = on', current_database()); END $$`)
		if err != nil {
			b.Fatal(err)
		}
		benchmarkCommitToReceiver(b, db)
	})
}

func benchmarkCommitToReceiver(b *testing.B, db modelstest.Database) {
	url, arrivals := firstBytes(b)
	w := newWorld(b, db,
		modelstest.WithPayload(webhook.Payload("https://git.example.test")),
		func(c *models.Config) { c.Now = time.Now })
	service := w.service("lint", url, "hush")
	w.MergeRequest("feature", "main")
	w.deliver(1)
	<-arrivals
	first := w.Deliveries(service)[0]
	sample, _, err := w.Store.Delivery(b.Context(), first.ProjectID, first.ExternalStatusCheckID, first.ID)
	if err != nil {
		b.Fatal(err)
	}
	var committing time.Time
	w.Store.SetHooks(models.Hooks{BeforePushCommit: func() error { committing = time.Now(); return nil }})
	w.start()

	var queued, direct []time.Duration
	for b.Loop() {
		w.Push("feature")
		queued = append(queued, (<-arrivals).Sub(committing))
		eventually(b, "the deliverer is idle", func() bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.inFlight == 0
		})
		begin := time.Now()
		go w.sender.Send(b.Context(), models.ClaimedDelivery{Delivery: sample, Secret: "hush"}, begin)
		direct = append(direct, (<-arrivals).Sub(begin))
	}
	b.ReportMetric(milliseconds(queued, 0.50), "p50-ms")
	b.ReportMetric(milliseconds(queued, 0.99), "p99-ms")
	b.ReportMetric(milliseconds(direct, 0.50), "direct-p50-ms")
	b.ReportMetric(milliseconds(direct, 0.99), "direct-p99-ms")
	b.ReportMetric(milliseconds(queued, 0.50)/milliseconds(direct, 0.50), "p50-ratio")
}

// firstBytes starts a receiver that tells when the first byte of each request
// came.
func firstBytes(b *testing.B) (url string, arrivals <-chan time.Time) {
	b.Helper()
	times := make(chan time.Time, 16)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	// A connection becomes active with the first byte of its request.
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateActive {
			times <- time.Now()
		}
	}
	server.Start()
	b.Cleanup(server.Close)
	return server.URL, times
}

// milliseconds is a percentile of durations.
func milliseconds(all []time.Duration, percentile float64) float64 {
	slices.Sort(all)
	return float64(all[int(float64(len(all)-1)*percentile)].Microseconds()) / 1000
}
