package models

import (
	"math/rand/v2"
	"time"
)

// DeliveryState is the state of a delivery.
type DeliveryState string

// The states of a delivery. A waiting delivery is in flight if LeasedUntil is set.
const (
	DeliveryWaiting    DeliveryState = "waiting"
	DeliveryDelivered  DeliveryState = "delivered"
	DeliverySuperseded DeliveryState = "superseded"
	DeliveryFailed     DeliveryState = "failed"
)

// DeliveryKind is why a delivery was created.
type DeliveryKind string

// The kinds of delivery.
const (
	DeliveryOfEvent DeliveryKind = "event"
	DeliveryOfRetry DeliveryKind = "retry"
	DeliveryOfTest  DeliveryKind = "test"
)

// The reasons why a delivery was superseded.
const (
	SupersededByHead    = "head_moved"
	SupersededByRetry   = "retried"
	SupersededByClose   = "closed"
	SupersededByMerge   = "merged"
	SupersededByNewer   = "newer_delivery"
	SupersededByRemoval = "no_longer_applies"
)

// Delivery is one payload for one service and its outcome. URL and Payload never
// change.
type Delivery struct {
	ID                    int64
	ProjectID             int64
	ExternalStatusCheckID int64
	MergeRequestID        *int64
	MergeRequestIID       int64 `gorm:"column:merge_request_iid"`
	// UUID is the Idempotency-Key. It is the same for all attempts and for Redeliver.
	UUID string
	// EventUUID is the same for all services that receive the event.
	EventUUID string
	Kind      DeliveryKind
	Action    Action
	SHA       string `gorm:"column:sha"`
	URL       string `gorm:"column:url"`
	Payload   []byte
	State     DeliveryState
	// WholeSchedule marks close and merge events. They are never superseded.
	WholeSchedule bool
	// SingleAttempt marks test deliveries and redeliveries. They are tried once and
	// never superseded.
	SingleAttempt bool
	// Attempts counts the attempts. In the database, the one that is in flight is not
	// counted.
	Attempts int
	// Probes is how many of the attempts were made before they were due, as probes of an
	// open breaker. They are not part of the schedule.
	Probes            int
	ScheduleStartedAt *time.Time
	NextAttemptAt     time.Time
	// NotBefore is the end of the service's last Retry-After.
	NotBefore *time.Time
	// LeasedUntil is the end of the DeliveryLease, which is in a table of its own.
	LeasedUntil    *time.Time `gorm:"-"`
	LastAttemptAt  *time.Time
	LastHTTPStatus int `gorm:"column:last_http_status"`
	// LastError is the kind of the last failure, "" after a success.
	LastError        string
	LastDurationMS   int64 `gorm:"column:last_duration_ms"`
	FinishedAt       *time.Time
	SupersededReason string
	// TraceParent is the trace that the delivery belongs to; see Config.TraceParent.
	TraceParent string
	CreatedAt   time.Time
}

// InFlightAt reports whether an attempt holds the lease at now.
func (d Delivery) InFlightAt(now time.Time) bool {
	return d.LeasedUntil != nil && now.Before(*d.LeasedUntil)
}

// ScheduledAttempts returns the number of attempts without Probes. It is at most
// MaxAttempts.
func (d Delivery) ScheduledAttempts() int { return d.Attempts - d.Probes }

// DeliveryAttempt is one HTTP request of a delivery.
type DeliveryAttempt struct {
	ID                int64
	DeliveryID        int64
	Number            int
	StartedAt         time.Time
	DurationMS        int64 `gorm:"column:duration_ms"`
	HTTPStatus        int   `gorm:"column:http_status"`
	Error             string
	ErrorDetail       string
	RequestHeader     Header `gorm:"serializer:json"`
	ResponseHeader    Header `gorm:"serializer:json"`
	ResponseBody      []byte
	ResponseTruncated bool
	Timing
}

// Timing splits the duration of an attempt, in microseconds. A part that did not happen
// or did not end is 0.
type Timing struct {
	// DNSUS is the time to resolve the host name.
	DNSUS int64 `gorm:"column:dns_us"`
	// ConnectUS is the time to open the TCP connection.
	ConnectUS int64 `gorm:"column:connect_us"`
	// TLSUS is the time of the TLS handshake.
	TLSUS int64 `gorm:"column:tls_us"`
	// FirstByteUS is the time from the sent request to the first byte of the answer.
	FirstByteUS int64 `gorm:"column:first_byte_us"`
}

// Header holds the logged headers of a request or response.
type Header map[string][]string

// AttemptResult is the outcome of an attempt.
type AttemptResult struct {
	StartedAt         time.Time
	Duration          time.Duration
	HTTPStatus        int
	Error             string // kind of failure, "" if the service answered
	ErrorDetail       string
	RetryAfter        time.Duration
	RequestHeader     Header
	ResponseHeader    Header
	ResponseBody      []byte
	ResponseTruncated bool
	Timing            Timing
}

// ErrorInterrupted is the error of an attempt whose process ended before the attempt
// did.
const ErrorInterrupted = "interrupted"

// ErrorSecret is the error of an attempt that could not be signed.
const ErrorSecret = "secret"

