package views

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/mergegate/mergegate/views/text"
)

// CheckState is the status of a check in the widget. The values are those of the
// API.
type CheckState string

// The values of CheckState.
const (
	CheckPending CheckState = "pending"
	CheckPassed  CheckState = "passed"
	CheckFailed  CheckState = "failed"
)

// WidgetKind is the variant of the status check widget.
type WidgetKind int

// The variants of the widget. WidgetHidden renders nothing: no check applies and
// the reader may not add a service.
const (
	WidgetHidden WidgetKind = iota
	WidgetForbidden
	WidgetNone
	WidgetRows
	// WidgetFailed states that the checks could not be read.
	WidgetFailed
)

// StatusChecks is the status check widget of one merge request.
type StatusChecks struct {
	Kind WidgetKind
	// SignInURL is the sign-in page for signed-out readers, who may not see
	// checks; empty for others.
	SignInURL string
	// Rows are in the order shown.
	Rows []CheckRow
	// Final reports whether the merge request is merged or closed, so that no
	// countdown runs. Merged reports whether the rows can no longer change.
	Final, Merged bool
	// SHA is HEAD, abbreviated to eight characters.
	SHA string
	// URL is the address of the body, without query.
	URL string
	// Rev is a digest of the body, except for relative times.
	Rev string
	// Shown are the rows' ids and states in order, for the next request.
	Shown string
	// Page is the state of the reader's page, for the next request.
	Page ShownPage
	// NewCommits reports whether HEAD has moved since the page was loaded and the
	// page does not show that yet. Reloaded reports whether the notice can go.
	NewCommits, Reloaded bool
	// PageHasForm reports whether the page has the merge form, with or without
	// auto-merge as now.
	PageHasForm bool
	// Polls reports whether the body polls for updates.
	Polls bool
	// Retries reports whether the reader may retry failed checks.
	Retries bool
	// AnswerURL is the API's address for responses to these checks, for readers who
	// may set a status; empty for others. HeadSHA is the full id of HEAD.
	AnswerURL, HeadSHA string
	// ServicesURL is the prefix of the services' pages.
	ServicesURL string
	// RefreshURL is the address of the page, for trying again.
	RefreshURL string
	// AddURL is the form for another service, empty without permission.
	AddURL string
	// Changes are the checks whose state differs from what the page shows. The
	// live region announces them.
	Changes []CheckChange
	// Now is the server's time when the rows were computed.
	Now time.Time
}

// ShownPage is the state of the reader's page, apart from the widget's rows. The
// page sends it with each poll.
type ShownPage struct {
	// State is the state of the merge request as shown.
	State MergeRequestState
	// AutoMerge reports whether the page shows that auto-merge is set.
	AutoMerge bool
	// Head is HEAD when the page was loaded. Announced is the HEAD of the last
	// notice of new commits, empty for none.
	Head, Announced string
}

// fields returns the names and values of the page's request parameters.
func (p ShownPage) fields() [][2]string {
	auto := ""
	if p.AutoMerge {
		auto = "1"
	}
	return [][2]string{{"state", string(p.State)}, {"auto", auto}, {"head", p.Head}, {"announced", p.Announced}}
}

// CheckChange is a status check whose state changed since the last poll.
type CheckChange struct {
	Name  string
	State CheckState
}

// Count returns the number of rows in the state.
func (w StatusChecks) Count(state CheckState) int {
	n := 0
	for _, row := range w.Rows {
		if row.State == state {
			n++
		}
	}
	return n
}

// fetchURL returns the address of the body with the state of the page.
func (w StatusChecks) fetchURL() string {
	address := w.URL + "?rev=" + w.Rev
	for _, field := range w.Page.fields() {
		address += "&" + field[0] + "=" + field[1]
	}
	return address + "&rows=" + w.Shown
}

// settled reports whether no check is pending, or the result is final.
func (w StatusChecks) settled() bool { return w.Final || w.Count(CheckPending) == 0 }

// foldFrom is the number of checks from which on passed ones are folded and the
// rows can be filtered by state.
const foldFrom = 9

// Long reports whether the widget has so many checks that passed ones are folded.
func (w StatusChecks) Long() bool { return len(w.Rows) >= foldFrom }

// rows returns the rows that are folded, or those that are not.
func (w StatusChecks) rows(folded bool) []CheckRow {
	var rows []CheckRow
	for _, row := range w.Rows {
		if row.Folded == folded {
			rows = append(rows, row)
		}
	}
	return rows
}

