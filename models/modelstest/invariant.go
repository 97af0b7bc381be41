package modelstest

import (
	"context"
	"slices"
	"testing"

	"github.com/mergegate/mergegate/models"
)

// checkMerged fails the test if a merge request is merged although its target has never
// contained HEAD, or for a squash, the squash commit. It skips targets whose repository
// or branch no longer exists.
func checkMerged(t testing.TB, store *models.Store, git models.Git) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	rows, err := store.DB().QueryContext(ctx,
		"SELECT project_id, iid, target_branch, head_sha, squash_commit_sha FROM merge_requests WHERE state = 'merged'")
	if err != nil {
		return // the test has taken the database away
	}
	defer rows.Close()
	for rows.Next() {
		var mr models.MergeRequest
		if err := rows.Scan(&mr.ProjectID, &mr.IID, &mr.TargetBranch, &mr.HeadSHA, &mr.SquashCommitSHA); err != nil {
			t.Errorf("read the merged merge requests: %v", err)
			return
		}
		sha := mr.HeadSHA
		if mr.SquashCommitSHA != "" {
			sha = mr.SquashCommitSHA
		}
		tips := pastTips(ctx, git, mr.ProjectID, mr.TargetBranch)
		isIn := func(tip string) bool {
			in, err := git.IsAncestor(ctx, mr.ProjectID, sha, tip)
			return tip == sha || err == nil && in
		}
		if len(tips) > 0 && !slices.ContainsFunc(tips, isIn) {
			t.Errorf("merge request %d of project %d is merged, and %s has never contained %s", mr.IID,
				mr.ProjectID, mr.TargetBranch, sha)
		}
	}
}

// pastTips returns the commits that a branch is known to have pointed to.
func pastTips(ctx context.Context, git models.Git, projectID int64, branch string) []string {
	if fake, ok := git.(*Git); ok {
		return fake.PastTips(projectID, branch)
	}
	var tips []string
	if tip, exists, err := git.BranchTip(ctx, projectID, branch); err == nil && exists {
		tips = append(tips, tip)
	}
	log, _ := git.BranchLog(ctx, projectID, branch)
	for _, move := range log {
		tips = append(tips, move.SHA)
	}
	return tips
}
