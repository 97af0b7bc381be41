package handlers

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/views"
)

// Abilities for routes that depend on no role.
const (
	// anyone is for all visitors, signed in or not.
	anyone auth.Ability = ""
	// signedIn is for every signed-in user.
	signedIn auth.Ability = "signed in"
)

// projectRoute is the prefix of routes inside a project.
const projectRoute = "/:namespace/:project"

// route is an address with its handler and the ability that it needs.
type route struct {
	method, path string
	needs        auth.Ability
	handle       echo.HandlerFunc
}

// routes returns all routes. A GET of an address that only accepts a form redirects to the
// page with that form.
func (p *pages) routes() []route {
	declared := p.declaredRoutes()
	all := declared
	for _, r := range declared {
		if page := formPage(declared, r.path); r.method == http.MethodPost && !hasPage(declared, r.path) {
			all = append(all, route{http.MethodGet, r.path, r.needs, func(c echo.Context) error {
				return c.Redirect(http.StatusSeeOther, formPageAddress(c.Request().URL.EscapedPath(), r.path, page))
			}})
		}
	}
	return all
}

func hasPage(routes []route, path string) bool {
	return slices.ContainsFunc(routes, func(r route) bool { return r.method == http.MethodGet && r.path == path })
}

// formPage returns the route of the page with the form that is posted to path: path with /new
// or /edit, path itself, or the nearest page above it.
func formPage(routes []route, path string) string {
	for _, page := range []string{path + "/new", path + "/edit", path} {
		if hasPage(routes, page) {
			return page
		}
	}
	for end := strings.LastIndexByte(path, '/'); end > 0; end = strings.LastIndexByte(path[:end], '/') {
		if hasPage(routes, path[:end]) {
			return path[:end]
		}
	}
	return "/"
}

// formPageAddress returns the address of a form's page. address matches the route path, and
// page is the route that formPage returned.
func formPageAddress(address, path, page string) string {
	if below, ok := strings.CutPrefix(page, path); ok {
		return address + below
	}
	if page == "/" {
		return page
	}
	segments := strings.Split(address, "/")
	return strings.Join(segments[:min(len(segments), strings.Count(page, "/")+1)], "/")
}

