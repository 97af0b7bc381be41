package jobs

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"github.com/mergegate/mergegate/models"
)

// Limits of one process.
const (
	// maxInFlight is how many attempts run at once.
	maxInFlight = 64
	// maxPerHost is how many of them go to one host, so that a slow one never
	// takes the places of the others.
	maxPerHost = 4
	// pollEvery is the safety net behind the wake-ups.
	pollEvery = 5 * time.Second
	// busyPause and maxBusyPause are the first and the longest wait while
	// another process claims.
	busyPause, maxBusyPause = 5 * time.Millisecond, 200 * time.Millisecond
	// retryDatabase is the wait after a failure of the database.
	retryDatabase = time.Second
)

// DrainTime is how long Run waits, in the end, for attempts in flight: a
// little more than an attempt may take.
const DrainTime = 12 * time.Second

// How long the end of an attempt may take to be recorded.
const (
	// finishTime is what remains of a lease after the longest attempt.
	finishTime = models.LeaseDuration - DrainTime
	// lastFinishTime applies once Run has given up waiting for attempts.
	lastFinishTime = 3 * time.Second
)

// Deliverer claims deliveries that are due, has them sent, several at once,
// and writes down how it went.
type Deliverer struct {
	outbox Outbox
	sender Sender
	log    *slog.Logger
	// freed tells the loop that a place became free.
	freed chan struct{}
	// drain and lastFinish are DrainTime and lastFinishTime, but for tests.
	drain, lastFinish time.Duration

	mu       sync.Mutex
	inFlight int
	perHost  map[string]int
	running  sync.WaitGroup
}

// NewDeliverer makes a deliverer; Run runs it.
func NewDeliverer(outbox Outbox, sender Sender, log *slog.Logger) *Deliverer {
	return &Deliverer{outbox: outbox, sender: sender, log: log, freed: make(chan struct{}, 1), drain: DrainTime, lastFinish: lastFinishTime, perHost: map[string]int{}}
}

// Run delivers until ctx ends, and then waits for the attempts in flight. Those
// that take longer than DrainTime are recorded as interrupted and are due again
// soon, in whichever process is there. Run returns at the latest DrainTime and
// lastFinishTime after the end of ctx, even if attempts have not ended: their
// leases run out.
func (d *Deliverer) Run(ctx context.Context) {
	attempts, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	wake, stop := d.outbox.WatchDeliveries(ctx)
	defer stop()
	busy := busyPause
	for ctx.Err() == nil {
		_, more, err := d.start(ctx, attempts)
		if errors.Is(err, models.ErrClaimBusy) {
			pause(ctx, busy)
			busy = min(2*busy, maxBusyPause)
			continue
		}
		busy = busyPause
		if err != nil {
			if ctx.Err() == nil {
				d.log.ErrorContext(ctx, "deliveries cannot be claimed", "error", err)
				pause(ctx, retryDatabase)
			}
			continue
		}
		if !more {
			d.wait(ctx, wake)
		}
	}
	if !d.waitFor(d.drain) {
		giveUp()
		if !d.waitFor(d.lastFinish) {
			d.log.WarnContext(ctx, "delivery attempts did not end", "count", d.countInFlight())
		}
	}
}

// waitFor waits for the attempts in flight and reports whether all ended
// within the limit.
func (d *Deliverer) waitFor(limit time.Duration) bool {
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

func (d *Deliverer) countInFlight() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.inFlight
}

// wait returns when there may be something to claim.
func (d *Deliverer) wait(ctx context.Context, wake <-chan struct{}) {
	timer := time.NewTimer(d.untilDue(ctx))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-wake:
	case <-d.freed:
	case <-timer.C:
	}
}

