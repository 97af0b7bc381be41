package handlers

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"github.com/mergegate/mergegate/cmd/mergegate/browsertest"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// tabTo presses Tab until the element has the focus. Every element on the way
// must show a focus ring.
func tabTo(t *testing.T, p *browsertest.Page, css string) {
	t.Helper()
	for range 80 {
		if browsertest.Eval[bool](p, focusIs(css)) {
			return
		}
		p.Key(kb.Tab)
		unmarked := browsertest.Eval[string](p, `(() => {
			const e = document.activeElement, s = getComputedStyle(e);
			if (e === document.body || s.outlineStyle !== "none" || s.boxShadow !== "none") return "";
			return e.outerHTML.slice(0, 200);
		})()`)
		if unmarked != "" {
			t.Errorf("no visible focus on %s", unmarked)
		}
	}
	t.Fatalf("pressing Tab 80 times does not reach %s on %s", css, p.URL())
}

// TestBrowserKeyboard_MainTasks_NeedNoMouse signs in, retries a check, requires
// status checks and adds a service with the keyboard alone.
func TestBrowserKeyboard_MainTasks_NeedNoMouse(t *testing.T) {
	t.Parallel()
	s := newTestSite(t, modelstest.SQLite(t))
	licence := s.Service("licence")
	mr := s.openMergeRequest("topic")
	s.Clock.Advance(3 * time.Minute)
	mona := s.userWithPassword("mona")
	if _, err := s.Store.AddMember(t.Context(), s.Owner, models.RoleOwner, s.Project.ID, mona.ID, models.RoleMaintainer); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s.handler)
	t.Cleanup(server.Close)
	p := browsertest.Open(t, server.URL+s.mrPath(mr, ""))
	p.Allow("422")

	p.WaitURL("/users/sign_in")
	p.WaitFor("the first field to have the focus", focusIs("#login"))
	p.Key("mona")
	tabTo(t, p, "#password")
	p.Key(testPassword)
	p.Key(kb.Enter)

	p.WaitText("#status-checks-body", "No response within 2 minutes")
	p.Key(kb.Tab)
	p.WaitFor("the skip link to have the focus", focusIs(".skip-link"))
	p.Key(kb.Enter)
	tabTo(t, p, "#status-checks-summary")
	p.Key(kb.Enter)
	p.WaitGone("#status-checks-details[open]")
	p.Key(kb.Enter)
	p.Wait("#status-checks-details[open]")
	tabTo(t, p, "#status-check-retry-"+itoa(licence.ID))
	p.Key(kb.Enter)
	p.WaitText("#status-checks-summary", "1 pending")
	p.WaitFor("the name of the row to have the focus", focusIs("#status-check-name-"+itoa(licence.ID)))

	p.Reload()
	tabTo(t, p, `.sidebar a[href$='/settings/merge_requests']`)
	p.Key(kb.Enter)
	p.WaitURL("/settings/merge_requests$")
	tabTo(t, p, "#checks-must-succeed")
	p.Key(" ")
	tabTo(t, p, "#save-merge-checks")
	p.Key(kb.Enter)
	p.WaitText(".toast", "Changes saved.")
	tabTo(t, p, "#add-status-check")
	p.Key(kb.Enter)
	p.WaitFor("the first field to have the focus", focusIs("#status-check-name"))
	p.Key(kb.Enter) // the form is empty
	p.WaitText("#status-check-name-error", "Please provide a name")
	p.WaitFor("the first invalid field to have the focus", focusIs("#status-check-name"))
	p.Key("Build")
	tabTo(t, p, "#status-check-url")
	p.Key("https://ci.example.test/hook")
	tabTo(t, p, "#branch-button")
	p.Key(kb.Enter)
	p.WaitText("#branch-options", "release/*")
	tabTo(t, p, "#branch-options .listbox__option:nth-of-type(1) input")
	p.Key(kb.ArrowDown)
	p.Key(" ")
	p.WaitText("#branch-value", "main")
	p.Key(kb.Escape)
	p.WaitFor("the focus to return to the selector", focusIs("#branch-button"))
	tabTo(t, p, "#submit-status-check")
	p.Key(kb.Enter)
	p.WaitText(".toast", "Status check added.")
	p.WaitGone("dialog")
	p.WaitFor("the focus to return", focusIs("#add-status-check"))
	project, err := s.Store.Project(t.Context(), s.Project.ID)
	if err != nil || !project.OnlyAllowMergeIfAllStatusChecksPassed {
		t.Errorf("status checks are not required: %v", err)
	}
}
