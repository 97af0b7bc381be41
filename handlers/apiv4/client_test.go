package apiv4_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	gitlab "gitlab.com/gitlab-org/api/client-go/v2"

	"github.com/mergegate/mergegate/models"
)

// client returns GitLab's Go client on a real connection, with the token of user
// who. Its requests are validated against openapi.yaml.
func (s *testSite) client(t *testing.T, who string) *gitlab.Client {
	t.Helper()
	server := httptest.NewServer(validateRequests(t, s.handler))
	t.Cleanup(server.Close)
	client, err := gitlab.NewClient(s.tokens[who], gitlab.WithBaseURL(server.URL), gitlab.WithoutRetries())
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// assertStatus fails the test unless a call of the client was answered with the
// status.
func assertStatus(t *testing.T, r *gitlab.Response, err error, want int) {
	t.Helper()
	if r == nil || r.StatusCode != want || (err == nil) != (want < 300) {
		t.Errorf("answer %v, %v; want status %d", r, err, want)
	}
}

func TestGitLabClient_StatusChecks(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		c := s.client(t, "maintainer").ExternalStatusChecks
		const pid = "olga/pear"

		created, r, err := c.CreateProjectExternalStatusCheck(pid, &gitlab.CreateProjectExternalStatusCheckOptions{
			Name: gitlab.Ptr("ripeness"), ExternalURL: gitlab.Ptr("https://ripe.example/hook?x=1"), SharedSecret: gitlab.Ptr("word"),
			ProtectedBranchIDs: gitlab.Ptr([]int64{s.other.Branches[0].ProtectedBranchID}),
		})
		assertStatus(t, r, err, 201)
		if created.Name != "ripeness" || !created.HMAC || created.ProjectID != s.Project.ID ||
			len(created.ProtectedBranches) != 1 || created.ProtectedBranches[0].Name != "release/*" || created.ExternalURL != "https://ripe.example/hook?x=1" {
			t.Errorf("created %+v", created)
		}
		updated, r, err := c.UpdateProjectExternalStatusCheck(pid, created.ID, &gitlab.UpdateProjectExternalStatusCheckOptions{
			Name: gitlab.Ptr("ripeness 2"), SharedSecret: gitlab.Ptr(""), ProtectedBranchIDs: gitlab.Ptr([]int64{}),
		})
		assertStatus(t, r, err, 200)
		if updated.Name != "ripeness 2" || !updated.HMAC || len(updated.ProtectedBranches) != 0 {
			t.Errorf("updated %+v", updated)
		}
		_, r, err = c.UpdateProjectExternalStatusCheck(pid, created.ID, &gitlab.UpdateProjectExternalStatusCheckOptions{SharedSecret: gitlab.Ptr("new")})
		assertStatus(t, r, err, 422)
		_, r, err = c.UpdateProjectExternalStatusCheck(pid, created.ID, &gitlab.UpdateProjectExternalStatusCheckOptions{SharedSecret: gitlab.Ptr("word")})
		assertStatus(t, r, err, 200) // unchanged
		services, r, err := c.ListProjectExternalStatusChecks(pid, nil)
		assertStatus(t, r, err, 200)
		if len(services) != 3 {
			t.Errorf("%d services, want 3", len(services))
		}
		r, err = c.DeleteProjectExternalStatusCheck(pid, created.ID, nil)
		assertStatus(t, r, err, 204)
		r, err = c.DeleteProjectExternalStatusCheck(pid, created.ID, nil)
		assertStatus(t, r, err, 404)

		checks, r, err := c.ListProjectMergeRequestExternalStatusChecks(pid, 1, nil)
		assertStatus(t, r, err, 200)
		if len(checks) != 1 || checks[0].ID != s.service.ID || checks[0].Status != "pending" || checks[0].ExternalURL != "https://checks.example/mr" {
			t.Errorf("checks %+v", checks)
		}
		answer := func(sha, word string, id int64) (*gitlab.Response, error) {
			return c.SetExternalStatusCheckStatus(pid, 1, &gitlab.SetExternalStatusCheckStatusOptions{
				SHA: &sha, Status: &word, ExternalStatusCheckID: &id,
			})
		}
		r, err = answer(s.mr.HeadSHA, "failed", s.service.ID)
		assertStatus(t, r, err, 201)
		r, err = answer("0000", "passed", s.service.ID)
		assertStatus(t, r, err, 409)
		r, err = answer(s.mr.HeadSHA, "perhaps", s.service.ID)
		assertStatus(t, r, err, 400)
		r, err = answer(s.mr.HeadSHA, "passed", s.other.ID) // not on this merge request
		assertStatus(t, r, err, 404)
		r, err = c.RetryFailedExternalStatusCheckForProjectMergeRequest(pid, 1, s.service.ID, nil)
		assertStatus(t, r, err, 202)
		r, err = c.RetryFailedExternalStatusCheckForProjectMergeRequest(pid, 1, s.service.ID, nil)
		assertStatus(t, r, err, 422)
		if got := s.Status(s.mr, s.service); got != models.StatusPending {
			t.Errorf("status after a retry: %s", got)
		}
	})
}

