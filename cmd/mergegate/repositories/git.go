// Package repositories connects package gitrepo with the rest of the program. It
// implements models.Git and gitrepo.Readers, and translates errors. Start with Git.
package repositories

import (
	"context"
	"errors"
	"time"

	"github.com/mergegate/mergegate/gitrepo"
	"github.com/mergegate/mergegate/models"
)

// Git implements models.Git and gitrepo.Readers with a gitrepo.Store.
type Git struct{ Store *gitrepo.Store }

var _ models.Git = Git{}

// CreateRepository implements models.Git. It replaces a repository that exists
// already.
func (g Git) CreateRepository(ctx context.Context, project models.Project, readme bool, by models.User, at time.Time) error {
	err := g.Store.Create(ctx, project.ID, project.DefaultBranch)
	if errors.Is(err, gitrepo.ErrExists) {
		// The row of the project is being created, so this repository belongs to a
		// transaction that was rolled back or runs again.
		if err = g.Store.Delete(ctx, project.ID); err == nil {
			err = g.Store.Create(ctx, project.ID, project.DefaultBranch)
		}
	}
	if err != nil || !readme {
		return err
	}
	text := "# " + project.Name + "\n"
	if project.Description != "" {
		text += "\n" + project.Description + "\n"
	}
	_, err = g.Store.Repo(project.ID).WriteCommit(ctx, gitrepo.WriteInput{
		Branch: project.DefaultBranch, Files: map[string]string{"README.md": text}, Message: "Initial commit",
		Author: identity(by), When: at,
	})
	if err != nil {
		return errors.Join(err, g.Store.Delete(context.WithoutCancel(ctx), project.ID))
	}
	return nil
}

// DeleteRepository implements models.Git.
func (g Git) DeleteRepository(ctx context.Context, projectID int64) error {
	return g.Store.Delete(ctx, projectID)
}

// SetDefaultBranch implements models.Git.
func (g Git) SetDefaultBranch(ctx context.Context, projectID int64, branch string) error {
	return g.Store.SetDefaultBranch(ctx, projectID, branch)
}

// BranchTip implements models.Git.
func (g Git) BranchTip(ctx context.Context, projectID int64, branch string) (sha string, exists bool, err error) {
	sha, exists, err = g.Store.Repo(projectID).BranchTip(ctx, branch)
	return sha, exists, readError(err)
}

// BranchLog implements models.Git.
func (g Git) BranchLog(ctx context.Context, projectID int64, branch string) ([]models.BranchMove, error) {
	log, err := g.Store.Repo(projectID).BranchLog(ctx, branch)
	moves := make([]models.BranchMove, len(log))
	for i, entry := range log {
		moves[i] = models.BranchMove{RequestID: entry.RequestID, SHA: entry.SHA}
	}
	return moves, err
}

// Commit implements models.Git.
func (g Git) Commit(ctx context.Context, projectID int64, sha string) (models.Commit, error) {
	c, err := g.Store.Repo(projectID).Commit(ctx, sha)
	return newModelsCommit(c), readError(err)
}

// CountCommits implements models.Git.
func (g Git) CountCommits(ctx context.Context, projectID int64, from, to string) (int, error) {
	return g.Store.Repo(projectID).Count(ctx, from, to)
}

// IsAncestor implements models.Git.
func (g Git) IsAncestor(ctx context.Context, projectID int64, ancestor, descendant string) (bool, error) {
	repo := g.Store.Repo(projectID)
	is, err := repo.IsAncestor(ctx, ancestor, descendant)
	if isUnknown(err) {
		if _, readErr := repo.Commit(ctx, ancestor); isUnknown(readErr) {
			return false, nil
		}
	}
	return is, err
}

// isUnknown reports whether an error means that a commit is not in a repository that
// exists.
func isUnknown(err error) bool {
	return errors.Is(err, gitrepo.ErrNotFound) && !errors.Is(err, gitrepo.ErrMissing)
}

// Reached implements models.Git.
func (g Git) Reached(ctx context.Context, projectID int64, oldSHA, newSHA string, heads []string) (map[string]bool, error) {
	return g.Store.Repo(projectID).Reached(ctx, oldSHA, newSHA, heads)
}

// KeepHead implements models.Git.
func (g Git) KeepHead(ctx context.Context, projectID, iid int64, sha string) error {
	return g.Store.Repo(projectID).KeepHead(ctx, iid, sha)
}

// PrepareMerge implements models.Git.
func (g Git) PrepareMerge(ctx context.Context, projectID int64, in models.MergeInput) (sha string, conflicts []string, err error) {
	who := identity(in.By)
	result, err := g.Store.Repo(projectID).PrepareMerge(ctx, gitrepo.MergeInput{
		TargetSHA: in.TargetSHA, SourceSHA: in.SourceSHA, Message: in.Message, Squash: in.Squash,
		Author: who, Committer: who, When: in.At,
	})
	return result.SHA, result.Conflicts, mergeError(err)
}

// mergeError returns the *models.Error with the reason why a merge is blocked. It
// passes other errors to readError.
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

// MoveBranch implements models.Git.
func (g Git) MoveBranch(ctx context.Context, projectID int64, branch, newSHA, oldSHA string) error {
	return moveError(g.Store.Repo(projectID).UpdateRef(ctx, "refs/heads/"+branch, newSHA, oldSHA))
}

// DeleteBranch implements models.Git.
func (g Git) DeleteBranch(ctx context.Context, projectID int64, branch, oldSHA string) error {
	return moveError(g.Store.Repo(projectID).DeleteRef(ctx, "refs/heads/"+branch, oldSHA))
}

// readError wraps gitrepo.ErrMissing, ErrTooLarge and ErrBusy in a *models.Error
// with the matching kind and code. It returns other errors and nil unchanged.
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

// identity returns the author or committer for a user.
func identity(u models.User) gitrepo.Identity {
	name := u.Name
	if name == "" {
		name = u.Username
	}
	return gitrepo.Identity{Name: name, Email: u.Email}
}

func newModelsCommit(c gitrepo.Commit) models.Commit {
	return models.Commit{
		SHA: c.SHA, Message: c.Message, AuthorName: c.AuthorName, AuthorEmail: c.AuthorEmail, CommittedAt: c.CommittedAt.UTC(),
	}
}
