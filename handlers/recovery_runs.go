package handlers

import (
	"context"
	"sync"
	"time"

	"github.com/mergegate/mergegate/models"
)

// recoveryTime limits a run of Retry now of unfinished operations.
const recoveryTime = 20 * time.Second

// recoveryRuns are the runs of Retry now on this instance, at most one for each kind.
type recoveryRuns struct {
	mu   sync.Mutex
	runs map[models.RecoveryKind]recoveryRun
}

// recoveryRun is the current or last run of a kind.
type recoveryRun struct{ running, failed bool }

// start runs retry in the background, for at most recoveryTime and also after ctx has ended,
// unless a run of the kind is in progress. report gets its error, also that of a panic,
// unless the server has been asked to stop.
func (r *recoveryRuns) start(
	ctx context.Context, background func(func(context.Context)), kind models.RecoveryKind,
	retry func(context.Context) error, report func(context.Context, error),
) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.runs[kind].running {
		return
	}
	if r.runs == nil {
		r.runs = map[models.RecoveryKind]recoveryRun{}
	}
	r.runs[kind] = recoveryRun{running: true}
	background(func(server context.Context) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recoveryTime)
		defer cancel()
		defer context.AfterFunc(server, cancel)()
		err := models.WithoutPanic(func() error { return retry(ctx) })
		if err != nil && server.Err() == nil {
			report(ctx, err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.runs[kind] = recoveryRun{failed: err != nil}
	})
}

// state returns the current or last run of a kind.
func (r *recoveryRuns) state(kind models.RecoveryKind) recoveryRun {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.runs[kind]
}
