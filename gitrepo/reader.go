package gitrepo

import (
	"context"
	"net/http"
)

// Readers opens the repositories of projects for reading.
type Readers interface {
	// Reader returns the repository of a project. It opens nothing and cannot
	// fail: a repository that is missing is ErrMissing on its first use.
	Reader(projectID int64) Reader
}

// Reader reads one repository. Repo implements it and documents each method.
// Commits are given as full object ids, which BranchTip and Resolve return.
// Results may be shared with other callers and must not be changed.
type Reader interface {
	// Branches and tags.

	Branches(ctx context.Context, search string, offset, limit int, first ...string) (page []Branch, total int, err error)
	RecentBranches(ctx context.Context, search, first string, limit int) (names []string, total int, err error)
	BranchTip(ctx context.Context, branch string) (sha string, exists bool, err error)
	BranchStamp(branch string) string
	HasBranch(ctx context.Context, branch string) (bool, error)
	Tags(ctx context.Context, search string, order TagOrder, ascending bool, offset, limit int) (page []Tag, total int, err error)
	Tag(ctx context.Context, name string) (Tag, error)

	// Commits.

	Resolve(ctx context.Context, name string) (sha string, err error)
	Commit(ctx context.Context, sha string) (Commit, error)
	Log(ctx context.Context, from, to string, offset, limit int) ([]Commit, error)
	Count(ctx context.Context, from, to string) (int, error)
	MergeBase(ctx context.Context, a, b string) (sha string, exists bool, err error)
	Divergences(ctx context.Context, main string, tips ...string) (map[string]Divergence, error)
	LastCommit(ctx context.Context, sha, path string) (string, error)
	HeadsWith(ctx context.Context, sha string) (iids []int64, err error)

	// Differences between two commits.

	Diff(ctx context.Context, base, head string, limits DiffLimits) (Diff, error)
	CountFiles(ctx context.Context, base, head string) (FileCount, error)
	PatchID(ctx context.Context, base, head string) (string, error)
	Conflicts(ctx context.Context, target, source string) ([]string, error)

	// Size is the number of bytes that the repository takes on disk.
	Size(ctx context.Context) (bytes int64, complete bool, err error)

	// Files of a commit.

	TreeEntries(ctx context.Context, sha, path string, recursive bool) (entries []TreeEntry, complete bool, err error)
	File(ctx context.Context, sha, path string) (TreeEntry, error)
	Blob(ctx context.Context, sha, path string, limit int64) (content []byte, complete bool, err error)
	WriteBlob(ctx context.Context, w http.ResponseWriter, id string, size int64) error
	CheckArchive(ctx context.Context, archive Archive) error
	WriteArchive(ctx context.Context, w http.ResponseWriter, archive Archive) error
}

var _ Reader = Repo{}
