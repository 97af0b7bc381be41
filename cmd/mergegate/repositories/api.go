package repositories

import (
	"context"
	"errors"
	"net/http"

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

// Conflicts is the same for pages and the API.
func (a API) Conflicts(ctx context.Context, projectID int64, target, source string) ([]string, error) {
	return Pages(a).Conflicts(ctx, projectID, target, source)
}

// PatchID is git's stable id of the changes between two commits.
func (a API) PatchID(ctx context.Context, projectID int64, from, to string) (string, error) {
	id, err := a.Store.View(projectID).PatchID(ctx, from, to)
	return id, bounded(err)
}

// Tree lists a folder of a commit.
func (a API) Tree(ctx context.Context, projectID int64, sha, path string, recursive bool) ([]apiv4.TreeEntry, bool, error) {
	found, _, err := a.Store.View(projectID).TreeEntries(ctx, sha, path, recursive)
	entries := make([]apiv4.TreeEntry, len(found))
	for i, e := range found {
		entries[i] = apiTreeEntry(e)
	}
	exists, err := existing(err)
	return entries, exists, err
}

// File finds a file of a commit.
func (a API) File(ctx context.Context, projectID int64, sha, path string) (apiv4.TreeEntry, bool, error) {
	found, err := a.Store.View(projectID).File(ctx, sha, path)
	exists, err := existing(err)
	return apiTreeEntry(found), exists, err
}

func apiTreeEntry(e gitrepo.TreeEntry) apiv4.TreeEntry {
	return apiv4.TreeEntry{Mode: e.Mode, Kind: e.Kind, SHA: e.SHA, Name: e.Name, Size: e.Size}
}

// Content is the first bytes of a file of a commit.
func (a API) Content(ctx context.Context, projectID int64, sha, path string, limit int64) ([]byte, error) {
	content, _, err := a.Store.View(projectID).Blob(ctx, sha, path, limit)
	return content, bounded(err)
}

// WriteFile sends the content of a file.
func (a API) WriteFile(ctx context.Context, w http.ResponseWriter, projectID int64, file apiv4.TreeEntry) error {
	return bounded(a.Store.View(projectID).WriteBlob(ctx, w, file.SHA, file.Size))
}

// LastCommit is the last commit up to sha that changed a path.
func (a API) LastCommit(ctx context.Context, projectID int64, sha, path string) (string, error) {
	last, err := a.Store.View(projectID).LastCommit(ctx, sha, path)
	return last, bounded(err)
}

// HasArchive reports whether there is something to put into an archive.
func (a API) HasArchive(ctx context.Context, projectID int64, archive apiv4.Archive) (bool, error) {
	return existing(a.Store.View(projectID).CheckArchive(ctx, gitrepo.Archive(archive)))
}

// WriteArchive sends an archive.
func (a API) WriteArchive(ctx context.Context, w http.ResponseWriter, projectID int64, archive apiv4.Archive) error {
	return bounded(a.Store.View(projectID).WriteArchive(ctx, w, gitrepo.Archive(archive)))
}

// Tags lists tags.
func (a API) Tags(ctx context.Context, projectID int64, search, order string, ascending bool, offset, limit int) ([]apiv4.Tag, int, error) {
	by := map[string]gitrepo.TagOrder{"name": gitrepo.TagsByName, "version": gitrepo.TagsByVersion, "updated": gitrepo.TagsByDate}[order]
	found, total, err := a.Store.View(projectID).Tags(ctx, search, by, ascending, offset, limit)
	tags := make([]apiv4.Tag, len(found))
	for i, t := range found {
		tags[i] = apiTag(t)
	}
	return tags, total, bounded(err)
}

// Tag finds a tag.
func (a API) Tag(ctx context.Context, projectID int64, name string) (apiv4.Tag, bool, error) {
	found, err := a.Store.View(projectID).Tag(ctx, name)
	exists, err := existing(err)
	return apiTag(found), exists, err
}

func apiTag(t gitrepo.Tag) apiv4.Tag {
	return apiv4.Tag{Name: t.Name, Target: t.Target, Message: t.Message, CreatedAt: t.CreatedAt, Commit: apiCommit(t.Commit)}
}

// HeadsWith are the merge requests whose HEAD has a commit in its history.
func (a API) HeadsWith(ctx context.Context, projectID int64, sha string) ([]int64, error) {
	iids, err := a.Store.View(projectID).HeadsWith(ctx, sha)
	return iids, bounded(err)
}

// existing tells what is not there apart from errors.
func existing(err error) (bool, error) {
	if errors.Is(err, gitrepo.ErrNotFound) {
		return false, nil
	}
	return err == nil, bounded(err)
}

func apiCommit(c gitrepo.Commit) apiv4.Commit {
	return apiv4.Commit{
		SHA: c.SHA, ParentSHAs: c.ParentSHAs, Title: c.Title, Message: c.Message, AuthorName: c.AuthorName,
		AuthorEmail: c.AuthorEmail, AuthoredAt: c.AuthoredAt, CommitterName: c.CommitterName,
		CommitterEmail: c.CommitterEmail, CommittedAt: c.CommittedAt,
	}
}