func TestGitLabClient_MergeRequests(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		client := s.client(t, "maintainer")
		c, pid := client.MergeRequests, "olga/pear"
		s.commit("main", "second", map[string]string{"plums.txt": "victoria\n"})

		options := &gitlab.CreateMergeRequestOptions{
			Title: gitlab.Ptr("Add plums"), SourceBranch: gitlab.Ptr("second"), TargetBranch: gitlab.Ptr("main"), TargetProjectID: &s.Project.ID,
			Labels: &gitlab.LabelOptions{},
		}
		mr, r, err := c.CreateMergeRequest(pid, options)
		assertStatus(t, r, err, 201)
		if mr.IID != 2 || mr.State != "opened" || mr.Author.Username != "maintainer" || mr.SHA == "" ||
			mr.WebURL != "https://gate.example/olga/pear/-/merge_requests/2" || mr.DetailedMergeStatus != "mergeable" {
			t.Errorf("created %+v", mr)
		}
		_, r, err = c.CreateMergeRequest(pid, options)
		assertStatus(t, r, err, 409)
		mr, r, err = c.UpdateMergeRequest(pid, 2, &gitlab.UpdateMergeRequestOptions{Title: gitlab.Ptr("Draft: plums")})
		assertStatus(t, r, err, 200)
		if !mr.Draft || mr.DetailedMergeStatus != "draft_status" {
			t.Errorf("draft: %+v", mr)
		}
		_, r, err = c.AcceptMergeRequest(pid, 2, nil)
		assertStatus(t, r, err, 405)
		_, r, err = c.UpdateMergeRequest(pid, 2, &gitlab.UpdateMergeRequestOptions{Title: gitlab.Ptr("Plums"), StateEvent: gitlab.Ptr("close")})
		assertStatus(t, r, err, 200)
		mr, r, err = c.UpdateMergeRequest(pid, 2, &gitlab.UpdateMergeRequestOptions{StateEvent: gitlab.Ptr("reopen")})
		assertStatus(t, r, err, 200)
		if mr.Title != "Plums" || mr.State != "opened" {
			t.Errorf("reopened %+v", mr)
		}
		mrs, r, err := c.ListProjectMergeRequests(pid, &gitlab.ListProjectMergeRequestsOptions{State: gitlab.Ptr("opened"), Search: gitlab.Ptr("plum")})
		assertStatus(t, r, err, 200)
		if len(mrs) != 1 || mrs[0].IID != 2 {
			t.Errorf("found %+v", mrs)
		}
		commits, r, err := c.GetMergeRequestCommits(pid, 2, nil)
		assertStatus(t, r, err, 200)
		if len(commits) != 1 || commits[0].ID != mr.SHA || commits[0].Title != "Change second" {
			t.Errorf("commits %+v", commits)
		}
		diffs, r, err := c.ListMergeRequestDiffs(pid, 2, nil)
		assertStatus(t, r, err, 200)
		if len(diffs) != 1 || diffs[0].NewPath != "plums.txt" || !diffs[0].NewFile || diffs[0].Diff != "@@ -0,0 +1 @@\n+victoria\n" {
			t.Errorf("diffs %+v", diffs)
		}
		versions, r, err := c.GetMergeRequestDiffVersions(pid, 2, nil)
		assertStatus(t, r, err, 200)
		_, r, err = c.GetSingleMergeRequestDiffVersion(pid, 2, versions[0].ID, nil)
		assertStatus(t, r, err, 200)

		approvals, r, err := client.MergeRequestApprovals.ApproveMergeRequest(pid, 2, &gitlab.ApproveMergeRequestOptions{SHA: &mr.SHA})
		assertStatus(t, r, err, 201)
		if !approvals.UserHasApproved || len(approvals.ApprovedBy) != 1 {
			t.Errorf("approvals %+v", approvals)
		}
		r, err = client.MergeRequestApprovals.UnapproveMergeRequest(pid, 2)
		assertStatus(t, r, err, 201)
		r, err = client.MergeRequestApprovals.UnapproveMergeRequest(pid, 2)
		assertStatus(t, r, err, 404)

		_, r, err = c.AcceptMergeRequest(pid, 2, &gitlab.AcceptMergeRequestOptions{SHA: gitlab.Ptr("0000")})
		assertStatus(t, r, err, 409)
		mr, r, err = c.AcceptMergeRequest(pid, 2, &gitlab.AcceptMergeRequestOptions{SHA: &mr.SHA})
		assertStatus(t, r, err, 200)
		if mr.State != "merged" || mr.MergeCommitSHA == "" || mr.MergedAt == nil || mr.MergeUser.Username != "maintainer" {
			t.Errorf("merged %+v", mr)
		}
		if commits, _, err = c.GetMergeRequestCommits(pid, 2, nil); err != nil || len(commits) != 1 {
			t.Errorf("commits after the merge: %+v, %v", commits, err)
		}
		_, r, err = c.AcceptMergeRequest(pid, 2, nil)
		assertStatus(t, r, err, 405)
	})
}

