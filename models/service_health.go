package models

import (
	"slices"
	"time"
)

const (
	// HealthDays is how many days, today included, the health of a service covers.
	HealthDays = 30
	// MaxHealthRows is how many deliveries, and how many answers, the health counts at
	// most: the newest.
	MaxHealthRows = 10_000
)

// Percentiles describes durations by the smallest value that half of them, and 95 % of
// them, do not exceed.
type Percentiles struct {
	Count    int
	P50, P95 time.Duration
}

// HealthDay is the health of a service on one day, or over all days.
type HealthDay struct {
	// Day is its start in UTC.
	Day time.Time
	// Delivered and Failed count the deliveries by the result of their last attempt.
	Delivered, Failed int
	// Delivery is the duration of the attempts that succeeded.
	Delivery Percentiles
	// Answer is the time from when a check became pending to the response that settled
	// it.
	Answer Percentiles

	deliveries, answers []time.Duration
}

// ServiceHealth is how well deliveries to a service worked over HealthDays days.
type ServiceHealth struct {
	HealthDay
	// Days are the single days, oldest first, those without deliveries included.
	Days []HealthDay
	// Cut reports whether there were more rows than MaxHealthRows.
	Cut bool
}

// newServiceHealth returns the health without deliveries at now.
func newServiceHealth(now time.Time) ServiceHealth {
	today := now.UTC().Truncate(24 * time.Hour)
	h := ServiceHealth{HealthDay: HealthDay{Day: today.AddDate(0, 0, 1-HealthDays)}}
	for i := range HealthDays {
		h.Days = append(h.Days, HealthDay{Day: h.Day.AddDate(0, 0, i)})
	}
	return h
}

// dropDurations frees the memory of the single durations.
func (h *ServiceHealth) dropDurations() {
	h.deliveries, h.answers = nil, nil
	for i := range h.Days {
		h.Days[i].deliveries, h.Days[i].answers = nil, nil
	}
}

// dayOf returns the day that at is on. A time in the future is on the last day.
func (h *ServiceHealth) dayOf(at time.Time) *HealthDay {
	day := int(at.Sub(h.Day) / (24 * time.Hour))
	return &h.Days[min(max(day, 0), HealthDays-1)]
}

// addDelivery counts a delivery that was delivered or whose last attempt failed.
func (h *ServiceHealth) addDelivery(d Delivery) {
	day := h.dayOf(d.CreatedAt)
	switch {
	case d.State == DeliveryDelivered:
		day.Delivered++
		day.deliveries = append(day.deliveries, time.Duration(d.LastDurationMS)*time.Millisecond)
	case d.FailedSoFar():
		day.Failed++
	}
}

// addAnswer counts a response that settled a pending check.
func (h *ServiceHealth) addAnswer(at time.Time, after time.Duration) {
	day := h.dayOf(at)
	day.answers = append(day.answers, after)
}

// finish computes the sums and percentiles.
func (h *ServiceHealth) finish() {
	for i := range h.Days {
		day := &h.Days[i]
		h.Delivered += day.Delivered
		h.Failed += day.Failed
		h.deliveries = append(h.deliveries, day.deliveries...)
		h.answers = append(h.answers, day.answers...)
		day.summarize()
	}
	h.summarize()
}

func (d *HealthDay) summarize() {
	d.Delivery, d.Answer = percentilesOf(d.deliveries), percentilesOf(d.answers)
	d.deliveries, d.answers = nil, nil
}

// percentilesOf sorts the durations.
func percentilesOf(durations []time.Duration) Percentiles {
	if len(durations) == 0 {
		return Percentiles{}
	}
	slices.Sort(durations)
	// The same as percentile_disc of SQL.
	at := func(percent int) time.Duration { return durations[(len(durations)*percent+99)/100-1] }
	return Percentiles{Count: len(durations), P50: at(50), P95: at(95)}
}

// answerMS returns for how many milliseconds a check was pending before a response at
// now settles it. It returns nil if the response does not: it says pending, the check is
// already settled, or its merge request is closed.
func answerMS(check MergeRequestCheck, response Status, now time.Time) *int64 {
	if response == StatusPending || check.Status != StatusPending && !check.TimedOut || check.StoppedAt != nil {
		return nil
	}
	ms := max(now.Sub(check.PendingSince).Milliseconds(), 0)
	return &ms
}
