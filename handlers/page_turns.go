package handlers

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/sync/semaphore"

	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/models"
)

// Limits of the pages of merge requests that are rendered at once. The others wait before they
// use the database, so that many pages that are opened together leave connections for polls
// without news, responses and deliveries. A page may wait for git, so a project has only a part.
const (
	maxPages           = 12
	maxPagesPerProject = 6
	// maxPageWait is how long a page waits for its turn.
	maxPageWait = 30 * time.Second
)

// turnRoutes are the routes that take turns: those that browsers request together after a
// restart or an outage.
var turnRoutes = []string{pollRoute, projectRoute + mergeRequestsPath + "/:iid"}

// pageTurns limits what is rendered at once, in all and for each project.
type pageTurns struct {
	all *semaphore.Weighted

	mu       sync.Mutex
	projects map[string]*projectTurns
}

type projectTurns struct {
	places *semaphore.Weighted
	users  int // waiting or running; the last one deletes the entry
}

func newPageTurns() *pageTurns {
	return &pageTurns{all: semaphore.NewWeighted(maxPages), projects: map[string]*projectTurns{}}
}

// takeTurns is middleware for turnRoutes. A page that has waited for maxPageWait is answered
// with 503.
func (t *pageTurns) takeTurns(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if c.Request().Method != http.MethodGet || !slices.Contains(turnRoutes, c.Path()) {
			return next(c)
		}
		leave, err := t.enter(c.Request().Context(), request.PathParam(c, "namespace")+"/"+request.PathParam(c, "project"))
		if err != nil {
			return err
		}
		defer leave()
		return next(c)
	}
}

// enter waits for a place and returns the function that releases it. It takes the place of the
// project first, so that a page that waits for it holds no place of other projects.
func (t *pageTurns) enter(ctx context.Context, project string) (leave func(), err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, maxPageWait, &models.Error{
		Kind: models.KindUnavailable, Err: errors.New("too many pages of merge requests are rendered at once"),
	})
	defer cancel()
	t.mu.Lock()
	own := t.projects[project]
	if own == nil {
		own = &projectTurns{places: semaphore.NewWeighted(maxPagesPerProject)}
		t.projects[project] = own
	}
	own.users++
	t.mu.Unlock()
	forget := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if own.users--; own.users == 0 {
			delete(t.projects, project)
		}
	}
	if own.places.Acquire(ctx, 1) != nil {
		forget()
		return nil, context.Cause(ctx)
	}
	if t.all.Acquire(ctx, 1) != nil {
		own.places.Release(1)
		forget()
		return nil, context.Cause(ctx)
	}
	return func() {
		t.all.Release(1)
		own.places.Release(1)
		forget()
	}, nil
}
