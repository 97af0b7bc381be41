package apiv4

import (
	"context"
	"net/http"
	"time"
)

// Git reads the repositories of projects. Commits are given as full object ids.
type Git interface {
	// Branches lists branches, ordered by name, whose name contains search. total
	// is their number on all pages.
	Branches(ctx context.Context, projectID int64, search string, offset, limit int) (page []Branch, total int, err error)
	// Contained reports which of the commits tips are in the history of main.
	Contained(ctx context.Context, projectID int64, main string, tips ...string) (map[string]bool, error)
	// HasBranch reports whether a branch exists. It does not start a git process.
	HasBranch(ctx context.Context, projectID int64, branch string) (bool, error)
	// BranchTip returns the commit that a branch points at.
	BranchTip(ctx context.Context, projectID int64, branch string) (sha string, exists bool, err error)
	// Resolve returns the commit that a branch, a tag or a full or abbreviated id
	// names.
	Resolve(ctx context.Context, projectID int64, name string) (sha string, exists bool, err error)
	Commit(ctx context.Context, projectID int64, sha string) (Commit, error)
	// Log lists the commits reachable from to but not from from, newest first. An
	// empty from lists the whole history.
	Log(ctx context.Context, projectID int64, from, to string, offset, limit int) ([]Commit, error)
	// Count returns the number of commits that Log lists without a limit.
	Count(ctx context.Context, projectID int64, from, to string) (int, error)
	MergeBase(ctx context.Context, projectID int64, a, b string) (sha string, exists bool, err error)
	// Diff compares two commits. An empty from means the empty tree.
	Diff(ctx context.Context, projectID int64, from, to string) (Diff, error)
	// PatchID returns git's stable patch id of the changes between two commits, or
	// "" if there are no changes or too many.
	PatchID(ctx context.Context, projectID int64, from, to string) (string, error)
	// Conflicts returns the files with conflicts in a merge of source into target.
	Conflicts(ctx context.Context, projectID int64, target, source string) ([]string, error)

	// Tree lists a folder of a commit. An empty path means the root. Names are
	// relative to the folder. Very long lists are cut.
	Tree(ctx context.Context, projectID int64, sha, path string, recursive bool) (entries []TreeEntry, exists bool, err error)
	// File finds a file of a commit. Its Name is the full path.
	File(ctx context.Context, projectID int64, sha, path string) (file TreeEntry, exists bool, err error)
	// Content returns the content of a file of a commit, at most limit bytes.
	Content(ctx context.Context, projectID int64, sha, path string, limit int64) ([]byte, error)
	// WriteFile writes the content of a file that File returned.
	WriteFile(ctx context.Context, w http.ResponseWriter, projectID int64, file TreeEntry) error
	// LastCommit returns the last commit up to sha that changed a path, or "" if
	// the search takes too long.
	LastCommit(ctx context.Context, projectID int64, sha, path string) (string, error)
	// HasArchive reports whether the path of an archive exists in its commit.
	HasArchive(ctx context.Context, projectID int64, a Archive) (bool, error)
	// WriteArchive writes an archive for which HasArchive returned true.
	WriteArchive(ctx context.Context, w http.ResponseWriter, projectID int64, a Archive) error
	// Tags lists tags whose name contains search. order is "name", "version" or
	// "updated". total is their number on all pages.
	Tags(ctx context.Context, projectID int64, search, order string, ascending bool, offset, limit int) (page []Tag, total int, err error)
	Tag(ctx context.Context, projectID int64, name string) (tag Tag, exists bool, err error)
	// HeadsWith returns the IIDs of merge requests whose HEAD has a commit in its
	// history, in ascending order.
	HeadsWith(ctx context.Context, projectID int64, sha string) ([]int64, error)
}

// TreeEntry is a file, folder or submodule of a commit.
type TreeEntry struct {
	// Mode is octal. Kind is blob, tree or commit (a submodule).
	Mode, Kind, SHA, Name string
	// Size is in bytes. Only File sets it.
	Size int64
}

// Archive selects the content of an archive: a commit, or one path of it.
type Archive struct {
	SHA, Path string
	// Format is tar.gz, tar or zip.
	Format string
	// Prefix is the folder around all files, with a trailing slash.
	Prefix string
}

// Tag is a tag and its commit. Message and CreatedAt are zero for a lightweight
// tag. Commit is zero if the tag points at another kind of object.
type Tag struct {
	Name, Target, Message string
	CreatedAt             time.Time
	Commit                Commit
}

// Branch is a branch and the commit it points at.
type Branch struct {
	Name   string
	Commit Commit
}

// Commit is a commit with its metadata.
type Commit struct {
	SHA            string
	ParentSHAs     []string
	Title          string
	Message        string
	AuthorName     string
	AuthorEmail    string
	AuthoredAt     time.Time
	CommitterName  string
	CommitterEmail string
	CommittedAt    time.Time
}

// Diff holds the changes between two commits.
type Diff struct {
	Files []FileDiff
	// Truncated reports that files or patches were left out because of their size.
	Truncated bool
}

// FileDiff is one changed file.
type FileDiff struct {
	OldPath, NewPath string
	// OldMode and NewMode are octal.
	OldMode, NewMode      string
	Added, Removed, Moved bool
	// Patch holds the hunks, each starting with "@@".
	Patch    string
	TooLarge bool
}
