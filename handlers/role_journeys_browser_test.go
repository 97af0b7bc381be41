package handlers

import (
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// Pages of the project that journeys go to by their address, to find out what
// happens to those who may not.
const (
	pearPath        = "/olga/pear"
	requestsPath    = pearPath + "/-/merge_requests"
	requestPath     = requestsPath + "/1"
	newRequest      = requestsPath + "/new"
	settingsGeneral = pearPath + "/-/settings/general"
	auditPath       = pearPath + "/-/audit_events"
)

// pagesOfMaintainers are those nobody below may open.
var pagesOfMaintainers = []string{settingsPath, servicesPath + "/new", rulesPath, membersOfPear, tokensOfPear, settingsGeneral, auditPath}

// stage is what every journey begins with: a project whose merge request !1,
// from other into main, failed the check of the service licence; "Status checks
// must succeed" is on.
type stage struct {
	*mrSite
	licence models.ExternalStatusCheck
}

// journey is the main way of one role through the product.
type journey struct {
	name       string
	visibility models.Visibility
	role       models.Role
	admin      bool
	signedOut  bool
	walk       func(a *actor, s stage)
}

// TestBrowserRoles_Journeys walks every role through what it sees, does, is not
// offered and is refused, in Chromium, with script and without.
func TestBrowserRoles_Journeys(t *testing.T) {
	for _, j := range []journey{
		{name: "anonymous", visibility: models.VisibilityPublic, signedOut: true, walk: anonymousWalk},
		{name: "stranger", visibility: models.VisibilityInternal, walk: strangerWalk},
		{name: "guest", role: models.RoleGuest, walk: guestWalk},
		{name: "reporter", role: models.RoleReporter, walk: reporterWalk},
		{name: "developer", role: models.RoleDeveloper, walk: developerWalk},
		{name: "maintainer", role: models.RoleMaintainer, walk: maintainerWalk},
		{name: "owner", role: models.RoleOwner, walk: ownerWalk},
		{name: "admin", admin: true, walk: adminWalk},
	} {
		for mode, script := range map[string]bool{"with script": true, "without script": false} {
			t.Run(j.name+" "+mode, func(t *testing.T) {
				t.Parallel()
				s := newMRSite(t, modelstest.SQLite(t))
				s.visibility(j.visibility)
				licence := s.Service("licence")
				s.open("other")
				s.gate(true)
				s.Clock.Advance(3 * time.Minute)
				a := s.actor(t, script)
				if !j.signedOut {
					s.memberWithPassword("mona", j.role, j.admin)
					a.signsIn("mona")
				}
				j.walk(a, stage{mrSite: s, licence: licence})
			})
		}
	}
}

// readsTheRequest is what all who may see code do: from the list to the merge
// request and through its tabs.
func (a *actor) readsTheRequest() {
	a.t.Helper()
	a.opens(pearPath)
	a.headed("pear")
	a.goesTo("Branches")
	a.headed("Branches")
	a.sees("main", "feature", "other")
	a.opens(requestsPath)
	a.headed("Merge requests")
	a.sees("!1")
	a.goesTo("Closed")
	a.WaitURL("state=closed")
	a.opens(requestPath)
	a.goesTo("Commits")
	a.sees("Trim the pear")
	a.goesTo("Changes")
	a.WaitURL("/diffs$")
	a.goesTo("Overview")
	a.WaitURL("/merge_requests/1$")
}

func anonymousWalk(a *actor, _ stage) {
	a.opens("/")
	a.headed("Projects")
	a.sees("pear")
	a.notOffered("New project")
	a.readsTheRequest()
	// The merge request, not its checks: not in the widget, the merge box, the
	// list or the overview.
	a.sees("You cannot view status check responses", "Merging is blocked")
	a.seesNot("licence", "1 failed")
	a.notOffered("Retry licence", "Merge", "Approve", "Edit", "Close merge request", "New merge request")
	a.opens(requestsPath)
	a.seesNot("1 failed")
	a.notOffered("Settings", "Members", "Audit events", "New merge request")
	a.sentToSignIn(append(pagesOfMaintainers, newRequest, requestPath+"/edit", "/projects/new", userSettingsPath, "/olga/nothing")...)
	a.opens(pearPath)
	a.Press("Sign in")
	a.headed("Sign in")
}

func strangerWalk(a *actor, s stage) {
	a.sees("No projects")
	a.goesTo("All")
	a.sees("pear", "Internal")
	a.readsTheRequest()
	// Internal: who sees the merge request sees its checks.
	a.sees("licence", "No response within 2 minutes", "Merge blocked: 1 check failed")
	a.notOffered("Retry licence", "Merge", "Approve", "Edit", "Close merge request")
	a.refused(append(pagesOfMaintainers, newRequest, requestPath+"/edit")...)
	a.missing("/olga/nothing", requestsPath+"/99")
	s.visibility(models.VisibilityPrivate)
	a.missing(pearPath, requestPath, settingsPath)

	// What everybody does: a project of one's own, settings, signing out.
	a.opens("/")
	a.Press("New project")
	a.fills("Project name", "Plum Tart")
	a.ticks("Public")
	a.submits("Create project")
	a.headed("Plum Tart")
	a.told("Project created.")
	a.opens(userSettingsPath)
	a.chooses("Language", "日本語")
	a.ticks("Dark")
	a.Press("Save changes")
	a.headed("ユーザー設定")
	a.told("変更を保存しました。")
	a.Wait(`html[lang=ja][data-theme=dark]`)
	a.Click("#user-menu summary")
	a.Press("サインアウト")
	a.headed("Sign in")
	a.opens(userSettingsPath)
	a.headed("Sign in")
}

func guestWalk(a *actor, _ stage) {
	a.Press("olga / pear")
	a.headed("pear")
	a.sees("As a guest you can see this page only")
	a.seesNot("licence", "1 failed", "!1")
	a.notOffered("Merge requests", "Branches", "Members", "New merge request")
	a.missing(requestsPath, requestPath, pearPath+"/-/branches", newRequest)
	a.refused(pagesOfMaintainers...)
}

func reporterWalk(a *actor, _ stage) {
	a.readsTheRequest()
	a.sees("licence", "No response within 2 minutes", "Merge blocked: 1 check failed")
	a.notOffered("Retry licence", "Merge", "Approve", "Edit", "Close merge request", "New merge request", "Members", "Branch rules", "Audit events")
	a.seesNot("licence.example.test") // the service's URL
	a.opens(requestsPath)
	a.sees("1 failed")
	a.refused(append(pagesOfMaintainers, newRequest, requestPath+"/edit")...)
}

func developerWalk(a *actor, s stage) {
	a.readsTheRequest()
	a.Press("Retry licence")
	a.sees("1 pending")
	s.answer(1, s.licence, models.StatusPassed)
	a.opens(requestPath)
	a.sees("Status checks all passed")
	a.notOffered("Merge") // main is protected for Maintainers
	a.Press("Approve")
	a.sees("1 approval")
	a.Press("Revoke approval")
	a.told("Approval revoked.")
	a.Press("Close merge request")
	a.sees("Closed")
	a.Press("Reopen merge request")
	a.told("Merge request reopened.")

	// A merge request of their own, into a branch that nothing protects.
	a.opens(requestsPath)
	a.Press("New merge request")
	a.picks("Source branch", "feature")
	a.picks("Target branch", "other")
	a.fills("Title", " ")
	a.submits("Create merge request")
	a.sees("Enter a title")
	a.fills("Title", "Trim the pear")
	a.submits("Create merge request")
	a.headed("Trim the pear")
	a.told("Merge request created.")
	a.sees("Merge blocked: 1 check pending")
	a.Press("Edit")
	a.fills("Title", "Trim the whole pear")
	a.Press("Save changes")
	a.headed("Trim the whole pear")
	a.told("Changes saved.")
	s.answer(2, s.licence, models.StatusPassed)
	a.opens(requestsPath + "/2")
	a.sees("Ready to merge!")
	a.Press("Merge")
	a.sees("Merged")
	a.notOffered("Merge", "Retry licence", "Close merge request")
	a.refused(pagesOfMaintainers...)
}

func maintainerWalk(a *actor, s stage) {
	s.withPassword("jonas", false)
	s.gate(false)
	a.opens(settingsPath)
	a.ticks("Status checks must succeed")
	a.submits("Save changes")
	a.told("Changes saved.")
	a.Press("Add status check")
	a.fills("Service name", "LICENCE")
	a.fills("API to check", "https://ci.example.test/hook")
	a.submits("Add status check")
	a.sees("Name is already taken")
	a.fills("Service name", "Build")
	a.ticks("Also apply to 1 open merge request")
	a.submits("Add status check")
	a.told("Status check added.")
	a.sees("Build")
	a.Press("Edit Build")
	a.fills("Service name", "Build and test")
	a.submits("Update status check")
	a.told("Status check updated.")
	a.Press("Build and test")
	a.Press("Send test")
	a.told("Test delivery sent.")
	a.opens(settingsPath)
	a.Press("Remove Build and test")
	a.sees("You are about to remove the Build and test status check.")
	a.submits("Remove status check")
	a.told("Status check removed.")

	a.opens(rulesPath)
	a.Press("Add branch rule")
	a.fills("Branch", "stable/*")
	a.chooses("Allowed to merge", "No one")
	a.submits("Add branch rule")
	a.told("Branch protected.")
	a.Press("Unprotect stable/*")
	a.submits("Unprotect branch")
	a.told("Branch unprotected.")

	a.opens(membersOfPear)
	a.Press("Add member")
	a.fills("Username", "jonas")
	a.chooses("Role", "Reporter")
	a.submits("Add member")
	a.told("Member added.")
	a.chooses("Role of jonas", "Developer")
	a.Press("Save role of jonas")
	a.told("Role changed.")
	a.Press("Remove jonas")
	a.sees("You are about to remove jonas from pear.")
	a.submits("Remove member")
	a.told("Member removed.")

	a.opens(tokensOfPear)
	a.fills("Token name", "CI")
	a.submits("Create token")
	a.told("Your new access token is ready")
	a.Reload()
	a.seesNot("Your new access token is ready")
	a.Press("Revoke CI")
	a.submits("Revoke token")
	a.told("Token revoked.")

	s.answer(1, s.licence, models.StatusPassed)
	a.opens(requestPath)
	a.sees("Ready to merge!")
	a.Press("Merge")
	a.sees("Merged")
	a.opens(auditPath)
	a.sees("Added status check", "Removed member", "Created access token")
	a.opens(settingsGeneral)
	a.headed("General settings")
	a.notOffered("Delete project")
	a.seesNot("Name, path and visibility")
}

func ownerWalk(a *actor, s stage) {
	s.withPassword("jonas", false)
	a.opens(membersOfPear)
	a.Press("Add member")
	a.fills("Username", "jonas")
	a.chooses("Role", "Owner")
	a.submits("Add member")
	a.told("Member added.")
	a.opens(settingsGeneral)
	a.fills("Path", "quince")
	a.ticks("Internal")
	a.Click(`form[action$="/advanced"] button`) // one of two called Save changes
	a.told("Changes saved.")
	a.WaitURL("/olga/quince/-/settings/general$")
	a.opens(requestPath) // the old path leads on
	a.WaitURL("/olga/quince/-/merge_requests/1$")
	a.offered("Approve", "Edit", "Retry licence")
	a.opens("/olga/quince/-/settings/general")
	a.fills("Type olga/quince to confirm", "quince")
	a.submits("Delete project")
	a.sees("This is not the path of the project")
	a.fills("Type olga/quince to confirm", "olga/quince")
	a.submits("Delete project")
	a.headed("Projects")
	a.told("Project deleted.")
	a.missing("/olga/quince", pearPath)
}

func adminWalk(a *actor, s stage) {
	a.goesTo("All")
	a.sees("pear", "Private")
	a.readsTheRequest()
	a.sees("licence", "No response within 2 minutes")
	for _, path := range pagesOfMaintainers {
		a.opens(path)
		a.seesNot("You cannot open this page", "Page not found")
	}
	a.opens(requestPath)
	a.Press("Retry licence")
	a.sees("1 pending")
	s.answer(1, s.licence, models.StatusPassed)
	a.opens(requestPath)
	a.Press("Merge")
	a.sees("Merged")
	a.opens(settingsGeneral)
	a.offered("Delete project")
	a.missing("/olga/nothing")
}
