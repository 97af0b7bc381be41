package handlers

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mergegate/mergegate/models"
)

// A run goes on after its request, once per kind, and ends at its limit.
func TestRecoveryRuns_RunInBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const kind = models.RecoverPendingPushes
		var r recoveryRuns
		started := 0
		var reported error
		hang := func(ctx context.Context) error {
			started++
			<-ctx.Done()
			return ctx.Err()
		}
		report := func(_ context.Context, err error) { reported = err }
		request, cancel := context.WithCancel(t.Context())
		r.start(request, kind, hang, report)
		cancel()
		synctest.Wait()
		r.start(t.Context(), kind, hang, report)
		synctest.Wait()
		if started != 1 || !r.state(kind).running || r.state(models.RecoverSteps).running {
			t.Fatalf("%d runs, state %+v", started, r.state(kind))
		}
		time.Sleep(recoveryTime)
		synctest.Wait()
		if state := r.state(kind); state.running || !state.failed || !errors.Is(reported, context.DeadlineExceeded) {
			t.Errorf("state %+v, error %v", state, reported)
		}
		r.start(t.Context(), kind, func(context.Context) error { return nil }, report)
		synctest.Wait()
		if state := r.state(kind); state.running || state.failed {
			t.Errorf("after a success: %+v", state)
		}
	})
}
