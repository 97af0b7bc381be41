package views

import (
	"context"
	"time"

	"github.com/a-h/templ"

	"github.com/mergegate/mergegate/views/text"
)

// ServicePage is one service with its delivery log.
type ServicePage struct {
	Page        Page
	Service     ServiceRow
	AddedAt     time.Time
	TestURL     string
	FailedInRow int
	// LastFailure says why the newest delivery failed, Host who was asked;
	// Answered whether it was an answer.
	LastFailure, Host string
	Answered          bool
	// MaxAttempts is how often a delivery is tried.
	MaxAttempts int
	Deliveries  DeliveryList
	Live        Live
	OutOfBand   bool
}

// lastFailureKey is the sentence about the last failure: an answer comes from
// the host, anything else happened there.
func (s ServicePage) lastFailureKey() text.Key {
	if s.Answered {
		return text.KeyChecksLastFailedWhy
	}
	return text.KeyChecksLastFailedAt
}

// Live tells how a part of a page keeps itself up to date.
type Live struct {
	// URL answers the part anew, or 204 where nothing changed.
	URL string
	// Every is the time between two questions, such as "3s"; "" once nothing
	// more is expected.
	Every string
}

// attributes make the part ask for news. form is the selector of the form
// inside it: while that is sent nothing is asked, and a question under way is
// given up, so that an older answer never covers the form's.
func (l Live) attributes(form string) templ.Attributes {
	if l.Every == "" {
		return templ.Attributes{"data-url": l.URL, "hx-swap": "outerMorph"}
	}
	return templ.Attributes{
		"hx-get": l.URL, "hx-trigger": "every " + l.Every, "hx-swap": "outerMorph", "hx-sync": form + ":abort",
	}
}

// DeliveryList is one page of the log, newest first.
type DeliveryList struct {
	// URL is the page of the service without filter.
	URL string
	// Outcome is the chosen one of Outcomes, "" for all.
	Outcome  string
	Outcomes []Option
	Rows     []DeliveryRow
	Pages    PageLinks
	Now      time.Time
}

// DeliveryRow is one delivery as the log lists it.
type DeliveryRow struct {
	ID           string
	URL, ShortID string
	Event        string
	// MergeRequest is "!142", empty for a sample.
	MergeRequest, MergeRequestURL string
	Outcome                       Outcome
	// Attempts made of those possible, as "2 of 12".
	Attempts string
	Duration string
	At       time.Time
}

// Outcome is a delivery's or an attempt's result in a word.
type Outcome struct {
	// Kind is "success", "danger", "warning" or "" (nothing known yet).
	Kind string
	Text string
}

// DeliveryPage is one delivery: what was sent, and what came back each time.
type DeliveryPage struct {
	Page                          Page
	ID                            string
	ServiceName, ServiceURL       string
	Event                         string
	MergeRequest, MergeRequestURL string
	SHA                           string
	State                         Outcome
	// Explanation says what happens next or why nothing does; may be empty.
	Explanation  string
	CreatedAt    time.Time
	NextAt       time.Time
	Now          time.Time
	Attempts     []AttemptView
	AttemptsText string
	// Duration of the last attempt; "" where none has ended.
	Duration string
	// Result is the state that the service set for the commit afterwards,
	// "passed" for instance, and ResultAfter how long after; "" for none.
	Result      string
	ResultAfter time.Duration
	RequestLine string
	Headers     []Header
	Body        string
	// Truncated names the texts of the body that were too long and are cut.
	Truncated    []string
	RedeliverURL string
	Live         Live
}

// Header is one line of a request or response.
type Header struct{ Name, Value string }

// AttemptView is one attempt of a delivery.
type AttemptView struct {
	Number   int
	At       time.Time
	Duration string
	Outcome  Outcome
	// Failure is the error in words, empty when an answer came.
	Failure      string
	ResponseLine string
	Headers      []Header
	// Body is empty where it is no text; BinaryBytes is then its length.
	Body        string
	BinaryBytes int
	Truncated   bool
}

// durationText is a length of time in its largest unit, such as "41 s".
func durationText(ctx context.Context, d time.Duration) string {
	switch {
	case d < time.Minute:
		return text.T(ctx, text.KeyMRSecondsShort, "Count", wholeSeconds(d))
	case d < time.Hour:
		return text.N(ctx, text.KeyMRMinutes, int(d/time.Minute))
	case d < 48*time.Hour:
		return text.N(ctx, text.KeyMRHours, int(d/time.Hour))
	}
	return text.N(ctx, text.KeyDays, int(d/(24*time.Hour)))
}
