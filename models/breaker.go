package models

import "time"

// BreakerState is the state of a circuit breaker.
type BreakerState string

// The states of a breaker. In the state half-open one delivery, the probe, is tried.
const (
	BreakerClosed   BreakerState = "closed"
	BreakerOpen     BreakerState = "open"
	BreakerHalfOpen BreakerState = "half_open"
)

const (
	// BreakerThreshold is how many failures in a row open a breaker.
	BreakerThreshold = 5
	// breakerFirst is how long a breaker is open at first. Each failed probe at its end
	// doubles the time, up to breakerLongest.
	breakerFirst, breakerLongest = 30 * time.Second, 15 * time.Minute
	// breakerProbeEvery is the time between probes until breakerLongest is reached,
	// which is after about 15 minutes. A shorter outage therefore delays a delivery by
	// at most this time after its end.
	breakerProbeEvery = 5 * time.Second
)

// Breaker is the circuit breaker of a service. While it is open, the service's
// deliveries wait, except for one at a time, the probe. The zero value is closed.
type Breaker struct {
	// Failures counts the failed attempts since the last success.
	Failures int
	// OpenedAt is when the breaker opened, nil while it is closed.
	OpenedAt *time.Time
	// OpenUntil is the end of the current open time, and OpenTimes its number.
	OpenUntil *time.Time
	OpenTimes int
	// ProbeAt is when the next probe may start, nil while the breaker is closed. While a
	// probe is in flight it is the end of the probe's lease.
	ProbeAt *time.Time
	// ProbeDeliveryID is the delivery that is the probe in flight.
	ProbeDeliveryID *int64
	// LastHTTPStatus and LastError are the result of the last failed attempt.
	LastHTTPStatus int `gorm:"column:last_http_status"`
	LastError      string
}

// StateAt returns the state of the breaker at now.
func (b Breaker) StateAt(now time.Time) BreakerState {
	switch {
	case b.OpenedAt == nil:
		return BreakerClosed
	case b.ProbeDeliveryID != nil || b.admitsAt(now):
		return BreakerHalfOpen
	}
	return BreakerOpen
}

// admitsAt reports whether an attempt may start at now. If the breaker is open, that
// attempt is the probe.
func (b Breaker) admitsAt(now time.Time) bool { return b.OpenedAt == nil || !now.Before(*b.ProbeAt) }

// isProbe reports whether an attempt at the delivery is the probe.
func (b Breaker) isProbe(deliveryID int64) bool {
	return b.ProbeDeliveryID != nil && *b.ProbeDeliveryID == deliveryID
}

// startProbe makes a delivery the probe. If its process dies, another probe may start
// when the lease ends.
func (b *Breaker) startProbe(deliveryID int64, leasedUntil time.Time) {
	b.ProbeDeliveryID, b.ProbeAt = &deliveryID, &leasedUntil
}

// requestProbe makes the next probe due at now, unless one is in flight.
func (b *Breaker) requestProbe(now time.Time) {
	if b.OpenedAt != nil && b.ProbeDeliveryID == nil {
		b.ProbeAt = &now
	}
}

// finish applies the result of an attempt at a delivery. random is in [0,1). It reports
// whether the breaker opened or closed.
func (b *Breaker) finish(deliveryID int64, r AttemptResult, now time.Time, random float64) (opened, closed bool) {
	if r.Succeeded() {
		closed = b.OpenedAt != nil
		*b = Breaker{}
		return false, closed
	}
	probe := b.isProbe(deliveryID)
	if probe {
		b.ProbeDeliveryID = nil
	}
	if !r.countsForBreaker() {
		if probe {
			b.ProbeAt = &now
		}
		return false, false
	}
	b.Failures++
	b.LastHTTPStatus, b.LastError = r.HTTPStatus, r.Error
	jittered := func(d time.Duration) time.Time {
		return dbTime(now.Add(time.Duration((0.9 + 0.2*random) * float64(d))))
	}
	switch {
	case b.OpenedAt == nil && b.Failures < BreakerThreshold:
		return false, false
	case b.OpenedAt == nil:
		b.OpenedAt, opened = &now, true
	case !probe:
		return false, false // it began before the breaker opened
	}
	if opened || !now.Before(*b.OpenUntil) {
		b.OpenTimes++
		until := jittered(openTime(b.OpenTimes))
		b.OpenUntil = &until
	}
	at := *b.OpenUntil
	if next := jittered(breakerProbeEvery); openTime(b.OpenTimes) < breakerLongest && next.Before(at) {
		at = next
	}
	b.ProbeAt = &at
	return opened, false
}

// openTime returns the n-th open time, n >= 1, without jitter.
func openTime(n int) time.Duration {
	if n > 6 {
		return breakerLongest
	}
	return min(breakerFirst<<(n-1), breakerLongest)
}

// countsForBreaker reports whether a failed attempt says something about the service.
// The others failed in this program.
func (r AttemptResult) countsForBreaker() bool {
	return r.Error != ErrorInterrupted && r.Error != ErrorSecret
}
