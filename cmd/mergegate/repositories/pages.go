package repositories

import (
	"context"
	"errors"

	"github.com/mergegate/mergegate/gitrepo"
	"github.com/mergegate/mergegate/handlers"
	"github.com/mergegate/mergegate/models"
)

// Pages is a handlers.Git.
type Pages struct{ Domain }

var _ handlers.Git = Pages{}

// Branches lists branches by name.
func (p Pages) Branches(ctx context.Context, projectID int64, search string, offset, limit int, first ...string) ([]handlers.Branch, int, error) {
	found, total, err := p.Store.View(projectID).Branches(ctx, search, offset, limit, first...)
	page := make([]handlers.Branch, len(found))
	for i, b := range found {
		page[i] = handlers.Branch{Name: b.Name, SHA: b.Commit.SHA, Title: b.Commit.Title, CommittedAt: b.Commit.CommittedAt}
	}
	return page, total, bounded(err)
}

// ReadCommit reads a commit and the ids of its parents.
func (p Pages) ReadCommit(ctx context.Context, projectID int64, sha string) (models.Commit, []string, error) {
	c, err := p.Store.View(projectID).Commit(ctx, sha)
	return domainCommit(c), c.ParentSHAs, bounded(err)
}

// Divergences compares commits with main.
func (p Pages) Divergences(ctx context.Context, projectID int64, main string, tips ...string) (map[string]handlers.Divergence, error) {
	found, err := p.Store.View(projectID).Divergences(ctx, main, tips...)
	all := make(map[string]handlers.Divergence, len(found))
	for sha, d := range found {
		all[sha] = handlers.Divergence(d)
	}
	return all, bounded(err)
}

// RecentBranches names branches, the newest commit first.
func (p Pages) RecentBranches(ctx context.Context, projectID int64, search, first string, limit int) ([]string, int, error) {
	names, total, err := p.Store.View(projectID).RecentBranches(ctx, search, first, limit)
	return names, total, bounded(err)
}

// ReadFile reads a file of a commit, cut at limit bytes.
func (p Pages) ReadFile(ctx context.Context, projectID int64, sha, path string, limit int64) ([]byte, error) {
	content, _, err := p.Store.View(projectID).Blob(ctx, sha, path, limit)
	if errors.Is(err, gitrepo.ErrNotFound) {
		return nil, handlers.ErrNoSuchFile
	}
	return content, bounded(err)
}

// MergeBase is where two commits parted.
func (p Pages) MergeBase(ctx context.Context, projectID int64, a, b string) (sha string, ok bool, err error) {
	sha, ok, err = p.Store.View(projectID).MergeBase(ctx, a, b)
	return sha, ok, bounded(err)
}

// Commits lists the commits of to that from lacks, newest first.
func (p Pages) Commits(ctx context.Context, projectID int64, from, to string, offset, limit int) ([]models.Commit, error) {
	log, err := p.Store.View(projectID).Log(ctx, from, to, offset, limit)
	commits := make([]models.Commit, len(log))
	for i, c := range log {
		commits[i] = domainCommit(c)
	}
	return commits, bounded(err)
}

// CountCommits counts the commits of to that from lacks.
func (p Pages) CountCommits(ctx context.Context, projectID int64, from, to string) (int, error) {
	n, err := p.Store.View(projectID).Count(ctx, from, to)
	return n, bounded(err)
}

// CountFiles counts the files that differ between two commits; all is false
// where there are too many to count.
func (p Pages) CountFiles(ctx context.Context, projectID int64, base, head string) (n int, all bool, err error) {
	count, err := p.Store.View(projectID).CountFiles(ctx, base, head)
	return count.Files, !count.More, bounded(err)
}

// BranchStamp is a text that changes when a branch moves.
func (p Pages) BranchStamp(projectID int64, branch string) string {
	return p.Store.Repo(projectID).BranchStamp(branch)
}

// Changes compares two commits, within gitrepo's usual limits.
func (p Pages) Changes(ctx context.Context, projectID int64, base, head string) (handlers.Changes, error) {
	d, err := p.Store.View(projectID).Diff(ctx, base, head, gitrepo.DiffLimits{})
	changes := handlers.Changes{TotalFiles: d.TotalFiles, MoreFiles: d.MoreFiles, Additions: d.Additions, Deletions: d.Deletions}
	for _, f := range d.Files {
		changes.Files = append(changes.Files, handlers.FileChange{
			Path: f.NewPath, OldPath: f.OldPath, Status: string(f.Status), Additions: f.Additions, Deletions: f.Deletions,
			OldMode: f.OldMode, NewMode: f.NewMode, Binary: f.Binary, Patch: f.Patch, Cut: f.TooLarge, LeftOut: f.Truncated,
		})
	}
	return changes, bounded(err)
}

// Conflicts names the files that would conflict. What else prevents a merge is
// an error with its reason.
func (p Pages) Conflicts(ctx context.Context, projectID int64, targetSHA, sourceSHA string) ([]string, error) {
	files, err := p.Store.View(projectID).Conflicts(ctx, targetSHA, sourceSHA)
	return files, blocked(err)
}
