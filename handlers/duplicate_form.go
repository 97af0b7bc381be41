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

// duplicateWindow is how long after its answer a form counts as a duplicate. It is longer than a
// double click, and too short to undo and repeat something on purpose.
const duplicateWindow = 2 * time.Second

// submittedForms remembers where submitted forms redirected to.
type submittedForms struct {
	mu    sync.Mutex
	forms map[formDigest]*formAnswer
}

type formDigest [sha256.Size]byte

// formAnswer is the answer to a form. done is closed when the answer is known, at the time at.
// location is "" if nothing was created, so that the form can be tried again.
type formAnswer struct {
	done     chan struct{}
	at       time.Time
	location string
	cookies  []string
}

// dropDuplicates wraps the handler of a form that creates something, and answers duplicates with the
// redirect of the first request. It must run after readForm. Forms in dialogs are excluded:
// the script prevents their duplicates.
func (p *pages) dropDuplicates(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		session := request.Session(c).Digest
		if session == "" || isHTMX(c) {
			return next(c)
		}
		digest := formDigest(sha256.Sum256([]byte(session + "\n" + c.Request().URL.RequestURI() + "\n" + c.Request().PostForm.Encode())))
		for {
			answer, mine := p.submitted.begin(digest, p.Store.Now())
			if mine {
				defer func() { p.submitted.finish(digest, answer, c, p.Store.Now()) }()
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

// begin returns the answer to a form. mine means that the form is new: the caller handles it
// and then calls finish.
func (f *submittedForms) begin(digest formDigest, now time.Time) (answer *formAnswer, mine bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for d, old := range f.forms {
		if !old.at.IsZero() && now.Sub(old.at) >= duplicateWindow {
			delete(f.forms, d)
		}
	}
	if answer = f.forms[digest]; answer != nil {
		return answer, false
	}
	if f.forms == nil {
		f.forms = map[formDigest]*formAnswer{}
	}
	answer = &formAnswer{done: make(chan struct{})}
	f.forms[digest] = answer
	return answer, true
}

// finish stores the redirect of a form that created something. All other answers are forgotten
// at once.
func (f *submittedForms) finish(digest formDigest, answer *formAnswer, c echo.Context, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	defer close(answer.done)
	response := c.Response()
	if !response.Committed || response.Status != http.StatusSeeOther {
		delete(f.forms, digest)
		return
	}
	answer.at, answer.location = now, response.Header().Get(echo.HeaderLocation)
	answer.cookies = slices.Clone(response.Header().Values(echo.HeaderSetCookie))
}
