package jobs

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/mergegate/mergegate/models"
)

const (
	// pollEvery is how often the loop claims without a wake-up, in case one
	// was lost.
	pollEvery = 5 * time.Second
	// restPause is how long the loop waits for results before it asks when the next
	// delivery is due.
	restPause = 50 * time.Millisecond
	// busyPause is the first wait while another process claims. It doubles up
	// to maxBusyPause.
	busyPause, maxBusyPause = 5 * time.Millisecond, 200 * time.Millisecond
	// retryDatabase is the wait after a database error.
	retryDatabase = time.Second
)

// DrainTime is how long Run waits for attempts in flight after its context has
// ended. It is longer than one attempt takes.
const DrainTime = 12 * time.Second

// Limits for recording the result of an attempt.
const (
	// finishTime is the rest of a lease after the longest attempt.
	finishTime = models.LeaseDuration - DrainTime
	// lastFinishTime applies after Run has interrupted the attempts in flight.
	lastFinishTime = 3 * time.Second
)

// Deliverer claims deliveries that are due, sends many of them at once, and records the
// results.
type Deliverer struct {
	outbox  Outbox
	sender  Sender
	log     *slog.Logger
	slots   *slots
	results resultWriter
	// drain and lastFinish are DrainTime and lastFinishTime; tests shorten them.
	drain, lastFinish time.Duration
	// startAttempt is Options.StartAttempt.
	startAttempt func(context.Context, models.ClaimedDelivery) (context.Context, func(models.AttemptResult))
	running      sync.WaitGroup
	// claimedAt is when the last claim began. What became due since then waits for the next.
	claimedAt time.Time
	claiming  *sync.Mutex
}

// NewDeliverer returns a deliverer; Run runs it.
func NewDeliverer(outbox Outbox, sender Sender, log *slog.Logger) *Deliverer {
	slots, claiming := newSlots(), new(sync.Mutex)
	return &Deliverer{
		outbox: outbox, sender: sender, log: log, slots: slots, claiming: claiming,
		results: resultWriter{outbox: outbox, slots: slots, claiming: claiming, arrived: make(chan struct{}, 1)},
		drain:   DrainTime, lastFinish: lastFinishTime,
		startAttempt: func(ctx context.Context, _ models.ClaimedDelivery) (context.Context, func(models.AttemptResult)) {
			return ctx, func(models.AttemptResult) {}
		},
	}
}

// Run sends deliveries until ctx ends, and then waits for the attempts in
// flight. Attempts that take longer than DrainTime are recorded as interrupted;
// any process may send those deliveries again. Run returns at most DrainTime
// plus three seconds after the end of ctx. If an attempt has still not ended
// then, its lease expires.
func (d *Deliverer) Run(ctx context.Context) {
	attemptContext, interrupt := context.WithCancel(context.WithoutCancel(ctx))
	defer interrupt()
	wake, stop := d.outbox.WatchDeliveries(ctx)
	defer stop()
	places := d.offerPlaces(attemptContext)
	busy := busyPause
	for ctx.Err() == nil {
		_, more, err := d.startDue(ctx, attemptContext)
		if errors.Is(err, models.ErrClaimBusy) {
			pause(ctx, busy)
			busy = min(2*busy, maxBusyPause)
			continue
		}
		busy = busyPause
		if err != nil {
			if ctx.Err() == nil {
				d.log.ErrorContext(ctx, "claiming deliveries failed", models.ErrorAttrs(err)...)
				pause(ctx, retryDatabase)
			}
			continue
		}
		if !more {
			d.wait(ctx, wake)
		}
	}
	places.end()
	if !d.drained(d.drain) {
		interrupt()
		if !d.drained(d.lastFinish) {
			d.log.WarnContext(ctx, "delivery attempts still running at shutdown", "count", d.slots.count())
		}
	}
}

// drained waits until no attempt is in flight and reports whether that happened
// within the limit.
func (d *Deliverer) drained(limit time.Duration) bool {
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.running.Wait()
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

// wait returns when there may be something to claim, or when ctx ends.
func (d *Deliverer) wait(ctx context.Context, wake <-chan struct{}) {
	// Most of the time the next result comes first, so the database is not asked at once.
	if d.waitAtMost(ctx, restPause, wake) {
		d.waitAtMost(ctx, d.timeUntilDue(ctx), wake)
	}
}

// waitAtMost returns when there may be something to claim, or when ctx ends. It reports
// whether the time limit came first.
func (d *Deliverer) waitAtMost(ctx context.Context, limit time.Duration, wake <-chan struct{}) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-wake:
	case <-d.slots.freed:
	case <-timer.C:
		return true
	}
	return false
}

