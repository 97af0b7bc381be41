package handlers

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"github.com/mergegate/mergegate/cmd/mergegate/browsertest"
	"github.com/mergegate/mergegate/models/modelstest"
)

func TestBrowserServices_Dialogs_AddEditAndRemove(t *testing.T) {
	t.Parallel()
	s := newTestSite(t, modelstest.SQLite(t))
	s.Service("licence")
	s.openMergeRequest("topic")
	url := s.as(s.Owner).serve()
	p := browsertest.Open(t, url+pearSettingsPath)
	p.Allow("422")

	p.Click("#add-status-check")
	p.Wait("dialog[open] #status-check-name")
	p.WaitFor("the first field to have the focus", `document.activeElement.id === "status-check-name"`)
	p.Fill("#status-check-name", "LICENCE")
	p.Fill("#status-check-url", "http://ci.example.test/hook")
	p.WaitText("#status-check-url-warning", "This URL is not encrypted.")
	p.Fill("#status-check-secret", "hush-hush-secret")
	p.Click("#branch-button")
	p.WaitText("#branch-options", "release/*")
	p.Fill("#branch-search", "rele")
	p.WaitText("#branch-options .listbox__divider", "1 of 2 protected branches")
	p.Click("#branch-options .listbox__option:nth-of-type(2)")
	p.WaitText("#branch-value", "release/*")
	p.WaitText("#also-apply-label", "Also apply to open merge requests (none would change now)")
	p.Fill("#branch-search", "zzz")
	p.WaitText("#branch-options .listbox__note", "No protected branches match “zzz”.")
	p.WaitText("#branch-options", "release/*") // stays because it is selected
	p.Click("#submit-status-check")
	p.WaitText("#status-check-name-error", "Name is already taken")
	p.WaitFor("the invalid field to have the focus", `document.activeElement.id === "status-check-name"`)
	p.WaitText("#branch-value", "release/*")
	if got := browsertest.Eval[string](p, `document.querySelector("#status-check-secret").value`); got != "" {
		t.Errorf("the secret field holds %q", got)
	}
	p.Fill("#status-check-name", "Build")
	p.Click("#branch-button")
	p.Wait("#branch-options .listbox__option:nth-of-type(3)")
	p.Click("#branch-options .listbox__option:nth-of-type(1)") // all branches
	p.WaitText("#branch-value", "All branches")
	p.WaitText("#also-apply-label", "Also apply to 1 open merge request")
	p.Click("#also-apply-label")
	p.Fill("#status-check-secret", "hush-hush-secret")
	p.Click("#submit-status-check")
	p.WaitText(".toast", "Status check added.")
	p.WaitGone("dialog")
	p.WaitText("#status-checks", "Build")
	p.WaitFor("the focus to return", `document.activeElement.id === "add-status-check"`)
	if got := s.listServices(); !strings.HasSuffix(got, "Build http://ci.example.test/hook ") {
		t.Errorf("services: %q", got)
	}

	p.Click(`#status-checks [aria-label="Edit Build"]`)
	p.WaitText("dialog[open]", "A secret is configured.")
	p.Fill("#status-check-url", "https://ci.example.test/hook")
	p.WaitGone("#status-check-url-warning")
	p.Click("#submit-status-check")
	p.WaitText(".toast", "Status check updated.")
	p.WaitText("#status-checks", "https://ci.example.test/hook")

	p.Click(`#status-checks [aria-label="Remove Build"]`)
	p.WaitText("dialog[open]", "You are about to remove the Build status check.")
	p.WaitFor("Cancel to have the focus", `document.activeElement.id === "cancel-removal"`)
	p.Key(kb.Escape)
	p.WaitGone("dialog")
	p.Click(`#status-checks [aria-label="Remove Build"]`)
	p.Wait("#confirm-removal")
	p.Click("#confirm-removal")
	p.WaitText(".toast", "Status check removed.")
	p.WaitFor("the row to be gone", `!document.querySelector("#status-checks").textContent.includes("Build")`)
}

func TestBrowserServiceForm_BranchListFails_KeepsTypedText(t *testing.T) {
	t.Parallel()
	s := newTestSite(t, modelstest.SQLite(t))
	url := s.as(s.Owner).serve()
	p := browsertest.Open(t, url+pearSettingsPath)
	p.Allow("500|status_checks/branches|affected")
	p.Click("#add-status-check")
	p.Wait("dialog[open]")
	p.Click("#branch-button")
	p.WaitText("#branch-options", "release/*")
	p.Fill("#status-check-name", "Typed")
	db := s.DB.SQL(t)
	if _, err := db.Exec("ALTER TABLE protected_branches RENAME TO away"); err != nil {
		t.Fatal(err)
	}
	p.Fill("#branch-search", "rel")
	p.WaitText("#branch-list-error", "Unable to fetch branches list, please close the form and try again")
	if got := browsertest.Eval[string](p, `document.querySelector("#status-check-name").value`); got != "Typed" {
		t.Errorf("the name is %q", got)
	}
	if _, err := db.Exec("ALTER TABLE away RENAME TO protected_branches"); err != nil {
		t.Fatal(err)
	}
	p.Fill("#branch-search", "rele")
	p.WaitGone("#branch-list-error")
	p.WaitText("#branch-options .listbox__divider", "1 of 2")
}

// A failure shows one message, keeps the input, and works again once the server
// does.
func TestBrowserServices_ServerErrors_ShowMessageAndRecover(t *testing.T) {
	t.Parallel()
	s := newTestSite(t, modelstest.SQLite(t))
	url := s.as(s.Owner).serve()
	p := browsertest.Open(t, url+pearSettingsPath)
	p.Allow("500|status_checks|settings")
	p.Click("#add-status-check")
	p.Wait("dialog[open]")
	p.Fill("#status-check-name", "Build")
	p.Fill("#status-check-url", "https://ci.example.test/hook")
	p.Fill("#status-check-secret", "hush-hush-secret")
	db := s.DB.SQL(t)
	if _, err := db.Exec("ALTER TABLE external_status_checks RENAME TO away"); err != nil {
		t.Fatal(err)
	}
	p.Click("#submit-status-check")
	p.WaitText("#save-failed", "Unable to create status check. Please try again.")
	p.Wait(".toast")
	if n := p.Count(".toast"); n != 1 {
		t.Errorf("%d toasts, want 1", n)
	}
	p.Go(url + pearSettingsPath)
	p.WaitText("#status-checks", "Failed to load status checks")
	p.WaitText("h1", "Merge requests")
	if _, err := db.Exec("ALTER TABLE away RENAME TO external_status_checks"); err != nil {
		t.Fatal(err)
	}
	p.Press("Try again")
	p.WaitText("#status-checks", "No status checks are defined yet.")
	if n := p.Count("#status-checks"); n != 1 {
		t.Errorf("%d cards, want 1", n)
	}
	if got := s.listServices(); got != "" {
		t.Errorf("services: %q", got)
	}
}
