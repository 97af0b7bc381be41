package handlers

import (
	"strconv"
	"testing"

	"github.com/mergegate/mergegate/cmd/mergegate/browsertest"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// value is what stands in a field, found by its label.
func (a *actor) value(label string) string {
	a.t.Helper()
	return browsertest.Eval[string](a.Page, "document.querySelector("+strconv.Quote(a.field(label))+").value")
}

// doubleClicks presses the button with this name twice, without waiting.
func (a *actor) doubleClicks(name string) {
	a.t.Helper()
	a.ClickTwice(a.button(name))
}

// TestBrowserForms_DoubleClickAndBack_CreateOnce: a double click makes one thing and leads to it; Back
// leads to the form, which works again; a rejected form can be loaded again.
func TestBrowserForms_DoubleClickAndBack_CreateOnce(t *testing.T) {
	for mode, script := range map[string]bool{"with script": true, "without script": false} {
		t.Run(mode, func(t *testing.T) {
			s := newMRSite(t, modelstest.SQLite(t))
			s.memberWithPassword("mona", models.RoleMaintainer, false)
			a := s.actor(t, script)
			a.signsIn("mona")

			a.opens("/projects/new")
			a.fills("Project name", "Plum Tart")
			a.doubleClicks("Create project")
			a.headed("Plum Tart")
			a.told("Project created.")
			a.Back()
			a.headed("New project")
			a.fills("Project name", "Cherry")
			a.submits("Create project")
			a.headed("Cherry")

			// A rejected form stands after loading it again, and still posts.
			a.opens(membersOfPear + "/new")
			a.fills("Username", "nobody")
			a.submits("Add member")
			a.sees("There is no user with this name")
			a.Reload()
			a.sees("There is no user with this name")
			if got := a.value("Username"); got != "nobody" {
				t.Errorf("%q stands after loading again", got)
			}
			a.Back()
			a.WaitURL("/new$")
			a.seesNot("There is no user with this name")

			// In a dialog, too.
			a.opens(settingsPath)
			a.Press("Add status check")
			a.fills("Service name", "Build")
			a.fills("API to check", "https://ci.example.test/hook")
			a.doubleClicks("Add status check")
			a.told("Status check added.")
			a.seesNot("Name is already taken")
			if got, want := s.services(), "Build https://ci.example.test/hook "; got != want {
				t.Errorf("services %q, want %q", got, want)
			}
		})
	}
}
