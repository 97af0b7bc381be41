package handlers

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mergegate/mergegate/models"
)

// A run goes on after its request, once per kind, and ends at its limit.
func TestRecoveryRuns_RunInBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const kind = models.RecoverPendingPushes
		var r recoveryRuns
		stopped, stop := context.WithCancel(t.Context())
		background := func(f func(context.Context)) { go f(stopped) }
		started := 0
		var reported error
		hang := func(ctx context.Context) error {
			started++
			<-ctx.Done()
			return ctx.Err()
		}
		report := func(_ context.Context, err error) { reported = err }
		request, cancel := context.WithCancel(t.Context())
		r.start(request, background, kind, hang, report)
		cancel()
		synctest.Wait()
		r.start(t.Context(), background, kind, hang, report)
		synctest.Wait()
		if started != 1 || !r.state(kind).running || r.state(models.RecoverSteps).running {
			t.Fatalf("%d runs, state %+v", started, r.state(kind))
		}
		time.Sleep(recoveryTime)
		synctest.Wait()
		if state := r.state(kind); state.running || !state.failed || !errors.Is(reported, context.DeadlineExceeded) {
			t.Errorf("state %+v, error %v", state, reported)
		}
		r.start(t.Context(), background, kind, func(context.Context) error { return nil }, report)
		synctest.Wait()
		if state := r.state(kind); state.running || state.failed {
			t.Errorf("after a success: %+v", state)
		}
		reported = nil
		r.start(t.Context(), background, kind, hang, report)
		stop()
		synctest.Wait()
		if state := r.state(kind); state.running || reported != nil {
			t.Errorf("after the end of the server: %+v, error %v", state, reported)
		}
	})
}

// A panic in a run is logged and shown as a failure. The next run works.
func TestBackgroundWork_RetryNow_SurvivesPanic(t *testing.T) {
	var running sync.WaitGroup
	s, _, log := newLoggedSite(t, func(d *Deps) {
		d.Background = func(f func(context.Context)) { running.Go(func() { f(t.Context()) }) }
	})
	admin := s.as(s.Admin("root"))
	s.openMergeRequest("topic")
	old := s.Git.Tip(s.Project.ID, "topic")
	head := s.Git.NewCommit(old)
	updates := []models.RefUpdate{{Ref: "refs/heads/topic", Old: old, New: head}}
	if _, err := s.Store.PreparePush(t.Context(), s.Owner, s.Project.ID, "req_1", updates, models.PushOptions{}); err != nil {
		t.Fatal(err)
	}
	s.Git.MoveByPush(s.Project.ID, "req_1", "topic", head)
	s.Clock.Advance(time.Minute)
	retry := func() response {
		admin.post(backgroundWorkPath+"/retry", url.Values{"recovery": {"pending_pushes"}}).wantStatus(http.StatusSeeOther)
		running.Wait()
		return admin.get(backgroundWorkPath).wantStatus(http.StatusOK)
	}
	s.Git.BeforeTip = func() { panic("a mistake") }
	if got := retry().text("#recovery-pending_pushes"); !strings.Contains(got, "Some operations failed again.") {
		t.Errorf("the row says %q", got)
	}
	if got := log.String(); !strings.Contains(got, "retry of background work failed") || !strings.Contains(got, "panic: a mistake") || !strings.Contains(got, "recovery_runs_test.go") {
		t.Errorf("the log lacks the panic or its stack: %s", got)
	}
	s.Git.BeforeTip = nil
	if got := retry().text("#recovery-pending_pushes .num"); got != "0" {
		t.Errorf("%s pending pushes after the next run, want 0", got)
	}
}
