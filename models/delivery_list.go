package models

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// MaxListed is how many rows of a long list are counted and can be paged through.
const MaxListed = 10_000

// HTTPStatusNone selects deliveries whose last attempt got no response.
const HTTPStatusNone = "none"

// DeliveryFilter narrows a service's delivery log. The zero value selects all
// deliveries.
type DeliveryFilter struct {
	State DeliveryState
	// Event is an action, or the kind "retry" or "test".
	Event           string
	MergeRequestIID int64
	// HTTPStatus is a status such as "503", a class such as "5xx", or HTTPStatusNone. It
	// is compared with the last response.
	HTTPStatus string
	// Since is inclusive and Before exclusive; zero means no limit.
	Since, Before time.Time
	// ID is the id of a delivery, or at least eight characters from the beginning of its
	// UUID or of its event's.
	ID string
}

// deliveryStates are the states that a filter can select.
var deliveryStates = []DeliveryState{DeliveryWaiting, DeliveryDelivered, DeliverySuperseded, DeliveryFailed}

// DeliveryEvents are the values of DeliveryFilter.Event.
func DeliveryEvents() []string {
	return []string{
		string(ActionOpen), string(ActionUpdate), string(ActionApproved), string(ActionUnapproved), string(ActionClose),
		string(ActionReopen), string(ActionMerged), string(DeliveryOfRetry), string(DeliveryOfTest),
	}
}

// Validate normalises the filter and returns its field errors: state, event, http_status,
// search.
func (f *DeliveryFilter) Validate() error {
	var errs fieldErrors
	if f.State != "" && !slices.Contains(deliveryStates, f.State) {
		errs.add("state", CodeInvalid)
	}
	if f.Event != "" && !slices.Contains(DeliveryEvents(), f.Event) {
		errs.add("event", CodeInvalid)
	}
	f.HTTPStatus = strings.ToLower(strings.TrimSpace(f.HTTPStatus))
	if _, _, ok := httpStatusRange(f.HTTPStatus); f.HTTPStatus != "" && f.HTTPStatus != HTTPStatusNone && !ok {
		errs.add("http_status", CodeInvalid)
	}
	f.ID = strings.ToLower(strings.TrimSpace(f.ID))
	if f.ID != "" && deliveryNumber(f.ID) == 0 && !isUUIDStart(f.ID) {
		errs.add("search", CodeInvalid)
	}
	return errs.err()
}

// RedeliverableStates are the states whose deliveries RedeliverAll sends again.
var RedeliverableStates = []DeliveryState{DeliveryFailed, DeliveryDelivered, DeliverySuperseded}

// validateRedeliver is Validate for RedeliverAll.
func (f *DeliveryFilter) validateRedeliver() error {
	var errs fieldErrors
	if !slices.Contains(RedeliverableStates, f.State) {
		errs.add("state", CodeInvalid)
		return errs.err()
	}
	return f.Validate()
}

// auditChanges returns the fields of the filter that are set.
func (f DeliveryFilter) auditChanges() []AuditChange {
	iid, since, until := "", "", ""
	if f.MergeRequestIID != 0 {
		iid = "!" + strconv.FormatInt(f.MergeRequestIID, 10)
	}
	if !f.Since.IsZero() {
		since = dbTime(f.Since).Format(time.RFC3339)
	}
	if !f.Before.IsZero() {
		until = dbTime(f.Before).Format(time.RFC3339)
	}
	changes := []AuditChange{
		{Field: "delivery_state", To: string(f.State)}, {Field: "event", To: f.Event}, {Field: "http_status", To: f.HTTPStatus},
		{Field: "merge_request", To: iid}, {Field: "since", To: since}, {Field: "before", To: until}, {Field: "delivery", To: f.ID},
	}
	return slices.DeleteFunc(changes, func(c AuditChange) bool { return c.To == "" })
}

// httpStatusRange returns the first and last status that a word such as "503" or "5xx"
// selects.
func httpStatusRange(word string) (first, last int, ok bool) {
	class, isClass := strings.CutSuffix(word, "xx")
	n, err := strconv.Atoi(class)
	switch {
	case err != nil:
	case isClass && n >= 1 && n <= 9:
		return 100 * n, 100*n + 99, true
	case !isClass && n >= 100 && n <= 999:
		return n, n, true
	}
	return 0, 0, false
}

// deliveryNumber returns the id that a search names, 0 if it is not a number.
func deliveryNumber(search string) int64 {
	n, err := strconv.ParseInt(search, 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// isUUIDStart reports whether a search can be the beginning of a UUID.
func isUUIDStart(search string) bool {
	return len(search) >= 8 && len(search) <= 36 && strings.Trim(search, "0123456789abcdef-") == ""
}

// FailedSoFar reports whether the newest finished attempt of the delivery failed.
func (d Delivery) FailedSoFar() bool {
	return d.State != DeliveryDelivered && d.Attempts > 0 &&
		(d.LastError != "" || d.LastHTTPStatus != 0 && (d.LastHTTPStatus < 200 || d.LastHTTPStatus > 299))
}
