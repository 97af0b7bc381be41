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

// ErrBusy means that the maximum number of git processes was running, for the
// project or in all, and that none ended within poolWait.
var ErrBusy = errors.New("too many git processes are running")

// errTime is the ErrTooLarge of a process that reached its time limit.
var errTime = fmt.Errorf("the time limit was reached: %w", ErrTooLarge)

// limits are the limits of a git process. Pushed data determines how much work a
// process has, so every process that reads it has limits.
type limits struct {
	memory     uint64        // bytes of writable memory; 0 means no limit
	cpuSeconds uint64        // processor time; 0 means no limit
	time       time.Duration // wall clock; 0 means no limit
	pool       *pool         // limits the number of processes; nil means no limit
}

// pools limit the number of concurrent git processes, in all and for each
// project, so that no project can take all places.
type pools struct {
	views    *pool // reads for pages and API
	domain   *pool // for transactions, which must not wait for views
	services *pool // fetches and pushes
}

func newPools() pools {
	return pools{views: newPool(16, 4), domain: newPool(32, 16), services: newPool(64, 16)}
}

// viewLimits are the limits for pages and API. On an idle machine, one second of
// processor time is also the longest wait for the reader.
func (s *Store) viewLimits() limits {
	return limits{memory: 192 << 20, cpuSeconds: 1, time: 10 * time.Second, pool: s.pools.views}
}

// domainLimits are the limits for reads and changes of the domain, often inside a
// database transaction. They are higher, because a merge of a large tree takes
// more than showing it.
func (s *Store) domainLimits() limits {
	return limits{memory: 1 << 30, cpuSeconds: 20, time: 30 * time.Second, pool: s.pools.domain}
}

// serviceLimits are the limits for fetches and pushes. They have no time limit,
// because TransferRate limits their duration.
func (s *Store) serviceLimits() limits {
	return limits{memory: 1 << 30, cpuSeconds: 30 * 60, pool: s.pools.services}
}

// maintenanceLimits are the limits for Prune, which runs for one repository at a
// time.
func maintenanceLimits() limits {
	return limits{memory: 2 << 30, time: 2 * time.Hour}
}

// poolWait is how long a process waits for a place in its pool.
const poolWait = 10 * time.Second

// pool limits the number of concurrent processes in all and for each project.
type pool struct {
	all        *semaphore.Weighted
	perProject int64
	wait       time.Duration

	mu       sync.Mutex
	projects map[int64]*projectPlaces
}

type projectPlaces struct {
	places *semaphore.Weighted
	users  int // waiting or running; the last one deletes the entry
}

func newPool(all, perProject int64) *pool {
	return &pool{all: semaphore.NewWeighted(all), perProject: perProject, wait: poolWait, projects: map[int64]*projectPlaces{}}
}

// enter takes a place and returns the function that releases it, or ErrBusy after
// p.wait. It takes the place of the project first, so a project that waits for its
// own places holds no place of the others.
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

// limitError returns ErrTooLarge if the process reached a limit of processor time
// or memory, and nil otherwise.
func limitError(c command, state *os.ProcessState, stderr string) error {
	status, ok := state.Sys().(syscall.WaitStatus)
	if !ok {
		return nil
	}
	switch {
	case c.limits.cpuSeconds > 0 && status.Signaled() && (status.Signal() == syscall.SIGXCPU || status.Signal() == syscall.SIGKILL):
		return fmt.Errorf("git %s: processor time exceeds %d s: %w", c.args[0], c.limits.cpuSeconds, ErrTooLarge)
	case c.limits.memory > 0 && outOfMemory(stderr):
		return fmt.Errorf("git %s: memory exceeds %d MiB: %w", c.args[0], c.limits.memory>>20, ErrTooLarge)
	}
	return nil
}

// outOfMemory reports whether git failed to allocate memory. These are its only
// messages for that.
func outOfMemory(stderr string) bool {
	stderr = strings.ToLower(stderr)
	return strings.Contains(stderr, "out of memory") || strings.Contains(stderr, "cannot allocate memory")
}
