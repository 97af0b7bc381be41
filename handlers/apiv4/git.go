package apiv4

import (
	"context"
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
	Diff(ctx context.Context, projectID int64, from, to string) (Diff, error)
	// Conflicts names the files that a merge of source into target could not
	// merge by itself.
	Conflicts(ctx context.Context, projectID int64, target, source string) ([]string, error)
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
