package models_test

import (
	"errors"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

func merge(t *testing.T, w *modelstest.Fixture, mr models.MergeRequest) (models.MergeRequest, error) {
	t.Helper()
	return w.Store.Merge(t.Context(), w.Owner, mr.ProjectID, mr.IID, models.MergeOptions{Role: models.RoleOwner})
}

// The push comes between the preparation of the merge and its lock.
func TestMerge_ConcurrentPush_IsRefused(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		service := w.Service("licence")
		requireChecks(t, w)
		mr := w.MergeRequest("feature", "main")
		if err := w.Respond(mr, service, mr.HeadSHA, models.StatusPassed); err != nil {
			t.Fatal(err)
		}
		w.Store.SetHooks(models.Hooks{BeforeMergeLock: once(func() { w.Push("feature") })})
		before := w.Git.Tip(w.Project.ID, "main")
		_, err := merge(t, w, mr)
		assertCode(t, err, models.CodeMergeBlocked)
		if w.Git.Tip(w.Project.ID, "main") != before {
			t.Fatal("the target moved")
		}
		// With MergeOptions.SHA, the error is CodeStaleSHA.
		mr, _ = w.Reload(mr)
		if err := w.Respond(mr, service, mr.HeadSHA, models.StatusPassed); err != nil {
			t.Fatal(err)
		}
		seen := mr.HeadSHA
		w.Store.SetHooks(models.Hooks{BeforeMergeLock: once(func() { w.Push("feature") })})
		_, err = w.Store.Merge(t.Context(), w.Owner, mr.ProjectID, mr.IID,
			models.MergeOptions{Role: models.RoleOwner, SHA: seen})
		assertCode(t, err, models.CodeStaleSHA)
	})
}

func TestMerge_ConcurrentFailure_IsBlocked(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		service := w.Service("licence")
		requireChecks(t, w)
		mr := w.MergeRequest("feature", "main")
		respond := func(status models.Status) {
			if err := w.Respond(mr, service, mr.HeadSHA, status); err != nil {
				t.Fatal(err)
			}
		}
		respond(models.StatusPassed)
		w.Store.SetHooks(models.Hooks{BeforeMergeLock: once(func() { respond(models.StatusFailed) })})
		_, err := merge(t, w, mr)
		assertCode(t, err, models.CodeMergeBlocked)
		respond(models.StatusPassed)
		if _, err := merge(t, w, mr); err != nil {
			t.Fatal(err)
		}
		// A late response does not change the merge request.
		respond(models.StatusFailed)
		merged, _ := w.Reload(mr)
		if merged.State != models.StateMerged {
			t.Fatalf("merged became %s", merged.State)
		}
	})
}

// The merge rules use StatusAt: a check that timed out blocks the merge even if its row
// still says pending.
func TestMerge_TimedOutCheck_IsBlocked(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		service := w.Service("licence")
		requireChecks(t, w)
		mr := w.MergeRequest("feature", "main")
		w.Clock.Advance(120 * time.Second)
		if got := w.Status(mr, service); got != models.StatusPending {
			t.Fatalf("at 120 s: %s", got)
		}
		w.Clock.Advance(time.Millisecond)
		if got := w.Status(mr, service); got != models.StatusFailed {
			t.Fatalf("at 120.001 s: %s", got)
		}
		_, err := merge(t, w, mr)
		assertCode(t, err, models.CodeMergeBlocked)
		// No job has stored the time-out yet.
		if _, checks := w.Reload(mr); checks[0].Status != models.StatusPending {
			t.Fatalf("stored status %s", checks[0].Status)
		}
		if n, err := w.Store.ExpirePending(t.Context(), 10); n != 1 || err != nil {
			t.Fatalf("expired %d, %v", n, err)
		}
		// A response after the time-out counts, and a passed check does not time out
		// between preparation and lock.
		if err := w.Respond(mr, service, mr.HeadSHA, models.StatusPassed); err != nil {
			t.Fatal(err)
		}
		w.Store.SetHooks(models.Hooks{BeforeMergeLock: once(func() { w.Clock.Advance(time.Hour) })})
		if _, err := merge(t, w, mr); err != nil {
			t.Fatal(err)
		}
	})
}

func TestMerge_ConcurrentRetarget_IsConflict(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		mr := w.MergeRequest("feature", "main")
		w.Git.SetBranch(w.Project.ID, "release/1", w.Git.Tip(w.Project.ID, "main"))
		target := "release/1"
		w.Store.SetHooks(models.Hooks{BeforeMergeLock: once(func() {
			if _, err := w.Store.UpdateMergeRequest(t.Context(), w.Owner, mr.ProjectID, mr.IID, models.MergeRequestUpdate{TargetBranch: &target}); err != nil {
				t.Error(err)
			}
		})})
		main := w.Git.Tip(w.Project.ID, "main")
		_, err := merge(t, w, mr)
		assertCode(t, err, models.CodeTargetMoved)
		if w.Git.Tip(w.Project.ID, "main") != main || w.Git.Tip(w.Project.ID, "release/1") != main {
			t.Fatal("a target moved")
		}
	})
}

