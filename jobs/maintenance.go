package jobs

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/mergegate/mergegate/models"
)

// Maintenance are operations that run periodically. models.Store implements
// them. An operation continues after the failure of one row or project and
// returns the joined errors, each a *models.ProjectError where it concerns a
// project.
type Maintenance interface {
	// ExpirePending records at most limit time-outs of pending checks and
	// returns their number.
	ExpirePending(ctx context.Context, limit int) (int, error)
	// RecoverPushes completes interrupted pushes and returns their number.
	// With atStart it assumes that no push is in progress.
	RecoverPushes(ctx context.Context, atStart bool) (int, error)
	// RecoverMerges completes interrupted merges and their consequences, and
	// returns the number of merges. atStart is as in RecoverPushes.
	RecoverMerges(ctx context.Context, atStart bool) (int, error)
	// RecoverApplies continues interrupted "Also apply" operations.
	RecoverApplies(ctx context.Context) error
	// DeleteExpired deletes rows whose retention period has ended.
	DeleteExpired(ctx context.Context) error
	// ReleaseLeases ends the leases of a process that no longer runs.
	ReleaseLeases(ctx context.Context) error
}

// Intervals between the runs of an operation.
const (
	expireEvery  = 5 * time.Second
	recoverEvery = 15 * time.Second
	deleteEvery  = 10 * time.Minute
	tidyEvery    = 24 * time.Hour
	// tidyDelay is the time from the start to the first tidying. git prune may remove a
	// folder that a push through another instance has just created, which refuses the
	// push, so instances do not tidy while they are replaced one after the other.
	tidyDelay       = 10 * time.Minute
	sweepLocksEvery = time.Minute
)

// expireBatch is how many time-outs are recorded in one transaction.
const expireBatch = 500

type maintenance struct {
	store Maintenance
	// tidy and sweepLocks are those of Options; nil disables them.
	tidy, sweepLocks func(context.Context) error
	tidyDelay        time.Duration
	log              *slog.Logger
	singleProcess    bool
	// done is Options.JobDone.
	done func(job string, err error)
}

// atStart recovers what an earlier process left. With several processes only
// lock files are certain to be left over; the loops recover the rest.
func (m *maintenance) atStart(ctx context.Context) {
	// The locks go first because recovery could fail on them.
	if m.sweepLocks != nil {
		m.runOnce(ctx, "sweep locks", m.sweepLocks)
	}
	if !m.singleProcess {
		return
	}
	m.runOnce(ctx, "release leases", m.store.ReleaseLeases)
	m.runOnce(ctx, "recover merges", m.recoverMerges(true))
	m.runOnce(ctx, "recover pushes", m.recoverPushes(true))
}

// run repeats each operation at its interval until ctx ends.
func (m *maintenance) run(ctx context.Context) {
	var loops sync.WaitGroup
	after := func(delay, interval time.Duration, name string, operation func(context.Context) error) {
		loops.Go(func() {
			pause(ctx, delay)
			for ctx.Err() == nil {
				m.runOnce(ctx, name, operation)
				pause(ctx, interval)
			}
		})
	}
	every := func(interval time.Duration, name string, operation func(context.Context) error) {
		after(0, interval, name, operation)
	}
	every(expireEvery, "expire pending checks", m.expire)
	every(recoverEvery, "recover merges", m.recoverMerges(false))
	every(recoverEvery, "recover pushes", m.recoverPushes(false))
	every(recoverEvery, "recover applies", m.store.RecoverApplies)
	every(deleteEvery, "delete expired rows", m.store.DeleteExpired)
	if m.sweepLocks != nil {
		every(sweepLocksEvery, "sweep locks", m.sweepLocks)
	}
	if m.tidy != nil {
		after(m.tidyDelay, tidyEvery, "tidy repositories", m.tidy)
	}
	loops.Wait()
}

// runOnce runs an operation and logs each of its errors, unless ctx has ended. Log lines
// of one run have the same request id.
func (m *maintenance) runOnce(ctx context.Context, name string, operation func(context.Context) error) {
	ctx = withRunID(ctx)
	err := models.WithoutPanic(func() error { return operation(ctx) })
	if ctx.Err() != nil {
		return
	}
	if m.done != nil {
		m.done(name, err)
	}
	for _, err := range splitErrors(err) {
		attrs := []any{"job", name}
		var project *models.ProjectError
		if errors.As(err, &project) {
			attrs, err = append(attrs, "project_id", project.ProjectID), project.Err
		}
		m.log.ErrorContext(ctx, "job failed", append(attrs, models.ErrorAttrs(err)...)...)
	}
}

// splitErrors returns the errors that errors.Join put into err, also nested
// ones. It returns nil for nil.
func splitErrors(err error) []error {
	list, ok := err.(interface{ Unwrap() []error })
	switch {
	case err == nil:
		return nil
	case !ok:
		return []error{err}
	}
	var all []error
	for _, err := range list.Unwrap() {
		all = append(all, splitErrors(err)...)
	}
	return all
}

// expire records all time-outs, in batches.
func (m *maintenance) expire(ctx context.Context) error {
	for {
		n, err := m.store.ExpirePending(ctx, expireBatch)
		if err != nil || n < expireBatch {
			return err
		}
	}
}

func (m *maintenance) recoverMerges(atStart bool) func(context.Context) error {
	return func(ctx context.Context) error {
		n, err := m.store.RecoverMerges(ctx, atStart)
		if n > 0 {
			m.log.WarnContext(ctx, "interrupted merges completed", "count", n)
		}
		return err
	}
}

func (m *maintenance) recoverPushes(atStart bool) func(context.Context) error {
	return func(ctx context.Context) error {
		n, err := m.store.RecoverPushes(ctx, atStart)
		if n > 0 {
			m.log.WarnContext(ctx, "interrupted pushes completed", "count", n)
		}
		return err
	}
}
