package handlers

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/models"
)

// Many pages of one project that are opened at once take turns, and leave places for another
// project. Other routes do not wait.
func TestPageTurns_LimitsPerProject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newPageTurns()
		var running, most atomic.Int64
		e := echo.New()
		e.Use(turns.takeTurns)
		e.GET(pollRoute, func(c echo.Context) error {
			now := running.Add(1)
			defer running.Add(-1)
			if most.Load() < now {
				most.Store(now)
			}
			time.Sleep(time.Second)
			return c.NoContent(http.StatusNoContent)
		})
		e.POST(pollRoute, func(c echo.Context) error { return c.NoContent(http.StatusNoContent) })
		ask := func(method, path string) time.Duration {
			start := time.Now()
			e.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(method, path, nil))
			return time.Since(start)
		}
		var all sync.WaitGroup
		for range 10 * maxPagesPerProject {
			all.Go(func() { ask(http.MethodGet, "/olga/pear/-/merge_requests/1/status_checks") })
		}
		synctest.Wait()
		if took := ask(http.MethodGet, "/otto/quince/-/merge_requests/1/status_checks"); took != time.Second {
			t.Errorf("a page of another project takes %v", took)
		}
		if took := ask(http.MethodPost, "/olga/pear/-/merge_requests/1/status_checks"); took != 0 {
			t.Errorf("a form takes %v", took)
		}
		all.Wait()
		if most.Load() != maxPagesPerProject+1 {
			t.Errorf("%d pages at once, want %d", most.Load(), maxPagesPerProject+1)
		}
		if len(turns.projects) != 0 {
			t.Errorf("%d projects are kept", len(turns.projects))
		}
	})
}

// A page that does not get its turn is answered, and holds nothing.
func TestPageTurns_NoTurn_IsUnavailable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newPageTurns()
		var leaves []func()
		for range maxPagesPerProject {
			leave, err := turns.enter(t.Context(), "olga/pear")
			if err != nil {
				t.Fatal(err)
			}
			leaves = append(leaves, leave)
		}
		if _, err := turns.enter(t.Context(), "olga/pear"); models.KindOf(err) != models.KindUnavailable {
			t.Errorf("after waiting: %v", err)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := turns.enter(gone, "olga/pear"); !errors.Is(err, context.Canceled) {
			t.Errorf("for a client that is gone: %v", err)
		}
		for _, leave := range leaves {
			leave()
		}
		if leave, err := turns.enter(t.Context(), "olga/pear"); err != nil || len(turns.projects) != 1 {
			t.Errorf("afterwards: %v", err)
		} else {
			leave()
		}
	})
}
