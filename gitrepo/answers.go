package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/sync/singleflight"
)

// Limits of the cache. Commits never change, so a result for two commits stays
// valid.
const (
	maxAnswers     = 4096
	maxAnswerBytes = 32 << 20
)

// cutAnswerTime is how long an incomplete result is kept. git reached a limit of
// time or memory, and a later attempt may give more.
const cutAnswerTime = time.Minute

// answerKey identifies a query about two commits of a project.
type answerKey struct {
	project    int64
	question   string
	one, other string
	limits     DiffLimits
}

// answers is an LRU cache of the results of git. The zero value is an empty
// cache.
type answers struct {
	running singleflight.Group

	mu    sync.Mutex
	byKey *simplelru.LRU[answerKey, answer] // nil while nothing was added
	bytes int
}

type answer struct {
	value any
	err   error
	size  int
	until time.Time // when it expires; zero means never
}

// cached returns the result for key from the cache, or else from ask. Concurrent
// callers share one call of ask, which goes on when its first caller is
// cancelled. ask returns the result, its size in bytes and whether it is
// complete. Incomplete results and ErrTooLarge expire after cutAnswerTime; other
// errors are not cached.
func cached[T any](ctx context.Context, a *answers, key answerKey, ask func(context.Context) (T, int, bool, error)) (T, error) {
	if found, ok := a.get(key); ok {
		value, _ := found.value.(T)
		return value, found.err
	}
	done := a.running.DoChan(fmt.Sprint(key), func() (any, error) {
		if found, ok := a.get(key); ok { // another call has ended since the look above
			return found.value, found.err
		}
		value, size, complete, err := ask(context.WithoutCancel(ctx))
		entry := answer{value: value, err: err, size: size}
		if !complete {
			entry.until = time.Now().Add(cutAnswerTime)
		}
		if err == nil || errors.Is(err, ErrTooLarge) {
			a.put(key, entry)
		}
		return value, err
	})
	select {
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	case result := <-done:
		value, _ := result.Val.(T)
		return value, result.Err
	}
}

func (a *answers) get(key answerKey) (answer, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.byKey == nil {
		return answer{}, false
	}
	found, ok := a.byKey.Get(key)
	if ok && !found.until.IsZero() && time.Now().After(found.until) {
		a.byKey.Remove(key)
		return answer{}, false
	}
	return found, ok
}

// put stores an entry and evicts the least recently used ones. An entry that is
// larger than the cache is not stored.
func (a *answers) put(key answerKey, entry answer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if entry.size > maxAnswerBytes {
		return
	}
	if a.byKey == nil {
		dropped := func(_ answerKey, gone answer) { a.bytes -= gone.size }
		var err error
		if a.byKey, err = simplelru.NewLRU(maxAnswers, dropped); err != nil {
			panic(err) // only for a size below 1
		}
	}
	a.byKey.Remove(key) // Add would replace the entry without a call of dropped
	a.byKey.Add(key, entry)
	a.bytes += entry.size
	for a.bytes > maxAnswerBytes {
		a.byKey.RemoveOldest()
	}
}
