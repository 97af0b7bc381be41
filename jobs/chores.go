package jobs

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/mergegate/mergegate/models"
)

// Chores are the operations that must be started from time to time; models.Store
// has them. Nothing that people see waits for them: each only writes down,
// completes or removes what is already so. One row or project that fails does
// not stop the others: the errors come joined, a *models.ProjectError each.
type Chores interface {
	// ExpirePending writes down time-outs, at most limit, and counts them.
	ExpirePending(ctx context.Context, limit int) (int, error)
	// RecoverPushes carries out pushes that were cut off, and counts them. atStart
	// leaves no time for those that may still be under way.
	RecoverPushes(ctx context.Context, atStart bool) (int, error)
	// RecoverMerges completes merges that were cut off and what follows from
	// them, and counts the merges.
	RecoverMerges(ctx context.Context, atStart bool) (int, error)
	// RecoverApplies goes on with what "Also apply" has not reached.
	RecoverApplies(ctx context.Context) error
	// DeleteExpired removes what is no longer needed.
	DeleteExpired(ctx context.Context) error
	// ReleaseLeases gives back the leases of a process that is gone.
	ReleaseLeases(ctx context.Context) error
}

// How often each chore is done. A sweep looks at little and finds nothing as a
// rule.
const (
	expireEvery = 5 * time.Second
	sweepEvery  = 15 * time.Second
	deleteEvery = 10 * time.Minute
	tidyEvery   = 24 * time.Hour
	locksEvery  = time.Minute
	// expireBatch is how many time-outs are written down at a time.
	expireBatch = 500
)

type chores struct {
	store Chores
	// tidy looks after the repositories; nil for nobody.
	tidy func(context.Context) error
	// sweepLocks removes locks in repositories; nil disables it.
	sweepLocks func(context.Context) error
	log        *slog.Logger
	alone      bool
}

// atStart takes up what the last process left behind, if this one is the only
// one, and what is certain to be left over.
func (c *chores) atStart(ctx context.Context) {
	if c.sweepLocks != nil { // they would be in the way of what follows
		c.do(ctx, "sweep locks", c.sweepLocks)
	}
	if !c.alone {
		return
	}
	c.do(ctx, "release leases", c.store.ReleaseLeases)
	c.do(ctx, "sweep merges", c.sweepMerges(true))
	c.do(ctx, "sweep pushes", c.sweepPushes(true))
}

// run does each chore in its turn until ctx ends.
func (c *chores) run(ctx context.Context) {
	var loops sync.WaitGroup
	every := func(interval time.Duration, name string, chore func(context.Context) error) {
		loops.Go(func() {
			for ctx.Err() == nil {
				c.do(ctx, name, chore)
				pause(ctx, interval)
			}
		})
	}
	every(expireEvery, "expire pending checks", c.expire)
	every(sweepEvery, "sweep merges", c.sweepMerges(false))
	every(sweepEvery, "sweep pushes", c.sweepPushes(false))
	every(sweepEvery, "go on applying services", c.store.RecoverApplies)
	every(deleteEvery, "delete expired rows", c.store.DeleteExpired)
	if c.sweepLocks != nil {
		every(locksEvery, "sweep locks", c.sweepLocks)
	}
	if c.tidy != nil {
		every(tidyEvery, "tidy repositories", c.tidy)
	}
	loops.Wait()
}

// do does one chore and logs its errors, one line for each, unless the process
// is ending.
func (c *chores) do(ctx context.Context, name string, chore func(context.Context) error) {
	err := chore(ctx)
	if ctx.Err() != nil {
		return
	}
	for _, err := range joined(err) {
		attrs := []any{"job", name, "error", err}
		var project *models.ProjectError
		if errors.As(err, &project) {
			attrs = []any{"job", name, "project_id", project.ProjectID, "error", project.Err}
		}
		c.log.ErrorContext(ctx, "job failed", attrs...)
	}
}

// joined lists the errors that errors.Join put into err; nil has none.
func joined(err error) []error {
	list, ok := err.(interface{ Unwrap() []error })
	switch {
	case err == nil:
		return nil
	case !ok:
		return []error{err}
	}
	var all []error
	for _, err := range list.Unwrap() {
		all = append(all, joined(err)...)
	}
	return all
}

// expire writes down all time-outs there are.
func (c *chores) expire(ctx context.Context) error {
	for {
		n, err := c.store.ExpirePending(ctx, expireBatch)
		if err != nil || n < expireBatch {
			return err
		}
	}
}

func (c *chores) sweepMerges(atStart bool) func(context.Context) error {
	return func(ctx context.Context) error {
		n, err := c.store.RecoverMerges(ctx, atStart)
		if n > 0 {
			c.log.WarnContext(ctx, "completed merges that were cut off", "count", n)
		}
		return err
	}
}

func (c *chores) sweepPushes(atStart bool) func(context.Context) error {
	return func(ctx context.Context) error {
		n, err := c.store.RecoverPushes(ctx, atStart)
		if n > 0 {
			c.log.WarnContext(ctx, "carried out pushes that were cut off", "count", n)
		}
		return err
	}
}