// untilDue is how long nothing is due as far as the outbox knows, pollEvery at
// most.
func (d *Deliverer) untilDue(ctx context.Context) time.Duration {
	at, ok, err := d.outbox.NextDeliveryAt(ctx)
	if err != nil || !ok {
		return pollEvery
	}
	// A little later rather than too early, which would be once more for
	// nothing.
	return min(pollEvery, max(0, at.Sub(d.outbox.Now()))+time.Millisecond)
}

// start claims as much as there are places for and starts the attempts, which
// run under their own context. It counts them; more tells that the places
// did not suffice, so that another claim may find more.
func (d *Deliverer) start(ctx, attempts context.Context) (n int, more bool, err error) {
	free, admit := d.places()
	if free == 0 {
		return 0, false, nil
	}
	claimed, err := d.outbox.Claim(ctx, models.ClaimOptions{Limit: free, Admit: admit})
	if err != nil {
		return 0, false, err
	}
	for _, c := range claimed {
		host := hostOf(c.Delivery.URL)
		d.occupy(host)
		d.running.Go(func() {
			defer d.leave(host)
			d.attempt(attempts, c)
		})
	}
	return len(claimed), len(claimed) == free, nil
}

// attempt sends one delivery and writes down how it ended.
func (d *Deliverer) attempt(ctx context.Context, c models.ClaimedDelivery) {
	at := d.outbox.Now()
	var result models.AttemptResult
	if c.SecretError != nil {
		d.log.ErrorContext(ctx, "delivery cannot be signed", "delivery", c.Delivery.ID, "error", c.SecretError)
		result = models.AttemptResult{
			StartedAt: at, Error: models.ErrorSecret,
			ErrorDetail: models.DetailSecret,
		}
	} else {
		result = d.sender.Send(ctx, c, at)
	}
	d.log.InfoContext(ctx, "delivery attempt", "delivery", c.Delivery.ID, "uuid", c.Delivery.UUID, "attempt", c.Delivery.Attempts,
		"status", result.HTTPStatus, "failure", result.Error, "duration", result.Duration)
	d.finish(ctx, c.Delivery, result)
}

// finish records the end of an attempt, also of one that was interrupted. It
// has finishTime for that, however long the attempt took; after that the lease
// runs out and the delivery is sent again.
func (d *Deliverer) finish(ctx context.Context, delivery models.Delivery, result models.AttemptResult) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTime)
	defer cancel()
	for {
		err := d.outbox.FinishDelivery(ctx, delivery, result)
		if err == nil {
			return
		}
		d.log.ErrorContext(ctx, "the end of an attempt cannot be written down", "delivery", delivery.ID, "error", err)
		if pause(ctx, retryDatabase); ctx.Err() != nil {
			return
		}
	}
}

// places tells how many attempts may be started, and gives the judge of which:
// no host gets more than its share.
func (d *Deliverer) places() (free int, admit func(models.Delivery) bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	taken := make(map[string]int, len(d.perHost))
	for host, n := range d.perHost {
		taken[host] = n
	}
	admitted := map[int64]bool{}
	return maxInFlight - d.inFlight, func(delivery models.Delivery) bool {
		host := hostOf(delivery.URL)
		if admitted[delivery.ID] {
			return true
		}
		if taken[host] >= maxPerHost {
			return false
		}
		taken[host]++
		admitted[delivery.ID] = true
		return true
	}
}

func (d *Deliverer) occupy(host string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.inFlight++
	d.perHost[host]++
}

// leave frees a place and tells the loop, which may have waited for it.
func (d *Deliverer) leave(host string) {
	d.mu.Lock()
	d.inFlight--
	if d.perHost[host]--; d.perHost[host] == 0 {
		delete(d.perHost, host)
	}
	d.mu.Unlock()
	select {
	case d.freed <- struct{}{}:
	default:
	}
}

// hostOf is the host, with its port, that a URL leads to; the URL itself when
// it leads nowhere.
func hostOf(text string) string {
	sent, ok := models.URLAsSent(text)
	u, err := url.Parse(sent)
	if !ok || err != nil {
		return text
	}
	return u.Host
}
