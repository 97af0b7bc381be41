package handlers

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
)

// serviceRow returns a row of a list of services, with its last deliveries, oldest first.
// returnTo names the page that its forms return to.
func serviceRow(c echo.Context, service models.ExternalStatusCheck, deliveries []models.Delivery, returnTo string) views.ServiceRow {
	url, query := serviceURL(c, service.ID), ""
	if returnTo != "" {
		query = "?return_to=" + returnTo
	}
	address := service.ExternalURL
	if returnTo != "" { // only the settings show the full URL
		address = models.DisplayURL(address)
	}
	row := views.ServiceRow{
		ID: service.ID, Name: service.Name, API: address, HMAC: service.HasSecret(),
		Insecure: strings.HasPrefix(strings.ToLower(service.ExternalURL), "http:"), Health: healthOf(deliveries), FailedInRow: failedInRow(deliveries),
		Timeout: service.Timeout(), Informational: service.Informational,
		PageURL: url, EditURL: url + "/edit" + query, RemoveURL: url + "/remove" + query,
	}
	for _, b := range service.Branches {
		row.Scope = append(row.Scope, views.ScopeBranch{Name: b.Name, Unprotected: !b.Protected})
	}
	return row
}

// sortServices orders services by name.
func sortServices(rows []views.ServiceRow) {
	slices.SortStableFunc(rows, func(a, b views.ServiceRow) int {
		return cmp.Or(compareNames(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
}

// compareNames compares names without regard to case, and numbers in them by value: job 9
// comes before job 10.
func compareNames(a, b string) int {
	x, y := strings.ToLower(a), strings.ToLower(b)
	for x != "" && y != "" {
		numberX, numberY := leadingDigits(x), leadingDigits(y)
		if numberX == "" || numberY == "" {
			if x[0] != y[0] {
				return cmp.Compare(x[0], y[0])
			}
			x, y = x[1:], y[1:]
			continue
		}
		valueX, valueY := strings.TrimLeft(numberX, "0"), strings.TrimLeft(numberY, "0")
		if order := cmp.Or(cmp.Compare(len(valueX), len(valueY)), strings.Compare(valueX, valueY)); order != 0 {
			return order
		}
		x, y = x[len(numberX):], y[len(numberY):]
	}
	return cmp.Or(cmp.Compare(len(x), len(y)), strings.Compare(a, b))
}

// leadingDigits returns the ASCII digits at the beginning of s.
func leadingDigits(s string) string { return s[:len(s)-len(strings.TrimLeft(s, "0123456789"))] }

// healthOf counts the results of deliveries, oldest first. Deliveries without a result, and
// those superseded before an attempt, do not count.
func healthOf(deliveries []models.Delivery) views.Health {
	var h views.Health
	for _, d := range deliveries {
		switch {
		case d.State == models.DeliveryDelivered && d.Attempts <= 1:
			h.Bars = append(h.Bars, "ok")
			h.Succeeded++
		case d.State == models.DeliveryDelivered:
			h.Bars = append(h.Bars, "slow")
			h.Succeeded++
		case d.FailedSoFar():
			h.Bars = append(h.Bars, "bad")
		}
		if d.LastAttemptAt != nil {
			h.LastAt = *d.LastAttemptAt
		}
		h.Retrying = d.State == models.DeliveryWaiting && d.FailedSoFar()
	}
	return h
}

// failedInRow counts the consecutive failures among the newest deliveries.
func failedInRow(deliveries []models.Delivery) int {
	n := 0
	for _, d := range slices.Backward(deliveries) {
		if d.State == models.DeliveryDelivered {
			break
		}
		if d.FailedSoFar() {
			n++
		}
	}
	return n
}

// supersededTexts explain why a delivery was superseded.
var supersededTexts = map[string]text.Key{
	models.SupersededByHead:    text.KeyChecksSupersededByHead,
	models.SupersededByRetry:   text.KeyChecksSupersededByRetry,
	models.SupersededByClose:   text.KeyChecksSupersededByClose,
	models.SupersededByMerge:   text.KeyChecksSupersededByMerge,
	models.SupersededByNewer:   text.KeyChecksSupersededByNewer,
	models.SupersededByRemoval: text.KeyChecksSupersededByRemoval,
}

// deliveryState returns the state of a delivery as a word.
func (p *pages) deliveryState(c echo.Context, d models.Delivery) views.Outcome {
	switch {
	case d.State == models.DeliveryDelivered:
		return views.Outcome{Kind: "success", Text: translate(c, text.KeyChecksDelivered)}
	case d.State == models.DeliverySuperseded:
		return views.Outcome{Text: translate(c, text.KeyChecksSuperseded)}
	case d.State == models.DeliveryFailed:
		return views.Outcome{Kind: "danger", Text: translate(c, text.KeyChecksDeliveryFailed)}
	case d.InFlightAt(p.Store.Now()):
		return views.Outcome{Text: translate(c, text.KeyChecksSending)}
	case d.FailedSoFar() && !d.SingleAttempt:
		return views.Outcome{Kind: "warning", Text: translate(c, text.KeyChecksRetrying)}
	}
	return views.Outcome{Text: translate(c, text.KeyChecksQueued)}
}

// deliveryExplained explains the result of a delivery, "" if its state says enough.
func deliveryExplained(c echo.Context, d models.Delivery) string {
	switch {
	case d.State == models.DeliverySuperseded:
		if key, ok := supersededTexts[d.SupersededReason]; ok {
			return translate(c, key)
		}
	case d.State == models.DeliveryFailed && d.LastError == models.ErrorGone:
		return translate(c, text.KeyChecksGoneExplained)
	case d.State == models.DeliveryFailed:
		return text.N(c.Request().Context(), text.KeyChecksFailedExplained, d.Attempts)
	}
	return ""
}

// eventTexts are the texts for the events of deliveries.
var eventTexts = map[string]text.Key{
	string(models.ActionOpen):       text.KeyChecksEventOpen,
	string(models.ActionUpdate):     text.KeyChecksEventUpdate,
	string(models.ActionClose):      text.KeyChecksEventClose,
	string(models.ActionReopen):     text.KeyChecksEventReopen,
	string(models.ActionApproved):   text.KeyChecksEventApproved,
	string(models.ActionUnapproved): text.KeyChecksEventUnapproved,
	string(models.ActionMerged):     text.KeyChecksEventMerge,
	string(models.DeliveryOfRetry):  text.KeyChecksEventRetry,
	string(models.DeliveryOfTest):   text.KeyChecksEventTest,
}

// deliveryEvent returns the text for the event of a delivery.
func deliveryEvent(c echo.Context, d models.Delivery) string {
	if d.Kind == models.DeliveryOfEvent {
		return translate(c, eventTexts[string(d.Action)])
	}
	return translate(c, eventTexts[string(d.Kind)])
}

// deliveryAttempts returns the number of attempts out of the possible ones.
func deliveryAttempts(c echo.Context, d models.Delivery, now time.Time) string {
	whole := models.MaxAttempts
	if d.SingleAttempt {
		whole = d.Attempts
		if d.State == models.DeliveryWaiting && !d.InFlightAt(now) {
			whole++ // the requested attempt
		}
	}
	return translate(c, text.KeyChecksAttemptsOf, "Part", d.Attempts, "Whole", whole)
}

// milliseconds formats a duration.
func milliseconds(c echo.Context, ms int64) string {
	if ms == 0 {
		return translate(c, text.KeyChecksUnderMillisecond)
	}
	digits := strconv.FormatInt(ms, 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return translate(c, text.KeyChecksMilliseconds, "Count", digits)
}

// deliveryRow returns a row of the delivery log.
func (p *pages) deliveryRow(c echo.Context, d models.Delivery) views.DeliveryRow {
	row := views.DeliveryRow{
		ID:      strconv.FormatInt(d.ID, 10),
		URL:     deliveryURL(c, d.ExternalStatusCheckID, d.ID),
		ShortID: d.UUID[:min(len(d.UUID), 8)], Event: deliveryEvent(c, d), At: d.CreatedAt, Attempts: deliveryAttempts(c, d, p.Store.Now()),
	}
	row.MergeRequest, row.MergeRequestURL = mergeRequestRef(c, d.MergeRequestIID)
	if row.Outcome = answerOutcome(c, d.LastHTTPStatus, d.LastError); row.Outcome.Text == "" || d.State == models.DeliverySuperseded {
		row.Outcome = p.deliveryState(c, d)
	}
	if d.Attempts > 0 && !d.InFlightAt(p.Store.Now()) {
		row.Duration = milliseconds(c, d.LastDurationMS)
	}
	return row
}

// mergeRequestRef returns "!142" and the address of that merge request; both are "" if iid is
// 0.
func mergeRequestRef(c echo.Context, iid int64) (ref, url string) {
	if iid == 0 {
		return "", ""
	}
	return "!" + strconv.FormatInt(iid, 10), mergeRequestURL(c, iid)
}
