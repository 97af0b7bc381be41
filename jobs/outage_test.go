package jobs

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// A service is away for ten minutes, in which merge requests are opened and edited. All
// its deliveries succeed or are superseded within ten seconds of its return, while few
// attempts were made in between.
func TestExhaustiveDeliver_TenMinuteOutage_AllArriveWithinTenSeconds(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		const (
			outage        = 10 * time.Minute
			recovery      = 10 * time.Second
			mergeRequests = 20
		)
		w := newFixture(t, db)
		service := w.service("lint", "http://127.0.0.1:9/", "")
		var up atomic.Bool
		var failures atomic.Int64
		w.Deliverer = NewDeliverer(w.Store, senderFunc(func(context.Context) models.AttemptResult {
			if up.Load() {
				return models.AttemptResult{HTTPStatus: http.StatusOK}
			}
			failures.Add(1)
			return models.AttemptResult{HTTPStatus: http.StatusServiceUnavailable}
		}), slog.New(slog.DiscardHandler))
		// step sends what is due now, and advances the clock to when something is due.
		step := func(end time.Time) (more bool) {
			t.Helper()
			for n := 1; n > 0; {
				var err error
				if n, err = w.deliverOnce(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			at, ok, err := w.Store.NextDeliveryAt(t.Context(), w.Store.Now())
			if err != nil {
				t.Fatal(err)
			}
			if !ok || at.After(end) {
				w.Clock.Advance(end.Sub(w.Clock.Now()))
				return false
			}
			w.Clock.Advance(at.Sub(w.Clock.Now()))
			return true
		}
		began := w.Clock.Now()
		for i := range mergeRequests {
			branch := fmt.Sprintf("branch-%d", i)
			w.Git.SetBranch(w.Fixture.Project.ID, branch, w.Git.Tip(w.Fixture.Project.ID, "feature"))
			mr := w.MergeRequest(branch, "main")
			w.edit(mr, "edited")
			for next := began.Add(outage * time.Duration(i+1) / mergeRequests); step(next); {
			}
		}
		// A probe every five seconds, and the first attempts of some.
		if n := failures.Load(); n < 100 || n > 200 {
			t.Errorf("%d attempts in ten minutes", n)
		}
		up.Store(true)
		for end := w.Clock.Now().Add(recovery); step(end); {
		}
		counts := map[models.DeliveryState]int{}
		for _, state := range w.states(service) {
			counts[state]++
		}
		if counts[models.DeliveryWaiting]+counts[models.DeliveryFailed] > 0 || counts[models.DeliveryDelivered] < mergeRequests {
			t.Errorf("ten seconds after the outage: %v", counts)
		}
	})
}