// retriesAll reports whether the reader can retry several checks at once.
func (w StatusChecks) retriesAll() bool {
	retryable := 0
	for _, row := range w.Rows {
		if row.Retryable {
			retryable++
		}
	}
	return retryable > 1
}

// retryAllURL returns the address of the form that retries all failed checks.
func (w StatusChecks) retryAllURL() string { return w.URL + "/retry_failed" }

// answerCommand returns a curl command that answers a check. The shell variable
// MERGEGATE_TOKEN holds the access token.
func (w StatusChecks) answerCommand(r CheckRow) string {
	return fmt.Sprintf(`curl --request POST --header "PRIVATE-TOKEN: $MERGEGATE_TOKEN" \
  --data sha=%s \
  --data external_status_check_id=%d \
  --data status=passed \
  '%s'`, w.HeadSHA, r.ID, w.AnswerURL)
}

// Tab returns what the browser's tab shows of an open merge request's checks.
func (w StatusChecks) Tab() TabState {
	if w.Kind != WidgetRows || w.Final {
		return TabState{}
	}
	return TabState{Failed: w.Count(CheckFailed), Pending: w.Count(CheckPending), Passed: w.Count(CheckPassed)}
}

// TabState is what the browser's tab shows of the status checks of a page: words
// before the title, and the icon. The zero value shows neither.
type TabState struct{ Failed, Pending, Passed int }

// title returns the title of the tab with the state before it.
func (s TabState) title(ctx context.Context, title string) string {
	switch {
	case s.Failed > 0:
		return "✗ " + text.N(ctx, text.KeyMRChecksFailed, s.Failed) + " · " + title
	case s.Pending > 0:
		return "… " + text.N(ctx, text.KeyMRChecksPending, s.Pending) + " · " + title
	case s.Passed > 0:
		return "✓ " + title
	}
	return title
}

// icon returns the name of the tab's icon.
func (s TabState) icon() string {
	switch {
	case s.Failed > 0:
		return "mark-failed.svg"
	case s.Pending > 0:
		return "mark-pending.svg"
	case s.Passed > 0:
		return "mark-passed.svg"
	}
	return "mark.svg"
}

// retryURL returns the address of a row's Retry form.
func (w StatusChecks) retryURL(r CheckRow) string {
	return w.URL + "/" + strconv.FormatInt(r.ID, 10) + "/retry"
}

// serviceURL returns the page of a row's service.
func (w StatusChecks) serviceURL(r CheckRow) string {
	return w.ServicesURL + "/" + strconv.FormatInt(r.ID, 10)
}

// deliveryURL returns the page of a row's newest delivery.
func (w StatusChecks) deliveryURL(r CheckRow) string {
	return w.serviceURL(r) + "/deliveries/" + strconv.FormatInt(r.Delivery.ID, 10)
}

// Open reports whether the list of checks is expanded at first, which it is if a
// check has not passed.
func (w StatusChecks) Open() bool {
	return w.Count(CheckPassed) < len(w.Rows)
}

// headIcon returns the icon and the CSS class of the widget's head.
func (w StatusChecks) headIcon() (icon, class string) {
	switch {
	case w.Count(CheckFailed) > 0:
		return "status-alert", "status status--warning"
	case w.Count(CheckPending) > 0:
		return "status-neutral", "status"
	}
	return "status-success", "status status--passed"
}

// checkSummary returns a text such as "1 failed, 2 pending", or "all passed" if
// both are 0.
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

// maxAnnounced is how many checks the live region names.
const maxAnnounced = 2

// liveSentence returns the text of the live region: the changed checks, unless
// they are many, and a summary. It is empty if no state changed.
func (w StatusChecks) liveSentence(ctx context.Context) string {
	if len(w.Changes) == 0 {
		return ""
	}
	var parts []string
	changes := w.Changes
	if len(changes) > maxAnnounced {
		changes = nil
	}
	for _, change := range changes {
		parts = append(parts, text.T(ctx, text.KeyMRChecksChanged, "Name", change.Name, "State", stateInSentence(ctx, change.State)))
	}
	parts = append(parts, text.T(ctx, text.KeyMRChecksNow, "Summary", checkSummary(ctx, w.Count(CheckFailed), w.Count(CheckPending))))
	return strings.Join(parts, text.SentenceGap(ctx))
}

// stateInSentence returns the state's name for use inside a sentence.
func stateInSentence(ctx context.Context, state CheckState) string {
	switch state {
	case CheckPassed:
		return text.T(ctx, text.KeyMRStatePassedInSentence)
	case CheckFailed:
		return text.T(ctx, text.KeyMRStateFailedInSentence)
	}
	return text.T(ctx, text.KeyMRStatePendingInSentence)
}
