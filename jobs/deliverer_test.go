package jobs

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

func TestDeliver_ReceiverAccepts_DeliversOnce(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w, r := newFixture(t, db), newReceiver(t)
		r.respond(status(http.StatusAccepted))
		service := w.service("lint", r.url+"/lint?key=1", "hush")
		w.MergeRequest("feature", "main")
		w.deliver(1)
		got := r.next(t)
		d, attempts := w.singleDelivery(service)
		if got.path != "/lint" || got.id != d.UUID || !bytes.Equal(got.body, d.Payload) {
			t.Errorf("received %+v", got)
		}
		if d.State != models.DeliveryDelivered || len(attempts) != 1 || attempts[0].HTTPStatus != 202 ||
			attempts[0].RequestHeader["X-Gitlab-Signature"][0] != "[masked]" {
			t.Errorf("delivery %+v with attempts %+v", d, attempts)
		}
		w.deliver(0)
		r.assertNoRequest(t)
	})
}

// TestExhaustiveDeliver_ReceiverFails_FollowsSchedule checks the time of every scheduled attempt
// at a delivery that always fails. The probes of the open breaker come in between.
func TestExhaustiveDeliver_ReceiverFails_FollowsSchedule(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := newFixture(t, db)
		service := w.service("lint", "http://127.0.0.1:9/", "")
		w.Deliverer = NewDeliverer(w.Store, senderFunc(func(context.Context) models.AttemptResult {
			return models.AttemptResult{HTTPStatus: http.StatusInternalServerError}
		}), slog.New(slog.DiscardHandler))
		w.MergeRequest("feature", "main")
		start := w.Clock.Now()
		var since []time.Duration
		for w.Deliveries(service)[0].State == models.DeliveryWaiting {
			w.deliver(1)
			if d := w.Deliveries(service)[0]; d.ScheduledAttempts() > len(since) {
				since = append(since, w.Clock.Now().Sub(start))
			}
			at, ok, err := w.Store.NextDeliveryAt(t.Context(), w.Store.Now())
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				break
			}
			w.Clock.Advance(at.Sub(w.Clock.Now()) - time.Microsecond)
			w.deliver(0) // it is not due yet
			w.Clock.Advance(time.Microsecond)
		}
		if len(since) != models.MaxAttempts {
			t.Fatalf("%d scheduled attempts at %v", len(since), since)
		}
		// A due attempt waits for the next probe, so each may be late, and the slow ones
		// count from the one before.
		for i, want := range []time.Duration{0, time.Second, 5 * time.Second, 15 * time.Second, 40 * time.Second, 80 * time.Second} {
			if since[i] < want || since[i] > want+want/10+6*time.Second {
				t.Errorf("attempt %d after %v, want about %v", i+1, since[i], want)
			}
		}
		for i, want := range []time.Duration{5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 24 * time.Hour} {
			n := models.QuickAttempts + i
			if wait := since[n] - since[n-1]; wait < want*9/10 || wait > want*11/10+17*time.Minute {
				t.Errorf("attempt %d %v after the one before, want about %v", n+1, wait, want)
			}
		}
		if d, attempts := w.singleDelivery(service); d.State != models.DeliveryFailed || d.ScheduledAttempts() != models.MaxAttempts || len(attempts) != d.Attempts {
			t.Errorf("%d attempts, delivery %+v", len(attempts), d)
		}
	})
}

func TestDeliver_410Gone_FailsDelivery(t *testing.T) {
	w, r := newFixture(t, modelstest.SQLite(t)), newReceiver(t)
	r.respond(status(http.StatusGone))
	service := w.service("lint", r.url, "")
	w.MergeRequest("feature", "main")
	w.deliver(1)
	if d, _ := w.singleDelivery(service); d.State != models.DeliveryFailed || d.LastError != models.ErrorGone {
		t.Errorf("delivery %+v", d)
	}
}

func TestDeliver_RetryAfter_DelaysNextAttempt(t *testing.T) {
	for value, want := range map[string]time.Duration{"120": 2 * time.Minute, "3600": 10 * time.Minute} {
		w, r := newFixture(t, modelstest.SQLite(t)), newReceiver(t)
		r.respond(func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Retry-After", value)
			rw.WriteHeader(http.StatusTooManyRequests)
		})
		service := w.service("lint", r.url, "")
		w.MergeRequest("feature", "main")
		w.deliver(1)
		if d, _ := w.singleDelivery(service); d.NextAttemptAt.Sub(w.Clock.Now()) != want {
			t.Errorf("Retry-After: %s, next attempt after %v", value, d.NextAttemptAt.Sub(w.Clock.Now()))
		}
	}
}

// Events of one merge request reach a service in order. The next one is sent
// after the one before was delivered or has used its quick attempts.
func TestDeliver_EventsOfOneMergeRequest_InOrder(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w, r := newFixture(t, db), newReceiver(t)
		service := w.service("lint", r.url, "")
		mr := w.MergeRequest("feature", "main")
		w.edit(mr, "second")
		w.edit(mr, "third")
		all := w.Deliveries(service)
		for i := range all {
			w.deliver(1)
			if got := r.next(t); got.id != all[i].UUID {
				t.Fatalf("event %d was not sent next", i+1)
			}
		}
		r.respond(status(http.StatusInternalServerError))
		w.edit(mr, "fourth")
		w.edit(mr, "fifth")
		all = w.Deliveries(service)
		for range models.QuickAttempts {
			w.deliver(1)
			if got := r.next(t); got.id != all[3].UUID {
				t.Fatal("an event was sent before the quick attempts of the one before it ended")
			}
			w.Clock.Advance(50 * time.Second)
		}
		r.respond(nil)
		w.deliver(1)
		if got := r.next(t); got.id != all[4].UUID {
			t.Fatal("the newest event is not sent after the quick attempts of the one before")
		}
		want := []models.DeliveryState{"delivered", "delivered", "delivered", "superseded", "delivered"}
		if got := w.states(service); !slices.Equal(got, want) {
			t.Errorf("states %v", got)
		}
	})
}

