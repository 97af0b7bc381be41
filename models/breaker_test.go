package models

import (
	"testing"
	"time"
)

var breakerStart = time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)

func after(d time.Duration) time.Time { return breakerStart.Add(d) }

// failing returns a breaker after n failures at breakerStart, without jitter.
func failing(n int) (b Breaker) {
	for range n {
		b.finish(1, AttemptResult{HTTPStatus: 503}, breakerStart, 0.5)
	}
	return b
}

func TestBreaker_FailuresInARow_Open(t *testing.T) {
	for name, c := range map[string]struct {
		results []AttemptResult
		open    bool
	}{
		"four failures": {[]AttemptResult{{HTTPStatus: 500}, {Error: "timeout"}, {HTTPStatus: 404}, {Error: "dns"}}, false},
		"five failures": {[]AttemptResult{{HTTPStatus: 500}, {Error: "timeout"}, {HTTPStatus: 404}, {Error: "dns"}, {HTTPStatus: 429}}, true},
		"a success between": {[]AttemptResult{{HTTPStatus: 500}, {HTTPStatus: 500}, {HTTPStatus: 204}, {HTTPStatus: 500}, {HTTPStatus: 500},
			{HTTPStatus: 500}, {HTTPStatus: 500}}, false},
		"an interrupted attempt does not count": {[]AttemptResult{{HTTPStatus: 500}, {HTTPStatus: 500}, {HTTPStatus: 500}, {HTTPStatus: 500},
			{Error: ErrorInterrupted}}, false},
		"an unsigned attempt does not count": {[]AttemptResult{{HTTPStatus: 500}, {HTTPStatus: 500}, {HTTPStatus: 500}, {HTTPStatus: 500},
			{Error: ErrorSecret}}, false},
	} {
		var b Breaker
		var opened bool
		for _, r := range c.results {
			opened, _ = b.finish(1, r, breakerStart, 0.5)
		}
		if open := b.OpenedAt != nil; open != c.open || opened != c.open {
			t.Errorf("%s: open %v, opened %v, want %v", name, open, opened, c.open)
		}
		if !c.open && b.StateAt(breakerStart) != BreakerClosed {
			t.Errorf("%s: state %s", name, b.StateAt(breakerStart))
		}
	}
}

func TestBreaker_Open_OpenTimeDoublesTo15Minutes(t *testing.T) {
	b := failing(BreakerThreshold)
	for i, want := range []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 15 * time.Minute, 15 * time.Minute} {
		now := breakerStart
		if i > 0 {
			now = *b.OpenUntil
			b.startProbe(1, now.Add(LeaseDuration))
			b.finish(1, AttemptResult{Error: "timeout"}, now, 0.5)
		}
		if got := b.OpenUntil.Sub(now); got != want {
			t.Errorf("open time %d is %v, want %v", i+1, got, want)
		}
	}
}

func TestBreaker_Jitter_ChangesOpenTimeByATenth(t *testing.T) {
	for random, want := range map[float64]time.Duration{0: 27 * time.Second, 0.5: 30 * time.Second, 1: 33 * time.Second} {
		b := failing(BreakerThreshold - 1)
		b.finish(1, AttemptResult{HTTPStatus: 500}, breakerStart, random)
		if got := b.OpenUntil.Sub(breakerStart); got != want {
			t.Errorf("random %v: open for %v, want %v", random, got, want)
		}
	}
}

// A probe starts at most breakerProbeEvery after the last one until the outage is about
// 15 minutes old, then at the end of each open time.
func TestBreaker_Outage_ProbesEvery5SecondsFor15Minutes(t *testing.T) {
	b := failing(BreakerThreshold)
	now := breakerStart
	for now.Before(after(3 * time.Hour)) {
		wait := b.ProbeAt.Sub(now)
		age := now.Sub(breakerStart)
		switch {
		case age < 15*time.Minute && wait > breakerProbeEvery:
			t.Fatalf("after %v the next probe is in %v", age, wait)
		case age > 16*time.Minute && wait != breakerLongest:
			t.Fatalf("after %v the next probe is in %v", age, wait)
		}
		if b.admitsAt(b.ProbeAt.Add(-time.Microsecond)) {
			t.Fatalf("after %v an attempt may start before the probe is due", age)
		}
		now = *b.ProbeAt
		if !b.admitsAt(now) || b.StateAt(now) != BreakerHalfOpen {
			t.Fatalf("after %v no probe may start", age)
		}
		b.startProbe(7, now.Add(LeaseDuration))
		if b.admitsAt(now.Add(LeaseDuration-time.Microsecond)) || !b.admitsAt(now.Add(LeaseDuration)) {
			t.Fatalf("after %v a second probe may start before the first one's lease ends, or none afterwards", age)
		}
		b.finish(7, AttemptResult{Error: "connection_refused"}, now, 0.5)
	}
}

func TestBreaker_Open_Results(t *testing.T) {
	probeEnd := after(10 * time.Second)
	for name, c := range map[string]struct {
		delivery int64
		result   AttemptResult
		state    BreakerState
		closed   bool
		probeAt  time.Time
	}{
		"the probe succeeds":                 {7, AttemptResult{HTTPStatus: 200}, BreakerClosed, true, time.Time{}},
		"an earlier attempt succeeds":        {6, AttemptResult{HTTPStatus: 200}, BreakerClosed, true, time.Time{}},
		"the probe fails":                    {7, AttemptResult{HTTPStatus: 502}, BreakerOpen, false, probeEnd.Add(5 * time.Second)},
		"an earlier attempt fails":           {6, AttemptResult{HTTPStatus: 502}, BreakerHalfOpen, false, after(5 * time.Second).Add(LeaseDuration)},
		"the probe's process stops":          {7, AttemptResult{Error: ErrorInterrupted}, BreakerHalfOpen, false, probeEnd},
		"an earlier attempt was interrupted": {6, AttemptResult{Error: ErrorInterrupted}, BreakerHalfOpen, false, after(5 * time.Second).Add(LeaseDuration)},
	} {
		b := failing(BreakerThreshold)
		b.startProbe(7, b.ProbeAt.Add(LeaseDuration))
		_, closed := b.finish(c.delivery, c.result, probeEnd, 0.5)
		if got := b.StateAt(probeEnd); got != c.state || closed != c.closed {
			t.Errorf("%s: state %s, closed %v", name, got, closed)
		}
		if c.state == BreakerClosed {
			if b != (Breaker{}) {
				t.Errorf("%s: breaker %+v, want the zero value", name, b)
			}
		} else if !b.ProbeAt.Equal(c.probeAt) {
			t.Errorf("%s: next probe at %v, want %v", name, b.ProbeAt, c.probeAt)
		}
	}
}

func TestBreaker_RequestProbe_OnlyIfOpenWithoutProbe(t *testing.T) {
	var closed Breaker
	if closed.requestProbe(breakerStart); closed != (Breaker{}) {
		t.Errorf("closed breaker %+v", closed)
	}
	open := failing(BreakerThreshold)
	if open.requestProbe(after(time.Second)); !open.admitsAt(after(time.Second)) {
		t.Error("the probe is not due")
	}
	probing := failing(BreakerThreshold)
	probing.startProbe(7, after(time.Minute))
	if probing.requestProbe(after(time.Second)); probing.admitsAt(after(time.Second)) {
		t.Error("a second probe may start")
	}
}
