package views

import (
	"context"
	"fmt"
	"time"

	"github.com/mergegate/mergegate/views/text"
)

// CheckRow is one status check in the widget.
type CheckRow struct {
	// ID is the service's id. It identifies the row across polls.
	ID   int64
	Name string
	// Linked reports whether the reader may open the pages of the service and its
	// deliveries.
	Linked bool
	// Folded reports whether the row is among the passed ones that are folded.
	Folded bool
	State  CheckState
	// SHA is the commit of the state, abbreviated to eight characters.
	SHA string
	// CallbackOnly reports whether the service accepts only responses with a callback
	// token, so that nobody can answer by hand.
	CallbackOnly bool
	// Retryable reports whether the reader may retry the check now.
	Retryable bool
	// TimedOut reports whether the check failed for lack of a response within
	// Limit.
	TimedOut bool
	// Limit is the time-out of the check.
	Limit time.Duration
	// Deadline is when a pending check times out; zero if no countdown runs.
	Deadline time.Time
	// Since is when the check entered its state.
	Since time.Time
	// Retried reports whether a pending check was retried.
	Retried bool
	// Description (plain text) and TargetURL (http or https) come from the
	// service and are untrusted. Either may be empty.
	Description string
	TargetURL   string
	Delivery    CheckDelivery
	// Late is the newest response after the merge, nil for none.
	Late *LateAnswer
	// Informational checks never block the merge.
	Informational bool
	// ViaCallback reports whether the service answered with a callback token.
	ViaCallback bool
}

// DeliveryState is the state of the newest delivery to a service.
type DeliveryState int

// The values of DeliveryState. DeliveryUnknown renders nothing.
const (
	DeliveryUnknown DeliveryState = iota
	DeliveryQueued
	DeliveryDelivered
	DeliveryRetrying
	DeliveryGaveUp
	DeliverySuperseded
	DeliveryPaused // the service's circuit breaker is open
)

// CheckDelivery is the newest delivery to a service for this merge request.
type CheckDelivery struct {
	// ID is 0 if there is no delivery.
	ID    int64
	State DeliveryState
	// HTTPStatus is the status of the last answer, 0 if there was none.
	HTTPStatus int
	// Failure is the reason why the last attempt got no answer, empty if it did.
	Failure text.Key
	// At is when the last attempt ended.
	At time.Time
	// Attempt is the number of the next or current attempt while retrying, and the
	// number of attempts made after giving up. Attempts is the maximum.
	Attempt, Attempts int
	// NextAt is when the next attempt begins. For a paused service it is the next
	// attempt at any of its deliveries, zero while one is in flight.
	NextAt time.Time
	// Failures is how many attempts in a row paused the service.
	Failures int
}

// LateAnswer is a response that was recorded after the merge.
type LateAnswer struct {
	State CheckState
	At    time.Time
	// Description and TargetURL come from the service and are untrusted.
	Description string
	TargetURL   string
}

// since returns the key of a text such as "passed 40 s ago".
func (r CheckRow) since() text.Key {
	switch {
	case r.State == CheckPassed:
		return text.KeyMRCheckPassedSince
	case r.State == CheckFailed:
		return text.KeyMRCheckFailedSince
	case r.Retried:
		return text.KeyMRCheckRetriedSince
	}
	return text.KeyMRCheckPendingSince
}

// left returns the time until a pending check times out, in whole seconds and at
// least 0. It is rounded up, so that 0:00 means that the check has failed.
func (r CheckRow) left(now time.Time) time.Duration {
	left := r.Deadline.Sub(now)
	if left < 0 {
		return 0
	}
	return (left + time.Second - 1).Truncate(time.Second)
}

// low reports whether less than 30 seconds are left.
func (r CheckRow) low(now time.Time) bool { return r.left(now) < 30*time.Second }

// clock formats a duration as minutes and seconds, such as 1:24, or with hours, such as
// 25:01:24. app.js does the same.
func clock(d time.Duration) string {
	seconds := int(d / time.Second)
	if seconds >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", seconds/3600, seconds/60%60, seconds%60)
	}
	return fmt.Sprintf("%d:%02d", seconds/60, seconds%60)
}

// answer returns the result of the last attempt, such as "HTTP 503" or
// "connection refused".
func (d CheckDelivery) answer(ctx context.Context) string {
	if d.Failure != "" {
		return text.T(ctx, d.Failure)
	}
	return text.T(ctx, text.KeyMRDeliveryHTTP, "Status", d.HTTPStatus)
}

// LimitText formats a time-out as limitText does. ParseTimeout in handlers reads it.
func LimitText(ctx context.Context, limit time.Duration) string { return limitText(ctx, limit) }

// limitText formats a time-out in the largest unit without a rest, such as "2 minutes" or
// "90 seconds".
func limitText(ctx context.Context, limit time.Duration) string {
	const day = 24 * time.Hour
	if limit%day == 0 {
		return text.N(ctx, text.KeyDays, int(limit/day))
	}
	if limit%time.Hour == 0 {
		return text.N(ctx, text.KeyMRHours, int(limit/time.Hour))
	}
	if limit%time.Minute == 0 {
		return text.N(ctx, text.KeyMRMinutes, int(limit/time.Minute))
	}
	return text.N(ctx, text.KeyMRSeconds, int(limit/time.Second))
}
