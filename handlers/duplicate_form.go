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

// A double click submits a form that creates something twice. The database creates only one
// row, because names, paths, members and pairs of branches are unique. But browsers show the
// answer to the second request, which would be "already taken". Therefore a duplicate that
// arrives during the first request, or shortly after it, is redirected to where the first one
// was. Each instance remembers its own forms. If the duplicate reaches another instance, there
// is still one row, and the user sees the error.

// onceFor is how long after its answer a form counts as a duplicate. It is longer than a
// double click, and too short to undo and repeat something on purpose.
const onceFor = 2 * time.Second

// once remembers where submitted forms redirected to.
type once struct {
	mu    sync.Mutex
	forms map[formDigest]*onceAnswer
}

type formDigest [sha256.Size]byte

// onceAnswer is the answer to a form. done is closed when the answer is known, at the time at.
// location is "" if nothing was created, so that the form can be tried again.
type onceAnswer struct {
	done     chan struct{}
	at       time.Time
	location string
	cookies  []string
}

// onlyOnce wraps the handler of a form that creates something, and answers duplicates with the
// redirect of the first request. It must run after readForm. Forms in dialogs are excluded:
// the script prevents their duplicates.
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
				for _, cookie := range answer.cookies { // the cookie of the toast
					c.Response().Header().Add(echo.HeaderSetCookie, cookie)
				}
				return c.Redirect(http.StatusSeeOther, answer.location)
			}
		}
	}
}

// enter returns the answer to a form. mine means that the form is new: the caller handles it
// and then calls leave.
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

// leave stores the redirect of a form that created something. All other answers are forgotten
// at once.
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
