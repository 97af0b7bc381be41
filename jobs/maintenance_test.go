package jobs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// TestRun_AfterCrash runs all jobs on a database with a claimed delivery and an
// unfinished push.
func TestRun_AfterCrash(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w, r := newFixture(t, db), newReceiver(t)
		service := w.service("lint", r.url, "")
		mr := w.MergeRequest("feature", "main")
		// A process claims the delivery, accepts a push, and dies.
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
		jobs := New(Options{Store: w.Store, Sender: client(t), Log: slog.New(slog.DiscardHandler), SingleProcess: true})
		go func() { defer close(done); jobs.Run(ctx) }()
		defer func() { cancel(); <-done }()
		if got := r.next(t); got.id != w.Deliveries(service)[1].UUID {
			t.Errorf("received %s, not the delivery of the recovered push", got.body)
		}
		if mr, _ = w.Reload(mr); mr.HeadSHA != pushed[0].New {
			t.Errorf("HEAD is %s after recovery, want %s", mr.HeadSHA, pushed[0].New)
		}
		if states := w.states(service); states[0] != models.DeliverySuperseded {
			t.Errorf("states %v", states)
		}
	})
}

func TestExpire_PendingTooLong_RecordsTimeout(t *testing.T) {
	w := newFixture(t, modelstest.SQLite(t))
	w.service("lint", "https://lint.example.test/", "")
	mr := w.MergeRequest("feature", "main")
	w.Clock.Advance(120*time.Second + time.Microsecond)
	m := &maintenance{store: w.Store, log: slog.New(slog.DiscardHandler)}
	if err := m.expire(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, checks := w.Reload(mr); checks[0].Status != models.StatusFailed || !checks[0].TimedOut {
		t.Errorf("check %+v", checks[0])
	}
}

// failingStore records which operations were called and fails at each.
type failingStore struct {
	mu    sync.Mutex
	calls []string
	left  int // time-outs that are not recorded yet
}

var errOperation = errors.New("it broke")

func (s *failingStore) record(call string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, call)
	return errOperation
}

func (s *failingStore) ExpirePending(_ context.Context, limit int) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	batch := min(limit, s.left)
	s.left -= batch
	return batch, nil
}

func (s *failingStore) RecoverPushes(_ context.Context, atStart bool) (int, error) {
	if atStart {
		return 1, s.record("pushes at start")
	}
	return 0, s.record("pushes")
}

func (s *failingStore) RecoverMerges(_ context.Context, atStart bool) (int, error) {
	if atStart {
		return 1, s.record("merges at start")
	}
	return 0, s.record("merges")
}

func (s *failingStore) RecoverApplies(context.Context) error { return s.record("applies") }
func (s *failingStore) DeleteExpired(context.Context) error  { return s.record("delete") }
func (s *failingStore) ReleaseLeases(context.Context) error  { return s.record("release") }

func TestMaintenance_FailingOperations_AllRun(t *testing.T) {
	for name, singleProcess := range map[string]bool{"single process": true, "one of several": false} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			store := &failingStore{left: 2*expireBatch + 1}
			m := &maintenance{
				store: store, log: slog.New(slog.NewTextHandler(&log, nil)), singleProcess: singleProcess,
				tidy: func(context.Context) error { return store.record("tidy") },
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			m.atStart(ctx)
			want := []string(nil)
			if singleProcess {
				want = []string{"release", "merges at start", "pushes at start"}
			}
			if !slices.Equal(store.calls, want) {
				t.Errorf("at start %v, want %v", store.calls, want)
			}
			store.calls = nil
			done := make(chan struct{})
			go func() { defer close(done); m.run(ctx) }()
			eventually(t, "every operation has run although each fails", func() bool {
				store.mu.Lock()
				defer store.mu.Unlock()
				slices.Sort(store.calls)
				return store.left == 0 && slices.Equal(store.calls, []string{"applies", "delete", "merges", "pushes", "tidy"})
			})
			cancel()
			<-done
			if !strings.Contains(log.String(), errOperation.Error()) {
				t.Errorf("the log lacks the failures: %s", log.String())
			}
		})
	}
}

// Each of the joined errors is logged on its own line with its project.
func TestMaintenanceLog_JoinedErrors_NamesProjects(t *testing.T) {
	var out bytes.Buffer
	var ids, done []string
	m := &maintenance{log: slog.New(slog.NewTextHandler(&out, nil)), done: func(job string, err error) { done = append(done, fmt.Sprint(job, " ", err != nil)) }}
	m.runOnce(t.Context(), "tidy", func(ctx context.Context) error {
		ids = append(ids, models.RequestID(ctx))
		return nil
	})
	m.runOnce(t.Context(), "sweep", func(ctx context.Context) error {
		ids = append(ids, models.RequestID(ctx))
		return errors.Join(
			&models.ProjectError{ProjectID: 2, Err: errors.Join(errors.New("given up"), errOperation)}, nil,
			errors.Join(&models.ProjectError{ProjectID: 7, Err: errOperation}), errors.New("other"),
		)
	})
	if !slices.Equal(done, []string{"tidy false", "sweep true"}) || !strings.HasPrefix(ids[0], "job_") || ids[0] == ids[1] {
		t.Errorf("runs %q with ids %q", done, ids)
	}
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
