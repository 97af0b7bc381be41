package modelstest

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"sync"
	"time"

	"github.com/mergegate/mergegate/models"
)

// Git is an imagined git: a graph of commits and branches in memory. Tests of
// the order of events use it to stop at a chosen point; whether the real git
// behaves so is the business of gitrepo's tests.
type Git struct {
	mu       sync.Mutex
	branches map[int64]map[string]string
	parents  map[string][]string
	kept     map[string]string
	n        int
	// Conflicts, when set, are what every merge runs into.
	Conflicts []string
	// BeforeMove runs before a branch is moved by compare-and-swap.
	BeforeMove func()
	// BeforeTip runs before a tip is read.
	BeforeTip func()
}

// NewGit makes a git without repositories.
func NewGit() *Git {
	return &Git{branches: map[int64]map[string]string{}, parents: map[string][]string{}, kept: map[string]string{}}
}

// Move makes a commit with the given parents the tip of a branch, as a push
// does whose post-receive is still to come.
func (g *Git) Move(projectID int64, branch string, parents ...string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	sha := g.commit(parents...)
	g.branches[projectID][branch] = sha
	return sha
}

func (g *Git) commit(parents ...string) string {
	g.n++
	sum := sha1.Sum([]byte(fmt.Sprint("commit ", g.n, parents)))
	sha := hex.EncodeToString(sum[:])
	g.parents[sha] = parents
	return sha
}

// Set points a branch at a commit, as a force push does; "" deletes it.
func (g *Git) Set(projectID int64, branch, sha string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if sha == "" {
		delete(g.branches[projectID], branch)
		return
	}
	g.branches[projectID][branch] = sha
}

// Tip is where a branch stands, "" when there is none.
func (g *Git) Tip(projectID int64, branch string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.branches[projectID][branch]
}

// Kept is what refs/merge-requests/<iid>/head holds.
func (g *Git) Kept(projectID, iid int64) string {
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
		g.branches[p.ID][p.DefaultBranch] = g.commit()
	}
	return nil
}

// DeleteRepository implements models.Git.
func (g *Git) DeleteRepository(_ context.Context, projectID int64) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.branches, projectID)
	return nil
}

// SetDefaultBranch implements models.Git.
func (g *Git) SetDefaultBranch(context.Context, int64, string) error { return nil }

// BranchTip implements models.Git.
func (g *Git) BranchTip(_ context.Context, projectID int64, branch string) (string, bool, error) {
	if g.BeforeTip != nil {
		g.BeforeTip()
	}
	sha := g.Tip(projectID, branch)
	return sha, sha != "", nil
}

// Commit implements models.Git; the message tells the commit.
func (g *Git) Commit(_ context.Context, _ int64, sha string) (models.Commit, error) {
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
func (g *Git) CountCommits(_ context.Context, _ int64, from, to string) (int, error) {
	have, n := g.reachable(from), 0
	for sha := range g.reachable(to) {
		if !have[sha] {
			n++
		}
	}
	return n, nil
}

// IsAncestor implements models.Git.
func (g *Git) IsAncestor(_ context.Context, _ int64, ancestor, descendant string) (bool, error) {
	return g.reachable(descendant)[ancestor], nil
}

// Reached implements models.Git.
func (g *Git) Reached(_ context.Context, _ int64, oldSHA, newSHA string, heads []string) (map[string]bool, error) {
	before, after, result := g.reachable(oldSHA), g.reachable(newSHA), map[string]bool{}
	for _, head := range heads {
		result[head] = after[head] && !before[head]
	}
	return result, nil
}

// KeepHead implements models.Git.
func (g *Git) KeepHead(_ context.Context, projectID, iid int64, sha string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.kept[fmt.Sprint(projectID, "!", iid)] = sha
	return nil
}

// PrepareMerge implements models.Git.
func (g *Git) PrepareMerge(_ context.Context, _ int64, in models.MergeInput) (string, []string, error) {
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
	if g.BeforeMove != nil {
		g.BeforeMove()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.branches[projectID][branch] != oldSHA {
		return models.ErrRefMoved
	}
	g.branches[projectID][branch] = newSHA
	return nil
}

// DeleteBranch implements models.Git.
func (g *Git) DeleteBranch(_ context.Context, projectID int64, branch, oldSHA string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.branches[projectID][branch] != oldSHA {
		return models.ErrRefMoved
	}
	delete(g.branches[projectID], branch)
	return nil
}
