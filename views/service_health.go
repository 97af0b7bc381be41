package views

import (
	"context"
	"strconv"
	"time"

	"github.com/mergegate/mergegate/views/text"
)

// Breaker is the circuit breaker of a service.
type Breaker struct {
	// State is "closed", "open" or "half_open".
	State string
	// Since is when it opened, Failures the number of failures in a row, Why the last
	// one.
	Since    time.Time
	Failures int
	Why      string
	// NextAt is when the next delivery is tried, zero if one is tried now.
	NextAt time.Time
}

// Paused reports whether deliveries wait for the service to recover.
func (b Breaker) Paused() bool { return b.State == "open" || b.State == "half_open" }

// HealthChart is the health of a service over the last days.
type HealthChart struct {
	// Total is the sum of Days, which are in order and without gaps.
	Total HealthDay
	Days  []HealthDay
	// Newest is how many deliveries and answers were counted at most, 0 if all were.
	Newest int
}

// HealthDay is the health of a service on one day.
type HealthDay struct {
	Day               time.Time
	Delivered, Failed int
	// Rate is the share of delivered ones; Delivery and Answer are percentiles. All are
	// texts, empty without deliveries or answers.
	Rate, Delivery, Answer string
}

// The size of the chart in its own units.
const (
	chartHeight = 80
	columnWidth = 20
	columnGap   = 4
)

// column is one rectangle of the chart.
type column struct{ x, y, height string }

// highest returns the largest number of deliveries on a day, at least 1.
func (h HealthChart) highest() int {
	highest := 1
	for _, day := range h.Days {
		highest = max(highest, day.Delivered+day.Failed)
	}
	return highest
}

// bar returns the rectangle for n deliveries of the i-th day above below others.
func (h HealthChart) bar(i, below, n int) column {
	number := func(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) }
	unit := float64(chartHeight) / float64(h.highest())
	return column{x: strconv.Itoa(i * columnWidth), y: number(chartHeight - unit*float64(below+n)), height: number(unit * float64(n))}
}

// viewBox returns the attribute of the chart.
func (h HealthChart) viewBox() string {
	return "0 0 " + strconv.Itoa(len(h.Days)*columnWidth-columnGap) + " " + strconv.Itoa(chartHeight+1)
}

// healthDayText describes a day of the chart.
func healthDayText(ctx context.Context, d HealthDay) string {
	return text.T(ctx, text.KeyLogHealthDay, "Day", Day(ctx, d.Day), "Delivered", d.Delivered, "Failed", d.Failed)
}
