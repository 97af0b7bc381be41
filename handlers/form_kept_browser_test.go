package handlers

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"github.com/mergegate/mergegate/cmd/mergegate/browsertest"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// Escape asks before it discards the input of a dialog. A form sent after the
// session ended is restored after signing in.
func TestBrowserForms_EscapeAndSignOut_KeepTypedText(t *testing.T) {
	t.Parallel()
	s := newTestSite(t, modelstest.SQLite(t))
	s.memberWithPassword("mona", models.RoleMaintainer, false)
	a := s.actor(t, true)
	a.Allow("401|422")
	a.signIn("mona")

	a.open(pearSettingsPath)
	setConfirm := func(result string) {
		browsertest.Eval[bool](a.Page, "window.asked = '', window.confirm = (text) => { window.asked = text; return "+result+"; }, true")
	}
	asked := func() string { return browsertest.Eval[string](a.Page, "window.asked") }
	setConfirm("false")
	a.Press("Add status check")
	a.Wait("#status-check-name")
	a.Key(kb.Escape)
	a.WaitGone("dialog")
	if asked() != "" {
		t.Errorf("closing an empty form asks %q", asked())
	}
	a.Press("Add status check")
	a.fill("Service name", "Build")
	a.fill("API to check", "https://ci.example.test/hook")
	for range 2 {
		setConfirm("false")
		a.Key(kb.Escape)
		a.WaitFor("the question", "window.asked === 'Discard what you entered?'")
		if got := a.value("Service name"); got != "Build" {
			t.Fatalf("the field holds %q, want Build", got)
		}
	}
	if _, err := s.DB.SQL(t).Exec("DELETE FROM sessions"); err != nil {
		t.Fatal(err)
	}
	// Typing makes the form count merge requests; the 401 must not reload the page.
	browsertest.Eval[bool](a.Page, "window.requests = 0, document.addEventListener('htmx:finally:request', () => window.requests++), true")
	a.fill("Service name", "Build")
	a.WaitFor("a request without a session", "window.requests > 0")
	a.Click("#submit-status-check")
	a.WaitText("#kept-form", "What you entered is kept")
	a.fill("Username", "mona")
	a.fill("Password", testPassword)
	a.submit("Sign in")
	a.WaitText("#kept-form", "Nothing was saved")
	if name, url := a.value("Service name"), a.value("API to check"); name != "Build" || url != "https://ci.example.test/hook" {
		t.Errorf("the restored form has %q and %q", name, url)
	}
	a.Click("#submit-status-check")
	a.assertAnnounced("Status check added.")

	a.Press("Add status check")
	a.fill("Service name", "Other")
	setConfirm("true")
	a.Key(kb.Escape)
	a.WaitGone("dialog")
}

func TestBrowserForms_BackAfterRejection_ShowsTypedText(t *testing.T) {
	t.Parallel()
	for mode, script := range map[string]bool{"with script": true, "without script": false} {
		t.Run(mode, func(t *testing.T) {
			s := newTestSite(t, modelstest.SQLite(t))
			s.memberWithPassword("mona", models.RoleMaintainer, false)
			a := s.actor(t, script)
			a.Allow("422")
			a.signIn("mona")
			long := strings.Repeat("x", 256)
			a.open("/projects/new")
			a.fill("Project name", long)
			a.submit("Create project")
			a.assertText("Cannot be longer than 255 characters")
			a.Back()
			a.WaitURL("/new$")
			if got := a.value("Project name"); got != long {
				t.Errorf("the field holds %q after Back", got)
			}
		})
	}
}
