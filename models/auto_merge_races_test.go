package models_test

import (
	"sync"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// The rights are read again under the lock of the merge, and a cancellation, a push or a
// failed check between the claim and the lock prevents the merge.
func TestAutoMerge_ChangeAfterClaim_DoesNotMerge(t *testing.T) {
	type change struct {
		happen  func(t *testing.T, w *modelstest.Fixture, mr models.MergeRequest, service models.ExternalStatusCheck)
		aborted models.AbortReason
		kept    bool
	}
	cancel := func(t *testing.T, w *modelstest.Fixture, mr models.MergeRequest, _ models.ExternalStatusCheck) {
		if _, err := w.Store.CancelAutoMerge(t.Context(), w.Owner, mr.ProjectID, mr.IID); err != nil {
			t.Error(err)
		}
	}
	tests := map[string]change{
		"cancelled": {happen: cancel},
		"set by another": {kept: true, happen: func(t *testing.T, w *modelstest.Fixture, mr models.MergeRequest, service models.ExternalStatusCheck) {
			cancel(t, w, mr, service)
			w.Clock.Advance(time.Second)
			if err := w.Respond(mr, service, mr.HeadSHA, models.StatusPending); err != nil {
				t.Error(err)
			}
			autoMerge(t, w, w.Owner, mr)
			if err := w.Respond(mr, service, mr.HeadSHA, models.StatusPassed); err != nil {
				t.Error(err)
			}
		}},
		"pushed": {aborted: models.AbortedByPush, happen: func(_ *testing.T, w *modelstest.Fixture, _ models.MergeRequest, _ models.ExternalStatusCheck) {
			w.Push("feature")
		}},
		"failed": {kept: true, happen: func(t *testing.T, w *modelstest.Fixture, mr models.MergeRequest, service models.ExternalStatusCheck) {
			if err := w.Respond(mr, service, mr.HeadSHA, models.StatusFailed); err != nil {
				t.Error(err)
			}
		}},
		"lost role": {aborted: models.AbortedByRole, happen: func(t *testing.T, w *modelstest.Fixture, mr models.MergeRequest, _ models.ExternalStatusCheck) {
			if err := w.Store.RemoveMember(t.Context(), w.Owner, models.RoleOwner, mr.ProjectID, *mr.AutoMergeUserID); err != nil {
				t.Error(err)
			}
		}},
		"blocked": {aborted: models.AbortedByUser, happen: func(t *testing.T, w *modelstest.Fixture, _ models.MergeRequest, _ models.ExternalStatusCheck) {
			if _, err := w.Store.DB().Exec("UPDATE users SET blocked = true WHERE username = 'max'"); err != nil {
				t.Error(err)
			}
		}},
	}
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		for name, test := range tests {
			for _, lock := range []string{"before the preparation", "before the lock"} {
				t.Run(name+" "+lock, func(t *testing.T) {
					w := modelstest.New(t, newDatabase(t, db))
					service := w.Service("licence")
					max := w.Member("max", models.RoleMaintainer)
					mr := autoMerge(t, w, max, w.MergeRequest("feature", "main"))
					if err := w.Respond(mr, service, mr.HeadSHA, models.StatusPassed); err != nil {
						t.Fatal(err)
					}
					main := w.Git.Tip(w.Project.ID, "main")
					happen := once(func() { test.happen(t, w, mr, service) })
					if lock == "before the lock" {
						w.Store.SetHooks(models.Hooks{BeforeMergeLock: happen})
					} else {
						w.Store.SetHooks(models.Hooks{BeforeAutoMerge: happen})
					}
					if n := runAutoMerges(t, w); n != 0 || w.Git.Tip(w.Project.ID, "main") != main {
						t.Fatalf("%d merges", n)
					}
					w.Store.SetHooks(models.Hooks{})
					got, _ := w.Reload(mr)
					if got.State != models.StateOpened || got.HasAutoMerge() != test.kept || got.AutoMergeAborted != test.aborted {
						t.Fatalf("state %s, set %v, aborted %q", got.State, got.HasAutoMerge(), got.AutoMergeAborted)
					}
				})
			}
		}
	})
}

