package models

import (
	"net/url"
	"strings"
	"time"
	"unicode/utf8"
)

// Status is the state of a status check.
type Status string

// The states of a status check. The API uses the same values.
const (
	StatusPending Status = "pending"
	StatusPassed  Status = "passed"
	StatusFailed  Status = "failed"
)

// ParseStatus parses a status of the API; ok is false for any other word.
func ParseStatus(word string) (Status, bool) {
	switch s := Status(word); s {
	case StatusPending, StatusPassed, StatusFailed:
		return s, true
	}
	return "", false
}

// MergeRequestCheck is the status check of one service on one merge request: the copy
// of the service, taken when the merge request was opened or its target changed, and
// the state for HEAD.
type MergeRequestCheck struct {
	ID                    int64
	ProjectID             int64
	MergeRequestID        int64
	ExternalStatusCheckID int64
	Name                  string
	ExternalURL           string   `gorm:"column:external_url"`
	Scope                 []string `gorm:"serializer:json"`
	TimeoutSeconds        int
	// Informational checks are shown, but never block the merge.
	Informational bool
	SHA           string `gorm:"column:sha"`
	// Status is the stored state. Use StatusAt instead: a stored pending check may have
	// timed out.
	Status Status
	// TimedOut reports whether a stored failure was caused by the time-out.
	TimedOut bool
	// PendingSince is when the time-out last started.
	PendingSince time.Time
	// StoppedAt is when the time-out was suspended because the merge request was closed
	// or merged; nil while it runs.
	StoppedAt *time.Time
	// MergeRequestOpen is for the database's indexes only; triggers set it.
	MergeRequestOpen bool `gorm:"->:false;<-:false"`
	// SettledAt is when the check passed or failed; nil while it is pending.
	SettledAt   *time.Time
	Description string
	TargetURL   string `gorm:"column:target_url"`
	// CallbackOnly is that of the service now. Only RecordResponse and the widget's list
	// load it.
	CallbackOnly bool `gorm:"-"`
	// AnsweredVia is how the newest response came, "" for none.
	AnsweredVia ResponseVia
	// DeliveryID is the newest delivery of the merge request's events to the service.
	DeliveryID *int64
	Delivery   *Delivery
	// Breaker is the service's circuit breaker. Only MergeRequestChecks reads it.
	Breaker   Breaker `gorm:"-"`
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Timeout returns how long the check may stay pending.
func (c MergeRequestCheck) Timeout() time.Duration {
	return time.Duration(c.TimeoutSeconds) * time.Second
}

// Deadline returns the last instant at which the check is still pending.
func (c MergeRequestCheck) Deadline() time.Time { return c.PendingSince.Add(c.Timeout()) }

// StatusAt returns the state of the check at now. A check that is pending for longer
// than its time-out is failed, even if the row still says pending. The time-out does
// not run while the merge request is closed.
func (c MergeRequestCheck) StatusAt(now time.Time) Status {
	if c.Status == StatusPending && c.expiredAt(now) {
		return StatusFailed
	}
	return c.Status
}

// TimedOutAt reports whether the check is failed at now because of its time-out.
func (c MergeRequestCheck) TimedOutAt(now time.Time) bool {
	if c.Status == StatusPending {
		return c.expiredAt(now)
	}
	return c.Status == StatusFailed && c.TimedOut
}

func (c MergeRequestCheck) expiredAt(now time.Time) bool {
	if c.StoppedAt != nil && c.StoppedAt.Before(now) {
		now = *c.StoppedAt
	}
	return now.Sub(c.PendingSince) > c.Timeout()
}

// Since returns when the check entered the state that it has at now.
func (c MergeRequestCheck) Since(now time.Time) time.Time {
	switch {
	case c.Status == StatusPending && c.expiredAt(now):
		return c.Deadline()
	case c.Status == StatusPending || c.SettledAt == nil:
		return c.PendingSince
	}
	return *c.SettledAt
}

// Blocks reports whether the check blocks a merge at now in a project where status
// checks must succeed.
func (c MergeRequestCheck) Blocks(now time.Time) bool {
	return !c.Informational && c.StatusAt(now) != StatusPassed
}

// CanRetry reports whether the check can be retried at now: it is failed and its merge
// request is open. It does not check the user's role.
func (c MergeRequestCheck) CanRetry(state MergeRequestState, now time.Time) bool {
	return state == StateOpened && c.StatusAt(now) == StatusFailed
}

// restart makes the check pending for a new HEAD; its time-out starts at now.
func (c *MergeRequestCheck) restart(sha string, now time.Time) {
	c.SHA = sha
	c.Status = StatusPending
	c.TimedOut = false
	c.PendingSince = now
	c.StoppedAt = nil
	c.SettledAt = nil
	c.Description = ""
	c.TargetURL = ""
	c.AnsweredVia = ""
}

// record applies a response to the check.
func (c *MergeRequestCheck) record(in ResponseInput, open bool, now time.Time) {
	c.Status = in.Status
	c.TimedOut = false
	c.Description = in.Description
	c.TargetURL = in.TargetURL
	c.AnsweredVia = in.via()
	c.StoppedAt = nil
	c.SettledAt = nil
	if in.Status == StatusPending {
		c.PendingSince = now
		if !open {
			c.StoppedAt = &now
		}
		return
	}
	c.SettledAt = &now
}

// stop suspends the time-out of a pending check because the merge request was closed or
// merged. A check that has already timed out becomes failed.
func (c *MergeRequestCheck) stop(now time.Time) {
	if c.Status != StatusPending {
		return
	}
	if c.expiredAt(now) {
		c.expire()
		return
	}
	c.StoppedAt = &now
}

// expire stores the time-out that StatusAt already reports.
func (c *MergeRequestCheck) expire() {
	settled := c.Deadline()
	c.Status = StatusFailed
	c.TimedOut = true
	c.SettledAt = &settled
}

// SplitChecks separates the checks that can block a merge from those that only inform.
// gate is the project's "Status checks must succeed".
func SplitChecks(checks []MergeRequestCheck, gate bool) (blocking, informing []MergeRequestCheck) {
	for _, check := range checks {
		if gate && !check.Informational {
			blocking = append(blocking, check)
		} else {
			informing = append(informing, check)
		}
	}
	return blocking, informing
}

// StatusCounts is the number of checks in each state.
type StatusCounts struct{ Passed, Pending, Failed int }

// Total returns the number of all checks.
func (n StatusCounts) Total() int { return n.Passed + n.Pending + n.Failed }

// CountStatuses counts checks by their state at now.
func CountStatuses(checks []MergeRequestCheck, now time.Time) StatusCounts {
	var n StatusCounts
	for _, check := range checks {
		n.add(check.StatusAt(now), 1)
	}
	return n
}

// add adds count checks in one state.
func (n *StatusCounts) add(status Status, more int) {
	switch status {
	case StatusPassed:
		n.Passed += more
	case StatusPending:
		n.Pending += more
	default:
		n.Failed += more
	}
}

// StatusCheckResponse is one response of a service. Responses are kept permanently.
type StatusCheckResponse struct {
	ID                    int64
	ProjectID             int64
	MergeRequestID        int64
	ExternalStatusCheckID int64
	UserID                *int64
	SHA                   string `gorm:"column:sha"`
	Status                Status
	Description           string
	TargetURL             string `gorm:"column:target_url"`
	Via                   ResponseVia
	// Late marks a response after the merge. It is recorded, but the check keeps the
	// state it had when merged.
	Late bool
	// AnswerMS is how long the check had been pending before this response settled it,
	// in milliseconds; nil if the response did not.
	AnswerMS  *int64 `gorm:"column:answer_ms"`
	CreatedAt time.Time
}

// MaxResponseDescription is the longest description of a response, in characters.
const MaxResponseDescription = 255

// ResponseInput is a response of a service.
type ResponseInput struct {
	ExternalStatusCheckID int64
	SHA                   string
	Status                Status
	Description           string
	TargetURL             string
	// Callback is set for a response with a callback token. Then SHA may be empty.
	Callback *Callback
}

func (in *ResponseInput) via() ResponseVia {
	if in.Callback != nil {
		return ViaCallback
	}
	return ViaToken
}

// Validate normalises the input and returns its field errors. The description is one
// line of plain text; the target URL is an http or https URL without user information
// and is stored in the form of URLAsSent plus its fragment.
func (in *ResponseInput) Validate() error {
	var f fieldErrors
	in.Description = strings.TrimSpace(in.Description)
	if _, ok := ParseStatus(string(in.Status)); !ok {
		f.add("status", CodeInvalid)
	}
	if in.SHA == "" && in.Callback != nil {
		in.SHA = in.Callback.SHA
	}
	if in.SHA == "" {
		f.add("sha", CodeBlank)
	}
	switch {
	case hasControl(strings.NewReplacer("\n", " ", "\r", " ", "\t", " ").Replace(in.Description)):
		f.add("description", CodeInvalid)
	case utf8.RuneCountInString(in.Description) > MaxResponseDescription:
		f.add("description", CodeTooLong, "max", "255")
	}
	if in.TargetURL != "" {
		u, err := url.Parse(in.TargetURL)
		sent, fragment, ok := canonicalURL(in.TargetURL)
		if !ok || err != nil || u.User != nil {
			f.add("target_url", CodeInvalid)
		} else {
			in.TargetURL = sent + fragment
		}
	}
	return f.err()
}
