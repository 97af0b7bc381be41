package repositories

import (
	"context"

	"github.com/mergegate/mergegate/gitrepo"
	"github.com/mergegate/mergegate/handlers/apiv4"
)

// API is an apiv4.Git.
type API struct{ Domain }

var _ apiv4.Git = API{}

// Branches lists branches by name.
func (a API) Branches(ctx context.Context, projectID int64, search string, offset, limit int) ([]apiv4.Branch, int, error) {
	found, total, err := a.Store.View(projectID).Branches(ctx, search, offset, limit)
	page := make([]apiv4.Branch, len(found))
	for i, b := range found {
		page[i] = apiv4.Branch{Name: b.Name, Commit: apiCommit(b.Commit)}
	}
	return page, total, bounded(err)
}

// Contained tells which commits main has in its history.
func (a API) Contained(ctx context.Context, projectID int64, main string, tips ...string) (map[string]bool, error) {
	distances, err := a.Store.View(projectID).Divergences(ctx, main, tips...)
	contained := make(map[string]bool, len(distances))
	for sha, d := range distances {
		contained[sha] = d.Ahead == 0
	}
	return contained, bounded(err)
}

// HasBranch reports whether there is a branch.
func (a API) HasBranch(ctx context.Context, projectID int64, branch string) (bool, error) {
	return a.Store.View(projectID).HasBranch(ctx, branch)
}

// Commit reads a commit.
func (a API) Commit(ctx context.Context, projectID int64, sha string) (apiv4.Commit, error) {
	c, err := a.Store.View(projectID).Commit(ctx, sha)
	return apiCommit(c), bounded(err)
}

// Log lists the commits of to that from lacks, newest first.
func (a API) Log(ctx context.Context, projectID int64, from, to string, offset, limit int) ([]apiv4.Commit, error) {
	log, err := a.Store.View(projectID).Log(ctx, from, to, offset, limit)
	commits := make([]apiv4.Commit, len(log))
	for i, c := range log {
		commits[i] = apiCommit(c)
	}
	return commits, bounded(err)
}

// Count counts the commits of to that from lacks.
func (a API) Count(ctx context.Context, projectID int64, from, to string) (int, error) {
	n, err := a.Store.View(projectID).Count(ctx, from, to)
	return n, bounded(err)
}

// MergeBase is where two commits parted.
func (a API) MergeBase(ctx context.Context, projectID int64, one, other string) (sha string, exists bool, err error) {
	sha, exists, err = a.Store.View(projectID).MergeBase(ctx, one, other)
	return sha, exists, bounded(err)
}

// Diff compares two commits, within gitrepo's usual limits.
func (a API) Diff(ctx context.Context, projectID int64, from, to string) (apiv4.Diff, error) {
	d, err := a.Store.View(projectID).Diff(ctx, from, to, gitrepo.DiffLimits{})
	diff := apiv4.Diff{Truncated: d.Truncated}
	for _, f := range d.Files {
		diff.Files = append(diff.Files, apiv4.FileDiff{
			OldPath: f.OldPath, NewPath: f.NewPath, OldMode: f.OldMode, NewMode: f.NewMode, Patch: f.Patch,
			Added: f.Status == gitrepo.FileAdded, Removed: f.Status == gitrepo.FileDeleted, Moved: f.Status == gitrepo.FileRenamed,
			TooLarge: f.TooLarge || f.Truncated,
		})
	}
	return diff, bounded(err)
}

// Conflicts names the files that would conflict, none where the branches share
// no history.
func (a API) Conflicts(ctx context.Context, projectID int64, target, source string) ([]string, error) {
	return Pages(a).Conflicts(ctx, projectID, target, source)
}

func apiCommit(c gitrepo.Commit) apiv4.Commit {
	return apiv4.Commit{
		SHA: c.SHA, ParentSHAs: c.ParentSHAs, Title: c.Title, Message: c.Message, AuthorName: c.AuthorName,
		AuthorEmail: c.AuthorEmail, AuthoredAt: c.AuthoredAt, CommitterName: c.CommitterName,
		CommitterEmail: c.CommitterEmail, CommittedAt: c.CommittedAt,
	}
}
