package jobs

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/mergegate/mergegate/models"
)

// AutoMerges are the merge requests that are merged as soon as their checks have passed.
// models.Store implements it.
type AutoMerges interface {
	// ClaimAutoMerges leases at most limit merge requests that are due.
	ClaimAutoMerges(ctx context.Context, limit int) ([]models.MergeRequest, error)
	// RunAutoMerge merges a claimed merge request and reports whether it did.
	RunAutoMerge(ctx context.Context, claimed models.MergeRequest) (merged bool, err error)
	// WatchAutoMerges returns a channel that signals that some may be due.
	WatchAutoMerges(ctx context.Context) (wake <-chan struct{}, stop func())
}

// maxAutoMerges is how many automatic merges of one process run at once.
const maxAutoMerges = 4

// autoMerger runs automatic merges.
type autoMerger struct {
	store AutoMerges
	log   *slog.Logger
}

// run merges what is due until ctx ends, and then waits for merges in progress, at most
// for DrainTime. A merge that is cut off is completed by recovery.
func (m *autoMerger) run(ctx context.Context) {
	attempts, interrupt := context.WithCancel(context.WithoutCancel(ctx))
	defer interrupt()
	context.AfterFunc(ctx, func() { time.AfterFunc(DrainTime, interrupt) })
	wake, stop := m.store.WatchAutoMerges(ctx)
	defer stop()
	var running sync.WaitGroup
	defer running.Wait()
	slots, freed := make(chan struct{}, maxAutoMerges), make(chan struct{}, 1)
	for ctx.Err() == nil {
		claimed, err := recovered(func() ([]models.MergeRequest, error) { return m.store.ClaimAutoMerges(ctx, maxAutoMerges-len(slots)) })
		if err != nil && ctx.Err() == nil {
			m.log.ErrorContext(ctx, "claiming auto-merges failed", models.ErrorAttrs(err)...)
		}
		for _, mr := range claimed {
			slots <- struct{}{}
			running.Go(func() {
				defer func() {
					<-slots
					select {
					case freed <- struct{}{}:
					default:
					}
				}()
				m.merge(attempts, mr)
			})
		}
		timer := time.NewTimer(pollEvery)
		select {
		case <-ctx.Done():
		case <-wake:
		case <-freed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

func (m *autoMerger) merge(ctx context.Context, mr models.MergeRequest) {
	ctx = withRunID(ctx)
	merged, err := recovered(func() (bool, error) { return m.store.RunAutoMerge(ctx, mr) })
	attrs := []any{"project_id", mr.ProjectID, "merge_request_iid", mr.IID, "attempt", mr.AutoMergeAttempts}
	switch {
	case err != nil && !errors.Is(err, context.Canceled):
		m.log.ErrorContext(ctx, "auto-merge failed", append(attrs, models.ErrorAttrs(err)...)...)
	case merged:
		m.log.InfoContext(ctx, "auto-merge done", attrs...)
	}
}
