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

// The size of the cache of answers. Commits never change, so what git says
// about two of them stays true.
const (
	maxAnswers     = 4096
	maxAnswerBytes = 32 << 20
)

// cutAnswerTime is how long an answer is kept that another try may better: git
// ran out of time or memory.
const cutAnswerTime = time.Minute

// answerKey names a question about two commits of a project.
type answerKey struct {
	project    int64
	question   string
	one, other string
	limits     DiffLimits
}

// answers is a cache of what git said. When it is full, it drops the answers that
// were used longest ago. Its zero value is empty and ready.
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
	until time.Time // zero: no expiry
}

// cached returns the answer to a question, asking once however many ask at the
// same time. ask returns the answer, its size in bytes, and whether it is
// complete; what is not, and ErrTooLarge, is kept for cutAnswerTime, other
// errors not at all. ask goes on when its first caller goes away.
func cached[T any](ctx context.Context, a *answers, key answerKey, ask func(context.Context) (T, int, bool, error)) (T, error) {
	if found, ok := a.get(key); ok {
		value, _ := found.value.(T)
		return value, found.err
	}
	done := a.running.DoChan(fmt.Sprint(key), func() (any, error) {
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

// put adds an answer. One that is larger than the whole cache is not kept.
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
