package views

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/mergegate/mergegate/views/text"
)

// CheckState is the state of a status check as the widget shows it. The values
// are the API's words.
type CheckState string

// The states of a status check.
const (
	CheckPending CheckState = "pending"
	CheckPassed  CheckState = "passed"
	CheckFailed  CheckState = "failed"
)

// WidgetKind says which of its shapes the status check widget takes.
type WidgetKind int

// The shapes of the widget. WidgetHidden draws nothing: no check applies and
// the reader could not add one.
const (
	WidgetHidden WidgetKind = iota
	WidgetForbidden
	WidgetNone
	WidgetRows
	// WidgetFailed says that the checks could not be read.
	WidgetFailed
)

// StatusChecks is the status check widget of one merge request.
type StatusChecks struct {
	Kind WidgetKind
	// SignInURL is where a signed-out reader, who may not see the checks, signs
	// in; empty for everybody else.
	SignInURL string
	// Rows in the order in which they are drawn.
	Rows []CheckRow
	// Final says that the merge request is merged or closed: its clocks stand
	// still. Merged says that nothing changes the rows any more.
	Final, Merged bool
	// SHA is HEAD, eight characters.
	SHA string
	// URL is where the body is fetched from, without a query.
	URL string
	// Rev is a digest of what the body shows, apart from ticking times.
	Rev string
	// Shown are the rows' ids and states in their order, for the next request.
	Shown string
	// Page is what the reader's page shows besides the rows, for the next request.
	Page ShownPage
	// NewCommits says that HEAD has moved since the page was loaded, and that the
	// page does not say so yet; Reloaded that it no longer has to.
	NewCommits, Reloaded bool
	// PageHasForm says that the page has the form to merge.
	PageHasForm bool
	// Polls says that the body asks for news by itself.
	Polls bool
	// ServicesURL is where the pages of the services are.
	ServicesURL string
	// RefreshURL is the page itself, to be tried again.
	RefreshURL string
	// AddURL is the form for another service; empty for those who may not.
	AddURL string
	// Changes are the checks whose state is another one than the reader saw
	// last; they make the sentence of the live region.
	Changes []CheckChange
	// Now is the server's time that the rows were computed for.
	Now time.Time
}

// ShownPage is what a reader's page shows, apart from the rows of the widget.
type ShownPage struct {
	// State is that of the merge request: an open one has the form to merge it.
	State MergeRequestState
	// Head is HEAD as the page was loaded with it; Told is the HEAD that the
	// page last said was pushed since, or empty.
	Head, Told string
}

// fields are the page's part of a request, as names and values.
func (p ShownPage) fields() [][2]string {
	return [][2]string{{"state", string(p.State)}, {"head", p.Head}, {"told", p.Told}}
}

// LateAnswer is an answer that came after the merge.
type LateAnswer struct {
	State CheckState
	At    time.Time
	// Description and TargetURL are the service's own words, untrusted.
	Description string
	TargetURL   string
}

// CheckChange is a status check whose state changed since the last poll.
type CheckChange struct {
	Name  string
	State CheckState
}

// CheckRow is one status check in the widget.
type CheckRow struct {
	// ID is the service's id, which the row keeps over polls.
	ID   int64
	Name string
	// Linked says that the reader may open the service's own page.
	Linked bool
	State  CheckState
	// SHA is the commit that the state is for, eight characters.
	SHA string
	// Retryable says that this reader may retry the check now.
	Retryable bool
	// TimedOut says that the check failed because nothing came within Limit.
	TimedOut bool
	// Limit is how long the check may be pending.
	Limit time.Duration
	// Deadline is when a pending check fails; zero when its clock stands still.
	Deadline time.Time
	// Since is when the check came into its state.
	Since time.Time
	// Retried says that a pending check is pending because somebody retried it.
	Retried bool
	// Description and TargetURL are the service's own words about its answer:
	// untrusted, plain text and an http or https address, either may be empty.
	Description string
	TargetURL   string
	Delivery    CheckDelivery
	// Late is the newest answer after the merge, which changed nothing.
	Late *LateAnswer
}

// DeliveryState is what is known of the newest delivery to a service.
type DeliveryState int

// The states of a delivery in the widget. DeliveryUnknown draws nothing.
const (
	DeliveryUnknown DeliveryState = iota
	DeliveryQueued
	DeliveryDelivered
	DeliveryRetrying
	DeliveryGaveUp
	DeliverySuperseded
)

// CheckDelivery is the newest delivery to a service for this merge request.
type CheckDelivery struct {
	State DeliveryState
	// HTTPStatus is the last answer's status; 0 when there was none.
	HTTPStatus int
	// Failure says why the last attempt got no answer; empty when it got one.
	Failure text.Key
	// At is when the last attempt ended.
	At time.Time
	// Attempt is the number of the next or running attempt (retrying) or of the
	// attempts made (given up); Attempts is how many there are at most.
	Attempt, Attempts int
	// NextAt is when the next attempt begins.
	NextAt time.Time
}

