package views

import (
	"context"
	"time"

	"github.com/a-h/templ"

	"github.com/mergegate/mergegate/views/text"
)

// ServicePage is one service with its delivery log.
type ServicePage struct {
	Page    Page
	Service ServiceRow
	AddedAt time.Time
	// CallbackOnly services answer only with the token of a delivery.
	CallbackOnly bool
	// HeaderNames are the names of the custom headers.
	HeaderNames []string
	TestURL     string
	FailedInRow int
	Health      HealthChart
	// LastFailure is the reason why the newest delivery failed, Host its receiver.
	// Answered reports whether the receiver answered.
	LastFailure, Host string
	Answered          bool
	// MaxAttempts is the number of attempts at a delivery.
	MaxAttempts int
	Deliveries  DeliveryList
	Live        Live
	OutOfBand   bool
}

// lastFailureKey returns the key of the sentence about the last failure, which
// depends on whether the host answered.
func (s ServicePage) lastFailureKey() text.Key {
	if s.Answered {
		return text.KeyChecksLastFailedWhy
	}
	return text.KeyChecksLastFailedAt
}

// Live describes how a part of a page polls for updates.
type Live struct {
	// URL returns the part, or 204 if nothing has changed.
	URL string
	// Every is the interval, such as "3s"; empty ends the polling.
	Every string
}

// attributes returns the htmx attributes for polling. form selects the form inside
// the part: submitting it aborts a poll, so that an older answer never replaces
// the form's.
func (l Live) attributes(form string) templ.Attributes {
	if l.Every == "" {
		return templ.Attributes{"data-url": l.URL, "hx-swap": "outerMorph"}
	}
	return templ.Attributes{
		"hx-get": l.URL, "hx-trigger": "every " + l.Every, "hx-swap": "outerMorph", "hx-sync": form + ":abort",
	}
}

// DeliveryFilter is the filter of a delivery log: the parameters of the query by name, with
// their errors, and the choices of two of them.
type DeliveryFilter struct {
	Form
	Outcomes, Events []Option
}

// DeliveryList is one page of the log, newest first.
type DeliveryList struct {
	// URL is the page of the service without a filter.
	URL    string
	Filter DeliveryFilter
	// Filtered reports whether Filter is not empty.
	Filtered bool
	// RedeliverURL is the page that sends the deliveries of the filter again.
	RedeliverURL string
	Rows         []DeliveryRow
	Pages        PageLinks
	Now          time.Time
}

// Redeliver is the page that confirms sending the deliveries of a filter again.
type Redeliver struct {
	Page          Page
	URL, CloseURL string
	ServiceName   string
	Filter        DeliveryFilter
	// Counted is the filter that Count belongs to, as a query.
	Counted string
	// Count is how many deliveries match; More reports whether there are even more. Limit
	// is how many are sent at once.
	Count, Limit int
	More         bool
}

// total returns Count as a text such as "64" or "10,000+".
func (v Redeliver) total() string { return PageLinks{Total: v.Count, More: v.More}.total() }

// DeliveryRow is one delivery in the log.
type DeliveryRow struct {
	ID           string
	URL, ShortID string
	Event        string
	// MergeRequest is a reference such as "!142", empty for a test delivery.
	MergeRequest, MergeRequestURL string
	Outcome                       Outcome
	// Attempts is a text such as "2 of 12".
	Attempts string
	Duration string
	At       time.Time
}

// Outcome is the result of a delivery or an attempt.
type Outcome struct {
	// Kind is "success", "danger", "warning", or empty if not known yet.
	Kind string
	Text string
}

// DeliveryPage is the page of one delivery: the request and every attempt.
type DeliveryPage struct {
	Page                          Page
	ID                            string
	ServiceName, ServiceURL       string
	Event                         string
	MergeRequest, MergeRequestURL string
	SHA                           string
	State                         Outcome
	// Explanation states what happens next, or why nothing does. It may be empty.
	Explanation  string
	CreatedAt    time.Time
	NextAt       time.Time
	Now          time.Time
	Attempts     []AttemptView
	AttemptsText string
	// Duration is that of the last attempt, empty if none has ended.
	Duration string
	// Result is the status that the service set afterwards, such as "passed", empty
	// for none. ResultAfter is the time between the two.
	Result      string
	ResultAfter time.Duration
	RequestLine string
	Headers     []Header
	Body        string
	// Curl is a shell command that sends the request. CurlVariables are the shell
	// variables that it reads.
	Curl          string
	CurlVariables []string
	// Truncated names the texts of the body that were truncated.
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
	// Failure is the error, empty if an answer came.
	Failure      string
	ResponseLine string
	Headers      []Header
	// Body is empty if it is not text. BinaryBytes is then its length.
	Body        string
	BinaryBytes int
	Truncated   bool
	Timing      []TimingPart
}

// TimingPart is one part of the duration of an attempt.
type TimingPart struct {
	// Kind is "dns", "connect", "tls", "wait" or "rest".
	Kind            string
	Label, Duration string
	// Start and Share are fractions of the whole duration.
	Start, Share float64
}

// LargestUnit formats a duration in its largest unit, such as "41 s".
func LargestUnit(ctx context.Context, d time.Duration) string {
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
