package views

import "time"

// ServicePage is one service with its delivery log.
type ServicePage struct {
	Page        Page
	Service     ServiceRow
	AddedAt     time.Time
	TestURL     string
	FailedInRow int
	// LastFailure says why the newest delivery failed.
	LastFailure string
	Deliveries  DeliveryList
}

// DeliveryList is one page of the log, newest first.
type DeliveryList struct {
	Rows      []DeliveryRow
	Pages     PageLinks
	Now       time.Time
	OutOfBand bool
}

// DeliveryRow is one delivery as the log lists it.
type DeliveryRow struct {
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
	RequestLine  string
	Headers      []Header
	Body         string
	RedeliverURL string
}

// Header is one line of a request or response.
type Header struct{ Name, Value string }

// AttemptView is one attempt of a delivery.
type AttemptView struct {
	Number   int
	At       time.Time
	Duration string
	// Timing splits the duration where it is known.
	Timing  string
	Outcome Outcome
	// Failure is the error in words, empty when an answer came.
	Failure      string
	ResponseLine string
	Headers      []Header
	Body         string
	Truncated    bool
}
