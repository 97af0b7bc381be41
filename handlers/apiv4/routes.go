package apiv4

import (
	"net/http"
	"strings"

	"github.com/mergegate/mergegate/auth"
)

// route is one entry of the API. Paths below /projects/:id find the project
// first, and those below /merge_requests/:iid the merge request; what the
// owner of the token may not see is then 404, what they may not do 403.
type route struct {
	entry
	// anonymous means that no token is needed where the project is public.
	anonymous bool
}

type entry struct {
	method, path string
	// ability is who may; empty for everybody who has a token.
	ability auth.Ability
	handle  func(*call) error
}

// belowProject reports whether the path names a project.
func (r route) belowProject() bool { return strings.HasPrefix(r.path, "/projects/:id") }

const (
	get    = http.MethodGet
	post   = http.MethodPost
	put    = http.MethodPut
	patch  = http.MethodPatch
	remove = http.MethodDelete
)

// routes is the whole API, on one screen.
func (a *api) routes() []route {
	const (
		project  = "/projects/:id"
		services = project + "/external_status_checks"
		mrs      = project + "/merge_requests"
		mr       = mrs + "/:iid"
		repo     = project + "/repository"
	)
	// What can be read of a public project without a token, as in GitLab: never
	// its checks, members or users.
	public := []entry{
		{get, project, auth.ReadProject, getProject},
		{get, mrs, auth.ReadCode, listMergeRequests},
		{get, mr, auth.ReadCode, getMergeRequest},
		{get, mr + "/commits", auth.ReadCode, listMergeRequestCommits},
		{get, mr + "/diffs", auth.ReadCode, listMergeRequestDiffs},
		{get, mr + "/changes", auth.ReadCode, getChanges},
		{get, mr + "/versions", auth.ReadCode, listVersions},
		{get, mr + "/versions/:version_id", auth.ReadCode, getVersionOfMergeRequest},
		{get, repo + "/branches", auth.ReadCode, listBranches},
		{get, repo + "/branches/:name", auth.ReadCode, getBranch},
		{get, repo + "/commits", auth.ReadCode, listCommits},
		{get, repo + "/commits/:sha", auth.ReadCode, getCommit},
		{get, repo + "/commits/:sha/diff", auth.ReadCode, listCommitDiff},
		{get, repo + "/commits/:sha/merge_requests", auth.ReadCode, listCommitMergeRequests},
		{get, repo + "/compare", auth.ReadCode, compare},
		{get, repo + "/tree", auth.ReadCode, listTree},
		{get, repo + "/files/:file_path", auth.ReadCode, getFile},
		{get, repo + "/files/:file_path/raw", auth.ReadCode, getRawFile},
		{get, repo + "/archive", auth.ReadCode, archiveAs("")},
		{get, repo + "/archive.tar.gz", auth.ReadCode, archiveAs("tar.gz")},
		{get, repo + "/archive.tar", auth.ReadCode, archiveAs("tar")},
		{get, repo + "/archive.zip", auth.ReadCode, archiveAs("zip")},
		{get, repo + "/tags", auth.ReadCode, listTags},
		{get, repo + "/tags/:tag", auth.ReadCode, getTag},
	}
	withToken := []entry{
		{get, "/version", "", getVersion},
		{get, "/metadata", "", getMetadata},
		{get, "/application/settings", auth.ManageUsers, getSettings},
		{get, "/user", "", getCurrentUser},
		{get, "/users", "", listUsers},
		{get, "/users/:user_id", "", getUser},
		{get, "/namespaces", "", listNamespaces},
		{get, "/namespaces/:namespace_id", "", getNamespace},

		{get, services, auth.ManageStatusChecks, listServices},
		{post, services, auth.ManageStatusChecks, createService},
		{put, services + "/:check_id", auth.ManageStatusChecks, updateService},
		{remove, services + "/:check_id", auth.ManageStatusChecks, deleteService},
		{post, services + "/:check_id/test", auth.ManageStatusChecks, sendTest},
		{get, services + "/:check_id/deliveries", auth.ReadDeliveries, listDeliveries},
		{get, services + "/:check_id/deliveries/:delivery_id", auth.ReadDeliveries, getDelivery},
		{post, services + "/:check_id/deliveries/:delivery_id/redeliver", auth.ReadDeliveries, redeliver},

		{get, mr + "/status_checks", auth.ReadStatusChecks, listChecks},
		{get, mr + "/status_checks/:check_id/responses", auth.ReadStatusChecks, listResponses},
		{post, mr + "/status_check_responses", auth.SetStatus, respond},
		{post, mr + "/status_checks/:check_id/retry", auth.RetryStatusCheck, retry},

		{get, "/projects", "", listProjects},
		{post, "/projects", auth.CreateProject, createProject},
		{put, project, auth.ManageMergeChecks, updateProject},
		{remove, project, auth.AdminProject, deleteProject},

		{get, project + "/members", auth.ReadProject, listMembers},
		{get, project + "/members/all", auth.ReadProject, listMembers},
		{post, project + "/members", auth.ManageMembers, addMember},
		{get, project + "/members/:user_id", auth.ReadProject, getMember},
		{get, project + "/members/all/:user_id", auth.ReadProject, getMember},
		{put, project + "/members/:user_id", auth.ManageMembers, changeMember},
		{remove, project + "/members/:user_id", auth.ManageMembers, removeMember},

		{get, project + "/protected_branches", auth.ManageProtectedBranches, listProtectedBranches},
		{post, project + "/protected_branches", auth.ManageProtectedBranches, protectBranch},
		{get, project + "/protected_branches/:name", auth.ManageProtectedBranches, getProtectedBranch},
		{patch, project + "/protected_branches/:name", auth.ManageProtectedBranches, updateProtectedBranch},
		{remove, project + "/protected_branches/:name", auth.ManageProtectedBranches, unprotectBranch},

		{get, "/merge_requests", "", listAllMergeRequests},
		{post, mrs, auth.CreateMergeRequest, createMergeRequest},
		{put, mr, auth.UpdateMergeRequest, updateMergeRequest},
		{put, mr + "/merge", auth.Merge, mergeMergeRequest},
		{post, mr + "/approve", auth.Approve, approve},
		{post, mr + "/unapprove", auth.Approve, unapprove},
		{get, mr + "/approvals", auth.ReadCode, getApprovals},
		{get, mr + "/approval_state", auth.ReadCode, getApprovalState},

		{get, "/personal_access_tokens", "", listPersonalTokens},
		{get, "/personal_access_tokens/self", "", getOwnToken},
		{remove, "/personal_access_tokens/self", "", revokeOwnToken},
		{post, "/personal_access_tokens/self/rotate", "", rotateOwnToken},
		{get, "/personal_access_tokens/:token_id", "", getPersonalToken},
		{remove, "/personal_access_tokens/:token_id", "", revokePersonalToken},
		{post, "/personal_access_tokens/:token_id/rotate", "", rotatePersonalToken},
		{post, "/user/personal_access_tokens", "", createPersonalToken},
		{post, "/users/:user_id/personal_access_tokens", auth.ManageUsers, createTokenOfUser},
		{get, project + "/access_tokens", auth.ManageTokens, listProjectTokens},
		{post, project + "/access_tokens", auth.ManageTokens, createProjectToken},
		{get, project + "/access_tokens/:token_id", auth.ManageTokens, getProjectToken},
		{remove, project + "/access_tokens/:token_id", auth.ManageTokens, revokeProjectToken},
		{post, project + "/access_tokens/self/rotate", auth.ReadProject, rotateOwnProjectToken},
		{post, project + "/access_tokens/:token_id/rotate", auth.ManageTokens, rotateProjectToken},
	}
	routes := make([]route, 0, len(public)+len(withToken))
	for _, e := range public {
		routes = append(routes, route{e, true})
	}
	for _, e := range withToken {
		routes = append(routes, route{e, false})
	}
	return routes
}
