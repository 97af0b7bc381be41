package jobs

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// countingOutbox counts the claims, and how often the loop had nothing to do and waited.
// No delivery starts without a claim.
type countingOutbox struct {
	*models.Store
	claims, waits atomic.Int32
}

func (o *countingOutbox) Claim(ctx context.Context, options models.ClaimOptions) ([]models.ClaimedDelivery, error) {
	defer o.claims.Add(1)
	return o.Store.Claim(ctx, options)
}

func (*countingOutbox) OfferPlaces(func(models.Delivery) models.Place) (stop func()) {
	return func() {}
}

func (o *countingOutbox) NextDeliveryAt(ctx context.Context, after time.Time) (time.Time, bool, error) {
	defer o.waits.Add(1)
	return o.Store.NextDeliveryAt(ctx, after)
}

// A waiting deliverer sends a new delivery at once if this process recorded it,
// or, on PostgreSQL, another one.
func TestRun_NewDelivery_WakesLoop(t *testing.T) {
	assertWakes := func(t *testing.T, db modelstest.Database, by func(fixture) fixture) {
		w, r := newFixture(t, db), newReceiver(t)
		w.service("lint", r.url, "")
		outbox := &countingOutbox{Store: w.Store}
		w.Deliverer = NewDeliverer(outbox, client(t), w.log)
		w.start()
		// On PostgreSQL the loop wakes once when listening starts.
		wantClaims := map[string]int32{models.DriverSQLite: 1, models.DriverPostgres: 2}[db.Driver]
		eventually(t, "the loop waits", func() bool { return outbox.claims.Load() >= wantClaims && outbox.waits.Load() > 0 })
		by(w).MergeRequest("feature", "main")
		r.next(t)
	}
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		assertWakes(t, db, func(w fixture) fixture { return w })
	})
	t.Run("from another process", func(t *testing.T) {
		db := modelstest.Postgres(t)
		assertWakes(t, db, func(w fixture) fixture {
			other := fixture{Fixture: modelstest.Open(t, db, modelstest.WithGit(w.Git))}
			other.Owner, other.Project = w.Owner, w.Project
			return other
		})
	})
}

// After the listening connection is lost, a new one receives what another
// process records.
func TestRun_ListenConnectionLost_ListensAgain(t *testing.T) {
	db := modelstest.Postgres(t)
	w, r := newFixture(t, db), newReceiver(t)
	w.service("lint", r.url, "")
	w.start()
	mr := w.MergeRequest("feature", "main")
	r.next(t)
	sql := db.SQL(t)
	listeners := func() (pids []int) {
		rows, err := sql.Query("SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN %'")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var pid int
			if err := rows.Scan(&pid); err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		}
		return pids
	}
	var first []int
	eventually(t, "a connection listens", func() bool { first = listeners(); return len(first) == 1 })
	if _, err := sql.Exec("SELECT pg_terminate_backend($1)", first[0]); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another connection listens", func() bool { again := listeners(); return len(again) == 1 && again[0] != first[0] })
	other := fixture{Fixture: modelstest.Open(t, db)}
	other.Owner = w.Owner
	other.edit(mr, "second")
	r.next(t)
}

// A host that does not answer has at most maxPerHost attempts in flight. Another
// host's delivery is sent at once, and the slow host gets the rest as attempts
// end.
func TestRun_SlowHost_DoesNotDelayOthers(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w, slow, fast := newFixture(t, db), newReceiver(t), newReceiver(t)
		w.slots.quickTime = time.Hour // no attempt ends its turn
		hang := make(chan struct{})
		release := sync.OnceFunc(func() { close(hang) })
		var now, most atomic.Int32
		slow.respond(func(http.ResponseWriter, *http.Request) {
			most.Store(max(most.Load(), now.Add(1)))
			defer now.Add(-1)
			<-hang
		})
		slowHost := strings.Replace(slow.url, "127.0.0.1", "localhost", 1)
		// More than the limit, and all recorded before the fast service's delivery.
		const many = 2*maxPerHost + 8
		for i := range many {
			w.service(fmt.Sprintf("slow %d", i), fmt.Sprintf("%s/%d", slowHost, i), "")
		}
		w.service("very fast", fast.url, "")
		w.MergeRequest("feature", "main")
		w.start()
		t.Cleanup(release)
		fast.next(t)
		for range maxPerHost {
			slow.next(t)
		}
		slow.assertNoRequest(t)
		release()
		for range many - maxPerHost {
			slow.next(t)
		}
		if n := most.Load(); n > maxPerHost {
			t.Errorf("%d attempts at once to one host", n)
		}
	})
}

// Attempts that hang free their quick slots after quickTime.
func TestRun_HangingAttempts_LeaveRoomForOthers(t *testing.T) {
	w, slow, fast := newFixture(t, modelstest.SQLite(t)), newReceiver(t), newReceiver(t)
	w.slots.quickTime = time.Millisecond
	hang := make(chan struct{})
	slow.respond(func(http.ResponseWriter, *http.Request) { <-hang })
	const many = maxQuick + 8
	for i := range many {
		w.service(fmt.Sprintf("slow %d", i), fmt.Sprintf("%s/%d", slow.url, i), "")
	}
	w.service("very fast", fast.url, "")
	w.MergeRequest("feature", "main")
	w.start()
	t.Cleanup(func() { close(hang) })
	// Before the first of the others ends; starting them takes a while on a busy machine.
	fast.nextWithin(t, 9*time.Second)
	for range many {
		slow.next(t)
	}
}