func TestGitLabClient_ProjectsMembersTokens(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		c := s.client(t, "olga")
		project, r, err := c.Projects.CreateProject(&gitlab.CreateProjectOptions{
			Name: gitlab.Ptr("Quince Tree"), InitializeWithReadme: gitlab.Ptr(true), Visibility: gitlab.Ptr(gitlab.InternalVisibility),
		})
		assertStatus(t, r, err, 201)
		if project.PathWithNamespace != "olga/quince-tree" || project.DefaultBranch != "main" || project.EmptyRepo ||
			project.Permissions.ProjectAccess.AccessLevel != gitlab.OwnerPermissions || project.HTTPURLToRepo != "https://gate.example/olga/quince-tree.git" {
			t.Errorf("created %+v", project)
		}
		_, r, err = c.Projects.CreateProject(&gitlab.CreateProjectOptions{Path: gitlab.Ptr("Quince-Tree")})
		assertStatus(t, r, err, 400)
		project, r, err = c.Projects.EditProject(project.ID, &gitlab.EditProjectOptions{
			Path: gitlab.Ptr("quince"), Visibility: gitlab.Ptr(gitlab.PrivateVisibility),
		})
		assertStatus(t, r, err, 200)
		renamed, r, err := c.Projects.GetProject("olga/quince-tree", nil)
		assertStatus(t, r, err, 200)
		if renamed.ID != project.ID || renamed.Path != "quince" || renamed.Visibility != gitlab.PrivateVisibility {
			t.Errorf("project at its former path: %+v", renamed)
		}
		branch, r, err := c.Branches.GetBranch(project.ID, "main")
		assertStatus(t, r, err, 200)
		if !branch.Default || !branch.Protected || branch.Commit.ID == "" || branch.DevelopersCanPush {
			t.Errorf("main: %+v", branch)
		}

		guest := s.users["outsider"].ID
		asGuest := &gitlab.AddProjectMemberOptions{UserID: guest, AccessLevel: gitlab.Ptr(gitlab.GuestPermissions)}
		_, r, err = c.ProjectMembers.AddProjectMember(project.ID, asGuest)
		assertStatus(t, r, err, 201)
		_, r, err = c.ProjectMembers.AddProjectMember(project.ID, asGuest)
		assertStatus(t, r, err, 409)
		member, r, err := c.ProjectMembers.EditProjectMember(project.ID, guest, &gitlab.EditProjectMemberOptions{
			AccessLevel: gitlab.Ptr(gitlab.DeveloperPermissions),
		})
		assertStatus(t, r, err, 200)
		if member.AccessLevel != gitlab.DeveloperPermissions || member.Username != "outsider" {
			t.Errorf("member %+v", member)
		}
		r, err = c.ProjectMembers.DeleteProjectMember(project.ID, guest)
		assertStatus(t, r, err, 204)
		_, r, err = c.ProjectMembers.GetProjectMember(project.ID, guest)
		assertStatus(t, r, err, 404)

		token, r, err := c.ProjectAccessTokens.CreateProjectAccessToken(project.ID, &gitlab.CreateProjectAccessTokenOptions{
			Name: gitlab.Ptr("bot"), Scopes: gitlab.Ptr([]string{"api"}), AccessLevel: gitlab.Ptr(gitlab.DeveloperPermissions),
		})
		assertStatus(t, r, err, 201)
		s.tokens["bot"] = token.Token
		bot := s.client(t, "bot")
		_, r, err = bot.Projects.GetProject(project.ID, nil)
		assertStatus(t, r, err, 200)
		_, r, err = bot.Users.CurrentUser()
		assertStatus(t, r, err, 200)
		_, r, err = bot.Projects.CreateProject(&gitlab.CreateProjectOptions{Name: gitlab.Ptr("more")})
		assertStatus(t, r, err, 403)
		rotated, r, err := c.ProjectAccessTokens.RotateProjectAccessToken(project.ID, token.ID, nil)
		assertStatus(t, r, err, 200)
		_, r, err = bot.Projects.GetProject(project.ID, nil)
		assertStatus(t, r, err, 401)
		s.tokens["bot"] = rotated.Token
		bot = s.client(t, "bot")
		token, r, err = bot.ProjectAccessTokens.RotateProjectAccessTokenSelf(project.ID, nil)
		assertStatus(t, r, err, 200)
		s.tokens["bot"] = token.Token
		bot = s.client(t, "bot")
		r, err = c.ProjectAccessTokens.RevokeProjectAccessToken(project.ID, token.ID)
		assertStatus(t, r, err, 204)
		_, r, err = bot.Projects.GetProject(project.ID, nil)
		assertStatus(t, r, err, 401)

		own, r, err := c.PersonalAccessTokens.GetSinglePersonalAccessToken()
		assertStatus(t, r, err, 200)
		if own.Name != "test" || !own.Active || own.UserID != s.Owner.ID {
			t.Errorf("own token %+v", own)
		}
		next, r, err := c.PersonalAccessTokens.RotatePersonalAccessTokenSelf(nil)
		assertStatus(t, r, err, 200)
		s.tokens["olga"] = next.Token
		c = s.client(t, "olga")
		r, err = c.Projects.DeleteProject(project.ID, nil)
		assertStatus(t, r, err, 202)
		_, r, err = c.Projects.GetProject(project.ID, nil)
		assertStatus(t, r, err, 404)
	})
}

