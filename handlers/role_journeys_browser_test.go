package handlers

import (
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// maintainerPaths are pages that need at least the role Maintainer.
var maintainerPaths = []string{pearSettingsPath, pearServicesPath + "/new", pearRulesPath, pearMembersPath, pearTokensPath, pearGeneralPath, pearAuditPath}

// journeySite is the site at the start of every journey: "Status checks must
// succeed" is on, and the check of the service licence has failed for the merge
// request !1 from other into main.
type journeySite struct {
	*testSite
	licence models.ExternalStatusCheck
}

// journey is what a user with one role typically does.
type journey struct {
	name       string
	visibility models.Visibility
	role       models.Role
	admin      bool
	signedOut  bool
	run        func(a *actor, s journeySite)
}

// TestBrowserRoles_Journeys checks for each role what it sees, can do, is not
// offered and is denied, with and without JavaScript.
func TestBrowserRoles_Journeys(t *testing.T) {
	for _, j := range []journey{
		{name: "anonymous", visibility: models.VisibilityPublic, signedOut: true, run: anonymousJourney},
		{name: "stranger", visibility: models.VisibilityInternal, run: strangerJourney},
		{name: "guest", role: models.RoleGuest, run: guestJourney},
		{name: "reporter", role: models.RoleReporter, run: reporterJourney},
		{name: "developer", role: models.RoleDeveloper, run: developerJourney},
		{name: "maintainer", role: models.RoleMaintainer, run: maintainerJourney},
		{name: "owner", role: models.RoleOwner, run: ownerJourney},
		{name: "admin", admin: true, run: adminJourney},
	} {
		for mode, script := range map[string]bool{"with script": true, "without script": false} {
			t.Run(j.name+" "+mode, func(t *testing.T) {
				t.Parallel()
				s := newTestSite(t, modelstest.SQLite(t))
				s.setVisibility(j.visibility)
				licence := s.Service("licence")
				s.openMergeRequest("other")
				s.setGate(true)
				s.Clock.Advance(3 * time.Minute)
				a := s.actor(t, script)
				if !j.signedOut {
					s.memberWithPassword("mona", j.role, j.admin)
					a.signIn("mona")
				}
				j.run(a, journeySite{testSite: s, licence: licence})
			})
		}
	}
}

// browseMergeRequest opens the branches, the list of merge requests and all tabs
// of a merge request, as everyone who may see code can do.
func (a *actor) browseMergeRequest() {
	a.t.Helper()
	a.open(pearPath)
	a.assertHeading("pear")
	a.openTab("Branches")
	a.assertHeading("Branches")
	a.assertText("main", "feature", "other")
	a.open(pearMergeRequestsPath)
	a.assertHeading("Merge requests")
	a.assertText("!1")
	a.openTab("Closed")
	a.WaitURL("state=closed")
	a.open(pearMergeRequestPath)
	a.openTab("Commits")
	a.assertText("Trim the pear")
	a.openTab("Changes")
	a.WaitURL("/diffs$")
	a.openTab("Overview")
	a.WaitURL("/merge_requests/1$")
}

func anonymousJourney(a *actor, _ journeySite) {
	a.open("/")
	a.assertHeading("Projects")
	a.assertText("pear")
	a.assertNoControls("New project")
	a.browseMergeRequest()
	// The merge request is visible, but its checks are hidden in the widget, the
	// merge box, the list and the overview.
	a.assertText("You cannot view status check responses", "Merging is blocked")
	a.assertNoText("licence", "1 failed")
	a.assertNoControls("Retry licence", "Merge", "Approve", "Edit", "Close merge request", "New merge request")
	a.open(pearMergeRequestsPath)
	a.assertNoText("1 failed")
	a.assertNoControls("Settings", "Members", "Audit events", "New merge request")
	a.assertSignInAsked(append(maintainerPaths, pearNewMergeRequestPath, pearMergeRequestPath+"/edit", "/projects/new", userSettingsPath, "/olga/nothing")...)
	a.open(pearPath)
	a.Press("Sign in")
	a.assertHeading("Sign in")
}

func strangerJourney(a *actor, s journeySite) {
	a.assertText("No projects")
	a.openTab("All")
	a.assertText("pear", "Internal")
	a.browseMergeRequest()
	// In an internal project every user sees the checks.
	a.assertText("licence", "No response within 2 minutes", "Merge blocked: 1 check failed")
	a.assertNoControls("Retry licence", "Merge", "Approve", "Edit", "Close merge request")
	a.assertForbidden(append(maintainerPaths, pearNewMergeRequestPath, pearMergeRequestPath+"/edit")...)
	a.assertNotFound("/olga/nothing", pearMergeRequestsPath+"/99")
	s.setVisibility(models.VisibilityPrivate)
	a.assertNotFound(pearPath, pearMergeRequestPath, pearSettingsPath)

	// Tasks of every user: an own project, settings, signing out.
	a.open("/")
	a.Press("New project")
	a.fill("Project name", "Plum Tart")
	a.tick("Public")
	a.submit("Create project")
	a.assertHeading("Plum Tart")
	a.assertAnnounced("Project created.")
	a.open(userSettingsPath)
	a.choose("Language", "日本語")
	a.tick("Dark")
	a.Press("Save changes")
	a.assertHeading("ユーザー設定")
	a.assertAnnounced("変更を保存しました。")
	a.Wait(`html[lang=ja][data-theme=dark]`)
	a.Click("#user-menu summary")
	a.Press("サインアウト")
	a.assertHeading("Sign in")
	a.open(userSettingsPath)
	a.assertHeading("Sign in")
}

func guestJourney(a *actor, _ journeySite) {
	a.Press("olga / pear")
	a.assertHeading("pear")
	a.assertText("As a guest you can see this page only")
	a.assertNoText("licence", "1 failed", "!1")
	a.assertNoControls("Merge requests", "Branches", "Members", "New merge request")
	a.assertNotFound(pearMergeRequestsPath, pearMergeRequestPath, pearPath+"/-/branches", pearNewMergeRequestPath)
	a.assertForbidden(maintainerPaths...)
}

func reporterJourney(a *actor, _ journeySite) {
	a.browseMergeRequest()
	a.assertText("licence", "No response within 2 minutes", "Merge blocked: 1 check failed")
	a.assertNoControls("Retry licence", "Merge", "Approve", "Edit", "Close merge request", "New merge request", "Members", "Branch rules", "Audit events")
	a.assertNoText("licence.example.test") // the service's URL
	a.open(pearMergeRequestsPath)
	a.assertText("1 failed")
	a.assertForbidden(append(maintainerPaths, pearNewMergeRequestPath, pearMergeRequestPath+"/edit")...)
}

func developerJourney(a *actor, s journeySite) {
	a.browseMergeRequest()
	a.Press("Retry licence")
	a.assertText("1 pending")
	s.setHeadStatus(1, s.licence, models.StatusPassed)
	a.open(pearMergeRequestPath)
	a.assertText("Status checks all passed")
	a.assertNoControls("Merge") // main is protected for Maintainers
	a.Press("Approve")
	a.assertText("1 approval")
	a.Press("Revoke approval")
	a.assertAnnounced("Approval revoked.")
	a.Press("Close merge request")
	a.assertText("Closed")
	a.Press("Reopen merge request")
	a.assertAnnounced("Merge request reopened.")

	// An own merge request into an unprotected branch.
	a.open(pearMergeRequestsPath)
	a.Press("New merge request")
	a.pick("Source branch", "feature")
	a.pick("Target branch", "other")
	a.fill("Title", " ")
	a.submit("Create merge request")
	a.assertText("Enter a title")
	a.fill("Title", "Trim the pear")
	a.submit("Create merge request")
	a.assertHeading("Trim the pear")
	a.assertAnnounced("Merge request created.")
	a.assertText("Merge blocked: 1 check pending")
	a.Press("Set to auto-merge")
	a.assertAnnounced("Auto-merge set.")
	a.assertText("to be merged automatically when all checks pass")
	a.Press("Cancel auto-merge")
	a.assertAnnounced("Auto-merge cancelled.")
	a.Press("Edit")
	a.fill("Title", "Trim the whole pear")
	a.Press("Save changes")
	a.assertHeading("Trim the whole pear")
	a.assertAnnounced("Changes saved.")
	s.setHeadStatus(2, s.licence, models.StatusPassed)
	a.open(pearMergeRequestsPath + "/2")
	a.assertText("Ready to merge!")
	a.Press("Merge")
	a.assertText("Merged")
	a.assertNoControls("Merge", "Retry licence", "Close merge request")
	a.assertForbidden(maintainerPaths...)
}

func maintainerJourney(a *actor, s journeySite) {
	s.userWithPassword("jonas")
	s.setGate(false)
	a.open(pearSettingsPath)
	a.tick("Status checks must succeed")
	a.submit("Save changes")
	a.assertAnnounced("Changes saved.")
	a.Press("Add status check")
	a.fill("Service name", "LICENCE")
	a.fill("API to check", "https://ci.example.test/hook")
	a.submit("Add status check")
	a.assertText("Name is already taken")
	a.fill("Service name", "Build")
	a.tick("Also apply to 1 open merge request")
	a.submit("Add status check")
	a.assertAnnounced("Status check added.")
	a.assertText("Build")
	a.Press("Edit Build")
	a.fill("Service name", "Build and test")
	a.submit("Update status check")
	a.assertAnnounced("Status check updated.")
	a.Press("Build and test")
	a.Press("Send test")
	a.assertAnnounced("Test delivery sent.")
	a.open(pearSettingsPath)
	a.Press("Remove Build and test")
	a.assertText("You are about to remove the Build and test status check.")
	a.submit("Remove status check")
	a.assertAnnounced("Status check removed.")

	a.open(pearRulesPath)
	a.Press("Add branch rule")
	a.fill("Branch", "stable/*")
	a.choose("Allowed to merge", "No one")
	a.submit("Add branch rule")
	a.assertAnnounced("Branch protected.")
	a.Press("Unprotect stable/*")
	a.submit("Unprotect branch")
	a.assertAnnounced("Branch unprotected.")

	a.open(pearMembersPath)
	a.Press("Add member")
	a.fill("Username", "jonas")
	a.choose("Role", "Reporter")
	a.submit("Add member")
	a.assertAnnounced("Member added.")
	a.choose("Role of jonas", "Developer")
	a.Press("Save role of jonas")
	a.assertAnnounced("Role changed.")
	a.Press("Remove jonas")
	a.assertText("You are about to remove jonas from pear.")
	a.submit("Remove member")
	a.assertAnnounced("Member removed.")

	a.open(pearTokensPath)
	a.fill("Token name", "CI")
	a.submit("Create token")
	a.assertAnnounced("Your new access token is ready")
	a.Reload()
	a.assertNoText("Your new access token is ready")
	a.Press("Revoke CI")
	a.submit("Revoke token")
	a.assertAnnounced("Token revoked.")

	s.setHeadStatus(1, s.licence, models.StatusPassed)
	a.open(pearMergeRequestPath)
	a.assertText("Ready to merge!")
	a.Press("Merge")
	a.assertText("Merged")
	a.open(pearAuditPath)
	a.assertText("Added status check", "Removed member", "Created access token")
	a.open(pearGeneralPath)
	a.assertHeading("General settings")
	a.assertNoControls("Delete project")
	a.assertNoText("Name, path and visibility")
}

func ownerJourney(a *actor, s journeySite) {
	s.userWithPassword("jonas")
	a.open(pearMembersPath)
	a.Press("Add member")
	a.fill("Username", "jonas")
	a.choose("Role", "Owner")
	a.submit("Add member")
	a.assertAnnounced("Member added.")
	a.open(pearGeneralPath)
	a.fill("Path", "quince")
	a.tick("Internal")
	a.Click(`form[action$="/advanced"] button`) // one of two buttons called Save changes
	a.assertAnnounced("Changes saved.")
	a.WaitURL("/olga/quince/-/settings/general$")
	a.open(pearMergeRequestPath) // the old path redirects
	a.WaitURL("/olga/quince/-/merge_requests/1$")
	a.assertControls("Approve", "Edit", "Retry licence")
	a.open("/olga/quince/-/settings/general")
	a.fill("Type olga/quince to confirm", "quince")
	a.submit("Delete project")
	a.assertText("This is not the path of the project")
	a.fill("Type olga/quince to confirm", "olga/quince")
	a.submit("Delete project")
	a.assertHeading("Projects")
	a.assertAnnounced("Project deleted.")
	a.assertNotFound("/olga/quince", pearPath)
}

func adminJourney(a *actor, s journeySite) {
	a.openTab("All")
	a.assertText("pear", "Private")
	a.browseMergeRequest()
	a.assertText("licence", "No response within 2 minutes")
	for _, path := range maintainerPaths {
		a.open(path)
		a.assertNoText("You cannot open this page", "Page not found")
	}
	a.open(pearMergeRequestPath)
	a.Press("Retry licence")
	a.assertText("1 pending")
	s.setHeadStatus(1, s.licence, models.StatusPassed)
	a.open(pearMergeRequestPath)
	a.Press("Merge")
	a.assertText("Merged")
	a.open(pearGeneralPath)
	a.assertControls("Delete project")
	a.assertNotFound("/olga/nothing")
}
