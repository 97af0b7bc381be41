package handlers

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/mergegate/mergegate/gitrepo"
	"github.com/mergegate/mergegate/models/modelstest"
)

// fakeGit is a fake of the repositories: modelstest.Git, which the domain uses,
// with what only pages read.
type fakeGit struct {
	*modelstest.Git
	// changes is what Diff returns.
	changes gitrepo.Diff
	// fails is returned by the reading methods unless it is nil.
	fails error
	// parents are the parents of every commit.
	parents []string
	// base is the base of the last call of Diff.
	base string
	// compared counts the calls of Divergences.
	compared int
	// many is the number of additional branches, which have no commit.
	many int
	// merged counts the calls of Conflicts.
	merged int
	// offset is the offset of the last call of Log.
	offset int
}

// Reader implements gitrepo.Readers.
func (g *fakeGit) Reader(projectID int64) gitrepo.Reader {
	return fakeReader{git: g, projectID: projectID}
}

// fakeReader reads the repository of one project. Methods of gitrepo.Reader
// that the pages do not use panic.
type fakeReader struct {
	gitrepo.Reader
	git       *fakeGit
	projectID int64
}

func (r fakeReader) Branches(
	_ context.Context, search string, _, limit int, first ...string,
) ([]gitrepo.Branch, int, error) {
	var list []gitrepo.Branch
	for _, name := range []string{"main", "feature", "other", "release/1"} {
		if sha := r.git.Tip(r.projectID, name); sha != "" && strings.Contains(name, search) {
			list = append(list, gitrepo.Branch{Name: name, Commit: gitrepo.Commit{SHA: sha, Title: "Commit on " + name}})
		}
	}
	for i := range r.git.many {
		if name := fmt.Sprintf("many/%04d", i); strings.Contains(name, search) {
			list = append(list, gitrepo.Branch{Name: name})
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

func (r fakeReader) Size(context.Context) (int64, bool, error) { return 3 << 20, true, nil }

func (r fakeReader) BranchStamp(branch string) string { return r.git.Tip(r.projectID, branch) }

func (r fakeReader) BranchTip(ctx context.Context, branch string) (string, bool, error) {
	return r.git.BranchTip(ctx, r.projectID, branch)
}

func (r fakeReader) Divergences(
	ctx context.Context, main string, tips ...string,
) (map[string]gitrepo.Divergence, error) {
	r.git.compared++
	all := map[string]gitrepo.Divergence{}
	for _, tip := range tips {
		ahead, err := r.Count(ctx, main, tip)
		if err != nil {
			return nil, err
		}
		behind, err := r.Count(ctx, tip, main)
		if err != nil {
			return nil, err
		}
		all[tip] = gitrepo.Divergence{Ahead: ahead, Behind: behind}
	}
	return all, nil
}

func (r fakeReader) RecentBranches(ctx context.Context, search, first string, limit int) ([]string, int, error) {
	if r.git.fails != nil {
		return nil, 0, r.git.fails
	}
	found, total, err := r.Branches(ctx, search, 0, limit)
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

func (r fakeReader) Blob(context.Context, string, string, int64) ([]byte, bool, error) {
	return nil, false, gitrepo.ErrNotFound
}

func (r fakeReader) MergeBase(ctx context.Context, a, b string) (string, bool, error) {
	if r.git.fails != nil {
		return "", false, r.git.fails
	}
	if contained, err := r.git.IsAncestor(ctx, r.projectID, a, b); contained || err != nil {
		return a, true, err
	}
	return r.git.Tip(r.projectID, "main"), true, nil
}

// Resolve knows branches, and ids of commits that a branch contains.
func (r fakeReader) Resolve(ctx context.Context, name string) (string, error) {
	if r.git.fails != nil {
		return "", r.git.fails
	}
	if tip := r.git.Tip(r.projectID, name); tip != "" {
		return tip, nil
	}
	for _, branch := range []string{"main", "feature", "topic"} {
		known, err := r.git.IsAncestor(ctx, r.projectID, name, r.git.Tip(r.projectID, branch))
		if known || err != nil {
			return name, err
		}
	}
	return "", gitrepo.ErrNotFound
}

func (r fakeReader) Commit(ctx context.Context, sha string) (gitrepo.Commit, error) {
	c, err := r.git.Commit(ctx, r.projectID, sha)
	return gitrepo.Commit{
		SHA: c.SHA, ParentSHAs: r.git.parents, Title: c.Title(), Message: c.Message,
		AuthorName: c.AuthorName, AuthorEmail: c.AuthorEmail, CommittedAt: c.CommittedAt,
	}, err
}

func (r fakeReader) Count(ctx context.Context, from, to string) (int, error) {
	return r.git.CountCommits(ctx, r.projectID, from, to)
}

func (r fakeReader) Log(ctx context.Context, _, to string, offset, _ int) ([]gitrepo.Commit, error) {
	r.git.offset = offset
	commit, err := r.Commit(ctx, to)
	commit.Message = "Trim the pear\n\nIt had <b>too</b> many leaves."
	return []gitrepo.Commit{commit}, err
}

func (r fakeReader) CountFiles(context.Context, string, string) (gitrepo.FileCount, error) {
	return gitrepo.FileCount{Files: r.git.changes.TotalFiles, More: r.git.changes.MoreFiles}, nil
}

func (r fakeReader) Diff(_ context.Context, base, _ string, _ gitrepo.DiffLimits) (gitrepo.Diff, error) {
	r.git.base = base
	return r.git.changes, nil
}

func (r fakeReader) Conflicts(context.Context, string, string) ([]string, error) {
	r.git.merged++
	return r.git.Git.Conflicts, nil
}
