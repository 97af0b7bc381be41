package handlers

import (
	"testing"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// A double click creates one thing and opens its page. Back opens the form
// again, which still works. A rejected form can be reloaded.
func TestBrowserForms_DoubleClickAndBack_CreateOnce(t *testing.T) {
	t.Parallel()
	for mode, script := range map[string]bool{"with script": true, "without script": false} {
		t.Run(mode, func(t *testing.T) {
			s := newTestSite(t, modelstest.SQLite(t))
			s.memberWithPassword("mona", models.RoleMaintainer, false)
			a := s.actor(t, script)
			a.signIn("mona")

			a.open("/projects/new")
			a.fill("Project name", "Plum Tart")
			a.doubleClick("Create project")
			a.assertHeading("Plum Tart")
			a.assertAnnounced("Project created.")
			a.Back()
			a.assertHeading("New project")
			a.fill("Project name", "Cherry")
			a.submit("Create project")
			a.assertHeading("Cherry")

			// A rejected form survives a reload.
			a.open(pearMembersPath + "/new")
			a.fill("Username", "nobody")
			a.submit("Add member")
			a.assertText("There is no user with this name")
			a.Reload()
			a.assertText("There is no user with this name")
			if got := a.value("Username"); got != "nobody" {
				t.Errorf("the field holds %q after the reload, want nobody", got)
			}
			a.Back()
			a.WaitURL("/new$")
			a.assertNoText("There is no user with this name")

			// The same in a dialog.
			a.open(pearSettingsPath)
			a.Press("Add status check")
			a.fill("Service name", "Build")
			a.fill("API to check", "https://ci.example.test/hook")
			a.doubleClick("Add status check")
			a.assertAnnounced("Status check added.")
			a.assertNoText("Name is already taken")
			if got, want := s.listServices(), "Build https://ci.example.test/hook "; got != want {
				t.Errorf("services %q, want %q", got, want)
			}
		})
	}
}
