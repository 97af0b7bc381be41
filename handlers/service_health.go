package handlers

import (
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
)

// presentHealth returns the health of a service. Without deliveries and answers it has no
// days.
func presentHealth(c echo.Context, h models.ServiceHealth) views.HealthChart {
	if h.Delivered+h.Failed+h.Answer.Count == 0 {
		return views.HealthChart{}
	}
	chart := views.HealthChart{Total: healthDay(c, h.HealthDay)}
	if h.Cut {
		chart.Newest = models.MaxHealthRows
	}
	for _, day := range h.Days {
		chart.Days = append(chart.Days, healthDay(c, day))
	}
	return chart
}

func healthDay(c echo.Context, d models.HealthDay) views.HealthDay {
	day := views.HealthDay{Day: d.Day, Delivered: d.Delivered, Failed: d.Failed}
	if all := d.Delivered + d.Failed; all > 0 {
		// In tenths of a percent, rounded down: 100 % means that none failed.
		tenths := 1000 * d.Delivered / all
		day.Rate = translate(c, text.KeyLogPercent, "Number", strconv.Itoa(tenths/10)+"."+strconv.Itoa(tenths%10))
	}
	day.Delivery, day.Answer = percentilesText(c, d.Delivery), percentilesText(c, d.Answer)
	return day
}

// percentilesText returns the median and the 95th percentile, "" without values.
func percentilesText(c echo.Context, p models.Percentiles) string {
	if p.Count == 0 {
		return ""
	}
	return translate(c, text.KeyLogPercentiles, "P50", shortDuration(c, p.P50), "P95", shortDuration(c, p.P95))
}

// shortDuration formats a duration: in milliseconds below a second, in seconds below ten
// minutes, else in its largest unit.
func shortDuration(c echo.Context, d time.Duration) string {
	switch {
	case d < time.Second:
		return milliseconds(c, d.Milliseconds())
	case d < 10*time.Second:
		return translate(c, text.KeyMRSecondsShort, "Count", strconv.FormatFloat(d.Seconds(), 'f', 1, 64))
	case d < 10*time.Minute:
		return translate(c, text.KeyMRSecondsShort, "Count", int(d.Round(time.Second)/time.Second))
	}
	return views.LargestUnit(c.Request().Context(), d)
}

// breakerView returns the state of a service's circuit breaker at now.
func breakerView(c echo.Context, b models.Breaker, now time.Time) views.Breaker {
	view := views.Breaker{State: string(b.StateAt(now)), Failures: b.Failures}
	if b.OpenedAt != nil {
		view.Since, view.Why = *b.OpenedAt, answerOutcome(c, b.LastHTTPStatus, b.LastError).Text
	}
	if b.StateAt(now) == models.BreakerOpen {
		view.NextAt = *b.ProbeAt
	}
	return view
}

// timingParts splits an attempt into its parts, without those that took no time. The last
// part is the rest: sending the request and reading the response.
func timingParts(c echo.Context, a models.DeliveryAttempt) []views.TimingPart {
	parts := []struct {
		kind  string
		label text.Key
		us    int64
	}{
		{"dns", text.KeyLogTimingDNS, a.DNSUS}, {"connect", text.KeyLogTimingConnect, a.ConnectUS},
		{"tls", text.KeyLogTimingTLS, a.TLSUS}, {"wait", text.KeyLogTimingFirstByte, a.FirstByteUS}, {"rest", text.KeyLogTimingRest, 0},
	}
	var sum int64
	for _, part := range parts {
		sum += part.us
	}
	if sum == 0 {
		return nil
	}
	whole := max(a.DurationMS*1000, sum)
	// The duration is in whole milliseconds, so less than one is no part.
	if rest := whole - sum; rest >= 1000 {
		parts[len(parts)-1].us = rest
	}
	var shown []views.TimingPart
	var at int64
	for _, part := range parts {
		if part.us == 0 {
			continue
		}
		shown = append(shown, views.TimingPart{
			Kind: part.kind, Label: translate(c, part.label), Duration: milliseconds(c, part.us/1000),
			Start: float64(at) / float64(whole), Share: float64(part.us) / float64(whole),
		})
		at += part.us
	}
	return shown
}
