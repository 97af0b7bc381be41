package handlers

import (
	"fmt"
	"net/url"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/models"
)

// Paths of pages outside projects.
const (
	signInPath         = "/users/sign_in"
	signOutPath        = "/users/sign_out"
	newProjectPath     = "/projects/new"
	userSettingsPath   = "/-/user_settings"
	newPasswordPath    = userSettingsPath + "/password/new"
	personalTokensPath = userSettingsPath + "/personal_access_tokens"
	themePath          = "/-/theme"
	offlinePath        = "/-/offline" // the browser keeps it for when the server is unreachable
	// ownMergeRequestsPath is GitLab's address for the user's merge requests.
	ownMergeRequestsPath = "/dashboard/merge_requests"
	invitationPath       = "/users/invitation"
	setupPath            = "/users/setup"
	adminPath            = "/admin"
	adminUsersPath       = adminPath + "/users"
	adminUserPath        = adminUsersPath + "/:username"
	adminProjectsPath    = adminPath + "/projects"
	adminNamespacesPath  = adminPath + "/namespaces"
	adminSettingsPath    = adminPath + "/settings"
	backgroundWorkPath   = adminPath + "/background_work"
	instanceAuditPath    = adminPath + "/audit_events"
)

// Paths of pages below a project.
const (
	branchesPath             = "/-/branches"
	commitPath               = "/-/commit"
	comparePath              = "/-/compare"
	membersPath              = "/-/project_members"
	mergeRequestsPath        = "/-/merge_requests"
	auditEventsPath          = "/-/audit_events"
	generalSettingsPath      = "/-/settings/general"
	mergeRequestSettingsPath = "/-/settings/merge_requests"
	servicesPath             = mergeRequestSettingsPath + "/status_checks"
	branchRulesPath          = "/-/settings/repository/branch_rules"
	projectTokensPath        = "/-/settings/access_tokens"
)

// The functions below return the addresses of pages, as paths on this server.
// Those that take c return pages of the project that the request's path names.

// urlOfProject returns the overview of a project.
func urlOfProject(project models.Project) string { return "/" + project.FullPath() }

func projectURL(c echo.Context) string { return urlOfProject(request.Project(c)) }

func branchesURL(c echo.Context) string { return projectURL(c) + branchesPath }

func commitURL(c echo.Context, sha string) string { return projectURL(c) + commitPath + "/" + sha }

// compareURL returns the comparison of two branches, tags or ids.
func compareURL(c echo.Context, from, to string) string {
	return projectURL(c) + comparePath + "/" + url.PathEscape(from) + "..." + url.PathEscape(to)
}

func membersURL(c echo.Context) string { return projectURL(c) + membersPath }

func memberURL(c echo.Context, userID int64) string { return withID(membersURL(c), userID) }

func mergeRequestsURL(c echo.Context) string { return projectURL(c) + mergeRequestsPath }

func newMergeRequestURL(c echo.Context) string { return mergeRequestsURL(c) + "/new" }

func mergeRequestURL(c echo.Context, iid int64) string { return withID(mergeRequestsURL(c), iid) }

// responsesPath returns the API's path for responses to a merge request's checks.
func responsesPath(projectID, iid int64) string {
	return fmt.Sprintf("/api/v4/projects/%d/merge_requests/%d/status_check_responses", projectID, iid)
}

func auditEventsURL(c echo.Context) string { return projectURL(c) + auditEventsPath }

func generalSettingsURL(c echo.Context) string { return projectURL(c) + generalSettingsPath }

func mergeRequestSettingsURL(c echo.Context) string { return projectURL(c) + mergeRequestSettingsPath }

func servicesURL(c echo.Context) string { return projectURL(c) + servicesPath }

func newServiceURL(c echo.Context) string { return servicesURL(c) + "/new" }

func serviceURL(c echo.Context, serviceID int64) string { return withID(servicesURL(c), serviceID) }

func deliveryURL(c echo.Context, serviceID, deliveryID int64) string {
	return withID(serviceURL(c, serviceID)+"/deliveries", deliveryID)
}

func redeliverURL(c echo.Context, serviceID int64) string {
	return serviceURL(c, serviceID) + "/deliveries/redeliver"
}

func branchRulesURL(c echo.Context) string { return projectURL(c) + branchRulesPath }

func branchRuleURL(c echo.Context, ruleID int64) string { return withID(branchRulesURL(c), ruleID) }

func projectTokensURL(c echo.Context) string { return projectURL(c) + projectTokensPath }

func adminUserURL(user models.User) string { return adminUsersPath + "/" + user.Username }

func withID(url string, id int64) string { return url + "/" + strconv.FormatInt(id, 10) }