// A delivery is not sent again after a push, a retry or closing the merge
// request has superseded it.
func TestDeliver_Superseded_IsNotSent(t *testing.T) {
	cases := map[string]struct {
		supersede func(fixture, models.MergeRequest, models.ExternalStatusCheck)
		reason    string
	}{
		"push": {func(w fixture, _ models.MergeRequest, _ models.ExternalStatusCheck) { w.Push("feature") }, models.SupersededByHead},
		"retry": {func(w fixture, mr models.MergeRequest, service models.ExternalStatusCheck) {
			w.Clock.Advance(121 * time.Second)
			if _, err := w.Store.RetryCheck(w.T.Context(), w.Owner, mr.ProjectID, mr.IID, service.ID); err != nil {
				w.T.Fatal(err)
			}
		}, models.SupersededByRetry},
		"close": {func(w fixture, mr models.MergeRequest, _ models.ExternalStatusCheck) {
			if _, err := w.Store.CloseMergeRequest(w.T.Context(), w.Owner, mr.ProjectID, mr.IID); err != nil {
				w.T.Fatal(err)
			}
		}, models.SupersededByClose},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w, r := newFixture(t, modelstest.SQLite(t)), newReceiver(t)
			r.respond(status(http.StatusInternalServerError))
			service := w.service("lint", r.url, "")
			mr := w.MergeRequest("feature", "main")
			w.deliver(1)
			r.next(t)
			c.supersede(w, mr, service)
			r.respond(nil)
			w.deliver(1)
			all := w.Deliveries(service)
			if got := r.next(t); got.id != all[1].UUID {
				t.Error("the superseded delivery was sent again")
			}
			w.Clock.Advance(time.Hour)
			w.deliver(0)
			if all[0].State != models.DeliverySuperseded || all[0].SupersededReason != c.reason {
				t.Errorf("delivery %+v", all[0])
			}
		})
	}
}

// When the lease of a dead process expires, another process sends the delivery
// again. A late result of the first process is ignored.
func TestDeliver_LeaseExpired_SendsAgain(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w, r := newFixture(t, db), newReceiver(t)
		service := w.service("lint", r.url, "")
		w.MergeRequest("feature", "main")
		lost, err := w.Store.Claim(t.Context(), models.ClaimOptions{Limit: 10})
		if err != nil || len(lost) != 1 {
			t.Fatalf("claimed %v, %v", lost, err)
		}
		w.Clock.Advance(models.LeaseDuration - time.Microsecond)
		w.deliver(0)
		w.Clock.Advance(time.Microsecond)
		w.deliver(1)
		if got := r.next(t); got.id != lost[0].Delivery.UUID {
			t.Errorf("sent again under another id: %s", got.id)
		}
		if err := w.Store.FinishDelivery(t.Context(), lost[0].Delivery, models.AttemptResult{HTTPStatus: 500}); err != nil {
			t.Fatal(err)
		}
		d, attempts := w.singleDelivery(service)
		if d.State != models.DeliveryDelivered || len(attempts) != 2 || attempts[0].Error != models.ErrorInterrupted || attempts[1].HTTPStatus != 200 {
			t.Errorf("delivery %+v with attempts %+v", d, attempts)
		}
	})
}

// lostKey is a sealer that cannot open what it sealed.
type lostKey struct{}

func (lostKey) Seal(plain []byte, _ string) ([]byte, error) { return []byte("sealed"), nil }
func (lostKey) Open([]byte, string) ([]byte, error)         { return nil, errors.New("unknown key") }

// A delivery is not sent unsigned if its service's secret cannot be read.
// Services without a secret are not affected.
func TestDeliver_UnreadableSecret_SendsNothing(t *testing.T) {
	w, r := newFixture(t, modelstest.SQLite(t), modelstest.WithSealer(lostKey{})), newReceiver(t)
	signed := w.service("signed", r.url+"/signed", "hush")
	w.service("plain", r.url+"/plain", "")
	w.MergeRequest("feature", "main")
	w.deliver(2)
	if got := r.next(t); got.path != "/plain" {
		t.Errorf("received %s", got.path)
	}
	r.assertNoRequest(t)
	if d, attempts := w.singleDelivery(signed); d.State != models.DeliveryWaiting || len(attempts) != 1 || attempts[0].Error != models.ErrorSecret {
		t.Errorf("delivery %+v with attempts %+v", d, attempts)
	}
}

// What becomes due between a claim and the question when to claim again is claimed at once.
func TestTimeUntilDue_DueSinceLastClaim_IsNow(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		r := newReceiver(t)
		r.respond(status(503))
		w := newFixture(t, db)
		w.service("lint", r.url, "")
		w.MergeRequest("feature", "main")
		w.deliver(1)
		w.deliver(0) // the next attempt is due in a second
		w.Clock.Advance(2 * time.Second)
		if wait := w.timeUntilDue(t.Context()); wait > time.Millisecond {
			t.Errorf("waits %v", wait)
		}
		w.deliver(1)
	})
}
