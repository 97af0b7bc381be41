package handlers

import (
	"container/list"
	"context"
	"sync"
)

// outlook is what git says about merging one commit into another.
type outlook struct {
	// commits is how many commits the merge would add.
	commits int
	// related says that the two have a common ancestor.
	related bool
	// conflicts are the files that could not be merged.
	conflicts []string
}

// outlookKey names a merge by its commits. They never change, so neither does
// what git says about them.
type outlookKey struct {
	projectID      int64
	target, source string
}

const (
	// maxOutlooks is how many outlooks are kept: those of the merge requests
	// that were looked at last.
	maxOutlooks = 2048
	// maxKeptConflicts is from how many files in conflict on an outlook is not
	// kept, so that a few strange merge requests cannot fill the memory.
	maxKeptConflicts = 500
)

// outlooks keeps what git said. Its zero value is empty and ready; it may be
// used by many at once.
type outlooks struct {
	mu    sync.Mutex
	byKey map[outlookKey]*list.Element
	// order holds the keys with their outlooks, the one used last in front.
	order list.List
}

type keptOutlook struct {
	key outlookKey
	outlook
}

// get finds what git said about a merge.
func (o *outlooks) get(key outlookKey) (found outlook, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	element, ok := o.byKey[key]
	if !ok {
		return outlook{}, false
	}
	o.order.MoveToFront(element)
	return element.Value.(keptOutlook).outlook, true
}

// put keeps what git said, in the place of what was not asked for longest.
func (o *outlooks) put(key outlookKey, said outlook) {
	if len(said.conflicts) > maxKeptConflicts {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, known := o.byKey[key]; known {
		return
	}
	if o.byKey == nil {
		o.byKey = map[outlookKey]*list.Element{}
	}
	o.byKey[key] = o.order.PushFront(keptOutlook{key, said})
	if o.order.Len() > maxOutlooks {
		oldest := o.order.Remove(o.order.Back()).(keptOutlook)
		delete(o.byKey, oldest.key)
	}
}

// outlook asks git about merging source into target, or remembers.
func (p *pages) outlook(ctx context.Context, projectID int64, target, source string) (outlook, error) {
	key := outlookKey{projectID, target, source}
	said, known := p.outlooks.get(key)
	if known {
		return said, nil
	}
	var err error
	if said.commits, err = p.Git.CountCommits(ctx, projectID, target, source); err != nil {
		return said, err
	}
	if said.commits > 0 {
		if _, said.related, err = p.Git.MergeBase(ctx, projectID, target, source); err != nil {
			return said, err
		}
		if said.related {
			if said.conflicts, err = p.Git.Conflicts(ctx, projectID, target, source); err != nil {
				return said, err
			}
		}
	}
	p.outlooks.put(key, said)
	return said, nil
}