func TestRun_Stopped_WaitsForAttempt(t *testing.T) {
	w, r := newFixture(t, modelstest.SQLite(t)), newReceiver(t)
	service := w.service("lint", r.url, "")
	arrived, release := make(chan struct{}), make(chan struct{})
	r.respond(func(http.ResponseWriter, *http.Request) {
		close(arrived)
		<-release
	})
	w.MergeRequest("feature", "main")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); w.Run(ctx) }()
	<-arrived
	cancel()
	select {
	case <-done:
		t.Error("the deliverer stopped during an attempt")
	case <-time.After(50 * time.Millisecond):
	}
	close(release)
	<-done
	if d, _ := w.singleDelivery(service); d.State != models.DeliveryDelivered {
		t.Errorf("delivery %+v", d)
	}
}

// An attempt that does not end in time is interrupted. Its delivery is due again
// for the next process.
func TestRun_Stopped_InterruptsLongAttempt(t *testing.T) {
	w, r := newFixture(t, modelstest.SQLite(t)), newReceiver(t)
	service := w.service("lint", r.url, "")
	r.respond(func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() })
	w.MergeRequest("feature", "main")
	w.drain = 10 * time.Millisecond
	stop := w.start()
	r.next(t)
	stop()
	d, attempts := w.singleDelivery(service)
	if d.State != models.DeliveryWaiting || d.LeasedUntil != nil || len(attempts) != 1 || attempts[0].Error != models.ErrorInterrupted {
		t.Errorf("delivery %+v with attempts %+v", d, attempts)
	}
	r.respond(nil)
	w.Clock.Advance(2 * time.Second)
	w.Deliverer = NewDeliverer(w.Store, client(t), w.log) // the next process
	w.deliver(1)
}

// When a process is killed during an attempt, another process sends the delivery
// again with the same id.
func TestRun_Killed_AnotherProcessSendsAgain(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w, r := newFixture(t, db, func(c *models.Config) { c.Now = time.Now }), newReceiver(t)
		r.respond(func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() })
		service := w.service("lint", r.url, "")
		w.MergeRequest("feature", "main")
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), childDriver+"="+db.Driver, childDSN+"="+db.DSN)
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		first := r.next(t)
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = child.Wait() // the error states that it was killed
		r.respond(nil)
		later := modelstest.Open(t, db, func(c *models.Config) {
			c.Now = func() time.Time { return time.Now().Add(models.LeaseDuration) }
		})
		w.Deliverer = NewDeliverer(later.Store, client(t), w.log)
		w.deliver(1)
		if second := r.next(t); second.id != first.id {
			t.Errorf("sent again under another id: %s and %s", first.id, second.id)
		}
		if d, attempts := w.singleDelivery(service); d.State != models.DeliveryDelivered || len(attempts) != 2 {
			t.Errorf("delivery %+v with attempts %+v", d, attempts)
		}
	})
}

// unreliableOutbox fails at the first claim and at the first result.
type unreliableOutbox struct {
	*models.Store
	claims, results atomic.Int32
}

var errUnreachable = errors.New("the database is unreachable")

func (o *unreliableOutbox) Claim(ctx context.Context, options models.ClaimOptions) ([]models.ClaimedDelivery, error) {
	if o.claims.Add(1) == 1 {
		return nil, errUnreachable
	}
	return o.Store.Claim(ctx, options)
}

// fail returns an error for the first result, which is recorded, too.
func (o *unreliableOutbox) fail(err error) error {
	if o.results.Add(1) == 1 {
		return errors.Join(err, errUnreachable)
	}
	return err
}

func (o *unreliableOutbox) FinishDelivery(ctx context.Context, d models.Delivery, r models.AttemptResult) error {
	return o.fail(o.Store.FinishDelivery(ctx, d, r))
}

func (o *unreliableOutbox) FinishDeliveries(ctx context.Context, all []models.FinishedDelivery) ([]models.FinishedDelivery, error) {
	left, err := o.Store.FinishDeliveries(ctx, all)
	return left, o.fail(err)
}

func TestRun_DatabaseErrors_AreRetried(t *testing.T) {
	w, r := newFixture(t, modelstest.SQLite(t)), newReceiver(t)
	service := w.service("lint", r.url, "")
	w.MergeRequest("feature", "main")
	outbox := &unreliableOutbox{Store: w.Store}
	w.Deliverer = NewDeliverer(outbox, client(t), w.log)
	stop := w.start()
	r.next(t)
	eventually(t, "the result is recorded a second time", func() bool { return outbox.results.Load() == 2 })
	stop()
	r.assertNoRequest(t)
	if n := outbox.results.Load(); n != 2 {
		t.Errorf("the result was recorded %d times", n)
	}
	if d, attempts := w.singleDelivery(service); d.State != models.DeliveryDelivered || len(attempts) != 1 {
		t.Errorf("delivery %+v with attempts %+v", d, attempts)
	}
}
