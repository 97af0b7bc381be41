package models

import (
	"context"
	"errors"
	"strings"
	"time"
)

// RefUpdate is one ref that a push moves. Old or New is all zeros where the ref
// was made or deleted.
type RefUpdate struct {
	Ref string `json:"ref"`
	Old string `json:"old"`
	New string `json:"new"`
}

// Branch is the branch that the update moves; ok is false for tags and other
// refs.
func (u RefUpdate) Branch() (name string, ok bool) {
	return strings.CutPrefix(u.Ref, "refs/heads/")
}

// IsZeroSHA reports whether a hook's object id stands for "no object".
func IsZeroSHA(sha string) bool { return strings.Trim(sha, "0") == "" }

// PushOptions are GitLab's push options that Mergegate knows.
type PushOptions struct {
	Create      bool   `json:"create,omitempty"`
	Target      string `json:"target,omitempty"`
	Title       string `json:"title,omitempty"`
	Description string `json:"description,omitempty"`
	Draft       bool   `json:"draft,omitempty"`
}

// PendingPush is a push between its pre-receive and the end of its
// post-receive.
type PendingPush struct {
	ID        int64
	ProjectID int64
	UserID    *int64
	RequestID string
	Updates   []RefUpdate `gorm:"serializer:json"`
	Options   PushOptions `gorm:"serializer:json"`
	// RefsMoved means that the updates are known to have happened: the row was
	// written by a merge, after its target moved.
	RefsMoved bool
	CreatedAt time.Time
}

// BranchMove is an entry of a branch's reflog.
type BranchMove struct {
	// RequestID is the request of the push that moved the branch; anything else
	// for a move that was not a push.
	RequestID string
	SHA       string
}

// isAppliedBy reports whether the repository shows that the push of requestID
// itself made the update. tip is where the branch is now, "" when it is gone;
// log is its reflog, newest entry first.
//
// That the tip is or contains the new commit is not enough: a later push by
// somebody else may have brought the commit. The reflog tells them apart,
// because every entry carries the request of its push. It does not survive a
// power failure for certain and goes with its branch, so where its newest entry
// is not the tip, the tip itself counts. A deletion has no attribution: the
// branch is gone, or it is not.
func (u RefUpdate) isAppliedBy(requestID, tip string, log []BranchMove) bool {
	if IsZeroSHA(u.New) || tip == "" {
		return IsZeroSHA(u.New) && tip == ""
	}
	for _, move := range log {
		if move.RequestID == requestID && move.SHA == u.New {
			return true
		}
	}
	return tip == u.New && (len(log) == 0 || log[0].SHA != tip)
}

// PushInput is a push whose refs have moved.
type PushInput struct {
	ProjectID int64
	By        User
	Updates   []RefUpdate
	Options   PushOptions
	// PendingID is the pending push to clear in the end, 0 for none.
	PendingID int64
	// RecoveredPushAt is when a push began that recovery carries out late: HEAD then
	// only follows the branch to where it is now. Zero for a push in its own
	// post-receive.
	RecoveredPushAt time.Time
}

// PushedBranch tells about one branch of a push.
type PushedBranch struct {
	Name    string
	Deleted bool
	// Open are the open merge requests from the branch.
	Open []MergeRequest
	// Created is the merge request that a push option opened; CreateErr says
	// why it could not be.
	Created   *MergeRequest
	CreateErr error
	// Merged are the merge requests that the push marked merged.
	Merged []MergeRequest
}

// MergeInput asks git for a commit that merges, moving no ref.
type MergeInput struct {
	TargetSHA string
	SourceSHA string
	Message   string
	Squash    bool
	By        User
	At        time.Time
}

// ErrRefMoved is what Git.MoveBranch and Git.DeleteBranch return when the
// branch no longer stands where the caller thought.
var ErrRefMoved = errors.New("models: the branch has moved")

// Git is what the domain asks of a project's repository. The command wires it
// to the git program.
type Git interface {
	// CreateRepository makes an empty repository; with a readme, its default
	// branch has a first commit.
	CreateRepository(ctx context.Context, project Project, readme bool, by User, at time.Time) error
	DeleteRepository(ctx context.Context, projectID int64) error
	// SetDefaultBranch points HEAD of the repository at a branch.
	SetDefaultBranch(ctx context.Context, projectID int64, branch string) error
	BranchTip(ctx context.Context, projectID int64, branch string) (sha string, exists bool, err error)
	// BranchLog is the reflog of a branch, newest entry first; empty for a branch
	// that has none or does not exist.
	BranchLog(ctx context.Context, projectID int64, branch string) ([]BranchMove, error)
	Commit(ctx context.Context, projectID int64, sha string) (Commit, error)
	// CountCommits counts the commits of to that from lacks.
	CountCommits(ctx context.Context, projectID int64, from, to string) (int, error)
	IsAncestor(ctx context.Context, projectID int64, ancestor, descendant string) (bool, error)
	// Reached tells which of heads are reachable from newSHA but not from
	// oldSHA.
	Reached(ctx context.Context, projectID int64, oldSHA, newSHA string, heads []string) (map[string]bool, error)
	// KeepHead keeps HEAD of a merge request from being pruned.
	KeepHead(ctx context.Context, projectID, iid int64, sha string) error
	// PrepareMerge writes the commit that a merge would make. conflicts names
	// the files that cannot be merged; sha is "" then.
	PrepareMerge(ctx context.Context, projectID int64, in MergeInput) (sha string, conflicts []string, err error)
	// MoveBranch moves a branch by compare-and-swap; ErrRefMoved otherwise.
	MoveBranch(ctx context.Context, projectID int64, branch, newSHA, oldSHA string) error
	DeleteBranch(ctx context.Context, projectID int64, branch, oldSHA string) error
}
