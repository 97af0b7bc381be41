// Package jobs runs the background loops of a process: it sends deliveries, runs
// automatic merges, records time-outs, recovers interrupted pushes and merges, and
// deletes expired rows. Start with [New] and [Jobs.Run].
//
// Package models decides what is due, when to try again and which deliveries
// are superseded. A [Sender] makes the HTTP request.
package jobs

import (
	"context"
	"crypto/rand"
	"log/slog"
	"sync"
	"time"

	"github.com/mergegate/mergegate/models"
)

// Outbox stores deliveries. models.Store implements it.
type Outbox interface {
	// Claim leases deliveries that are due and returns them. It returns
	// models.ErrClaimBusy while another process claims.
	Claim(ctx context.Context, o models.ClaimOptions) ([]models.ClaimedDelivery, error)
	// FinishDelivery records the result of an attempt and ends the lease.
	FinishDelivery(ctx context.Context, d models.Delivery, r models.AttemptResult) error
	// FinishDeliveries is FinishDelivery for several attempts. It returns those
	// that could not be recorded without waiting for another transaction.
	FinishDeliveries(ctx context.Context, attempts []models.FinishedDelivery) ([]models.FinishedDelivery, error)
	// NextDeliveryAt returns the earliest time after another one at which a delivery may be
	// due; ok is false if nothing waits.
	NextDeliveryAt(ctx context.Context, after time.Time) (at time.Time, ok bool, err error)
	// WatchDeliveries returns a channel that signals new deliveries. A
	// signal is a hint: there may be nothing to claim.
	WatchDeliveries(ctx context.Context) (wake <-chan struct{}, stop func())
	// OfferPlaces lets the transactions of this process start the deliveries that they
	// create without a claim, until stop is called.
	OfferPlaces(reserve func(models.Delivery) models.Place) (stop func())
	// Now returns the current time of the outbox's clock.
	Now() time.Time
}

// Sender makes one attempt at a delivery. Send returns within
// models.LeaseDuration, or earlier when its context ends.
type Sender interface {
	Send(ctx context.Context, claimed models.ClaimedDelivery, at time.Time) models.AttemptResult
}

// Store is what the jobs need of the database. models.Store implements it.
type Store interface {
	Outbox
	Maintenance
	AutoMerges
}

// Options configure New. Store, Sender and Log are required.
type Options struct {
	Store  Store
	Sender Sender
	Log    *slog.Logger
	// Tidy maintains the repositories once a day, first after some minutes; nil disables it.
	Tidy func(context.Context) error
	// SweepLocks removes lock files that crashes left in repositories. It runs
	// at the start and every minute; nil disables it.
	SweepLocks func(context.Context) error
	// SingleProcess states that no other process uses the database. Recovery at
	// the start then need not wait for operations that may still be running.
	SingleProcess bool
	// StartAttempt is called before each attempt. The attempt uses the context that it
	// returns, and ended is called with the result. Nil disables it.
	StartAttempt func(context.Context, models.ClaimedDelivery) (attempt context.Context, ended func(models.AttemptResult))
	// JobDone is called after each run of a periodic operation, with its name, such
	// as "recover pushes", and its error. Nil disables it.
	JobDone func(job string, err error)
}

// Jobs are the background loops of one process.
type Jobs struct {
	deliverer   *Deliverer
	maintenance *maintenance
	autoMerger  *autoMerger
}

// New returns the loops; Run runs them.
func New(o Options) *Jobs {
	deliverer := NewDeliverer(o.Store, o.Sender, o.Log)
	if o.StartAttempt != nil {
		deliverer.startAttempt = o.StartAttempt
	}
	return &Jobs{
		deliverer: deliverer,
		maintenance: &maintenance{
			store: o.Store, log: o.Log, tidy: o.Tidy, tidyDelay: tidyDelay, sweepLocks: o.SweepLocks, singleProcess: o.SingleProcess, done: o.JobDone,
		},
		autoMerger: &autoMerger{store: o.Store, log: o.Log},
	}
}

// SlotUse counts the attempts that one process runs at once, or may run.
type SlotUse struct {
	// Quick are attempts of less than a second at services that did not hang last
	// time; Hung are attempts at the others; All includes longer attempts.
	Quick, Hung, All int
}

// MaxSlots are the limits of Slots.
var MaxSlots = SlotUse{Quick: maxQuick, Hung: maxHung, All: maxInFlight}

// Slots returns how many attempts are in flight.
func (j *Jobs) Slots() SlotUse {
	s := j.deliverer.slots
	s.mu.Lock()
	defer s.mu.Unlock()
	return SlotUse{Quick: s.quick, Hung: s.hung, All: s.inFlight}
}

// Run runs the loops until ctx ends. It then waits for attempts in flight; see
// Deliverer.Run for the limit. Errors, such as an unreachable database, and panics
// are logged and do not end the loops.
func (j *Jobs) Run(ctx context.Context) {
	j.maintenance.atStart(ctx)
	var loops sync.WaitGroup
	loops.Go(func() { j.maintenance.run(ctx) })
	loops.Go(func() { j.autoMerger.run(ctx) })
	j.deliverer.Run(ctx)
	loops.Wait()
}

// withRunID returns a context with a new id for the log lines of one run of a job.
func withRunID(ctx context.Context) context.Context {
	return models.WithRequestID(ctx, "job_"+rand.Text())
}

// recovered calls f and returns a panic as an error, so that a fault in one delivery or
// job does not end the process, which would meet it again after its next start.
func recovered[T any](f func() (T, error)) (result T, err error) {
	err = models.WithoutPanic(func() (err error) {
		result, err = f()
		return err
	})
	return result, err
}

// pause waits for d or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