// Two services pass at the same time, and several processes run automatic merges.
func TestAutoMerge_ParallelResponsesAndProcesses_MergesOnce(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		services := []models.ExternalStatusCheck{w.Service("licence"), w.Service("security")}
		for i := range 5 {
			sha := w.Git.AddCommit(w.Project.ID, "feature", w.Git.Tip(w.Project.ID, "main"))
			w.RecordPush("feature", zeroSHA, sha)
			mr := autoMerge(t, w, w.Owner, w.MergeRequest("feature", "main"))
			wake, stop := w.Store.WatchAutoMerges(t.Context())
			var all sync.WaitGroup
			for _, service := range services {
				all.Go(func() {
					if err := w.Respond(mr, service, mr.HeadSHA, models.StatusPassed); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			select {
			case <-wake:
			case <-time.After(time.Minute):
				t.Fatal("no wake-up")
			}
			stop()
			merges := make(chan int, 4)
			for range 4 {
				all.Go(func() {
					n := 0
					claimed, err := w.Store.ClaimAutoMerges(t.Context(), 10)
					for _, mr := range claimed {
						merged, runErr := w.Store.RunAutoMerge(t.Context(), mr)
						if err = runErr; merged {
							n++
						}
					}
					if err != nil {
						t.Error(err)
					}
					merges <- n
				})
			}
			all.Wait()
			close(merges)
			n := 0
			for m := range merges {
				n += m
			}
			if got, _ := w.Reload(mr); n != 1 || got.State != models.StateMerged {
				t.Fatalf("round %d: %d merges, state %s", i, n, got.State)
			}
		}
	})
}

// A process dies after its claim: another one takes over when the lease has ended.
func TestAutoMerge_ProcessDied_IsTakenOver(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		service := w.Service("licence")
		mr := autoMerge(t, w, w.Owner, w.MergeRequest("feature", "main"))
		if err := w.Respond(mr, service, mr.HeadSHA, models.StatusPassed); err != nil {
			t.Fatal(err)
		}
		if claimed, err := w.Store.ClaimAutoMerges(t.Context(), 10); err != nil || len(claimed) != 1 {
			t.Fatalf("claimed %d, %v", len(claimed), err)
		}
		if n := runAutoMerges(t, w); n != 0 {
			t.Fatal("claimed twice")
		}
		w.Clock.Advance(31 * time.Second)
		if n := runAutoMerges(t, w); n != 1 {
			t.Fatalf("%d merges after the lease", n)
		}
	})
}

func TestAutoMerge_TargetKeepsMoving_IsRepeatedThenAborted(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		service := w.Service("licence")
		mr := autoMerge(t, w, w.Owner, w.MergeRequest("feature", "main"))
		if err := w.Respond(mr, service, mr.HeadSHA, models.StatusPassed); err != nil {
			t.Fatal(err)
		}
		w.Git.BeforeMove = func() { w.Git.AddCommit(w.Project.ID, "main", w.Git.Tip(w.Project.ID, "main")) }
		attempts := 0
		for {
			claimed, err := w.Store.ClaimAutoMerges(t.Context(), 1)
			if err != nil {
				t.Fatal(err)
			}
			if len(claimed) == 0 {
				break
			}
			attempts++
			if merged, err := w.Store.RunAutoMerge(t.Context(), claimed[0]); merged || err != nil && models.CodeOf(err) != models.CodeTargetMoved {
				t.Fatalf("%v, %v", merged, err)
			}
			w.Clock.Advance(time.Minute)
		}
		if attempts != 8 {
			t.Fatalf("%d attempts", attempts)
		}
		assertAborted(t, w, mr, models.AbortedByTarget)
	})
}