// timeUntilDue returns how long to wait for the next delivery that became or becomes due
// after the last claim, at most pollEvery.
func (d *Deliverer) timeUntilDue(ctx context.Context) time.Duration {
	at, ok, err := d.outbox.NextDeliveryAt(ctx, d.claimedAt)
	if err != nil || !ok {
		return pollEvery
	}
	// A claim that comes slightly too early finds nothing, so add a millisecond.
	return min(pollEvery, max(0, at.Sub(d.outbox.Now()))+time.Millisecond)
}

// startDue claims deliveries, as many as the limits allow, and starts an attempt
// at each under attemptContext. It returns their number. more reports whether
// the limit was reached, so that another claim may find more.
func (d *Deliverer) startDue(ctx, attemptContext context.Context) (n int, more bool, err error) {
	d.claimedAt = d.outbox.Now()
	o := d.slots.options()
	defer d.slots.claimed()
	if o.Limit == 0 {
		return 0, false, nil
	}
	d.claiming.Lock()
	claimed, err := recovered(func() ([]models.ClaimedDelivery, error) { return d.outbox.Claim(ctx, o) })
	d.claiming.Unlock()
	if err != nil {
		return 0, false, err
	}
	for _, c := range claimed {
		d.running.Add(1)
		d.start(attemptContext, c, d.slots.acquire(c))
	}
	return len(claimed), len(claimed) == o.Limit, nil
}

// start starts an attempt in a slot, which running has counted.
func (d *Deliverer) start(ctx context.Context, c models.ClaimedDelivery, slot *slot) {
	go func() {
		defer d.running.Done()
		defer slot.release()
		d.attempt(ctx, c, slot)
	}()
}

// attempt sends one delivery and records the result.
func (d *Deliverer) attempt(ctx context.Context, c models.ClaimedDelivery, slot *slot) {
	at := d.outbox.Now()
	ctx, ended := d.startAttempt(ctx, c)
	var result models.AttemptResult
	if c.SecretError != nil {
		d.log.ErrorContext(ctx, "signing a delivery failed", "delivery_id", c.Delivery.ID, "error", c.SecretError)
		result = models.AttemptResult{
			StartedAt: at, Error: models.ErrorSecret, ErrorDetail: models.DetailSecret,
		}
	} else {
		result = d.send(ctx, c, at)
	}
	ended(result)
	d.log.InfoContext(ctx, "delivery attempt",
		"delivery_id", c.Delivery.ID, "uuid", c.Delivery.UUID, "attempt", c.Delivery.Attempts,
		"status", result.HTTPStatus, "failure", result.Error, "duration", result.Duration)
	d.finish(ctx, models.FinishedDelivery{Delivery: c.Delivery, Result: result}, slot)
}

// send makes the attempt. One that panics counts as interrupted, so that the delivery is
// tried again by its schedule.
func (d *Deliverer) send(ctx context.Context, c models.ClaimedDelivery, at time.Time) models.AttemptResult {
	result, err := recovered(func() (models.AttemptResult, error) { return d.sender.Send(ctx, c, at), nil })
	if err != nil {
		d.log.ErrorContext(ctx, "sending a delivery failed", append(models.ErrorAttrs(err), "delivery_id", c.Delivery.ID)...)
		result = models.AttemptResult{StartedAt: at, Error: models.ErrorInterrupted, ErrorDetail: err.Error()}
	}
	return result
}

// finish records the result of an attempt, also after ctx has ended. It retries
// for finishTime. If that fails, the lease expires and the delivery is sent
// again.
func (d *Deliverer) finish(ctx context.Context, finished models.FinishedDelivery, slot *slot) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTime)
	defer cancel()
	for {
		err := d.results.write(ctx, finished, slot)
		if err == nil {
			return
		}
		d.log.ErrorContext(ctx, "recording a delivery attempt failed", append(models.ErrorAttrs(err), "delivery_id", finished.Delivery.ID)...)
		if pause(ctx, retryDatabase); ctx.Err() != nil {
			return
		}
	}
}
