package jobs

import (
	"bytes"
	"database/sql"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// Sizes of BenchmarkDrain.
const (
	drainServices      = 40
	drainMergeRequests = 25
)

// BenchmarkDrain sends 1,000 waiting deliveries to 40 services. It compares with a minimal
// loop, which does nothing but claim, POST and update with the database's driver: on a
// table of its own with the same payloads ("ratio"), and on the table of deliveries with
// its indexes ("same-table-ratio").
func BenchmarkDrain(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) { benchmarkDrain(b, modelstest.SQLite(b)) })
	b.Run("postgres", func(b *testing.B) {
		db := modelstest.Postgres(b)
		assertDurable(b, db)
		benchmarkDrain(b, db)
	})
}

// assertDurable fails on a server whose commits do not wait for the disk, unlike those of
// production servers.
func assertDurable(b *testing.B, db modelstest.Database) {
	b.Helper()
	var durable bool
	err := db.SQL(b).QueryRow("SELECT current_setting('fsync') = 'on' AND current_setting('synchronous_commit') = 'on'").Scan(&durable)
	if err != nil || !durable {
		b.Fatalf("make bench starts a server whose commits wait for the disk; this one does not (%v)", err)
	}
}

func benchmarkDrain(b *testing.B, db modelstest.Database) {
	var received atomic.Int64
	port := countingReceiver(b, &received)
	w := newFixture(b, db, func(c *models.Config) { c.Now = time.Now })
	for i := range drainServices {
		w.service(fmt.Sprintf("service-%d", i), fmt.Sprintf("http://127.0.3.%d:%s/", i+1, port), "")
	}
	pool := w.DB.SQL(b)
	var ours, minimal, sameTable float64
	n := 0
	fill := func() {
		for range drainMergeRequests {
			branch := fmt.Sprintf("branch-%d", n)
			n++
			w.Git.SetBranch(w.Fixture.Project.ID, branch, w.Git.Tip(w.Fixture.Project.ID, "feature"))
			w.MergeRequest(branch, "main")
		}
	}
	const all = drainServices * drainMergeRequests
	perSecond := func(drain func()) float64 {
		begin := time.Now()
		drain()
		return all / time.Since(begin).Seconds()
	}
	for b.Loop() {
		fill()
		prepareMinimal(b, w)
		ours += perSecond(func() {
			stop := w.start()
			waitUntilDelivered(b, w, &received, all)
			stop()
		})
		minimal += perSecond(func() { drainMinimal(b, pool, w.DB.Driver, bareTable) })
		fill()
		sameTable += perSecond(func() { drainMinimal(b, pool, w.DB.Driver, deliveriesTable) })
		if received.Swap(0) != 3*all {
			b.Fatal("a delivery was sent twice or not at all")
		}
	}
	b.ReportMetric(ours/float64(b.N), "deliveries/s")
	b.ReportMetric(minimal/float64(b.N), "minimal/s")
	b.ReportMetric(ours/minimal, "ratio")
	b.ReportMetric(ours/sameTable, "same-table-ratio")
}

// countingReceiver listens on all loopback addresses and returns its port.
func countingReceiver(b *testing.B, received *atomic.Int64) (port string) {
	b.Helper()
	l, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		b.Fatal(err)
	}
	server := http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		received.Add(1)
	})}
	go func() { _ = server.Serve(l) }()
	b.Cleanup(func() { _ = server.Close() })
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port
}

// waitUntilDelivered waits until the receiver has got all deliveries and none waits any
// more. It asks the database only then, because questions would slow down the deliverer.
func waitUntilDelivered(b *testing.B, w fixture, received *atomic.Int64, all int64) {
	b.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if received.Load() < all {
			continue
		}
		var waits bool
		if err := w.Store.DB().QueryRow("SELECT EXISTS (SELECT 1 FROM deliveries WHERE state = 'waiting')").Scan(&waits); err != nil {
			b.Fatal(err)
		}
		if !waits {
			return
		}
	}
	b.Fatal("deliveries are left after a minute")
}

// prepareMinimal copies the waiting deliveries into the minimal loop's table.
func prepareMinimal(b *testing.B, w fixture) {
	b.Helper()
	for _, statement := range []string{
		"DROP TABLE IF EXISTS minimal",
		"CREATE TABLE minimal AS SELECT id, url, payload, 'waiting' AS state FROM deliveries WHERE state = 'waiting'",
		"CREATE UNIQUE INDEX minimal_id ON minimal (id)",
		"CREATE INDEX minimal_waiting ON minimal (id) WHERE state = 'waiting'",
	} {
		if _, err := w.Store.DB().Exec(statement); err != nil {
			b.Fatal(err)
		}
	}
}

// minimalStatements are those of the minimal loop. claim takes 32 deliveries.
type minimalStatements struct{ claim, done string }

var (
	bareTable = minimalStatements{
		claim: `UPDATE minimal SET state = 'sending' WHERE id IN (
			SELECT id FROM minimal WHERE state = 'waiting' ORDER BY id LIMIT 32 FOR UPDATE SKIP LOCKED) RETURNING id, url, payload`,
		done: "UPDATE minimal SET state = 'done' WHERE id = $1",
	}
	deliveriesTable = minimalStatements{
		claim: `UPDATE deliveries SET attempts = 1 WHERE id IN (
			SELECT id FROM deliveries WHERE state = 'waiting' AND attempts = 0 ORDER BY id LIMIT 32 FOR UPDATE SKIP LOCKED) RETURNING id, url, payload`,
		done: "UPDATE deliveries SET state = 'delivered' WHERE id = $1",
	}
)

// drainMinimal is the minimal loop: it claims batches of 32 and sends each batch
// concurrently.
func drainMinimal(b *testing.B, db *sql.DB, driver string, statements minimalStatements) {
	b.Helper()
	db.SetMaxOpenConns(20)
	db.SetMaxIdleConns(20)
	claim := statements.claim
	if driver == models.DriverSQLite {
		db.SetMaxOpenConns(1)
		claim = strings.Replace(claim, " FOR UPDATE SKIP LOCKED", "", 1)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	for {
		batch := claimMinimal(b, db, claim)
		if len(batch) == 0 {
			return
		}
		var sending sync.WaitGroup
		for _, d := range batch {
			sending.Go(func() {
				response, err := (&http.Client{Transport: transport}).Post(d.URL, "application/json", bytes.NewReader(d.Payload))
				if err != nil {
					b.Error(err)
					return
				}
				_ = response.Body.Close()
				if _, err := db.Exec(statements.done, d.ID); err != nil {
					b.Error(err)
				}
			})
		}
		sending.Wait()
	}
}

func claimMinimal(b *testing.B, db *sql.DB, claim string) (batch []models.Delivery) {
	b.Helper()
	rows, err := db.Query(claim)
	if err != nil {
		b.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var d models.Delivery
		if err := rows.Scan(&d.ID, &d.URL, &d.Payload); err != nil {
			b.Fatal(err)
		}
		batch = append(batch, d)
	}
	if err := rows.Err(); err != nil {
		b.Fatal(err)
	}
	return batch
}
