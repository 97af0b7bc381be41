// Package repositories joins the domain and the front doors, which each say in
// an interface of their own what they ask of git, to package gitrepo, which
// knows none of them.
package repositories

import (
	"context"
	"errors"
	"time"

	"github.com/mergegate/mergegate/gitrepo"
	"github.com/mergegate/mergegate/models"
)

// Domain is a models.Git.
type Domain struct{ Store *gitrepo.Store }

var _ models.Git = Domain{}

// CreateRepository makes a project's repository, with a first commit when it
// is to have a readme.
func (d Domain) CreateRepository(ctx context.Context, project models.Project, readme bool, by models.User, at time.Time) error {
	err := d.Store.Create(ctx, project.ID, project.DefaultBranch)
	if errors.Is(err, gitrepo.ErrExists) {
		// The project's row is being made, so this one is what a transaction
		// left that was rolled back later or is being repeated.
		if err = d.Store.Delete(ctx, project.ID); err == nil {
			err = d.Store.Create(ctx, project.ID, project.DefaultBranch)
		}
	}
	if err != nil || !readme {
		return err
	}
	text := "# " + project.Name + "\n"
	if project.Description != "" {
		text += "\n" + project.Description + "\n"
	}
	_, err = d.Store.Repo(project.ID).WriteCommit(ctx, gitrepo.WriteInput{
		Branch: project.DefaultBranch, Files: map[string]string{"README.md": text}, Message: "Initial commit",
		Author: identity(by), When: at,
	})
	if err != nil {
		return errors.Join(err, d.Store.Delete(context.WithoutCancel(ctx), project.ID))
	}
	return nil
}

// DeleteRepository removes a project's repository.
func (d Domain) DeleteRepository(ctx context.Context, projectID int64) error {
	return d.Store.Delete(ctx, projectID)
}

// SetDefaultBranch says what clients check out after a clone.
func (d Domain) SetDefaultBranch(ctx context.Context, projectID int64, branch string) error {
	return d.Store.SetDefaultBranch(ctx, projectID, branch)
}

// BranchTip is the commit that a branch points to.
func (d Domain) BranchTip(ctx context.Context, projectID int64, branch string) (sha string, exists bool, err error) {
	sha, exists, err = d.Store.Repo(projectID).BranchTip(ctx, branch)
	return sha, exists, readError(err)
}

// BranchLog is a branch's reflog, newest entry first.
func (d Domain) BranchLog(ctx context.Context, projectID int64, branch string) ([]models.BranchMove, error) {
	log, err := d.Store.Repo(projectID).BranchLog(ctx, branch)
	moves := make([]models.BranchMove, len(log))
	for i, entry := range log {
		moves[i] = models.BranchMove{RequestID: entry.RequestID, SHA: entry.SHA}
	}
	return moves, err
}

// Commit reads a commit.
func (d Domain) Commit(ctx context.Context, projectID int64, sha string) (models.Commit, error) {
	c, err := d.Store.Repo(projectID).Commit(ctx, sha)
	return domainCommit(c), readError(err)
}

// CountCommits counts the commits of to that from lacks.
func (d Domain) CountCommits(ctx context.Context, projectID int64, from, to string) (int, error) {
	return d.Store.Repo(projectID).Count(ctx, from, to)
}

// IsAncestor reports whether ancestor can be reached from descendant.
func (d Domain) IsAncestor(ctx context.Context, projectID int64, ancestor, descendant string) (bool, error) {
	return d.Store.Repo(projectID).IsAncestor(ctx, ancestor, descendant)
}

// Reached tells which of heads newSHA reaches and oldSHA does not.
func (d Domain) Reached(ctx context.Context, projectID int64, oldSHA, newSHA string, heads []string) (map[string]bool, error) {
	return d.Store.Repo(projectID).Reached(ctx, oldSHA, newSHA, heads)
}

// KeepHead keeps a merge request's HEAD from being pruned.
func (d Domain) KeepHead(ctx context.Context, projectID, iid int64, sha string) error {
	return d.Store.Repo(projectID).KeepHead(ctx, iid, sha)
}

// PrepareMerge writes the commit that a merge would make.
func (d Domain) PrepareMerge(ctx context.Context, projectID int64, in models.MergeInput) (sha string, conflicts []string, err error) {
	who := identity(in.By)
	result, err := d.Store.Repo(projectID).PrepareMerge(ctx, gitrepo.MergeInput{
		TargetSHA: in.TargetSHA, SourceSHA: in.SourceSHA, Message: in.Message, Squash: in.Squash,
		Author: who, Committer: who, When: in.At,
	})
	return result.SHA, result.Conflicts, mergeError(err)
}

// mergeError gives an error of gitrepo the reason why a merge is blocked, or
// else what readError gives it.
func mergeError(err error) error {
	for cause, reason := range map[error]models.BlockReason{
		gitrepo.ErrNothingToMerge: models.BlockedNoCommits,
		gitrepo.ErrUnrelated:      models.BlockedUnrelated,
		gitrepo.ErrTooLarge:       models.BlockedTooLarge,
	} {
		if errors.Is(err, cause) {
			return &models.Error{
				Kind: models.KindUnprocessable, Code: models.CodeMergeBlocked, Reasons: []models.BlockReason{reason}, Err: err,
			}
		}
	}
	return readError(err)
}

// MoveBranch moves a branch by compare-and-swap.
func (d Domain) MoveBranch(ctx context.Context, projectID int64, branch, newSHA, oldSHA string) error {
	return moveError(d.Store.Repo(projectID).UpdateRef(ctx, "refs/heads/"+branch, newSHA, oldSHA))
}

// DeleteBranch deletes a branch by compare-and-swap.
func (d Domain) DeleteBranch(ctx context.Context, projectID int64, branch, oldSHA string) error {
	return moveError(d.Store.Repo(projectID).DeleteRef(ctx, "refs/heads/"+branch, oldSHA))
}

// readError gives an error of gitrepo the kind and code that the domain has for
// it: a missing repository, a result that is too large, a busy repository.
// Other errors and nil stay as they are.
func readError(err error) error {
	switch {
	case errors.Is(err, gitrepo.ErrMissing):
		return &models.Error{Kind: models.KindNotFound, Code: models.CodeNotFound, Params: map[string]string{"what": "repository"}, Err: err}
	case errors.Is(err, gitrepo.ErrTooLarge):
		return &models.Error{Kind: models.KindUnprocessable, Code: models.CodeGitTooLarge, Err: err}
	case errors.Is(err, gitrepo.ErrBusy):
		return &models.Error{Kind: models.KindUnavailable, Code: models.CodeGitBusy, Err: err}
	}
	return err
}

// moveError adds models.ErrRefMoved to gitrepo.ErrRefMoved.
func moveError(err error) error {
	if errors.Is(err, gitrepo.ErrRefMoved) {
		return errors.Join(models.ErrRefMoved, err)
	}
	return err
}

// identity is a user as commits name them.
func identity(u models.User) gitrepo.Identity {
	name := u.Name
	if name == "" {
		name = u.Username
	}
	return gitrepo.Identity{Name: name, Email: u.Email}
}

func domainCommit(c gitrepo.Commit) models.Commit {
	return models.Commit{
		SHA: c.SHA, Message: c.Message, AuthorName: c.AuthorName, AuthorEmail: c.AuthorEmail, CommittedAt: c.CommittedAt.UTC(),
	}
}
