package handlers

import (
	"testing"
	"time"

	"github.com/mergegate/mergegate/cmd/mergegate/browsertest"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// watchShifts makes the page sum up layout shifts that are not caused by the
// reader.
const watchShifts = `(window.shifted = 0, new PerformanceObserver((list) => {
	for (const e of list.getEntries()) if (!e.hadRecentInput) window.shifted += e.value;
}).observe({ type: "layout-shift", buffered: true }), true)`

// layoutPositions is a JavaScript expression for the positions of the rows and
// of the parts of the merge box, in pixels.
const layoutPositions = `[...document.querySelectorAll("#approvals, #status-checks-details, .check-row, .check-row > .status, .check-row__name, #merge-state, #merge-checks, #merge-form")]
	.map((e) => (e.id || e.classList[0]) + " " + Math.round(e.getBoundingClientRect().top) + " " + Math.round(e.getBoundingClientRect().left)).join("\n")`

// maxShift is the largest accepted layout shift, caused by words inside a
// changed line. Google rates pages up to 0.1 as good.
const maxShift = 0.005

// Checks pass, fail, become pending and time out, with and without the gate.
// Rows change in place, and nothing around them moves.
func TestBrowserWidget_StatusChange_CausesNoLayoutShift(t *testing.T) {
	t.Parallel()
	for name, gate := range map[string]bool{"gate": true, "no gate": false} {
		t.Run(name, func(t *testing.T) {
			s := newTestSite(t, modelstest.SQLite(t))
			licence, security := s.Service("licence"), s.Service("security")
			mr := s.openMergeRequest("topic")
			s.setGate(gate)
			p := browsertest.Open(t, s.as(s.Member("mona", models.RoleMaintainer)).serve()+s.mrPath(mr, ""))
			p.WaitText("#status-checks-summary", "2 pending")
			browsertest.Eval[bool](p, watchShifts)
			before := browsertest.Eval[string](p, layoutPositions)
			assertSamePositions := func(after string) {
				t.Helper()
				if now := browsertest.Eval[string](p, layoutPositions); now != before {
					t.Errorf("positions after %s:\n%s\nwant:\n%s", after, now, before)
				}
			}
			respond := func(service models.ExternalStatusCheck, status models.Status, summary string) {
				t.Helper()
				s.Clock.Advance(time.Second)
				if err := s.Respond(mr, service, mr.HeadSHA, status); err != nil {
					t.Fatal(err)
				}
				p.WaitText("#status-checks-summary", summary)
				assertSamePositions(summary)
			}
			respond(licence, models.StatusPassed, "1 pending")
			respond(security, models.StatusPassed, "Status checks all passed")
			// A page with only finished checks polls when it becomes visible.
			respondWhenSettled := func(service models.ExternalStatusCheck, status models.Status, summary string) {
				t.Helper()
				s.Clock.Advance(time.Second)
				if err := s.Respond(mr, service, mr.HeadSHA, status); err != nil {
					t.Fatal(err)
				}
				browsertest.Eval[bool](p, `document.dispatchEvent(new Event("visibilitychange"))`)
				p.WaitText("#status-checks-summary", summary)
				assertSamePositions(summary)
			}
			respondWhenSettled(security, models.StatusFailed, "1 failed")
			respondWhenSettled(security, models.StatusPending, "1 pending")
			p.WaitText("#status-checks-live", "security is pending. 1 pending.")
			// After two frames every layout shift has been reported.
			p.WaitFor("the page to be drawn", `(requestAnimationFrame(() => requestAnimationFrame(() => window.drawn = true)), window.drawn === true)`)
			if shifted := browsertest.Eval[float64](p, "window.shifted"); shifted > maxShift {
				t.Errorf("the layout shifted by %.4f", shifted)
			}
		})
	}
}
