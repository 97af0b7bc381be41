package models

import (
	"net/url"
	"strings"
	"time"
	"unicode/utf8"
)

// Status is the state of a status check.
type Status string

// The three states, which are also the API's words.
const (
	StatusPending Status = "pending"
	StatusPassed  Status = "passed"
	StatusFailed  Status = "failed"
)

// ParseStatus reads one of the API's words.
func ParseStatus(word string) (Status, bool) {
	switch s := Status(word); s {
	case StatusPending, StatusPassed, StatusFailed:
		return s, true
	}
	return "", false
}

// MergeRequestCheck is the status check of one service on one merge request:
// the copy of the service taken when the merge request was opened or
// retargeted, and the state for HEAD.
type MergeRequestCheck struct {
	ID                    int64
	ProjectID             int64
	MergeRequestID        int64
	ExternalStatusCheckID int64
	Name                  string
	ExternalURL           string   `gorm:"column:external_url"`
	Scope                 []string `gorm:"serializer:json"`
	TimeoutSeconds        int
	SHA                   string `gorm:"column:sha"`
	// Status is what was last stored. Read StatusAt instead: a stored pending
	// may have timed out.
	Status Status
	// TimedOut tells that a stored failed came from the time-out.
	TimedOut bool
	// PendingSince is when the clock last started.
	PendingSince time.Time
	// StoppedAt is when the clock stopped, because the merge request was
	// closed or merged; nil while it runs.
	StoppedAt *time.Time
	// SettledAt is when the check passed or failed; nil while pending.
	SettledAt   *time.Time
	Description string
	TargetURL   string `gorm:"column:target_url"`
	// DeliveryID is the newest delivery of an event of this merge request to
	// the service.
	DeliveryID *int64
	Delivery   *Delivery
	CreatedAt  time.Time
	UpdatedAt  time.Time
}

// Timeout is how long the check may stay pending.
func (c MergeRequestCheck) Timeout() time.Duration {
	return time.Duration(c.TimeoutSeconds) * time.Second
}

// Deadline is the last instant at which the check is still pending.
func (c MergeRequestCheck) Deadline() time.Time { return c.PendingSince.Add(c.Timeout()) }

// StatusAt is the state of the check at an instant. A check pending for more
// than its time-out is failed from that instant on, whether or not anything
// has noticed; while the merge request is closed its clock stands still.
func (c MergeRequestCheck) StatusAt(now time.Time) Status {
	if c.Status == StatusPending && c.expiredAt(now) {
		return StatusFailed
	}
	return c.Status
}

// TimedOutAt reports whether the check is failed because nobody answered in
// time.
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

// Since is when the check came into the state it has at an instant.
func (c MergeRequestCheck) Since(now time.Time) time.Time {
	switch {
	case c.Status == StatusPending && c.expiredAt(now):
		return c.Deadline()
	case c.Status == StatusPending || c.SettledAt == nil:
		return c.PendingSince
	}
	return *c.SettledAt
}

// CanRetry reports whether the check may be retried at an instant: it is
// failed and its merge request is open. Who may is the table of abilities'.
func (c MergeRequestCheck) CanRetry(state MergeRequestState, now time.Time) bool {
	return state == StateOpened && c.StatusAt(now) == StatusFailed
}

// restart makes the check pending for a HEAD, with its clock starting at now.
func (c *MergeRequestCheck) restart(sha string, now time.Time) {
	c.SHA = sha
	c.Status = StatusPending
	c.TimedOut = false
	c.PendingSince = now
	c.StoppedAt = nil
	c.SettledAt = nil
	c.Description = ""
	c.TargetURL = ""
}

// record puts a response into the check.
func (c *MergeRequestCheck) record(in ResponseInput, open bool, now time.Time) {
	c.Status = in.Status
	c.TimedOut = false
	c.Description = in.Description
	c.TargetURL = in.TargetURL
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

// stop stops the clock, because the merge request was closed or merged. What
// had timed out by then is written down.
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

// expire writes down what StatusAt already says.
func (c *MergeRequestCheck) expire() {
	settled := c.Deadline()
	c.Status = StatusFailed
	c.TimedOut = true
	c.SettledAt = &settled
}

// StatusCounts is how many checks stand in each state.
type StatusCounts struct{ Passed, Pending, Failed int }

// Total is the number of checks.
func (n StatusCounts) Total() int { return n.Passed + n.Pending + n.Failed }

// CountStatuses counts checks by their state at an instant.
func CountStatuses(checks []MergeRequestCheck, now time.Time) StatusCounts {
	var n StatusCounts
	for _, check := range checks {
		n.add(check.StatusAt(now), 1)
	}
	return n
}

// add counts more checks of one state.
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

// StatusCheckResponse is one answer of a service, kept for ever.
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
	// Late marks an answer after the merge: it is recorded, but the check keeps
	// the state it was merged with.
	Late      bool
	CreatedAt time.Time
}

// MaxResponseDescription is the longest description of a response, in
// characters.
const MaxResponseDescription = 255

// ResponseInput is an answer of a service.
type ResponseInput struct {
	ExternalStatusCheckID int64
	SHA                   string
	Status                Status
	Description           string
	TargetURL             string
}

// Validate tells the faults of the input: the description is one line of plain
// text, the target URL is http or https and kept as URLAsSent, with its fragment.
func (in *ResponseInput) Validate() error {
	var f fieldErrors
	in.Description = strings.TrimSpace(in.Description)
	if _, ok := ParseStatus(string(in.Status)); !ok {
		f.add("status", CodeInvalid)
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
