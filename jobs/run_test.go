package jobs

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// watchedOutbox counts how often the loop had nothing to claim and went to
// wait.
type watchedOutbox struct {
	*models.Store
	waits atomic.Int32
}

func (o *watchedOutbox) NextDeliveryAt(ctx context.Context) (time.Time, bool, error) {
	defer o.waits.Add(1)
	return o.Store.NextDeliveryAt(ctx)
}

// TestWakes sees that a deliverer that waits sends at once what this process
// records, and on PostgreSQL what another one records.
func TestWakes(t *testing.T) {
	wakes := func(t *testing.T, db modelstest.Database, by func(world) world) {
		w, r := newWorld(t, db), newReceiver(t)
		w.service("lint", r.url, "")
		outbox := &watchedOutbox{Store: w.Store}
		w.Deliverer = NewDeliverer(outbox, client(t), w.log)
		w.start()
		// On PostgreSQL the start of listening wakes once by itself.
		quiet := map[string]int32{models.DriverSQLite: 1, models.DriverPostgres: 2}[db.Driver]
		eventually(t, "the loop waits", func() bool { return outbox.waits.Load() >= quiet })
		by(w).MergeRequest("feature", "main")
		r.next(t)
	}
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		wakes(t, db, func(w world) world { return w })
	})
	t.Run("from another process", func(t *testing.T) {
		db := modelstest.Postgres(t)
		wakes(t, db, func(w world) world {
			other := world{Fixture: modelstest.Open(t, db, modelstest.WithGit(w.Git))}
			other.Owner, other.Project = w.Owner, w.Project
			return other
		})
	})
}

// TestListensAgain ends the connection that listens, and sees that the next
// one hears of what another process records.
func TestListensAgain(t *testing.T) {
	db := modelstest.Postgres(t)
	w, r := newWorld(t, db), newReceiver(t)
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
	other := world{Fixture: modelstest.Open(t, db)}
	other.Owner = w.Owner
	other.edit(mr, "second")
	r.next(t)
}

// TestSlowHostDelaysNobody fills the line with deliveries to a host that hangs
// and sees that another host gets its own at once, that the slow one has no
// more than its share in flight, and that it gets the rest as places become
// free.
func TestSlowHostDelaysNobody(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w, slow, fast := newWorld(t, db), newReceiver(t), newReceiver(t)
		hang := make(chan struct{})
		release := sync.OnceFunc(func() { close(hang) })
		var now, most atomic.Int32
		slow.answers(func(http.ResponseWriter, *http.Request) {
			most.Store(max(most.Load(), now.Add(1)))
			defer now.Add(-1)
			<-hang
		})
		// More than there are places, and all of them before the fast one.
		const many = maxInFlight + maxPerHost
		for i := range many {
			w.service(fmt.Sprintf("slow %d", i), fmt.Sprintf("%s/%d", slow.url, i), "")
		}
		w.service("very fast", fast.url, "")
		w.MergeRequest("feature", "main")
		w.start()
		t.Cleanup(release)
		fast.next(t)
		for range maxPerHost {
			slow.next(t)
		}
		slow.none(t)
		release()
		for range many - maxPerHost {
			slow.next(t)
		}
		if n := most.Load(); n > maxPerHost {
			t.Errorf("%d attempts at once to one host", n)
		}
	})
}

// TestStopWaits sees that an attempt in flight is waited for.
func TestStopWaits(t *testing.T) {
	w, r := newWorld(t, modelstest.SQLite(t)), newReceiver(t)
	service := w.service("lint", r.url, "")
	arrived, release := make(chan struct{}), make(chan struct{})
	r.answers(func(http.ResponseWriter, *http.Request) {
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
		t.Error("the deliverer stopped under an attempt")
	case <-time.After(50 * time.Millisecond):
	}
	close(release)
	<-done
	if d, _ := w.only(service); d.State != models.DeliveryDelivered {
		t.Errorf("delivery %+v", d)
	}
}

// TestStopGivesUp sees that an attempt that does not end is given up, and due
// again for the next process.
func TestStopGivesUp(t *testing.T) {
	w, r := newWorld(t, modelstest.SQLite(t)), newReceiver(t)
	service := w.service("lint", r.url, "")
	r.answers(func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() })
	w.MergeRequest("feature", "main")
	w.drain = 10 * time.Millisecond
	stop := w.start()
	r.next(t)
	stop()
	d, attempts := w.only(service)
	if d.State != models.DeliveryWaiting || d.LeasedUntil != nil || len(attempts) != 1 || attempts[0].Error != models.ErrorInterrupted {
		t.Errorf("delivery %+v with attempts %+v", d, attempts)
	}
	r.answers(nil)
	w.Clock.Advance(2 * time.Second)
	w.deliver(1)
}

// TestKilled kills a process under an attempt: the delivery is sent again,
// under the same id, by the next one.
func TestKilled(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w, r := newWorld(t, db, func(c *models.Config) { c.Now = time.Now }), newReceiver(t)
		r.answers(func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() })
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
		_ = child.Wait() // says that it was killed
		r.answers(nil)
		later := modelstest.Open(t, db, func(c *models.Config) {
			c.Now = func() time.Time { return time.Now().Add(models.LeaseDuration) }
		})
		w.Deliverer = NewDeliverer(later.Store, client(t), w.log)
		w.deliver(1)
		if second := r.next(t); second.id != first.id {
			t.Errorf("sent again under another id: %s and %s", first.id, second.id)
		}
		if d, attempts := w.only(service); d.State != models.DeliveryDelivered || len(attempts) != 2 {
			t.Errorf("delivery %+v with attempts %+v", d, attempts)
		}
	})
}

// shakyOutbox loses the database at every first word.
type shakyOutbox struct {
	*models.Store
	claims, ends atomic.Int32
}

var errAway = errors.New("the database is away")

func (o *shakyOutbox) Claim(ctx context.Context, options models.ClaimOptions) ([]models.ClaimedDelivery, error) {
	if o.claims.Add(1) == 1 {
		return nil, errAway
	}
	return o.Store.Claim(ctx, options)
}

// FinishDelivery loses the answer of the first call, which reached the
// database.
func (o *shakyOutbox) FinishDelivery(ctx context.Context, d models.Delivery, r models.AttemptResult) error {
	err := o.Store.FinishDelivery(ctx, d, r)
	if o.ends.Add(1) == 1 {
		return errors.Join(err, errAway)
	}
	return err
}

func TestDatabaseAway(t *testing.T) {
	w, r := newWorld(t, modelstest.SQLite(t)), newReceiver(t)
	service := w.service("lint", r.url, "")
	w.MergeRequest("feature", "main")
	outbox := &shakyOutbox{Store: w.Store}
	w.Deliverer = NewDeliverer(outbox, client(t), w.log)
	stop := w.start()
	r.next(t)
	eventually(t, "the end is written down a second time", func() bool { return outbox.ends.Load() == 2 })
	stop()
	r.none(t)
	if n := outbox.ends.Load(); n != 2 {
		t.Errorf("the end was written down %d times", n)
	}
	if d, attempts := w.only(service); d.State != models.DeliveryDelivered || len(attempts) != 1 {
		t.Errorf("delivery %+v with attempts %+v", d, attempts)
	}
}
