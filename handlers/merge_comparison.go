package handlers

import (
	"cmp"
	"container/list"
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/models"
)

// commitPair names two commits that git compares. They never change, so
// neither does what git says about them.
type commitPair struct {
	projectID      int64
	target, source string
}

const (
	// maxKept is how many pairs of commits are kept: those of the merge requests
	// that were looked at last.
	maxKept = 2048
	// maxKeptConflicts is from how many files in conflict on their names are not
	// kept, so that a few strange merge requests cannot fill the memory.
	maxKeptConflicts = 500
)

// keptAnswers is a cache that drops the answer used longest ago once the
// answers together weigh more than maxWeight, maxKept by default. The zero value
// is empty and ready; it is safe for concurrent use.
type keptAnswers[K comparable, T any] struct {
	maxWeight int

	mu     sync.Mutex
	byKey  map[K]*list.Element
	weight int
	// order holds the answers, the one used last in front.
	order list.List
}

type keptAnswer[K comparable, T any] struct {
	key    K
	said   T
	weight int
}

// get returns the answer for a key; ok is false when it is not in the cache.
func (k *keptAnswers[K, T]) get(key K) (said T, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	element, ok := k.byKey[key]
	if !ok {
		return said, false
	}
	k.order.MoveToFront(element)
	return element.Value.(keptAnswer[K, T]).said, true
}

// put keeps an answer with its weight. One that is there already stays.
func (k *keptAnswers[K, T]) put(key K, said T, weight int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, known := k.byKey[key]; known {
		return
	}
	if k.byKey == nil {
		k.byKey = map[K]*list.Element{}
	}
	k.byKey[key] = k.order.PushFront(keptAnswer[K, T]{key, said, weight})
	k.weight += weight
	for k.weight > cmp.Or(k.maxWeight, maxKept) {
		oldest := k.order.Remove(k.order.Back()).(keptAnswer[K, T])
		delete(k.byKey, oldest.key)
		k.weight -= oldest.weight
	}
}

// span is what lies between a target and a source.
type span struct {
	// commits is how many commits of the source the target lacks.
	commits int
	// base is where the two parted; "" where they share no commit, or the target
	// lacks none.
	base string
	// files is how many files changed from base to source, -1 when there are too
	// many to count.
	files int
}

// span asks git what lies between target and source, or remembers.
func (p *pages) span(ctx context.Context, key commitPair) (span, error) {
	said, known := p.spans.get(key)
	if known {
		return said, nil
	}
	git := p.Git.Reader(key.projectID)
	var err error
	if said.commits, err = git.Count(ctx, key.target, key.source); err != nil {
		return said, err
	}
	if said.commits > 0 {
		if said.base, _, err = git.MergeBase(ctx, key.target, key.source); err != nil {
			return said, err
		}
	}
	if said.base != "" {
		files, err := git.CountFiles(ctx, said.base, key.source)
		if err != nil {
			return said, err
		}
		if said.files = files.Files; files.More {
			said.files = -1
		}
	}
	p.spans.put(key, said, 1)
	return said, nil
}

// mergeAnswer is the files in conflict, or what else prevents a merge.
type mergeAnswer struct {
	files []string
	err   error
}

// conflictsOf asks git which files cannot be merged, or remembers. Having no
// history in common is remembered as well; what was too large may fit later.
func (p *pages) conflictsOf(ctx context.Context, key commitPair) ([]string, error) {
	said, known := p.conflicts.get(key)
	if known {
		return said.files, said.err
	}
	said.files, said.err = p.Git.Reader(key.projectID).Conflicts(ctx, key.target, key.source)
	var blocked *models.Error
	unrelated := errors.As(said.err, &blocked) && slices.Contains(blocked.Reasons, models.BlockedUnrelated)
	if (said.err == nil || unrelated) && len(said.files) <= maxKeptConflicts {
		p.conflicts.put(key, said, 1)
	}
	return said.files, said.err
}

// comparison is a merge request's HEAD against its target.
type comparison struct {
	// commitPair has no target where there is none to compare with, as the
	// target branch is gone.
	commitPair
	span
}

// compare compares a merge request with its target branch; a merged one with
// its target as it stood before.
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
