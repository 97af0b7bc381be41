package handlers

import (
	"testing"

	"github.com/mergegate/mergegate/cmd/mergegate/browsertest"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// With 33 checks the headline of the merge box is visible at once. The passed rows stay
// open over polls and visits, and rows can be filtered and retried together.
func TestBrowserWidget_ManyChecks_StayInView(t *testing.T) {
	t.Parallel()
	s := newTestSite(t, modelstest.SQLite(t))
	services := s.services(33)
	mr := s.openMergeRequest("topic")
	s.respondAll(mr, models.StatusPassed, services[:20]...)
	s.respondAll(mr, models.StatusFailed, services[20:30]...)
	const inView = `(() => { const r = document.querySelector("#merge-h").getBoundingClientRect(); return r.top >= 0 && r.bottom <= innerHeight; })()`
	p := browsertest.New(t)
	p.Size(1280, 900)
	p.Go(s.as(s.Owner).serve() + s.mrPath(mr, ""))
	p.WaitFor("the headline to be in view", inView)
	p.Click("#status-checks-passed-summary")
	s.respondAll(mr, models.StatusFailed, services[30])
	p.WaitText("#status-checks-summary", "11 failed, 2 pending")
	p.Wait("#status-checks-passed[open]")
	p.Reload()
	p.Wait("#status-checks-passed[open]")
	p.Press("Pending")
	p.WaitFor("only pending rows", `[...document.querySelectorAll(".check-row")].filter((e) => e.checkVisibility()).length === 2`)
	p.Press("Retry all failed")
	p.WaitText("#status-checks-summary", "13 pending")
	p.WaitFor("the focus to stay in the widget", `document.activeElement.id === "status-checks-summary"`)
	p.WaitFor("only pending rows", `[...document.querySelectorAll(".check-row")].filter((e) => e.checkVisibility()).length === 13`)
	p.Size(390, 844)
	p.WaitFor("the headline to be in view", inView)
}
