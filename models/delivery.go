package models

import (
	"math/rand/v2"
	"time"
)

// DeliveryState is where a delivery stands.
type DeliveryState string

// The states of a delivery. Waiting covers "in flight" too: LeasedUntil tells.
const (
	DeliveryWaiting    DeliveryState = "waiting"
	DeliveryDelivered  DeliveryState = "delivered"
	DeliverySuperseded DeliveryState = "superseded"
	DeliveryFailed     DeliveryState = "failed"
)

// DeliveryKind is why a delivery was made.
type DeliveryKind string

// The kinds of delivery.
const (
	DeliveryOfEvent DeliveryKind = "event"
	DeliveryOfRetry DeliveryKind = "retry"
	DeliveryOfTest  DeliveryKind = "test"
)

// Why a delivery was superseded.
const (
	SupersededByHead    = "head_moved"
	SupersededByRetry   = "retried"
	SupersededByClose   = "closed"
	SupersededByMerge   = "merged"
	SupersededByNewer   = "newer_delivery"
	SupersededByRemoval = "no_longer_applies"
)

// Delivery is one payload to one service, with what became of it. URL and
// Payload never change after it was made.
type Delivery struct {
	ID                    int64
	ProjectID             int64
	ExternalStatusCheckID int64
	MergeRequestID        *int64
	MergeRequestIID       int64 `gorm:"column:merge_request_iid"`
	// UUID is the Idempotency-Key, the same over attempts and Redeliver.
	UUID string
	// EventUUID is the same for all services that an event was sent to.
	EventUUID string
	Kind      DeliveryKind
	Action    Action
	SHA       string `gorm:"column:sha"`
	URL       string `gorm:"column:url"`
	Payload   []byte
	State     DeliveryState
	// WholeSchedule marks close and merge, which are tried to the end.
	WholeSchedule bool
	// SingleAttempt marks tests and Redeliver: tried once, never superseded.
	SingleAttempt bool
	// Attempts counts the attempts begun; it fences the end of one.
	Attempts          int
	ScheduleStartedAt *time.Time
	NextAttemptAt     time.Time
	LeasedUntil       *time.Time
	LastAttemptAt     *time.Time
	LastHTTPStatus    int `gorm:"column:last_http_status"`
	// LastError is the kind of the last failure, "" after a success.
	LastError        string
	LastDurationMS   int64 `gorm:"column:last_duration_ms"`
	FinishedAt       *time.Time
	SupersededReason string
	UserID           *int64
	CreatedAt        time.Time
}

// InFlightAt reports whether an attempt is under way.
func (d Delivery) InFlightAt(now time.Time) bool {
	return d.LeasedUntil != nil && now.Before(*d.LeasedUntil)
}

// DeliveryAttempt is one try of a delivery.
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
}

// Header holds the header lines of a request or response that the log keeps.
type Header map[string][]string

// AttemptResult is how an attempt ended.
type AttemptResult struct {
	StartedAt         time.Time
	Duration          time.Duration
	HTTPStatus        int
	Error             string // kind of failure, "" when an HTTP answer came
	ErrorDetail       string
	RetryAfter        time.Duration
	RequestHeader     Header
	ResponseHeader    Header
	ResponseBody      []byte
	ResponseTruncated bool
}

// ErrorInterrupted is the error of an attempt whose process died under it.
const ErrorInterrupted = "interrupted"

// ErrorSecret is the error of an attempt that could not be signed.
const ErrorSecret = "secret"

// DetailSecret is the sentence about it in the log of deliveries.
const DetailSecret = "The shared secret cannot be read. Was the server's secret key changed?"

// ErrorGone is the error of a delivery that HTTP 410 ended.
const ErrorGone = "gone"

// Succeeded reports whether the service took the delivery: any 2xx.
func (r AttemptResult) Succeeded() bool {
	return r.Error == "" && r.HTTPStatus >= 200 && r.HTTPStatus < 300
}

// The schedule of a delivery: six quick attempts inside the two minutes, so
// that a blip never becomes a two-minute failure, then six slow ones.
var (
	quickOffsets = []time.Duration{0, time.Second, 5 * time.Second, 15 * time.Second, 40 * time.Second, 80 * time.Second}
	slowWaits    = []time.Duration{5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 24 * time.Hour}
)

const (
	// QuickAttempts is how many attempts belong to the first two minutes.
	QuickAttempts = 6
	// MaxAttempts is how many attempts a delivery gets.
	MaxAttempts = 12
	// MaxRetryAfter is the longest wait that a service may ask for.
	MaxRetryAfter = 10 * time.Minute
	// LeaseDuration is how long an attempt may hold a delivery: the ten
	// seconds of the attempt and time to write down its end.
	LeaseDuration = 30 * time.Second
)

// NextAttempt is when to try again after the given number of attempts, the
// last of which ended at now; ok is false when the schedule has ended. started
// is when the first attempt began. random is in [0,1).
func NextAttempt(attempts int, started, now time.Time, retryAfter time.Duration, random float64) (at time.Time, ok bool) {
	if attempts >= MaxAttempts {
		return time.Time{}, false
	}
	if attempts < QuickAttempts {
		gap := quickOffsets[attempts] - quickOffsets[attempts-1]
		at = started.Add(quickOffsets[attempts] + time.Duration(random*0.1*float64(gap)))
		// An attempt that hung until its limit ends after the next one was
		// due; a second's breath keeps them from running into each other.
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

// finish puts the end of an attempt into the delivery. newerWaits tells that a
// newer delivery of the same merge request and service waits behind it.
func (d *Delivery) finish(r AttemptResult, newerWaits bool, now time.Time) {
	d.LeasedUntil = nil
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
	if newerWaits && d.Attempts >= QuickAttempts && !d.WholeSchedule {
		d.SupersededReason = SupersededByNewer
		end(DeliverySuperseded)
		return
	}
	started := now
	if d.ScheduleStartedAt != nil {
		started = *d.ScheduleStartedAt
	}
	next, ok := NextAttempt(d.Attempts, started, now, r.RetryAfter, rand.Float64())
	if !ok {
		end(DeliveryFailed)
		return
	}
	d.NextAttemptAt = dbTime(next)
}

// ClaimedDelivery is a delivery that a worker holds a lease on, with the
// secret it is signed with.
type ClaimedDelivery struct {
	Delivery Delivery
	Secret   string
	// SecretError tells why the secret could not be opened. Such a delivery
	// must not be sent: it would go out unsigned.
	SecretError error
}

// DeliveryRetention is how long a delivery is kept after its end.
const DeliveryRetention = 30 * 24 * time.Hour
