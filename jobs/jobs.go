// Package jobs runs what happens by itself: it delivers payloads, writes down
// time-outs, looks after pushes and merges that were cut off, and removes what
// is no longer needed. What is due, when to try again and what supersedes what
// is for package models to say; how to send, for whoever implements Sender.
package jobs

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/mergegate/mergegate/models"
)

// Outbox is where deliveries wait. models.Store is the one.
type Outbox interface {
	// Claim takes deliveries that are due, with a lease on each, or returns
	// models.ErrClaimBusy.
	Claim(ctx context.Context, o models.ClaimOptions) ([]models.ClaimedDelivery, error)
	// FinishDelivery writes down how an attempt ended.
	FinishDelivery(ctx context.Context, d models.Delivery, r models.AttemptResult) error
	// NextDeliveryAt is the next instant at which there may be something to
	// claim.
	NextDeliveryAt(ctx context.Context) (at time.Time, ok bool, err error)
	// WatchDeliveries tells on a channel, as a hint, of new deliveries.
	WatchDeliveries(ctx context.Context) (wake <-chan struct{}, stop func())
	// Now is the clock that deliveries are due by.
	Now() time.Time
}

// Sender makes one attempt at a delivery. It returns by itself within
// models.LeaseDuration, and early with its context.
type Sender interface {
	Send(ctx context.Context, claimed models.ClaimedDelivery, at time.Time) models.AttemptResult
}

// Store is all that the jobs ask of the domain.
type Store interface {
	Outbox
	Chores
}

// Options say what the jobs work with.
type Options struct {
	Store  Store
	Sender Sender
	Log    *slog.Logger
	// Tidy looks after the repositories once a day; nil for nobody.
	Tidy func(context.Context) error
	// SweepLocks removes the locks that crashes left in repositories, at the
	// start and every minute; nil disables it.
	SweepLocks func(context.Context) error
	// Alone tells that no other process works on the database, so that what a
	// crash left behind can be taken up at once.
	Alone bool
}

// Jobs are all loops of one process.
type Jobs struct {
	deliverer *Deliverer
	chores    *chores
}

// New makes the loops; Run runs them.
func New(o Options) *Jobs {
	return &Jobs{
		deliverer: NewDeliverer(o.Store, o.Sender, o.Log),
		chores:    &chores{store: o.Store, log: o.Log, tidy: o.Tidy, sweepLocks: o.SweepLocks, alone: o.Alone},
	}
}

// Run works until ctx ends and then waits for the attempts in flight, at most
// DrainTime. It never gives up: a database that is away is asked again.
func (j *Jobs) Run(ctx context.Context) {
	j.chores.atStart(ctx)
	var loops sync.WaitGroup
	loops.Go(func() { j.chores.run(ctx) })
	j.deliverer.Run(ctx)
	loops.Wait()
}

// pause waits, or ends early with ctx.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