func (p *pages) declaredRoutes() []route {
	const (
		get, post          = http.MethodGet, http.MethodPost
		mergeRequestsRoute = projectRoute + mergeRequestsPath
		servicesRoute      = projectRoute + servicesPath
		rulesRoute         = projectRoute + branchRulesPath
	)
	return []route{
		{get, signInPath, anyone, p.signInForm},
		{post, signInPath, anyone, p.signIn},
		{post, signOutPath, anyone, p.signOut},
		{post, themePath, anyone, p.switchTheme},
		{get, invitationPath, anyone, p.invitationForm},
		{post, invitationPath, anyone, p.acceptInvitation},
		{get, setupPath, anyone, p.setupForm},
		{post, setupPath, anyone, p.acceptSetup},
		{get, views.GuidePath, anyone, p.guide},
		{get, offlinePath, anyone, p.offline},
		{get, userSettingsPath, signedIn, p.userSettings},
		{post, userSettingsPath, signedIn, p.savePreferences},
		{post, userSettingsPath + "/sessions/:id/end", signedIn, p.endSessionOf},
		{post, userSettingsPath + "/sessions/end_others", signedIn, p.endOtherSessions},
		{get, newPasswordPath, signedIn, p.newPasswordForm},
		{post, newPasswordPath, signedIn, p.changePassword},
		{get, personalTokensPath, signedIn, p.personalTokens},
		{post, personalTokensPath, signedIn, p.dropDuplicates(p.createPersonalToken)},
		{get, personalTokensPath + "/:id/revoke", signedIn, p.revokePersonalTokenForm},
		{post, personalTokensPath + "/:id/revoke", signedIn, p.revokePersonalToken},

		{get, "/", anyone, p.projects},
		{get, ownMergeRequestsPath, signedIn, p.listOwnMergeRequests},
		{get, newProjectPath, auth.CreateProject, p.newProjectForm},
		{post, "/projects", auth.CreateProject, p.dropDuplicates(p.createProject)},
		{get, "/:username", signedIn, p.namespacePage},
		{get, projectRoute, auth.ReadProject, p.overview},
		{get, projectRoute + branchesPath, auth.ReadCode, p.branches},
		{get, projectRoute + commitPath + "/:sha", auth.ReadCode, p.commit},
		{get, projectRoute + comparePath + "/:range", auth.ReadCode, p.compareCommits},

		{get, projectRoute + membersPath, auth.ManageMembers, p.members},
		{get, projectRoute + membersPath + "/new", auth.ManageMembers, p.newMemberForm},
		{post, projectRoute + membersPath, auth.ManageMembers, p.dropDuplicates(p.addMember)},
		{post, projectRoute + membersPath + "/:id", auth.ManageMembers, p.changeMember},
		{get, projectRoute + membersPath + "/:id/remove", auth.ManageMembers, p.removeMemberForm},
		{post, projectRoute + membersPath + "/:id/remove", auth.ManageMembers, p.removeMember},

		{get, projectRoute + generalSettingsPath, auth.ManageMergeChecks, p.generalSettings},
		{post, projectRoute + generalSettingsPath, auth.ManageMergeChecks, p.saveGeneralSettings},
		{post, projectRoute + generalSettingsPath + "/advanced", auth.AdminProject, p.saveAdvancedSettings},
		{post, projectRoute + generalSettingsPath + "/delete", auth.AdminProject, p.deleteProject},
		{get, projectRoute + projectTokensPath, auth.ManageTokens, p.projectTokens},
		{post, projectRoute + projectTokensPath, auth.ManageTokens, p.dropDuplicates(p.createProjectToken)},
		{get, projectRoute + projectTokensPath + "/:id/revoke", auth.ManageTokens, p.revokeProjectTokenForm},
		{post, projectRoute + projectTokensPath + "/:id/revoke", auth.ManageTokens, p.revokeProjectToken},

		{get, mergeRequestsRoute, auth.ReadCode, p.listMergeRequests},
		{get, mergeRequestsRoute + "/new", auth.CreateMergeRequest, p.newMergeRequest},
		{get, mergeRequestsRoute + "/new/branches", auth.CreateMergeRequest, p.searchBranches},
		{post, mergeRequestsRoute, auth.CreateMergeRequest, p.dropDuplicates(p.createMergeRequest)},
		{get, mergeRequestsRoute + "/:iid", auth.ReadCode, p.showMergeRequest},
		{get, mergeRequestsRoute + "/:iid/commits", auth.ReadCode, p.mergeRequestCommits},
		{get, mergeRequestsRoute + "/:iid/diffs", auth.ReadCode, p.mergeRequestChanges},
		{get, mergeRequestsRoute + "/:iid/edit", auth.UpdateMergeRequest, p.editMergeRequest},
		{post, mergeRequestsRoute + "/:iid", auth.UpdateMergeRequest, p.updateMergeRequest},
		{post, mergeRequestsRoute + "/:iid/close", auth.UpdateMergeRequest, p.closeMergeRequest},
		{post, mergeRequestsRoute + "/:iid/reopen", auth.UpdateMergeRequest, p.reopenMergeRequest},
		{post, mergeRequestsRoute + "/:iid/approve", auth.Approve, p.approveMergeRequest},
		{post, mergeRequestsRoute + "/:iid/unapprove", auth.Approve, p.unapproveMergeRequest},
		{post, mergeRequestsRoute + "/:iid/merge", auth.Merge, p.mergeMergeRequest},
		{post, mergeRequestsRoute + "/:iid/cancel_auto_merge", auth.Merge, p.cancelAutoMerge},
		{get, pollRoute, auth.ReadStatusChecks, p.pollStatusChecks},
		{post, pollRoute + "/retry_failed", auth.RetryStatusCheck, p.retryFailedChecks},
		{post, mergeRequestsRoute + "/:iid/status_checks/:id/retry", auth.RetryStatusCheck, p.retryStatusCheck},

		{get, projectRoute + mergeRequestSettingsPath, auth.ManageStatusChecks, p.mergeRequestSettings},
		{post, projectRoute + mergeRequestSettingsPath, auth.ManageMergeChecks, p.saveMergeChecks},
		{post, servicesRoute, auth.ManageStatusChecks, p.dropDuplicates(p.createService)},
		{get, servicesRoute + "/new", auth.ManageStatusChecks, p.newServiceForm},
		{post, servicesRoute + "/new/test", auth.ManageStatusChecks, p.testNewService},
		{post, servicesRoute + "/:id/edit/test", auth.ManageStatusChecks, p.testEditedService},
		{get, servicesRoute + "/branches", auth.ManageStatusChecks, p.serviceBranches},
		{get, servicesRoute + "/affected", auth.ManageStatusChecks, p.serviceAffected},
		{get, servicesRoute + "/:id", auth.ReadDeliveries, p.servicePage},
		{post, servicesRoute + "/:id", auth.ManageStatusChecks, p.updateService},
		{get, servicesRoute + "/:id/edit", auth.ManageStatusChecks, p.editServiceForm},
		{get, servicesRoute + "/:id/remove", auth.ManageStatusChecks, p.serviceRemovalForm},
		{post, servicesRoute + "/:id/remove", auth.ManageStatusChecks, p.removeService},
		{post, servicesRoute + "/:id/test", auth.ManageStatusChecks, p.sendTest},
		{get, servicesRoute + "/:id/deliveries/redeliver", auth.ReadDeliveries, p.redeliverForm},
		{post, servicesRoute + "/:id/deliveries/redeliver", auth.ReadDeliveries, p.redeliverAll},
		{get, servicesRoute + "/:id/deliveries/:delivery", auth.ReadDeliveries, p.deliveryPage},
		{post, servicesRoute + "/:id/deliveries/:delivery/redeliver", auth.ReadDeliveries, p.redeliver},

		{get, rulesRoute, auth.ManageProtectedBranches, p.branchRules},
		{post, rulesRoute, auth.ManageProtectedBranches, p.dropDuplicates(p.createRule)},
		{get, rulesRoute + "/new", auth.ManageProtectedBranches, p.newRuleForm},
		{post, rulesRoute + "/:id", auth.ManageProtectedBranches, p.updateRule},
		{get, rulesRoute + "/:id/edit", auth.ManageProtectedBranches, p.editRuleForm},
		{get, rulesRoute + "/:id/unprotect", auth.ManageProtectedBranches, p.unprotectionForm},
		{post, rulesRoute + "/:id/unprotect", auth.ManageProtectedBranches, p.unprotect},
		{get, projectRoute + auditEventsPath, auth.ReadAuditEvents, p.auditEvents},
		{get, projectRoute + auditEventsPath + ".csv", auth.ReadAuditEvents, p.exportAuditEvents},
		{get, adminPath, auth.ManageUsers, p.admin},
		{get, adminUsersPath, auth.ManageUsers, p.adminUsers},
		{post, adminUsersPath, auth.ManageUsers, p.dropDuplicates(p.createUser)},
		{get, adminUsersPath + "/new", auth.ManageUsers, p.newUserForm},
		{get, adminUserPath, auth.ManageUsers, p.adminUser},
		{post, adminUserPath, auth.ManageUsers, p.updateUser},
		{get, adminUserPath + "/edit", auth.ManageUsers, p.editUserForm},
		{get, adminUserPath + "/block", auth.ManageUsers, p.blockUserForm},
		{post, adminUserPath + "/block", auth.ManageUsers, p.blockUser},
		{post, adminUserPath + "/unblock", auth.ManageUsers, p.unblockUser},
		{get, adminUserPath + "/delete", auth.ManageUsers, p.deleteUserForm},
		{post, adminUserPath + "/delete", auth.ManageUsers, p.deleteUser},
		{get, adminUserPath + "/password", auth.ManageUsers, p.resetPasswordForm},
		{post, adminUserPath + "/password", auth.ManageUsers, p.dropDuplicates(p.resetPassword)},
		{post, adminUserPath + "/invitation", auth.ManageUsers, p.dropDuplicates(p.inviteUser)},
		{post, adminUserPath + "/sessions/:id/end", auth.ManageUsers, p.endSessionOfUser},
		{post, adminUserPath + "/sessions/end_all", auth.ManageUsers, p.endSessionsOfUser},
		{get, adminUserPath + "/personal_access_tokens/:id/revoke", auth.ManageUsers, p.revokeTokenOfUserForm},
		{post, adminUserPath + "/personal_access_tokens/:id/revoke", auth.ManageUsers, p.revokeTokenOfUser},
		{get, adminUserPath + "/access_tokens/:id/revoke", auth.ManageUsers, p.revokeTokenByUserForm},
		{post, adminUserPath + "/access_tokens/:id/revoke", auth.ManageUsers, p.revokeTokenByUser},
		{get, adminNamespacesPath, auth.CreateNamespace, p.adminNamespaces},
		{post, adminNamespacesPath, auth.CreateNamespace, p.dropDuplicates(p.createNamespace)},
		{get, adminNamespacesPath + "/new", auth.CreateNamespace, p.newNamespaceForm},
		{get, adminNamespacesPath + "/:id/remove", auth.CreateNamespace, p.removeNamespaceForm},
		{post, adminNamespacesPath + "/:id/remove", auth.CreateNamespace, p.removeNamespace},
		{get, adminProjectsPath, auth.AdminInstance, p.adminProjects},
		{get, adminProjectsPath + "/:id/remove", auth.AdminInstance, p.removeProjectForm},
		{post, adminProjectsPath + "/:id/remove", auth.AdminInstance, p.removeProject},
		{get, adminSettingsPath, auth.AdminInstance, p.adminSettings},
		{get, backgroundWorkPath, auth.AdminInstance, p.backgroundWork},
		{post, backgroundWorkPath + "/retry", auth.AdminInstance, p.retryBackgroundWork},
		{get, instanceAuditPath, auth.ManageUsers, p.instanceAuditEvents},
		{get, instanceAuditPath + ".csv", auth.ManageUsers, p.exportAuditEvents},
	}
}

