package jobs

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// busyOutbox refuses all claims, so only new deliveries to idle services start.
type busyOutbox struct {
	*models.Store
	offered chan struct{}
}

func (o busyOutbox) OfferPlaces(reserve func(models.Delivery) models.Place) (stop func()) {
	defer close(o.offered)
	return o.Store.OfferPlaces(reserve)
}

func (busyOutbox) Claim(context.Context, models.ClaimOptions) ([]models.ClaimedDelivery, error) {
	return nil, models.ErrClaimBusy
}

// startWithoutClaims starts a deliverer that never claims, and creates a service.
func startWithoutClaims(t *testing.T, db modelstest.Database) (w fixture, r *receiver, service models.ExternalStatusCheck, stop func()) {
	w, r = newFixture(t, db), newReceiver(t)
	service = w.service("lint", r.url, "hush")
	outbox := busyOutbox{w.Store, make(chan struct{})}
	w.Deliverer = NewDeliverer(outbox, client(t), w.log)
	stop = w.start()
	<-outbox.offered
	return w, r, service, stop
}

func TestPlaces_IdleService_StartsWithCommit(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w, r, service, _ := startWithoutClaims(t, db)
		mr := w.MergeRequest("feature", "main")
		for i := range 3 {
			got := r.next(t)
			eventually(t, "the delivery is delivered", func() bool { return w.states(service)[i] == models.DeliveryDelivered })
			d, attempts, err := w.Store.Delivery(t.Context(), service.ProjectID, service.ID, w.Deliveries(service)[i].ID)
			if err != nil || got.id != d.UUID || len(attempts) != 1 || len(attempts[0].RequestHeader["X-Gitlab-Signature"]) != 1 {
				t.Fatalf("received %s; delivery %+v with attempts %+v (error %v)", got.id, d, attempts, err)
			}
			if i < 2 {
				w.edit(mr, []string{"second", "third"}[i])
			}
		}
	})
}

// Events of one merge request stay in order: none starts with its commit while an earlier
// one is in flight or waits.
func TestPlaces_EarlierDelivery_Waits(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w, r, service, _ := startWithoutClaims(t, db)
		answer := make(chan struct{})
		r.respond(func(http.ResponseWriter, *http.Request) { <-answer })
		mr := w.MergeRequest("feature", "main")
		r.next(t)
		w.edit(mr, "second")
		close(answer)
		eventually(t, "the first delivery is delivered", func() bool { return w.states(service)[0] == models.DeliveryDelivered })
		w.edit(mr, "third")
		for _, d := range w.Deliveries(service)[1:] {
			if d.Attempts != 0 || d.LeasedUntil != nil {
				t.Errorf("delivery started: %+v", d)
			}
		}
		w.Deliverer = NewDeliverer(w.Store, client(t), w.log)
		for _, d := range w.Deliveries(service)[1:] {
			w.deliver(1)
			if got := r.next(t); got.id != d.UUID {
				t.Errorf("received %s, want %s", got.id, d.UUID)
			}
		}
	})
}

// A transaction that is rolled back sends nothing and gives its place back.
func TestPlaces_RolledBack_SendsNothing(t *testing.T) {
	failures := map[string]func() error{
		"error": func() error { return errors.New("the disk is full") },
		"panic": func() error { panic("push") },
	}
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w, r, service, stop := startWithoutClaims(t, db)
		w.MergeRequest("feature", "main")
		r.next(t)
		eventually(t, "the attempt has ended", func() bool { return w.slots.count() == 0 })
		old := w.Git.Tip(w.Project.ID, "feature")
		push := models.PushInput{ProjectID: w.Project.ID, By: w.Owner, Updates: []models.RefUpdate{
			{Ref: "refs/heads/feature", Old: old, New: w.Git.AddCommit(w.Project.ID, "feature", old)},
		}}
		for name, fail := range failures {
			var used int
			w.Store.SetHooks(models.Hooks{BeforePushCommit: func() error { used = w.slots.count(); return fail() }})
			err := models.WithoutPanic(func() error {
				_, err := w.Store.Push(t.Context(), push)
				return err
			})
			if err == nil || used != 1 || w.slots.count() != 0 || len(w.Deliveries(service)) != 1 {
				t.Errorf("%s: %v, %d places used, then %d, %d deliveries", name, err, used, w.slots.count(), len(w.Deliveries(service)))
			}
		}
		stop() // does not wait for places that were given back
		r.assertNoRequest(t)
	})
}

// A delivery whose transaction took too long is sent after its lease.
func TestPlaces_SlowCommit_LeavesDeliveryToClaim(t *testing.T) {
	w, r, service, stop := startWithoutClaims(t, modelstest.SQLite(t))
	w.MergeRequest("feature", "main")
	r.next(t)
	eventually(t, "the attempt has ended", func() bool { return w.slots.count() == 0 })
	w.Store.SetHooks(models.Hooks{BeforePushCommit: func() error { w.Clock.Advance(2 * maxCommitTime); return nil }})
	w.Push("feature")
	stop()
	r.assertNoRequest(t)
	if used := w.slots.count(); used != 0 {
		t.Errorf("%d places used", used)
	}
	w.Deliverer = NewDeliverer(w.Store, client(t), w.log)
	w.Clock.Advance(models.LeaseDuration)
	w.deliver(1)
	if got := r.next(t); got.id != w.Deliveries(service)[1].UUID {
		t.Errorf("received %s", got.id)
	}
}

// After its deliverer has stopped, a process leaves deliveries to others.
func TestPlaces_Stopped_LeavesDeliveryToClaim(t *testing.T) {
	w, _, service, stop := startWithoutClaims(t, modelstest.SQLite(t))
	stop()
	w.MergeRequest("feature", "main")
	if d := w.Deliveries(service)[0]; d.LeasedUntil != nil {
		t.Errorf("delivery %+v", d)
	}
}

func TestReserve_FewFreeSlots_LeavesThemToClaims(t *testing.T) {
	delivery := func(host string, project int64) models.Delivery {
		return models.Delivery{URL: "http://" + host + "/", ProjectID: project}
	}
	s := newSlots()
	s.options()
	if s.reserve(delivery("a.test", 1)) != nil {
		t.Error("a slot is given while a claim decides")
	}
	s.claimed()
	reserveAll := func(d func(i int) models.Delivery) (n int) {
		var taken []*slot
		for slot := s.reserve(d(n)); slot != nil; slot = s.reserve(d(n)) {
			taken = append(taken, slot)
			n++
		}
		for _, slot := range taken {
			slot.release()
		}
		return n
	}
	host := func(i int) string { return string(rune('a'+i%26)) + string(rune('a'+i/26)) + ".test" }
	if n := reserveAll(func(i int) models.Delivery { return delivery("one.test", int64(i)) }); n != maxPerHost/2 {
		t.Errorf("%d slots for one host", n)
	}
	if n := reserveAll(func(i int) models.Delivery { return delivery(host(i), 1) }); n != maxPerProject/2 {
		t.Errorf("%d slots for one project", n)
	}
	if n := reserveAll(func(i int) models.Delivery { return delivery(host(i), int64(i)) }); n != maxQuick/2 {
		t.Errorf("%d slots in all", n)
	}
}
