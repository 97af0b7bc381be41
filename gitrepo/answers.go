package gitrepo

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

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

// answers keeps what git said, the question asked last in front. Its zero
// value is empty and ready.
type answers struct {
	running singleflight.Group

	mu    sync.Mutex
	byKey map[answerKey]*list.Element
	order list.List
	bytes int
}

type answer struct {
	key   answerKey
	value any
	err   error
	size  int
	until time.Time // zero: for good
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
		entry := answer{key: key, value: value, err: err, size: size}
		if !complete {
			entry.until = time.Now().Add(cutAnswerTime)
		}
		if err == nil || errors.Is(err, ErrTooLarge) {
			a.put(entry)
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
	element, ok := a.byKey[key]
	if !ok {
		return answer{}, false
	}
	found := element.Value.(answer)
	if !found.until.IsZero() && time.Now().After(found.until) {
		a.remove(element)
		return answer{}, false
	}
	a.order.MoveToFront(element)
	return found, true
}

// put keeps an answer in the place of those not asked for longest.
func (a *answers) put(entry answer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if entry.size > maxAnswerBytes {
		return
	}
	if element, ok := a.byKey[entry.key]; ok {
		a.remove(element)
	}
	if a.byKey == nil {
		a.byKey = map[answerKey]*list.Element{}
	}
	a.byKey[entry.key] = a.order.PushFront(entry)
	a.bytes += entry.size
	for a.order.Len() > maxAnswers || a.bytes > maxAnswerBytes {
		a.remove(a.order.Back())
	}
}

func (a *answers) remove(element *list.Element) {
	gone := a.order.Remove(element).(answer)
	delete(a.byKey, gone.key)
	a.bytes -= gone.size
}