// Count is how many rows are in the state.
func (w StatusChecks) Count(state CheckState) int {
	n := 0
	for _, row := range w.Rows {
		if row.State == state {
			n++
		}
	}
	return n
}

// fetchURL is where the body is fetched again, with what the page shows.
func (w StatusChecks) fetchURL() string {
	address := w.URL + "?rev=" + w.Rev
	for _, field := range w.Page.fields() {
		address += "&" + field[0] + "=" + field[1]
	}
	return address + "&rows=" + w.Shown
}

// retryURL is where Retry of a row posts.
func (w StatusChecks) retryURL(r CheckRow) string {
	return w.URL + "/" + strconv.FormatInt(r.ID, 10) + "/retry"
}

// serviceURL is the page of a row's service.
func (w StatusChecks) serviceURL(r CheckRow) string {
	return w.ServicesURL + "/" + strconv.FormatInt(r.ID, 10)
}

// Open says whether the list of checks is unfolded at first: it is when
// anything failed or is pending.
func (w StatusChecks) Open() bool {
	return w.Count(CheckPassed) < len(w.Rows)
}

// headIcon is the icon and the colour class of the widget's head.
func (w StatusChecks) headIcon() (icon, class string) {
	switch {
	case w.Count(CheckFailed) > 0:
		return "status-alert", "status status--warning"
	case w.Count(CheckPending) > 0:
		return "status-neutral", "status"
	}
	return "status-success", "status status--passed"
}

// checkSummary is the plain "1 failed, 2 pending", or "all passed" when nothing
// else is to be said.
func checkSummary(ctx context.Context, failed, pending int) string {
	var parts []string
	if failed > 0 {
		parts = append(parts, text.N(ctx, text.KeyMRChecksFailed, failed))
	}
	if pending > 0 {
		parts = append(parts, text.N(ctx, text.KeyMRChecksPending, pending))
	}
	if len(parts) == 0 {
		return text.T(ctx, text.KeyMRChecksAllPassedShort)
	}
	return strings.Join(parts, text.T(ctx, text.KeyMRListSeparator))
}

// maxSaidChanges is how many checks the live region names.
const maxSaidChanges = 2

// liveSentence is what the live region says: which checks changed, unless they
// are many, then the summary. It is empty when no state changed.
func (w StatusChecks) liveSentence(ctx context.Context) string {
	if len(w.Changes) == 0 {
		return ""
	}
	var said []string
	changes := w.Changes
	if len(changes) > maxSaidChanges {
		changes = nil
	}
	for _, change := range changes {
		said = append(said, text.T(ctx, text.KeyMRChecksChanged, "Name", change.Name, "State", stateInSentence(ctx, change.State)))
	}
	said = append(said, text.T(ctx, text.KeyMRChecksNow, "Summary", checkSummary(ctx, w.Count(CheckFailed), w.Count(CheckPending))))
	return strings.Join(said, text.SentenceGap(ctx))
}

// stateInSentence is the state's word inside a sentence.
func stateInSentence(ctx context.Context, state CheckState) string {
	switch state {
	case CheckPassed:
		return text.T(ctx, text.KeyMRStatePassedInSentence)
	case CheckFailed:
		return text.T(ctx, text.KeyMRStateFailedInSentence)
	}
	return text.T(ctx, text.KeyMRStatePendingInSentence)
}

// since is the key of "passed 40 s ago" and its like for the row.
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

// left is the time that a pending check still has at now, never below zero and
// in whole seconds, rounded up so that 0:00 is shown only when it has failed.
func (r CheckRow) left(now time.Time) time.Duration {
	left := r.Deadline.Sub(now)
	if left < 0 {
		return 0
	}
	return (left + time.Second - 1).Truncate(time.Second)
}

// low says that less than 30 seconds are left.
func (r CheckRow) low(now time.Time) bool { return r.left(now) < 30*time.Second }

// clock writes a duration as minutes and seconds: 1:24.
func clock(d time.Duration) string {
	seconds := int(d / time.Second)
	return fmt.Sprintf("%d:%02d", seconds/60, seconds%60)
}

// answer is what the last attempt came to: "HTTP 503" or "connection refused".
func (d CheckDelivery) answer(ctx context.Context) string {
	if d.Failure != "" {
		return text.T(ctx, d.Failure)
	}
	return text.T(ctx, text.KeyMRDeliveryHTTP, "Status", d.HTTPStatus)
}

// limitText is the time-out in words: "2 minutes", "90 seconds".
func limitText(ctx context.Context, limit time.Duration) string {
	if limit%time.Minute == 0 {
		return text.N(ctx, text.KeyMRMinutes, int(limit/time.Minute))
	}
	return text.N(ctx, text.KeyMRSeconds, int(limit/time.Second))
}
