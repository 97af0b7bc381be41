package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/semaphore"
)

// ErrBusy means that too many git processes run already, for the project or in
// all, and that none ended within poolWait.
var ErrBusy = errors.New("too many git processes are running")

// errTime is the ErrTooLarge of a process that ran longer than it may.
var errTime = fmt.Errorf("the time limit was reached: %w", ErrTooLarge)

// limits bound the git processes of one kind. Pushed data decides how much work
// a question is, so every process that reads it has them.
type limits struct {
	memory     uint64        // bytes of writable memory; 0 means no limit
	cpuSeconds uint64        // processor time; 0 means no limit
	time       time.Duration // wall clock; 0 means no limit
	pool       *pool         // nil means any number at once
}

// pools bound the number of git processes: in all, and for each project, so
// that no project can take all places.
type pools struct {
	views    *pool // what pages and the API show
	domain   *pool // what transactions need: never behind the views of others
	services *pool // fetches and pushes
}

func newPools() pools {
	return pools{views: newPool(16, 4), domain: newPool(32, 16), services: newPool(64, 16)}
}

// viewLimits are for what a page or an answer of the API shows. One second of
// processor time is also what a reader waits at most on an idle machine.
func (s *Store) viewLimits() limits {
	return limits{memory: 192 << 20, cpuSeconds: 1, time: 10 * time.Second, pool: s.pools.views}
}

// domainLimits are for what the domain asks or changes, often inside a
// database transaction. Merging a large tree takes more than showing it.
func (s *Store) domainLimits() limits {
	return limits{memory: 1 << 30, cpuSeconds: 20, time: 30 * time.Second, pool: s.pools.domain}
}

// serviceLimits are for fetches and pushes. Their time is limited by the rate
// of transfer instead (see transferRate).
func (s *Store) serviceLimits() limits {
	return limits{memory: 1 << 30, cpuSeconds: 30 * 60, pool: s.pools.services}
}

// maintenanceLimits are for the daily upkeep, which runs one repository at a
// time.
func maintenanceLimits() limits {
	return limits{memory: 2 << 30, time: 2 * time.Hour}
}

// poolWait is how long a process waits for a place before ErrBusy.
const poolWait = 10 * time.Second

// pool is a number of places, of which one project gets a part at most.
type pool struct {
	all        *semaphore.Weighted
	perProject int64
	wait       time.Duration

	mu       sync.Mutex
	projects map[int64]*projectPlaces
}

type projectPlaces struct {
	places *semaphore.Weighted
	users  int // waiting or inside; the entry goes with the last
}

func newPool(all, perProject int64) *pool {
	return &pool{all: semaphore.NewWeighted(all), perProject: perProject, wait: poolWait, projects: map[int64]*projectPlaces{}}
}

// enter takes a place for the project and returns the function that gives it
// back. The project's own places come first, so that whoever waits for them
// holds none of the others. ErrBusy after the pool's wait.
func (p *pool) enter(ctx context.Context, project int64) (leave func(), err error) {
	waiting, cancel := context.WithTimeoutCause(ctx, p.wait, ErrBusy)
	defer cancel()
	p.mu.Lock()
	own := p.projects[project]
	if own == nil {
		own = &projectPlaces{places: semaphore.NewWeighted(p.perProject)}
		p.projects[project] = own
	}
	own.users++
	p.mu.Unlock()
	release := func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if own.users--; own.users == 0 {
			delete(p.projects, project)
		}
	}
	if err := own.places.Acquire(waiting, 1); err != nil {
		release()
		return nil, context.Cause(waiting)
	}
	if err := p.all.Acquire(waiting, 1); err != nil {
		own.places.Release(1)
		release()
		return nil, context.Cause(waiting)
	}
	return func() {
		p.all.Release(1)
		own.places.Release(1)
		release()
	}, nil
}

// limitError turns the end of a process that ran into one of its limits into
// ErrTooLarge; nil for every other end.
func limitError(c command, state *os.ProcessState, stderr string) error {
	status, ok := state.Sys().(syscall.WaitStatus)
	if !ok {
		return nil
	}
	switch {
	case c.limits.cpuSeconds > 0 && status.Signaled() && (status.Signal() == syscall.SIGXCPU || status.Signal() == syscall.SIGKILL):
		return fmt.Errorf("git %s: more than %d s of processor time: %w", c.args[0], c.limits.cpuSeconds, ErrTooLarge)
	case c.limits.memory > 0 && outOfMemory(stderr):
		return fmt.Errorf("git %s: more than %d MiB of memory: %w", c.args[0], c.limits.memory>>20, ErrTooLarge)
	}
	return nil
}

// outOfMemory reports whether git ended because it got no more memory. These
// are its only words for it since 2008.
func outOfMemory(stderr string) bool {
	stderr = strings.ToLower(stderr)
	return strings.Contains(stderr, "out of memory") || strings.Contains(stderr, "cannot allocate memory")
}
