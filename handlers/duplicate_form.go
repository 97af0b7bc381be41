package handlers

import (
	"crypto/sha256"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/handlers/request"
)

// A form that makes something can arrive twice: a double click, a finger that
// is not sure. The database makes one of it, because names, paths, members and
// pairs of branches are unique; but a browser shows the answer to the second,
// which would be "already taken" for what was just made. So the same form of
// the same session that comes while the first is under way, or right after it,
// is led where the first one was. Each instance remembers its own; where the
// second goes to another one, there is still only one row, and the fault is
// told.

// onceFor is how long after its answer a form counts as the same one: longer
// than a double click, shorter than anybody needs to undo and do again.
const onceFor = 2 * time.Second

// once remembers where forms that made something led to.
type once struct {
	mu    sync.Mutex
	forms map[formDigest]*onceAnswer
}

type formDigest [sha256.Size]byte

// onceAnswer is the answer to one form. done is closed when it is there, at is
// when; location is "" where nothing was made, so that it may be tried again.
type onceAnswer struct {
	done     chan struct{}
	at       time.Time
	location string
	cookies  []string
}

// onlyOnce guards a form that makes something. It stands behind readForm.
// Dialogs drop a second press themselves.
func (p *pages) onlyOnce(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		session := request.Session(c).Digest
		if session == "" || isHTMX(c) {
			return next(c)
		}
		digest := formDigest(sha256.Sum256([]byte(session + "\n" + c.Request().URL.RequestURI() + "\n" + c.Request().PostForm.Encode())))
		for {
			answer, mine := p.once.enter(digest, p.Store.Now())
			if mine {
				defer func() { p.once.leave(digest, answer, c, p.Store.Now()) }()
				return next(c)
			}
			select {
			case <-answer.done:
			case <-c.Request().Context().Done():
				return c.Request().Context().Err()
			}
			if answer.location != "" {
				for _, cookie := range answer.cookies { // the toast is for whoever follows
					c.Response().Header().Add(echo.HeaderSetCookie, cookie)
				}
				return c.Redirect(http.StatusSeeOther, answer.location)
			}
		}
	}
}

// enter finds the answer to a form, or makes room for it: then it is mine.
func (o *once) enter(digest formDigest, now time.Time) (answer *onceAnswer, mine bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for d, old := range o.forms {
		if !old.at.IsZero() && now.Sub(old.at) >= onceFor {
			delete(o.forms, d)
		}
	}
	if answer = o.forms[digest]; answer != nil {
		return answer, false
	}
	if o.forms == nil {
		o.forms = map[formDigest]*onceAnswer{}
	}
	answer = &onceAnswer{done: make(chan struct{})}
	o.forms[digest] = answer
	return answer, true
}

// leave keeps the answer where something was made; all others, faults above
// all, are forgotten at once.
func (o *once) leave(digest formDigest, answer *onceAnswer, c echo.Context, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	defer close(answer.done)
	response := c.Response()
	if !response.Committed || response.Status != http.StatusSeeOther {
		delete(o.forms, digest)
		return
	}
	answer.at, answer.location = now, response.Header().Get(echo.HeaderLocation)
	answer.cookies = slices.Clone(response.Header().Values(echo.HeaderSetCookie))
}
