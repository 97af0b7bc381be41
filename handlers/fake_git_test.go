package handlers

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// fakeGit answers what the pages ask beyond the imagined git.
type fakeGit struct {
	*modelstest.Git
	changes Changes
	fails   error
	// parents are every commit's.
	parents []string
	// base is what the last call of Changes compared with.
	base string
	// compared counts the calls of Divergences.
	compared int
	// many is how many branches there are besides the usual ones, none of them
	// with a commit.
	many int
	// merged counts the calls of Conflicts.
	merged int
	// offset is where the last call of Commits began.
	offset int
}

func (g *fakeGit) Branches(_ context.Context, projectID int64, search string, _, limit int, first ...string) ([]Branch, int, error) {
	var list []Branch
	for _, name := range []string{"main", "feature", "other", "release/1"} {
		if sha := g.Tip(projectID, name); sha != "" && strings.Contains(name, search) {
			list = append(list, Branch{Name: name, SHA: sha, Title: "Commit on " + name})
		}
	}
	for i := range g.many {
		if name := fmt.Sprintf("many/%04d", i); strings.Contains(name, search) {
			list = append(list, Branch{Name: name})
		}
	}
	sort.Slice(list, func(i, j int) bool {
		if a, b := slices.Contains(first, list[i].Name), slices.Contains(first, list[j].Name); a != b {
			return a
		}
		return list[i].Name < list[j].Name
	})
	return list[:min(len(list), limit)], len(list), nil
}

func (g *fakeGit) BranchStamp(projectID int64, branch string) string { return g.Tip(projectID, branch) }

func (g *fakeGit) Divergences(ctx context.Context, projectID int64, main string, tips ...string) (map[string]Divergence, error) {
	g.compared++
	all := map[string]Divergence{}
	for _, tip := range tips {
		ahead, err := g.CountCommits(ctx, projectID, main, tip)
		if err != nil {
			return nil, err
		}
		behind, err := g.CountCommits(ctx, projectID, tip, main)
		if err != nil {
			return nil, err
		}
		all[tip] = Divergence{Ahead: ahead, Behind: behind}
	}
	return all, nil
}

func (g *fakeGit) RecentBranches(ctx context.Context, projectID int64, search, first string, limit int) ([]string, int, error) {
	if g.fails != nil {
		return nil, 0, g.fails
	}
	found, total, err := g.Branches(ctx, projectID, search, 0, limit)
	var names []string
	for _, branch := range found {
		if branch.Name == first {
			names = append([]string{branch.Name}, names...)
		} else {
			names = append(names, branch.Name)
		}
	}
	return names, total, err
}

func (g *fakeGit) ReadFile(context.Context, int64, string, string, int64) ([]byte, error) {
	return nil, ErrNoSuchFile
}

func (g *fakeGit) MergeBase(ctx context.Context, projectID int64, a, b string) (string, bool, error) {
	if g.fails != nil {
		return "", false, g.fails
	}
	if contained, err := g.IsAncestor(ctx, projectID, a, b); contained || err != nil {
		return a, true, err
	}
	return g.Tip(projectID, "main"), true, nil
}

// Resolve knows branches, and ids of commits that a branch leads to.
func (g *fakeGit) Resolve(ctx context.Context, projectID int64, name string) (string, bool, error) {
	if g.fails != nil {
		return "", false, g.fails
	}
	if tip := g.Tip(projectID, name); tip != "" {
		return tip, true, nil
	}
	for _, branch := range []string{"main", "feature", "topic"} {
		if known, err := g.IsAncestor(ctx, projectID, name, g.Tip(projectID, branch)); known || err != nil {
			return name, known, err
		}
	}
	return "", false, nil
}

func (g *fakeGit) ReadCommit(ctx context.Context, projectID int64, sha string) (models.Commit, []string, error) {
	commit, err := g.Commit(ctx, projectID, sha)
	return commit, g.parents, err
}

func (g *fakeGit) Commits(ctx context.Context, projectID int64, _, to string, offset, _ int) ([]models.Commit, error) {
	g.offset = offset
	commit, err := g.Commit(ctx, projectID, to)
	commit.Message = "Trim the pear\n\nIt had <b>too</b> many leaves."
	return []models.Commit{commit}, err
}

func (g *fakeGit) CountFiles(context.Context, int64, string, string) (int, bool, error) {
	return g.changes.TotalFiles, !g.changes.MoreFiles, nil
}

func (g *fakeGit) Changes(_ context.Context, _ int64, base, _ string) (Changes, error) {
	g.base = base
	return g.changes, nil
}

func (g *fakeGit) Conflicts(context.Context, int64, string, string) ([]string, error) {
	g.merged++
	return g.Git.Conflicts, nil
}
