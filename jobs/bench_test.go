package jobs

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
	"github.com/mergegate/mergegate/webhook"
)

// BenchmarkCommitToReceiver measures the time from just before a push commits
// to the first byte at a receiver on this machine: the commit to disk and the
// connection, at 20 events per second. The service is idle, so the attempt begins
// with the commit, without a claim. It alternates with sending the same payload
// directly, without a database. The ratio of the two hardly depends on the load
// of the machine.
func BenchmarkCommitToReceiver(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) { benchmarkCommitToReceiver(b, modelstest.SQLite(b)) })
	b.Run("postgres", func(b *testing.B) {
		db := modelstest.Postgres(b)
		assertDurable(b, db)
		benchmarkCommitToReceiver(b, db)
	})
}

func benchmarkCommitToReceiver(b *testing.B, db modelstest.Database) {
	url, arrivals := firstBytes(b)
	w := newFixture(b, db,
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

	page, err := os.Create(filepath.Join(b.TempDir(), "page"))
	if err != nil {
		b.Fatal(err)
	}
	defer page.Close()
	var queued, direct, synced []time.Duration
	tick := time.NewTicker(time.Second / 20)
	defer tick.Stop()
	for b.Loop() {
		<-tick.C
		w.Push("feature")
		queued = append(queued, (<-arrivals).Sub(committing))
		eventually(b, "the deliverer is idle", func() bool { return w.slots.count() == 0 })
		begin := time.Now()
		go w.sender.Send(b.Context(), models.ClaimedDelivery{Delivery: sample, Secret: "hush"}, begin)
		direct = append(direct, (<-arrivals).Sub(begin))
		begin = time.Now()
		if _, err := page.Write(make([]byte, 4096)); err != nil {
			b.Fatal(err)
		}
		if err := page.Sync(); err != nil {
			b.Fatal(err)
		}
		synced = append(synced, time.Since(begin))
	}
	b.ReportMetric(milliseconds(queued, 0.50), "p50-ms")
	b.ReportMetric(milliseconds(queued, 0.99), "p99-ms")
	b.ReportMetric(milliseconds(direct, 0.50), "direct-p50-ms")
	b.ReportMetric(milliseconds(direct, 0.99), "direct-p99-ms")
	b.ReportMetric(milliseconds(synced, 0.50), "sync-p50-ms")
	b.ReportMetric(milliseconds(queued, 0.50)/milliseconds(direct, 0.50), "p50-ratio")
}

// firstBytes starts a receiver and returns the arrival times of each request's
// first byte.
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

// milliseconds returns a percentile of durations. It sorts them.
func milliseconds(all []time.Duration, percentile float64) float64 {
	slices.Sort(all)
	return float64(all[int(float64(len(all)-1)*percentile)].Microseconds()) / 1000
}
