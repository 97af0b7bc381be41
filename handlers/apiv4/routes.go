package apiv4

import (
	"net/http"

	"github.com/mergegate/mergegate/auth"
)

// route is one route of the API. The answer is 404 if the user may not see the
// resource, and 403 if the user lacks the ability.
type route struct {
	routeEntry
	// anonymous routes need no token if the project is public.
	anonymous bool
	// callback routes need the callback token of a delivery instead of an access token.
	callback bool
}

type routeEntry struct {
	method, path string
	preload      preload
	// ability is what the user needs. Empty means that any token is enough.
	ability auth.Ability
	handle  func(*call) error
}

// preload says what a route reads from the database before its handler runs.
type preload int

const (
	preloadNothing preload = iota
	// preloadProject reads the project that :id names.
	preloadProject
	// preloadMergeRequest reads the project, and the merge request that :iid names.
	preloadMergeRequest
	// preloadChecks reads the project, and of the merge request only ids, state,
	// HEAD and checks. It takes one query, because services poll these routes.
	preloadChecks
)

const (
	get    = http.MethodGet
	post   = http.MethodPost
	put    = http.MethodPut
	patch  = http.MethodPatch
	remove = http.MethodDelete
)

// routes returns every route of the API.
func (a *api) routes() []route {
	const (
		projectPath       = "/projects/:id"
		servicesPath      = projectPath + "/external_status_checks"
		mergeRequestsPath = projectPath + "/merge_requests"
		mergeRequestPath  = mergeRequestsPath + "/:iid"
		repositoryPath    = projectPath + "/repository"
	)
	// Readable without a token on public projects, as in GitLab. Checks, members and
	// users always need a token.
	public := []routeEntry{
		{get, projectPath, preloadProject, auth.ReadProject, getProject},
		{get, mergeRequestsPath, preloadProject, auth.ReadCode, listMergeRequests},
		{get, mergeRequestPath, preloadMergeRequest, auth.ReadCode, getMergeRequest},
		{get, mergeRequestPath + "/commits", preloadMergeRequest, auth.ReadCode, listMergeRequestCommits},
		{get, mergeRequestPath + "/diffs", preloadMergeRequest, auth.ReadCode, listMergeRequestDiffs},
		{get, mergeRequestPath + "/changes", preloadMergeRequest, auth.ReadCode, getChanges},
		{get, mergeRequestPath + "/versions", preloadMergeRequest, auth.ReadCode, listVersions},
		{get, mergeRequestPath + "/versions/:version_id", preloadMergeRequest, auth.ReadCode, getVersionOfMergeRequest},
		{get, repositoryPath + "/branches", preloadProject, auth.ReadCode, listBranches},
		{get, repositoryPath + "/branches/:name", preloadProject, auth.ReadCode, getBranch},
		{get, repositoryPath + "/commits", preloadProject, auth.ReadCode, listCommits},
		{get, repositoryPath + "/commits/:sha", preloadProject, auth.ReadCode, getCommit},
		{get, repositoryPath + "/commits/:sha/diff", preloadProject, auth.ReadCode, listCommitDiff},
		{get, repositoryPath + "/commits/:sha/merge_requests", preloadProject, auth.ReadCode, listCommitMergeRequests},
		{get, repositoryPath + "/compare", preloadProject, auth.ReadCode, compare},
		{get, repositoryPath + "/tree", preloadProject, auth.ReadCode, listTree},
		{get, repositoryPath + "/files/:file_path", preloadProject, auth.ReadCode, getFile},
		{get, repositoryPath + "/files/:file_path/raw", preloadProject, auth.ReadCode, getRawFile},
		{get, repositoryPath + "/archive", preloadProject, auth.ReadCode, archiveAs("")},
		{get, repositoryPath + "/archive.tar.gz", preloadProject, auth.ReadCode, archiveAs("tar.gz")},
		{get, repositoryPath + "/archive.tar", preloadProject, auth.ReadCode, archiveAs("tar")},
		{get, repositoryPath + "/archive.zip", preloadProject, auth.ReadCode, archiveAs("zip")},
		{get, repositoryPath + "/tags", preloadProject, auth.ReadCode, listTags},
		{get, repositoryPath + "/tags/:tag", preloadProject, auth.ReadCode, getTag},
	}
	withToken := []routeEntry{
		{get, "/version", preloadNothing, "", getVersion},
		{get, "/metadata", preloadNothing, "", getMetadata},
		{get, "/application/settings", preloadNothing, auth.ManageUsers, getSettings},
		{get, "/user", preloadNothing, "", getCurrentUser},
		{get, "/users", preloadNothing, "", listUsers},
		{post, "/users", preloadNothing, auth.ManageUsers, createUser},
		{get, "/users/:user_id", preloadNothing, "", getUser},
		{put, "/users/:user_id", preloadNothing, auth.ManageUsers, updateUser},
		{remove, "/users/:user_id", preloadNothing, auth.ManageUsers, deleteUser},
		{post, "/users/:user_id/block", preloadNothing, auth.ManageUsers, blockUser},
		{post, "/users/:user_id/unblock", preloadNothing, auth.ManageUsers, unblockUser},
		{get, "/audit_events", preloadNothing, auth.ManageUsers, listAuditEvents},
		{get, "/audit_events/:event_id", preloadNothing, auth.ManageUsers, getAuditEvent},
		{get, "/namespaces", preloadNothing, "", listNamespaces},
		{get, "/namespaces/:namespace_id", preloadNothing, "", getNamespace},

		{get, servicesPath, preloadProject, auth.ManageStatusChecks, listServices},
		{post, servicesPath, preloadProject, auth.ManageStatusChecks, createService},
		{put, servicesPath + "/:check_id", preloadProject, auth.ManageStatusChecks, updateService},
		{remove, servicesPath + "/:check_id", preloadProject, auth.ManageStatusChecks, deleteService},
		{post, servicesPath + "/:check_id/test", preloadProject, auth.ManageStatusChecks, sendTest},
		{get, servicesPath + "/:check_id/deliveries", preloadProject, auth.ReadDeliveries, listDeliveries},
		{post, servicesPath + "/:check_id/deliveries/redeliver", preloadProject, auth.ReadDeliveries, redeliverAll},
		{get, servicesPath + "/:check_id/deliveries/:delivery_id", preloadProject, auth.ReadDeliveries, getDelivery},
		{post, servicesPath + "/:check_id/deliveries/:delivery_id/redeliver", preloadProject, auth.ReadDeliveries, redeliver},

		{get, mergeRequestPath + "/status_checks", preloadChecks, auth.ReadStatusChecks, listChecks},
		{get, mergeRequestPath + "/status_checks/:check_id/responses", preloadChecks, auth.ReadStatusChecks, listResponses},
		{post, mergeRequestPath + "/status_check_responses", preloadChecks, auth.SetStatus, respond},
		{post, mergeRequestPath + "/status_checks/retry_failed", preloadChecks, auth.RetryStatusCheck, retryFailed},
		{post, mergeRequestPath + "/status_checks/:check_id/retry", preloadChecks, auth.RetryStatusCheck, retry},

		{get, "/projects", preloadNothing, "", listProjects},
		{post, "/projects", preloadNothing, auth.CreateProject, createProject},
		{put, projectPath, preloadProject, auth.ManageMergeChecks, updateProject},
		{remove, projectPath, preloadProject, auth.AdminProject, deleteProject},

		{get, projectPath + "/members", preloadProject, auth.ReadProject, listMembers},
		{get, projectPath + "/members/all", preloadProject, auth.ReadProject, listMembers},
		{post, projectPath + "/members", preloadProject, auth.ManageMembers, addMember},
		{get, projectPath + "/members/:user_id", preloadProject, auth.ReadProject, getMember},
		{get, projectPath + "/members/all/:user_id", preloadProject, auth.ReadProject, getMember},
		{put, projectPath + "/members/:user_id", preloadProject, auth.ManageMembers, changeMember},
		{remove, projectPath + "/members/:user_id", preloadProject, auth.ManageMembers, removeMember},

		{get, projectPath + "/protected_branches", preloadProject, auth.ManageProtectedBranches, listProtectedBranches},
		{post, projectPath + "/protected_branches", preloadProject, auth.ManageProtectedBranches, protectBranch},
		{get, projectPath + "/protected_branches/:name", preloadProject, auth.ManageProtectedBranches, getProtectedBranch},
		{patch, projectPath + "/protected_branches/:name", preloadProject, auth.ManageProtectedBranches, updateProtectedBranch},
		{remove, projectPath + "/protected_branches/:name", preloadProject, auth.ManageProtectedBranches, unprotectBranch},

		{get, "/merge_requests", preloadNothing, "", listAllMergeRequests},
		{post, mergeRequestsPath, preloadProject, auth.CreateMergeRequest, createMergeRequest},
		{put, mergeRequestPath, preloadMergeRequest, auth.UpdateMergeRequest, updateMergeRequest},
		{put, mergeRequestPath + "/merge", preloadMergeRequest, auth.Merge, mergeMergeRequest},
		{post, mergeRequestPath + "/cancel_merge_when_pipeline_succeeds", preloadMergeRequest, auth.Merge, cancelAutoMerge},
		{post, mergeRequestPath + "/approve", preloadMergeRequest, auth.Approve, approve},
		{post, mergeRequestPath + "/unapprove", preloadMergeRequest, auth.Approve, unapprove},
		{get, mergeRequestPath + "/approvals", preloadMergeRequest, auth.ReadCode, getApprovals},
		{get, mergeRequestPath + "/approval_state", preloadMergeRequest, auth.ReadCode, getApprovalState},

		{get, "/personal_access_tokens", preloadNothing, "", listPersonalTokens},
		{get, "/personal_access_tokens/self", preloadNothing, "", getOwnToken},
		{remove, "/personal_access_tokens/self", preloadNothing, "", revokeOwnToken},
		{post, "/personal_access_tokens/self/rotate", preloadNothing, "", rotateOwnToken},
		{get, "/personal_access_tokens/:token_id", preloadNothing, "", getPersonalToken},
		{remove, "/personal_access_tokens/:token_id", preloadNothing, "", revokePersonalToken},
		{post, "/personal_access_tokens/:token_id/rotate", preloadNothing, "", rotatePersonalToken},
		{post, "/user/personal_access_tokens", preloadNothing, "", createPersonalToken},
		{post, "/users/:user_id/personal_access_tokens", preloadNothing, auth.ManageUsers, createTokenOfUser},
		{get, projectPath + "/access_tokens", preloadProject, auth.ManageTokens, listProjectTokens},
		{post, projectPath + "/access_tokens", preloadProject, auth.ManageTokens, createProjectToken},
		{get, projectPath + "/access_tokens/:token_id", preloadProject, auth.ManageTokens, getProjectToken},
		{remove, projectPath + "/access_tokens/:token_id", preloadProject, auth.ManageTokens, revokeProjectToken},
		{post, projectPath + "/access_tokens/self/rotate", preloadProject, auth.ReadProject, rotateOwnProjectToken},
		{post, projectPath + "/access_tokens/:token_id/rotate", preloadProject, auth.ManageTokens, rotateProjectToken},
	}
	routes := make([]route, 0, len(public)+len(withToken))
	for _, e := range public {
		routes = append(routes, route{routeEntry: e, anonymous: true})
	}
	for _, e := range withToken {
		routes = append(routes, route{routeEntry: e})
	}
	// The token of a delivery allows nothing else.
	routes = append(routes, route{callback: true, routeEntry: routeEntry{
		post, mergeRequestPath + "/status_checks/:check_id/callback", preloadNothing, "", respondByCallback,
	}})
	return routes
}