func TestMerge_ServiceDeleted_IsAllowed(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		service := w.Service("licence")
		other := w.Service("security")
		requireChecks(t, w)
		mr := w.MergeRequest("feature", "main")
		if err := w.Respond(mr, other, mr.HeadSHA, models.StatusPassed); err != nil {
			t.Fatal(err)
		}
		_, err := merge(t, w, mr)
		assertCode(t, err, models.CodeMergeBlocked)
		// Deleting a service removes its block, also during the merge.
		if err := w.Store.DeleteExternalStatusCheck(t.Context(), w.Owner, w.Project.ID, service.ID); err != nil {
			t.Fatal(err)
		}
		w.Store.SetHooks(models.Hooks{BeforeMergeLock: once(func() {
			if err := w.Store.DeleteExternalStatusCheck(t.Context(), w.Owner, w.Project.ID, other.ID); err != nil {
				t.Error(err)
			}
		})})
		if _, err := merge(t, w, mr); err != nil {
			t.Fatal(err)
		}
		if _, checks := w.Reload(mr); len(checks) != 0 {
			t.Fatalf("checks of removed services: %+v", checks)
		}
		var n int
		if err := w.Store.DB().QueryRow("SELECT count(*) FROM deliveries").Scan(&n); err != nil || n != 0 {
			t.Fatalf("%d deliveries of removed services, %v", n, err)
		}
	})
}

// A target that moved once is merged into; a target that keeps moving is a conflict.
func TestMerge_TargetMoves_IsPreparedAgain(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		mr := w.MergeRequest("feature", "main")
		push := func() { w.Git.AddCommit(w.Project.ID, "main", w.Git.Tip(w.Project.ID, "main")) }
		tries := 0
		w.Git.BeforeMove = func() { tries++; push() }
		_, err := merge(t, w, mr)
		assertCode(t, err, models.CodeTargetMoved)
		if tries != 3 {
			t.Fatalf("%d tries", tries)
		}
		w.Git.BeforeMove = once(push)
		merged, err := merge(t, w, mr)
		if err != nil {
			t.Fatal(err)
		}
		pushed := false
		w.Git.BeforeMove = nil
		n, _ := w.Git.CountCommits(t.Context(), w.Project.ID, merged.MergeCommitSHA, w.Git.Tip(w.Project.ID, "main"))
		pushed = n == 0
		if !pushed {
			t.Fatal("the target is not at the merge commit")
		}
	})
}

// The process dies between ref and row. Whatever completes the merge, there is exactly
// one merge event.
func TestMerge_Interrupted_IsCompletedOnce(t *testing.T) {
	killed := errors.New("killed")
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		for name, notice := range map[string]func(t *testing.T, w *modelstest.Fixture){
			"by the sweep": func(t *testing.T, w *modelstest.Fixture) {
				w.Clock.Advance(time.Minute)
				if n, err := w.Store.RecoverMerges(t.Context(), false); n != 1 || err != nil {
					t.Fatalf("completed %d, %v", n, err)
				}
			},
			"by a push to the source": func(t *testing.T, w *modelstest.Fixture) { w.Push("feature") },
			"by a push to the target": func(t *testing.T, w *modelstest.Fixture) { w.Push("main") },
		} {
			t.Run(name, func(t *testing.T) {
				w := modelstest.New(t, newDatabase(t, db))
				service := w.Service("licence")
				max := w.Member("max", models.RoleMaintainer)
				mr := w.MergeRequest("feature", "main")
				w.Store.SetHooks(models.Hooks{AfterMergeMoved: func() error { return killed }})
				_, err := w.Store.Merge(t.Context(), max, mr.ProjectID, mr.IID,
					models.MergeOptions{Role: models.RoleMaintainer})
				if !errors.Is(err, killed) {
					t.Fatal(err)
				}
				w.Store.SetHooks(models.Hooks{})
				if got, _ := w.Reload(mr); got.State != models.StateOpened {
					t.Fatalf("the row says %s", got.State)
				}
				notice(t, w)
				for range 2 { // running recovery again changes nothing
					w.Clock.Advance(time.Minute)
					if _, err := w.Store.RecoverMerges(t.Context(), true); err != nil {
						t.Fatal(err)
					}
				}
				merged, err := w.Store.MergeRequest(t.Context(), mr.ProjectID, mr.IID)
				if err != nil || merged.State != models.StateMerged || merged.MergeUser == nil || merged.MergeUser.Username != "max" || merged.MergeCommitSHA == "" {
					t.Fatalf("completed as %+v, %v", merged, err)
				}
				n := 0
				for _, d := range w.Deliveries(service) {
					if d.Action == models.ActionMerged {
						n++
					}
				}
				if n != 1 {
					t.Fatalf("%d merge events", n)
				}
			})
		}
	})
}

func TestRecoverMerges_TargetNotMoved_ClearsIntent(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		mr := w.MergeRequest("feature", "main")
		w.Git.BeforeMove = func() { w.Git.AddCommit(w.Project.ID, "main", w.Git.Tip(w.Project.ID, "main")) }
		_, err := merge(t, w, mr)
		assertCode(t, err, models.CodeTargetMoved)
		w.Git.BeforeMove = nil
		w.Clock.Advance(time.Minute)
		if n, err := w.Store.RecoverMerges(t.Context(), false); n != 0 || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
		if got, _ := w.Reload(mr); got.State != models.StateOpened || got.MergingSHA != "" {
			t.Fatalf("%+v", got)
		}
		if _, err := merge(t, w, mr); err != nil {
			t.Fatal(err)
		}
	})
}