// DetailSecret is the text that the delivery log shows for ErrorSecret.
const DetailSecret = "The shared secret cannot be read. Was the server's secret key changed?"

// ErrorGone is the error of a delivery that HTTP status 410 ended.
const ErrorGone = "gone"

// Succeeded reports whether the service answered with a 2xx status.
func (r AttemptResult) Succeeded() bool {
	return r.Error == "" && r.HTTPStatus >= 200 && r.HTTPStatus < 300
}

// The schedule of a delivery: six quick attempts within the default time-out of two
// minutes, so that a short outage does not fail the check, then six slow ones.
var (
	quickOffsets = []time.Duration{0, time.Second, 5 * time.Second, 15 * time.Second, 40 * time.Second, 80 * time.Second}
	slowWaits    = []time.Duration{5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 24 * time.Hour}
)

const (
	// QuickAttempts is the number of attempts within the first two minutes.
	QuickAttempts = 6
	// MaxAttempts is the number of attempts of a delivery.
	MaxAttempts = 12
	// MaxRetryAfter is the longest accepted Retry-After of a service.
	MaxRetryAfter = 10 * time.Minute
	// MaxHeld is how long a delivery waits for a breaker to close before it fails. The
	// whole schedule takes about 42 hours.
	MaxHeld = 48 * time.Hour
	// LeaseDuration is how long an attempt holds a delivery: ten seconds for the
	// request, the rest for storing the result.
	LeaseDuration = 30 * time.Second
)

// NextAttempt returns when to try again after the given number of attempts, the last of
// which ended at now. started is when the first attempt began and random is in [0,1).
// ok is false if the schedule has ended.
func NextAttempt(attempts int, started, now time.Time, retryAfter time.Duration, random float64) (at time.Time, ok bool) {
	if attempts >= MaxAttempts {
		return time.Time{}, false
	}
	if attempts < QuickAttempts {
		gap := quickOffsets[attempts] - quickOffsets[attempts-1]
		at = started.Add(quickOffsets[attempts] + time.Duration(random*0.1*float64(gap)))
		// An attempt that ran into its time limit ends after the next one was due.
		if soonest := now.Add(time.Second); at.Before(soonest) {
			at = soonest
		}
	} else {
		wait := slowWaits[attempts-QuickAttempts]
		at = now.Add(time.Duration((0.9 + 0.2*random) * float64(wait)))
	}
	if retryAfter > MaxRetryAfter {
		retryAfter = MaxRetryAfter
	}
	if asked := now.Add(retryAfter); asked.After(at) {
		at = asked
	}
	return at, true
}

// finish applies the result of an attempt to the delivery. probe says that the attempt
// was the probe of an open breaker. A failed probe that was not yet due by schedule does
// not change the schedule. newerWaits says that a newer delivery for the same merge
// request and service is waiting.
func (d *Delivery) finish(r AttemptResult, probe, newerWaits bool, now time.Time) {
	d.LeasedUntil, d.NotBefore = nil, nil
	if r.RetryAfter > 0 {
		until := dbTime(now.Add(min(r.RetryAfter, MaxRetryAfter)))
		d.NotBefore = &until
	}
	d.LastHTTPStatus = r.HTTPStatus
	d.LastError = r.Error
	d.LastDurationMS = r.Duration.Milliseconds()
	end := func(state DeliveryState) {
		d.State = state
		d.FinishedAt = &now
	}
	if r.Succeeded() {
		d.SupersededReason = ""
		end(DeliveryDelivered)
		return
	}
	if d.State == DeliverySuperseded {
		return
	}
	if r.HTTPStatus == 410 {
		d.LastError = ErrorGone
		end(DeliveryFailed)
		return
	}
	if d.SingleAttempt {
		end(DeliveryFailed)
		return
	}
	extra := probe && d.LastAttemptAt != nil && d.NextAttemptAt.After(*d.LastAttemptAt)
	if extra {
		d.Probes++
	}
	if newerWaits && d.ScheduledAttempts() >= QuickAttempts && !d.WholeSchedule {
		d.SupersededReason = SupersededByNewer
		end(DeliverySuperseded)
		return
	}
	if extra {
		return
	}
	started := now
	if d.ScheduleStartedAt != nil {
		started = *d.ScheduleStartedAt
	}
	next, ok := NextAttempt(d.ScheduledAttempts(), started, now, r.RetryAfter, rand.Float64())
	if !ok {
		end(DeliveryFailed)
		return
	}
	d.NextAttemptAt = dbTime(next)
}

// ClaimedDelivery is a delivery that a worker holds a lease on, with the secret to sign
// it.
type ClaimedDelivery struct {
	Delivery Delivery
	// Hung reports whether the service's last attempt hung.
	Hung   bool
	Secret string
	// Headers are the custom headers of the service.
	Headers []HeaderValue
	// CallbackToken lets the service answer without an access token; "" if the delivery
	// carries none.
	CallbackToken string
	// SecretError is set if the secret or a custom header could not be decrypted. The
	// delivery must not be sent then, because it would be unsigned.
	SecretError error
}

// DeliveryRetention is how long a finished delivery is kept.
const DeliveryRetention = 30 * 24 * time.Hour
