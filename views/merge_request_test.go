package views

import (
	"strings"
	"testing"
	"time"
)

var mrNow = time.Date(2026, 11, 22, 9, 42, 10, 0, time.UTC)

func TestStatusChecksWidget_Hidden_RendersNothing(t *testing.T) {
	html, err := draw(t, StatusChecksWidget(StatusChecks{})).Find("body").Html()
	if err != nil || strings.TrimSpace(html) != "" {
		t.Errorf("a hidden widget renders %q, %v", html, err)
	}
}

func TestCheckRow_Left_IsRoundedUp(t *testing.T) {
	row := CheckRow{Deadline: mrNow}
	for left, want := range map[time.Duration]string{
		2 * time.Minute: "2:00", 119999 * time.Millisecond: "2:00", 84 * time.Second: "1:24", time.Millisecond: "0:01", 0: "0:00", -time.Second: "0:00",
	} {
		if got := clock(row.left(mrNow.Add(-left))); got != want {
			t.Errorf("%v left reads %q, want %q", left, got, want)
		}
	}
}
