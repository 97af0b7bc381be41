package apiv4

import (
	"context"
	"net/http"
	"time"
)

// Git is what the API reads from a project's repository. The command wires it
// to the git program. Commits are named by object ids.
type Git interface {
	// Branches lists branches by name; search keeps those whose name holds
	// it. total counts all of those.
	Branches(ctx context.Context, projectID int64, search string, offset, limit int) (page []Branch, total int, err error)
	// Contained tells which commits main has in its history, all at once.
	Contained(ctx context.Context, projectID int64, main string, tips ...string) (map[string]bool, error)
	// HasBranch reports whether there is a branch; it costs no process.
	HasBranch(ctx context.Context, projectID int64, branch string) (bool, error)
	// BranchTip is the commit that a branch points at.
	BranchTip(ctx context.Context, projectID int64, branch string) (sha string, exists bool, err error)
	// Resolve finds the commit that a branch, tag or (abbreviated) id names.
	Resolve(ctx context.Context, projectID int64, name string) (sha string, exists bool, err error)
	Commit(ctx context.Context, projectID int64, sha string) (Commit, error)
	// Log lists the commits of to that from lacks, newest first; all of them
	// when from is empty.
	Log(ctx context.Context, projectID int64, from, to string, offset, limit int) ([]Commit, error)
	// Count counts what Log would list.
	Count(ctx context.Context, projectID int64, from, to string) (int, error)
	MergeBase(ctx context.Context, projectID int64, a, b string) (sha string, exists bool, err error)
	// Diff compares two commits; an empty from is the empty tree.
	Diff(ctx context.Context, projectID int64, from, to string) (Diff, error)
	// PatchID is git's stable id of the changes between two commits; "" where
	// there are none, or too many.
	PatchID(ctx context.Context, projectID int64, from, to string) (string, error)
	// Conflicts names the files that a merge of source into target could not
	// merge by itself.
	Conflicts(ctx context.Context, projectID int64, target, source string) ([]string, error)

	// Tree lists a folder of a commit, the root for an empty path. Names are
	// paths from the folder. Very long lists are cut.
	Tree(ctx context.Context, projectID int64, sha, path string, recursive bool) (entries []TreeEntry, exists bool, err error)
	// File finds a file of a commit. Its Name is the whole path.
	File(ctx context.Context, projectID int64, sha, path string) (file TreeEntry, exists bool, err error)
	// Content is the first bytes of a file of a commit, limit at most.
	Content(ctx context.Context, projectID int64, sha, path string, limit int64) ([]byte, error)
	// WriteFile sends the content of a file that File has found.
	WriteFile(ctx context.Context, w http.ResponseWriter, projectID int64, file TreeEntry) error
	// LastCommit is the last commit up to sha that changed a path; "" where
	// finding it takes too long.
	LastCommit(ctx context.Context, projectID int64, sha, path string) (string, error)
	// HasArchive reports whether there is something to put into an archive.
	HasArchive(ctx context.Context, projectID int64, a Archive) (bool, error)
	// WriteArchive sends an archive that HasArchive has found.
	WriteArchive(ctx context.Context, w http.ResponseWriter, projectID int64, a Archive) error
	// Tags lists tags; order is "name", "version" or "updated". total counts all
	// whose name holds search.
	Tags(ctx context.Context, projectID int64, search, order string, ascending bool, offset, limit int) (page []Tag, total int, err error)
	Tag(ctx context.Context, projectID int64, name string) (tag Tag, exists bool, err error)
	// HeadsWith are the numbers of the merge requests whose HEAD has a commit in
	// its history, the lowest first.
	HeadsWith(ctx context.Context, projectID int64, sha string) ([]int64, error)
}

// TreeEntry is a file, folder or submodule of a commit.
type TreeEntry struct {
	// Mode is octal; Kind is blob, tree or commit.
	Mode, Kind, SHA, Name string
	// Size is of files that File has found, in bytes.
	Size int64
}

// Archive is what an archive holds: a commit, or one path of it.
type Archive struct {
	SHA, Path string
	// Format is tar.gz, tar or zip.
	Format string
	// Prefix is the folder that holds everything, with a slash at the end.
	Prefix string
}

// Tag is a tag and the commit that it names. Message and CreatedAt are of the
// tag object, empty without one; Commit is empty for a tag of something else.
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

// Commit is what a commit says about itself.
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

// Diff is what changed between two commits.
type Diff struct {
	Files []FileDiff
	// Truncated means that files or patches are missing, for their size.
	Truncated bool
}

// FileDiff is one changed file.
type FileDiff struct {
	OldPath, NewPath string
	// OldMode and NewMode are octal.
	OldMode, NewMode      string
	Added, Removed, Moved bool
	// Patch holds the hunks, beginning with "@@".
	Patch    string
	TooLarge bool
}
