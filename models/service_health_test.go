package models

import (
	"testing"
	"time"
)

func TestPercentilesOf_SmallestValueThatCoversTheShare(t *testing.T) {
	for _, tt := range []struct {
		values   []time.Duration
		p50, p95 time.Duration
	}{
		{nil, 0, 0},
		{[]time.Duration{7}, 7, 7},
		{[]time.Duration{2, 1}, 1, 2},
		{[]time.Duration{3, 1, 2}, 2, 3},
		{[]time.Duration{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20}, 10, 19},
		{[]time.Duration{21, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20}, 11, 20},
	} {
		if got := percentilesOf(tt.values); got.P50 != tt.p50 || got.P95 != tt.p95 || got.Count != len(tt.values) {
			t.Errorf("%v: %+v, want %d and %d", tt.values, got, tt.p50, tt.p95)
		}
	}
}

func TestServiceHealth_Days_BeginAtMidnightUTC(t *testing.T) {
	now := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	h := newServiceHealth(now)
	failed := Delivery{State: DeliveryWaiting, Attempts: 1, LastError: "timeout"}
	for _, at := range []time.Time{
		time.Date(2026, 10, 24, 0, 0, 0, 0, time.UTC), time.Date(2026, 11, 21, 23, 59, 59, 999_999_000, time.UTC),
		time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC), now.Add(24 * time.Hour),
	} {
		failed.CreatedAt = at
		h.addDelivery(failed)
	}
	h.addDelivery(Delivery{State: DeliverySuperseded, CreatedAt: now})           // never tried
	h.addDelivery(Delivery{State: DeliveryWaiting, Attempts: 1, CreatedAt: now}) // in flight
	h.finish()
	if h.Days[0].Failed != 1 || h.Days[28].Failed != 1 || h.Days[29].Failed != 2 || h.Failed != 4 || h.Delivered != 0 {
		t.Errorf("%+v", h)
	}
}