func TestGitLabClient_ProtectedBranches(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		client := s.client(t, "maintainer")
		c, pid := client.ProtectedBranches, "olga/pear"
		_, r, err := c.ProtectRepositoryBranches(pid, &gitlab.ProtectRepositoryBranchesOptions{Name: gitlab.Ptr("fix/a b")})
		assertStatus(t, r, err, 400) // branch names cannot contain a space
		rule, r, err := c.ProtectRepositoryBranches(pid, &gitlab.ProtectRepositoryBranchesOptions{
			Name: gitlab.Ptr("fix/*/50%"), PushAccessLevel: gitlab.Ptr(gitlab.NoPermissions), MergeAccessLevel: gitlab.Ptr(gitlab.DeveloperPermissions),
		})
		assertStatus(t, r, err, 201)
		if rule.Name != "fix/*/50%" || rule.PushAccessLevels[0].AccessLevel != 0 || rule.MergeAccessLevels[0].AccessLevel != 30 || rule.AllowForcePush {
			t.Errorf("protected %+v", rule)
		}
		_, r, err = c.ProtectRepositoryBranches(pid, &gitlab.ProtectRepositoryBranchesOptions{Name: gitlab.Ptr("fix/*/50%")})
		assertStatus(t, r, err, 409)
		rule, r, err = c.UpdateProtectedBranch(pid, "fix/*/50%", &gitlab.UpdateProtectedBranchOptions{
			AllowForcePush: gitlab.Ptr(true), AllowedToPush: &[]*gitlab.BranchPermissionOptions{{AccessLevel: gitlab.Ptr(gitlab.MaintainerPermissions)}},
		})
		assertStatus(t, r, err, 200)
		if !rule.AllowForcePush || rule.PushAccessLevels[0].AccessLevel != 40 || rule.MergeAccessLevels[0].AccessLevel != 30 {
			t.Errorf("changed %+v", rule)
		}
		rules, r, err := c.ListProtectedBranches(pid, &gitlab.ListProtectedBranchesOptions{Search: gitlab.Ptr("FIX")})
		assertStatus(t, r, err, 200)
		if len(rules) != 1 || rules[0].ID != rule.ID {
			t.Errorf("found %+v", rules)
		}
		r, err = c.UnprotectRepositoryBranches(pid, "fix/*/50%")
		assertStatus(t, r, err, 204)
		_, r, err = c.GetProtectedBranch(pid, "fix/*/50%")
		assertStatus(t, r, err, 404)
		_, r, err = client.Projects.GetProjectPushRules(pid)
		assertStatus(t, r, err, http.StatusNotFound)
	})
}
