package handlers

import (
	"context"
	"errors"
	"slices"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/models"
)

// commitPair names two commits to compare. Commits never change, so results can be cached.
type commitPair struct {
	projectID      int64
	target, source string
}

const (
	// maxComparisons is the size of each cache of comparisons, in pairs of commits.
	maxComparisons = 2048
	// maxKeptConflicts is the largest number of conflicting files that is cached
	// for one pair, so that a few merge requests cannot fill the memory.
	maxKeptConflicts = 500
)

// span is the difference between a target and a source.
type span struct {
	// commits is how many commits of the source the target lacks.
	commits int
	// base is their merge base. It is "" if they have none, or if commits is 0.
	base string
	// files is the number of changed files from base to source, -1 if there are too many to
	// count.
	files int
}

// span returns the difference between the commits of key, from the cache or from
// git.
func (p *pages) span(ctx context.Context, key commitPair) (span, error) {
	result, cached := p.spans.Get(key)
	if cached {
		return result, nil
	}
	git := p.Git.Reader(key.projectID)
	var err error
	if result.commits, err = git.Count(ctx, key.target, key.source); err != nil {
		return result, err
	}
	if result.commits > 0 {
		if result.base, _, err = git.MergeBase(ctx, key.target, key.source); err != nil {
			return result, err
		}
	}
	if result.base != "" {
		files, err := git.CountFiles(ctx, result.base, key.source)
		if err != nil {
			return result, err
		}
		if result.files = files.Files; files.More {
			result.files = -1
		}
	}
	p.spans.Add(key, result)
	return result, nil
}

// mergeResult is the result of a merge: the conflicting files, or the error.
type mergeResult struct {
	files []string
	err   error
}

// conflictsOf returns the files that cannot be merged, from the cache or from git. Unrelated
// histories are cached too; other errors are not.
func (p *pages) conflictsOf(ctx context.Context, key commitPair) ([]string, error) {
	result, cached := p.conflicts.Get(key)
	if cached {
		return result.files, result.err
	}
	result.files, result.err = p.Git.Reader(key.projectID).Conflicts(ctx, key.target, key.source)
	var blocked *models.Error
	unrelated := errors.As(result.err, &blocked) && slices.Contains(blocked.Reasons, models.BlockedUnrelated)
	if (result.err == nil || unrelated) && len(result.files) <= maxKeptConflicts {
		p.conflicts.Add(key, result)
	}
	return result.files, result.err
}

// comparison compares a merge request's HEAD with its target.
type comparison struct {
	// commitPair has no target where there is none to compare with, as the
	// target branch is gone.
	commitPair
	span
}

// compare compares a merge request with its target branch. A merged one is compared with its
// target before the merge.
func (p *pages) compare(c echo.Context, mr models.MergeRequest) (comparison, error) {
	ctx := c.Request().Context()
	with := comparison{commitPair: commitPair{mr.ProjectID, mr.MergingBaseSHA, mr.HeadSHA}}
	if mr.State != models.StateMerged || mr.MergingHeadSHA != mr.HeadSHA {
		tip, exists, err := p.Git.Reader(mr.ProjectID).BranchTip(ctx, mr.TargetBranch)
		if err != nil || !exists {
			with.target = ""
			return with, err
		}
		with.target = tip
	}
	var err error
	with.span, err = p.span(ctx, with.commitPair)
	return with, err
}
