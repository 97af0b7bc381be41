package modelstest

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/mergegate/mergegate/models"
)

// Git is a fake models.Git: commits and branches in memory. Its hooks let tests force
// an order of events. Package gitrepo tests the real git.
type Git struct {
	mu       sync.Mutex
	branches map[int64]map[string]string
	// logs are the reflogs, oldest entry first. Deleting a branch deletes its log.
	logs map[int64]map[string][]models.BranchMove
	// tips lists all commits that a branch has ever pointed to.
	tips    map[string][]string
	parents map[string][]string
	kept    map[string]string
	n       int
	// Conflicts, if not empty, are the files in conflict of every merge.
	Conflicts []string
	// BeforeMove runs before a branch is moved by compare-and-swap.
	BeforeMove func()
	// BeforeTip runs before a tip is read.
	BeforeTip func()
	// missing are the projects for which every operation fails.
	missing map[int64]bool
	// locked are the branches that cannot be deleted.
	locked map[string]bool
}

// ErrMissing is returned by every operation on a repository that SetMissing removed.
var ErrMissing = errors.New("modelstest: the repository is missing")

func (g *Git) check(projectID int64) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.missing[projectID] {
		return ErrMissing
	}
	return nil
}

// SetMissing makes all operations on a project's repository fail, or work again.
func (g *Git) SetMissing(projectID int64, missing bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.missing[projectID] = missing
}

// SetLocked makes deleting a branch fail, or work again.
func (g *Git) SetLocked(branch string, locked bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.locked[branch] = locked
}

// point moves a branch, "" deletes it, and logs the move for a request.
func (g *Git) point(projectID int64, branch, sha, requestID string) {
	key := fmt.Sprint(projectID, " ", branch)
	if sha == "" {
		delete(g.branches[projectID], branch)
		delete(g.logs[projectID], branch)
		return
	}
	if g.logs[projectID] == nil {
		g.logs[projectID] = map[string][]models.BranchMove{}
	}
	g.branches[projectID][branch] = sha
	g.logs[projectID][branch] = append(g.logs[projectID][branch], models.BranchMove{RequestID: requestID, SHA: sha})
	g.tips[key] = append(g.tips[key], sha)
}

// MoveByPush points a branch at a commit, as the push of a request does before its
// post-receive. An empty sha deletes the branch.
func (g *Git) MoveByPush(projectID int64, requestID, branch, sha string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.point(projectID, branch, sha, requestID)
}

// NewCommit creates a commit without moving a branch and returns its id.
func (g *Git) NewCommit(parents ...string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.commit(parents...)
}

// PastTips returns all commits that a branch has ever pointed to.
func (g *Git) PastTips(projectID int64, branch string) []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.tips[fmt.Sprint(projectID, " ", branch)])
}

// BranchLog implements models.Git.
func (g *Git) BranchLog(_ context.Context, projectID int64, branch string) ([]models.BranchMove, error) {
	if err := g.check(projectID); err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	log := slices.Clone(g.logs[projectID][branch])
	slices.Reverse(log)
	return log, nil
}

// NewGit returns a git without repositories.
func NewGit() *Git {
	return &Git{
		branches: map[int64]map[string]string{}, logs: map[int64]map[string][]models.BranchMove{}, tips: map[string][]string{},
		parents: map[string][]string{}, kept: map[string]string{}, missing: map[int64]bool{}, locked: map[string]bool{},
	}
}

// AddCommit creates a commit with the given parents, points a branch at it and returns
// its id. Like a push before its post-receive, it does not tell the store.
func (g *Git) AddCommit(projectID int64, branch string, parents ...string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	sha := g.commit(parents...)
	g.point(projectID, branch, sha, "")
	return sha
}

func (g *Git) commit(parents ...string) string {
	g.n++
	sum := sha1.Sum([]byte(fmt.Sprint("commit ", g.n, parents)))
	sha := hex.EncodeToString(sum[:])
	g.parents[sha] = parents
	return sha
}

// SetBranch points a branch at a commit without telling the store. An empty sha deletes
// the branch.
func (g *Git) SetBranch(projectID int64, branch, sha string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.point(projectID, branch, sha, "")
}

// Tip returns the commit of a branch, "" if the branch does not exist.
func (g *Git) Tip(projectID int64, branch string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.branches[projectID][branch]
}

// HeadRef returns the commit of refs/merge-requests/<iid>/head.
func (g *Git) HeadRef(projectID, iid int64) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.kept[fmt.Sprint(projectID, "!", iid)]
}

