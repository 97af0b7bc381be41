package handlers

import (
	"context"
	"errors"
	"time"

	"github.com/mergegate/mergegate/models"
)

// ErrNoSuchFile is what Git.ReadFile returns where a commit has no such file.
var ErrNoSuchFile = errors.New("no such file in this commit")

// Git is what the pages ask of a project's repository. The command wires it to
// the git program.
type Git interface {
	MergeRequestGit
	// Branches lists the branches whose name contains search, by name, those
	// named in first before the others, with the number of all that match.
	Branches(ctx context.Context, projectID int64, search string, offset, limit int, first ...string) ([]Branch, int, error)
	// RecentBranches names the branches whose name contains search: first before
	// all others, then the one committed to most lately, limit at most, with the
	// number of all that match.
	RecentBranches(ctx context.Context, projectID int64, search, first string, limit int) (names []string, total int, err error)
	// BranchTip is the commit that a branch points to.
	BranchTip(ctx context.Context, projectID int64, branch string) (sha string, exists bool, err error)
	// Resolve finds the commit that a branch, a tag or an object id names.
	Resolve(ctx context.Context, projectID int64, name string) (sha string, exists bool, err error)
	// ReadCommit reads a commit and the ids of its parents.
	ReadCommit(ctx context.Context, projectID int64, sha string) (commit models.Commit, parents []string, err error)
	// Divergences compares commits with main, by commit, all at once.
	Divergences(ctx context.Context, projectID int64, main string, tips ...string) (map[string]Divergence, error)
	// CountCommits counts the commits of to that from lacks.
	CountCommits(ctx context.Context, projectID int64, from, to string) (int, error)
	// ReadFile reads a file at the root of a commit, limit bytes at most;
	// ErrNoSuchFile where there is none.
	ReadFile(ctx context.Context, projectID int64, sha, path string, limit int64) ([]byte, error)
}

// Branch is a branch with the commit it points to.
type Branch struct {
	Name        string
	SHA         string
	Title       string
	CommittedAt time.Time
}

// Divergence is how far a commit is from another: the commits that only it
// has, and those that only the other has.
type Divergence struct{ Ahead, Behind int }
