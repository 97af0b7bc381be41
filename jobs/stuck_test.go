package jobs

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// senderFunc is a function that implements Sender.
type senderFunc func(context.Context) models.AttemptResult

func (f senderFunc) Send(ctx context.Context, _ models.ClaimedDelivery, _ time.Time) models.AttemptResult {
	return f(ctx)
}

// A sender that ignores its time limit and its context does not keep Run from
// returning.
func TestRun_Stopped_DoesNotWaitForStuckAttempt(t *testing.T) {
	w := newFixture(t, modelstest.SQLite(t))
	w.service("lint", "http://127.0.0.1:9/", "")
	begun, release := make(chan struct{}), make(chan struct{})
	w.Deliverer = NewDeliverer(w.Store, senderFunc(func(context.Context) models.AttemptResult {
		close(begun)
		<-release
		return models.AttemptResult{Error: "other"}
	}), slog.New(slog.DiscardHandler))
	w.drain, w.lastFinish = 10*time.Millisecond, 10*time.Millisecond
	w.MergeRequest("feature", "main")
	t.Cleanup(func() { close(release); w.running.Wait() })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); w.Run(ctx) }()
	<-begun
	cancel()
	select {
	case <-done:
	case <-time.After(waitLimit):
		t.Fatal("the deliverer waits for an attempt that does not end")
	}
}

// The duration of an attempt does not count against the limit for recording its
// result.
func TestDeliver_LongAttempt_IsRecorded(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := newFixture(t, db)
		service := w.service("lint", "http://127.0.0.1:9/", "")
		w.Deliverer = NewDeliverer(w.Store, senderFunc(func(context.Context) models.AttemptResult {
			return models.AttemptResult{Error: "timeout", Duration: time.Hour}
		}), slog.New(slog.DiscardHandler))
		w.MergeRequest("feature", "main")
		w.deliver(1)
		if d, attempts := w.singleDelivery(service); len(attempts) != 1 || d.LeasedUntil != nil {
			t.Errorf("delivery %+v with attempts %+v", d, attempts)
		}
	})
}
