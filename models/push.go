package models

import (
	"context"
	"errors"
	"strings"
	"time"
)

// RefUpdate is one ref that a push changes. Old is all zeros if the push creates the
// ref, New if it deletes it.
type RefUpdate struct {
	Ref string `json:"ref"`
	Old string `json:"old"`
	New string `json:"new"`
}

// Branch returns the name of the updated branch; ok is false for tags and other refs.
func (u RefUpdate) Branch() (name string, ok bool) {
	return strings.CutPrefix(u.Ref, "refs/heads/")
}

// IsZeroSHA reports whether an object id is all zeros, which means "no object" in
// hooks.
func IsZeroSHA(sha string) bool { return strings.Trim(sha, "0") == "" }

// PushOptions are the push options of GitLab that Mergegate supports.
type PushOptions struct {
	Create      bool   `json:"create,omitempty"`
	Target      string `json:"target,omitempty"`
	Title       string `json:"title,omitempty"`
	Description string `json:"description,omitempty"`
	Draft       bool   `json:"draft,omitempty"`
}

// PendingPush is a push between its pre-receive and the end of its post-receive.
type PendingPush struct {
	ID        int64
	ProjectID int64
	UserID    *int64
	RequestID string
	Updates   []RefUpdate `gorm:"serializer:json"`
	Options   PushOptions `gorm:"serializer:json"`
	// RefsMoved means that the refs are known to have moved: a merge created the row.
	RefsMoved bool
	CreatedAt time.Time
}

// BranchMove is an entry of a branch's reflog.
type BranchMove struct {
	// RequestID is the request of the push that moved the branch; any other text if no
	// push moved it.
	RequestID string
	SHA       string
}

// isAppliedBy reports whether the repository shows that the push with requestID made
// the update. tip is the branch's current commit, "" if the branch does not exist; log
// is its reflog, newest entry first.
//
// It is not enough that the tip contains the new commit, because a later push may have
// brought it. The reflog tells them apart: each entry has the request id of its push.
// The reflog may be lost in a power failure, so if its newest entry is not the tip, the
// tip itself counts. A deletion cannot be attributed: the branch exists or not.
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
	// PendingID is the pending push to delete afterwards; 0 for none.
	PendingID int64
	// RecoveredPushAt is when the push began if recovery processes it; zero for a push
	// in its own post-receive. Recovery moves HEAD directly to the branch's current
	// tip.
	RecoveredPushAt time.Time
}

// PushedBranch is the result of a push for one branch.
type PushedBranch struct {
	Name    string
	Deleted bool
	// Open lists the open merge requests from the branch.
	Open []MergeRequest
	// Created is the merge request that a push option opened; CreateErr is why it could
	// not be opened.
	Created   *MergeRequest
	CreateErr error
	// Merged lists the merge requests that the push marked as merged.
	Merged []MergeRequest
}

// MergeInput describes a merge commit that git creates without moving a ref.
type MergeInput struct {
	TargetSHA string
	SourceSHA string
	Message   string
	Squash    bool
	By        User
	At        time.Time
}

// ErrRefMoved is returned by Git.MoveBranch and Git.DeleteBranch if the branch is not
// at the expected commit.
var ErrRefMoved = errors.New("models: the branch has moved")

// Git is what the domain needs of a project's repository. The program implements
// it with package gitrepo; modelstest.Git is a fake in memory.
type Git interface {
	// CreateRepository creates an empty repository. With readme, its default branch has
	// a first commit.
	CreateRepository(ctx context.Context, project Project, readme bool, by User, at time.Time) error
	DeleteRepository(ctx context.Context, projectID int64) error
	// SetDefaultBranch points the repository's HEAD to a branch.
	SetDefaultBranch(ctx context.Context, projectID int64, branch string) error
	BranchTip(ctx context.Context, projectID int64, branch string) (sha string, exists bool, err error)
	// BranchLog returns the reflog of a branch, newest entry first. It is empty if the
	// branch does not exist or has no reflog.
	BranchLog(ctx context.Context, projectID int64, branch string) ([]BranchMove, error)
	Commit(ctx context.Context, projectID int64, sha string) (Commit, error)
	// CountCommits counts the commits that are reachable from to but not from from.
	CountCommits(ctx context.Context, projectID int64, from, to string) (int, error)
	// IsAncestor reports whether ancestor is reachable from descendant. An ancestor that is
	// not in the repository is not.
	IsAncestor(ctx context.Context, projectID int64, ancestor, descendant string) (bool, error)
	// Reached reports which of heads are reachable from newSHA but not from oldSHA.
	Reached(ctx context.Context, projectID int64, oldSHA, newSHA string, heads []string) (map[string]bool, error)
	// KeepHead points refs/merge-requests/<iid>/head at sha, so git does not prune it.
	KeepHead(ctx context.Context, projectID, iid int64, sha string) error
	// PrepareMerge creates the merge commit and moves no ref. If files conflict, it
	// returns their names and an empty sha.
	PrepareMerge(ctx context.Context, projectID int64, in MergeInput) (sha string, conflicts []string, err error)
	// MoveBranch moves a branch by compare-and-swap. It returns ErrRefMoved if the
	// branch is not at oldSHA.
	MoveBranch(ctx context.Context, projectID int64, branch, newSHA, oldSHA string) error
	DeleteBranch(ctx context.Context, projectID int64, branch, oldSHA string) error
}
