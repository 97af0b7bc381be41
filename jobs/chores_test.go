package jobs

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// TestJobs runs everything on a database as a crash may have left it.
func TestJobs(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w, r := newWorld(t, db), newReceiver(t)
		service := w.service("lint", r.url, "")
		mr := w.MergeRequest("feature", "main")
		// A process claimed the delivery, accepted a push, and died.
		if _, err := w.Store.Claim(t.Context(), models.ClaimOptions{Limit: 1}); err != nil {
			t.Fatal(err)
		}
		old := w.Git.Tip(w.Project.ID, "feature")
		pushed := []models.RefUpdate{{Ref: "refs/heads/feature", Old: old, New: w.Git.NewCommit(old)}}
		if _, err := w.Store.PreparePush(t.Context(), w.Owner, w.Project.ID, "r1", pushed, models.PushOptions{}); err != nil {
			t.Fatal(err)
		}
		w.Git.MoveByPush(w.Project.ID, "r1", "feature", pushed[0].New)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		jobs := New(Options{Store: w.Store, Sender: client(t), Log: slog.New(slog.DiscardHandler), Alone: true})
		go func() { defer close(done); jobs.Run(ctx) }()
		defer func() { cancel(); <-done }()
		if got := r.next(t); got.id != w.Deliveries(service)[1].UUID {
			t.Errorf("received %s, not what the lost push is told by", got.body)
		}
		if mr, _ = w.Reload(mr); mr.HeadSHA != pushed[0].New {
			t.Errorf("HEAD is %s after the sweep, want %s", mr.HeadSHA, pushed[0].New)
		}
		if states := w.states(service); states[0] != models.DeliverySuperseded {
			t.Errorf("states %v", states)
		}
	})
}

func TestExpireWritesDown(t *testing.T) {
	w := newWorld(t, modelstest.SQLite(t))
	w.service("lint", "https://lint.example.test/", "")
	mr := w.MergeRequest("feature", "main")
	w.Clock.Advance(120*time.Second + time.Microsecond)
	c := &chores{store: w.Store, log: slog.New(slog.DiscardHandler)}
	if err := c.expire(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, checks := w.Reload(mr); checks[0].Status != models.StatusFailed || !checks[0].TimedOut {
		t.Errorf("check %+v", checks[0])
	}
}

// notebook notes which chores were done, and fails at each.
type notebook struct {
	mu    sync.Mutex
	notes []string
	left  int // time-outs that wait to be written down
}

var errChore = errors.New("it broke")

func (n *notebook) note(what string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.notes = append(n.notes, what)
	return errChore
}

func (n *notebook) ExpirePending(_ context.Context, limit int) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	batch := min(limit, n.left)
	n.left -= batch
	return batch, nil
}

func (n *notebook) RecoverPushes(_ context.Context, atStart bool) (int, error) {
	if atStart {
		return 1, n.note("pushes at start")
	}
	return 0, n.note("pushes")
}

func (n *notebook) RecoverMerges(_ context.Context, atStart bool) (int, error) {
	if atStart {
		return 1, n.note("merges at start")
	}
	return 0, n.note("merges")
}

func (n *notebook) RecoverApplies(context.Context) error { return n.note("applies") }
func (n *notebook) DeleteExpired(context.Context) error  { return n.note("delete") }
func (n *notebook) ReleaseLeases(context.Context) error  { return n.note("release") }

func TestChores(t *testing.T) {
	for name, alone := range map[string]bool{"alone": true, "one of several": false} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			store := &notebook{left: 2*expireBatch + 1}
			c := &chores{store: store, log: slog.New(slog.NewTextHandler(&log, nil)), alone: alone, tidy: func(context.Context) error { return store.note("tidy") }}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			c.atStart(ctx)
			want := []string(nil)
			if alone {
				want = []string{"release", "merges at start", "pushes at start"}
			}
			if !slices.Equal(store.notes, want) {
				t.Errorf("at start %v, want %v", store.notes, want)
			}
			store.notes = nil
			done := make(chan struct{})
			go func() { defer close(done); c.run(ctx) }()
			eventually(t, "every chore was done although each fails", func() bool {
				store.mu.Lock()
				defer store.mu.Unlock()
				slices.Sort(store.notes)
				return store.left == 0 && slices.Equal(store.notes, []string{"applies", "delete", "merges", "pushes", "tidy"})
			})
			cancel()
			<-done
			if !strings.Contains(log.String(), errChore.Error()) {
				t.Errorf("the log says nothing of failures: %s", log.String())
			}
		})
	}
}

// Each of the joined errors of a chore is a line of its own and names its
// project.
func TestChoreLog_JoinedErrors_NamesProjects(t *testing.T) {
	var out bytes.Buffer
	c := &chores{log: slog.New(slog.NewTextHandler(&out, nil))}
	c.do(t.Context(), "sweep", func(context.Context) error {
		return errors.Join(
			&models.ProjectError{ProjectID: 2, Err: errors.Join(errors.New("given up"), errChore)}, nil,
			errors.Join(&models.ProjectError{ProjectID: 7, Err: errChore}), errors.New("other"),
		)
	})
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	wants := []string{"job=sweep project_id=2 error=", "job=sweep project_id=7 error=\"it broke\"", "job=sweep error=other"}
	if len(lines) != len(wants) {
		t.Fatalf("%d lines:\n%s", len(lines), out.String())
	}
	for i, want := range wants {
		if !strings.Contains(lines[i], want) {
			t.Errorf("line %d: %s, want %s", i+1, lines[i], want)
		}
	}
}