// addRoutes registers the routes with the middleware of pages. The group also handles unknown
// addresses, so that their error page shows the signed-in user.
func (p *pages) addRoutes(e *echo.Echo, base *url.URL) error {
	same, err := sameOrigin(base)
	if err != nil {
		return err
	}
	group := e.Group("", noStore, p.answerUnchangedPoll, newPageTurns().takeTurns, compress(), detectLanguage, same, p.loadSession, readForm, mustChangePassword, p.restoreForm)
	for _, r := range p.routes() {
		guards := []echo.MiddlewareFunc{requires(r.needs)}
		switch {
		case strings.HasPrefix(r.path, projectRoute):
			guards = append([]echo.MiddlewareFunc{p.loadProject}, guards...)
		case isAdminPage(r.path):
			guards = append([]echo.MiddlewareFunc{hideRefusal}, guards...)
		}
		group.Add(r.method, r.path, r.handle, guards...)
		if r.method == http.MethodGet {
			group.HEAD(r.path, r.handle, guards...)
		}
	}
	return nil
}

// isAdminPage reports whether a route is in the admin area.
func isAdminPage(path string) bool {
	return path == adminPath || strings.HasPrefix(path, adminPath+"/")
}

// hideRefusal answers a refusal as if the page did not exist.
func hideRefusal(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		err := next(c)
		if errors.Is(err, request.ErrForbidden) {
			return request.ErrHidden
		}
		return err
	}
}

// requires returns middleware that refuses requests without the ability.
func requires(ability auth.Ability) echo.MiddlewareFunc {
	switch ability {
	case anyone:
		return func(next echo.HandlerFunc) echo.HandlerFunc { return next }
	case signedIn:
		return func(next echo.HandlerFunc) echo.HandlerFunc {
			return func(c echo.Context) error {
				if request.User(c) == nil {
					return request.ErrForbidden
				}
				return next(c)
			}
		}
	}
	return request.Require(ability)
}