// CreateRepository implements models.Git.
func (g *Git) CreateRepository(_ context.Context, p models.Project, readme bool, _ models.User, _ time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.branches[p.ID] = map[string]string{}
	if readme {
		g.point(p.ID, p.DefaultBranch, g.commit(), "")
	}
	return nil
}

// DeleteRepository implements models.Git.
func (g *Git) DeleteRepository(_ context.Context, projectID int64) error {
	if err := g.check(projectID); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.branches, projectID)
	return nil
}

// HasRepository reports whether a project has a repository.
func (g *Git) HasRepository(projectID int64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.branches[projectID] != nil
}

// SetDefaultBranch implements models.Git.
func (g *Git) SetDefaultBranch(context.Context, int64, string) error { return nil }

// BranchTip implements models.Git.
func (g *Git) BranchTip(_ context.Context, projectID int64, branch string) (string, bool, error) {
	if g.BeforeTip != nil {
		g.BeforeTip()
	}
	sha := g.Tip(projectID, branch)
	return sha, sha != "", g.check(projectID)
}

// Commit implements models.Git. The message contains the commit's id.
func (g *Git) Commit(_ context.Context, projectID int64, sha string) (models.Commit, error) {
	if err := g.check(projectID); err != nil {
		return models.Commit{}, err
	}
	return models.Commit{SHA: sha, Message: "Commit " + sha[:8], AuthorName: "Ines Park", AuthorEmail: "ines@orchard.test",
		CommittedAt: time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)}, nil
}

func (g *Git) ancestors(sha string, into map[string]bool) {
	if sha == "" || into[sha] {
		return
	}
	into[sha] = true
	for _, parent := range g.parents[sha] {
		g.ancestors(parent, into)
	}
}

func (g *Git) reachable(sha string) map[string]bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	set := map[string]bool{}
	g.ancestors(sha, set)
	return set
}

// CountCommits implements models.Git.
func (g *Git) CountCommits(_ context.Context, projectID int64, from, to string) (int, error) {
	if err := g.check(projectID); err != nil {
		return 0, err
	}
	have, n := g.reachable(from), 0
	for sha := range g.reachable(to) {
		if !have[sha] {
			n++
		}
	}
	return n, nil
}

// IsAncestor implements models.Git.
func (g *Git) IsAncestor(_ context.Context, projectID int64, ancestor, descendant string) (bool, error) {
	if err := g.check(projectID); err != nil {
		return false, err
	}
	return g.reachable(descendant)[ancestor], nil
}

// Reached implements models.Git.
func (g *Git) Reached(_ context.Context, projectID int64, oldSHA, newSHA string, heads []string) (map[string]bool, error) {
	if err := g.check(projectID); err != nil {
		return nil, err
	}
	before, after, result := g.reachable(oldSHA), g.reachable(newSHA), map[string]bool{}
	for _, head := range heads {
		result[head] = after[head] && !before[head]
	}
	return result, nil
}

// KeepHead implements models.Git.
func (g *Git) KeepHead(_ context.Context, projectID, iid int64, sha string) error {
	if err := g.check(projectID); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.kept[fmt.Sprint(projectID, "!", iid)] = sha
	return nil
}

// PrepareMerge implements models.Git.
func (g *Git) PrepareMerge(_ context.Context, projectID int64, in models.MergeInput) (string, []string, error) {
	if err := g.check(projectID); err != nil {
		return "", nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.Conflicts) > 0 {
		return "", g.Conflicts, nil
	}
	if in.Squash {
		return g.commit(in.TargetSHA), nil, nil
	}
	return g.commit(in.TargetSHA, in.SourceSHA), nil, nil
}

// MoveBranch implements models.Git.
func (g *Git) MoveBranch(_ context.Context, projectID int64, branch, newSHA, oldSHA string) error {
	if err := g.check(projectID); err != nil {
		return err
	}
	if g.BeforeMove != nil {
		g.BeforeMove()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.branches[projectID][branch] != oldSHA {
		return models.ErrRefMoved
	}
	g.point(projectID, branch, newSHA, "")
	return nil
}

// DeleteBranch implements models.Git.
func (g *Git) DeleteBranch(_ context.Context, projectID int64, branch, oldSHA string) error {
	if err := g.check(projectID); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.branches[projectID][branch] != oldSHA {
		return models.ErrRefMoved
	}
	if g.locked[branch] {
		return errors.New("modelstest: the branch is locked")
	}
	g.point(projectID, branch, "", "")
	return nil
}
