package models_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// enforce switches "Status checks must succeed" on.
func enforce(t *testing.T, w *modelstest.World) {
	t.Helper()
	on := true
	if _, err := w.Store.UpdateProject(t.Context(), w.Owner, w.Project.ID, models.ProjectUpdate{OnlyAllowMergeIfAllStatusChecksPassed: &on}); err != nil {
		t.Fatal(err)
	}
}

func merge(t *testing.T, w *modelstest.World, mr models.MergeRequest) (models.MergeRequest, error) {
	t.Helper()
	return w.Store.Merge(t.Context(), w.Owner, mr.ProjectID, mr.IID, models.MergeOptions{Role: models.RoleOwner})
}

// once makes a hook that acts the first time only.
func once(f func()) func() {
	var o sync.Once
	return func() { o.Do(f) }
}

func wantCode(t *testing.T, err error, code models.Code) {
	t.Helper()
	if models.CodeOf(err) != code {
		t.Fatalf("error %v, want code %s", err, code)
	}
}

// A push that comes just before the lock of a response turns the response
// away; one that comes after makes its check pending again.
func TestResponseAgainstPush(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		service := w.Service("licence")
		mr := w.MergeRequest("feature", "main")
		old := mr.HeadSHA
		w.Store.SetHooks(models.Hooks{BeforeResponseLock: once(func() { w.Push("feature") })})
		err := w.Respond(mr, service, old, models.StatusPassed)
		wantCode(t, err, models.CodeStaleSHA)
		mr, checks := w.Reload(mr)
		if checks[0].Status != models.StatusPending || checks[0].SHA != mr.HeadSHA || mr.HeadSHA == old {
			t.Fatalf("the check after the push: %+v", checks[0])
		}
		if list, _, _ := w.Store.Responses(t.Context(), mr.ID, service.ID, models.Page{}); len(list) != 0 {
			t.Fatalf("a refused response was stored: %+v", list)
		}
		if err := w.Respond(mr, service, mr.HeadSHA, models.StatusPassed); err != nil {
			t.Fatal(err)
		}
		w.Push("feature")
		if got := w.Status(mr, service); got != models.StatusPending {
			t.Fatalf("after the push the check is %s", got)
		}
	})
}

// However a response and a push interleave, the new HEAD is pending.
func TestResponseAgainstPushAtOnce(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		service := w.Service("licence")
		mr := w.MergeRequest("feature", "main")
		for range 20 {
			mr, _ = w.Reload(mr)
			var both sync.WaitGroup
			both.Go(func() {
				if err := w.Respond(mr, service, mr.HeadSHA, models.StatusPassed); err != nil && models.CodeOf(err) != models.CodeStaleSHA {
					t.Error(err)
				}
			})
			both.Go(func() { w.Push("feature") })
			both.Wait()
			if got := w.Status(mr, service); got != models.StatusPending {
				t.Fatalf("the new HEAD is %s", got)
			}
		}
	})
}

// A push between the preparation of a merge and its lock.
func TestMergeAgainstPush(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		service := w.Service("licence")
		enforce(t, w)
		mr := w.MergeRequest("feature", "main")
		if err := w.Respond(mr, service, mr.HeadSHA, models.StatusPassed); err != nil {
			t.Fatal(err)
		}
		w.Store.SetHooks(models.Hooks{BeforeMergeLock: once(func() { w.Push("feature") })})
		before := w.Git.Tip(w.Project.ID, "main")
		_, err := merge(t, w, mr)
		wantCode(t, err, models.CodeMergeBlocked)
		if w.Git.Tip(w.Project.ID, "main") != before {
			t.Fatal("the target moved")
		}
		// With the SHA that the reader saw, it is told as such.
		mr, _ = w.Reload(mr)
		if err := w.Respond(mr, service, mr.HeadSHA, models.StatusPassed); err != nil {
			t.Fatal(err)
		}
		seen := mr.HeadSHA
		w.Store.SetHooks(models.Hooks{BeforeMergeLock: once(func() { w.Push("feature") })})
		_, err = w.Store.Merge(t.Context(), w.Owner, mr.ProjectID, mr.IID, models.MergeOptions{Role: models.RoleOwner, SHA: seen})
		wantCode(t, err, models.CodeStaleSHA)
	})
}

func TestMergeAgainstResponse(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		service := w.Service("licence")
		enforce(t, w)
		mr := w.MergeRequest("feature", "main")
		respond := func(status models.Status) {
			if err := w.Respond(mr, service, mr.HeadSHA, status); err != nil {
				t.Fatal(err)
			}
		}
		respond(models.StatusPassed)
		w.Store.SetHooks(models.Hooks{BeforeMergeLock: once(func() { respond(models.StatusFailed) })})
		_, err := merge(t, w, mr)
		wantCode(t, err, models.CodeMergeBlocked)
		respond(models.StatusPassed)
		if _, err := merge(t, w, mr); err != nil {
			t.Fatal(err)
		}
		// A late answer is recorded and changes nothing that was merged.
		respond(models.StatusFailed)
		merged, _ := w.Reload(mr)
		if merged.State != models.StateMerged {
			t.Fatalf("merged became %s", merged.State)
		}
	})
}

// The gate reads the clock: a check that went back to pending and ran out of
// time between preparation and lock holds the merge.
func TestMergeAgainstTimeout(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		service := w.Service("licence")
		enforce(t, w)
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
		wantCode(t, err, models.CodeMergeBlocked)
		// No sweep has come by: the row still says pending.
		if _, checks := w.Reload(mr); checks[0].Status != models.StatusPending {
			t.Fatalf("stored: %s", checks[0].Status)
		}
		if n, err := w.Store.ExpirePending(t.Context(), 10); n != 1 || err != nil {
			t.Fatalf("expired %d, %v", n, err)
		}
		// A late answer still counts, and the time that passes between
		// preparation and lock does not age what has passed.
		if err := w.Respond(mr, service, mr.HeadSHA, models.StatusPassed); err != nil {
			t.Fatal(err)
		}
		w.Store.SetHooks(models.Hooks{BeforeMergeLock: once(func() { w.Clock.Advance(time.Hour) })})
		if _, err := merge(t, w, mr); err != nil {
			t.Fatal(err)
		}
	})
}

func TestMergeAgainstRetarget(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		mr := w.MergeRequest("feature", "main")
		w.Git.Set(w.Project.ID, "release/1", w.Git.Tip(w.Project.ID, "main"))
		target := "release/1"
		w.Store.SetHooks(models.Hooks{BeforeMergeLock: once(func() {
			if _, err := w.Store.UpdateMergeRequest(t.Context(), w.Owner, mr.ProjectID, mr.IID, models.MergeRequestUpdate{TargetBranch: &target}); err != nil {
				t.Error(err)
			}
		})})
		main := w.Git.Tip(w.Project.ID, "main")
		_, err := merge(t, w, mr)
		wantCode(t, err, models.CodeTargetMoved)
		if w.Git.Tip(w.Project.ID, "main") != main || w.Git.Tip(w.Project.ID, "release/1") != main {
			t.Fatal("a target moved")
		}
	})
}

func TestMergeAgainstRemoval(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		service := w.Service("licence")
		other := w.Service("security")
		enforce(t, w)
		mr := w.MergeRequest("feature", "main")
		if err := w.Respond(mr, other, mr.HeadSHA, models.StatusPassed); err != nil {
			t.Fatal(err)
		}
		_, err := merge(t, w, mr)
		wantCode(t, err, models.CodeMergeBlocked)
		// Removal unblocks at once, also one that comes during the merge.
		if err := w.Store.DeleteStatusCheck(t.Context(), w.Owner, w.Project.ID, service.ID); err != nil {
			t.Fatal(err)
		}
		w.Store.SetHooks(models.Hooks{BeforeMergeLock: once(func() {
			if err := w.Store.DeleteStatusCheck(t.Context(), w.Owner, w.Project.ID, other.ID); err != nil {
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

// Removals, responses and pushes at once deadlock nobody.
func TestRemovalAtOnce(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		for range 5 {
			a, b := w.Service("a"), w.Service("b")
			mr := w.MergeRequest("feature", "main")
			var all sync.WaitGroup
			all.Go(func() {
				if err := w.Store.DeleteStatusCheck(t.Context(), w.Owner, w.Project.ID, a.ID); err != nil {
					t.Error(err)
				}
			})
			all.Go(func() { w.Push("feature") })
			for _, service := range []models.ExternalStatusCheck{a, b} {
				all.Go(func() {
					err := w.Respond(mr, service, mr.HeadSHA, models.StatusPassed)
					if err != nil && models.KindOf(err) == models.KindInternal {
						t.Error(err)
					}
				})
			}
			all.Wait()
			if err := w.Store.DeleteStatusCheck(t.Context(), w.Owner, w.Project.ID, b.ID); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Store.CloseMergeRequest(t.Context(), w.Owner, mr.ProjectID, mr.IID); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// A target that moves is merged into anew; one that keeps moving gives 409.
func TestMergeAgainstPushToTarget(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		mr := w.MergeRequest("feature", "main")
		push := func() { w.Git.Move(w.Project.ID, "main", w.Git.Tip(w.Project.ID, "main")) }
		tries := 0
		w.Git.BeforeMove = func() { tries++; push() }
		_, err := merge(t, w, mr)
		wantCode(t, err, models.CodeTargetMoved)
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
			t.Fatal("the target does not stand at the merge")
		}
	})
}

// Two pushes whose post-receives come in order, out of order, or back to the
// first commit: HEAD ends where the branch stands.
func TestTwoPushesAtOnce(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		service := w.Service("licence")
		mr := w.MergeRequest("feature", "main")
		check := func(want string) {
			t.Helper()
			if got, checks := w.Reload(mr); got.HeadSHA != want || checks[0].SHA != want || checks[0].Status != models.StatusPending {
				t.Fatalf("HEAD %s, check %+v, want %s", got.HeadSHA, checks[0], want)
			}
			if kept := w.Git.Kept(w.Project.ID, mr.IID); kept != want {
				t.Fatalf("kept %s, want %s", kept, want)
			}
		}
		events := func() int { return len(w.Deliveries(service)) }
		a := mr.HeadSHA
		b := w.Git.Move(w.Project.ID, "feature", a)
		c := w.Git.Move(w.Project.ID, "feature", b)
		was := events()
		w.TellPush("feature", a, b)
		w.TellPush("feature", b, c)
		check(c)
		if got := events() - was; got != 2 {
			t.Fatalf("two pushes, %d events", got)
		}
		d := w.Git.Move(w.Project.ID, "feature", c)
		e := w.Git.Move(w.Project.ID, "feature", d)
		w.TellPush("feature", d, e)
		w.TellPush("feature", c, d)
		check(e)
		// Forward and back again, told the wrong way round.
		f := w.Git.Move(w.Project.ID, "feature", e)
		w.Git.Set(w.Project.ID, "feature", e)
		w.TellPush("feature", f, e)
		w.TellPush("feature", e, f)
		check(e)
		// Told twice: nothing happens.
		was = events()
		w.TellPush("feature", f, e)
		if got := events() - was; got != 0 {
			t.Fatalf("told twice, %d more events", got)
		}
	})
}

func TestPushesAtOnce(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		w.Service("licence")
		mr := w.MergeRequest("feature", "main")
		var ref sync.Mutex
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				ref.Lock()
				old := w.Git.Tip(w.Project.ID, "feature")
				sha := w.Git.Move(w.Project.ID, "feature", old)
				ref.Unlock()
				w.TellPush("feature", old, sha)
			})
		}
		all.Wait()
		if got, _ := w.Reload(mr); got.HeadSHA != w.Git.Tip(w.Project.ID, "feature") {
			t.Fatalf("HEAD is not the branch's tip")
		}
	})
}

// A push that comes while a merge request is being opened or reopened from the
// branch is not missed.
func TestOpenAgainstPush(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		for range 10 {
			old := w.Git.Tip(w.Project.ID, "feature")
			var mr models.MergeRequest
			var both sync.WaitGroup
			both.Go(func() {
				mr = w.MergeRequest("feature", "main")
			})
			both.Go(func() {
				sha := w.Git.Move(w.Project.ID, "feature", old)
				w.TellPush("feature", old, sha)
			})
			both.Wait()
			if got, _ := w.Reload(mr); got.HeadSHA != w.Git.Tip(w.Project.ID, "feature") {
				t.Fatal("a push was missed")
			}
			if _, err := w.Store.CloseMergeRequest(t.Context(), w.Owner, mr.ProjectID, mr.IID); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// A server that dies between the refs and the rows of a push: the sweep tells
// the push as what it was, with its pusher and its options.
func TestPushCutOff(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		service := w.Service("licence")
		dana := w.Member("dana", models.RoleDeveloper)
		mr := w.MergeRequest("feature", "main")
		old := mr.HeadSHA
		prepare := func(branch, from, to string, options models.PushOptions) {
			_, err := w.Store.PreparePush(t.Context(), dana, w.Project.ID, "req-"+branch, []models.RefUpdate{{Ref: "refs/heads/" + branch, Old: from, New: to}}, options)
			if err != nil {
				t.Fatal(err)
			}
		}
		zero := "0000000000000000000000000000000000000000"
		sha := w.Git.Move(w.Project.ID, "feature", old)
		prepare("feature", old, sha, models.PushOptions{})
		fresh := w.Git.Move(w.Project.ID, "fresh", old)
		prepare("fresh", zero, fresh, models.PushOptions{Create: true, Title: "By push"})
		prepare("never", zero, fresh, models.PushOptions{})
		if n, err := w.Store.SweepPushes(t.Context(), false); n != 0 || err != nil {
			t.Fatalf("a push under way was swept: %d, %v", n, err)
		}
		w.Clock.Advance(time.Minute)
		if n, err := w.Store.SweepPushes(t.Context(), false); n != 2 || err != nil {
			t.Fatalf("swept %d, %v", n, err)
		}
		if got, _ := w.Reload(mr); got.HeadSHA != sha {
			t.Fatalf("HEAD %s, want %s", got.HeadSHA, sha)
		}
		list := w.Deliveries(service)
		last := w.PayloadOf(list[1])
		if last.User != "dana" || last.OldRev != old || last.Head != sha {
			t.Fatalf("the event of the lost push: %+v", last)
		}
		created, _, err := w.Store.MergeRequests(t.Context(), models.MergeRequestFilter{ProjectIDs: []int64{w.Project.ID}, SourceBranch: "fresh"}, models.Page{})
		if err != nil || len(created) != 1 || created[0].Title != "By push" || *created[0].AuthorID != dana.ID {
			t.Fatalf("the push option: %+v, %v", created, err)
		}
		// What never moved is forgotten after a while, and nothing is told
		// twice.
		w.Clock.Advance(time.Hour)
		if n, err := w.Store.SweepPushes(t.Context(), false); n != 0 || err != nil {
			t.Fatalf("swept again: %d, %v", n, err)
		}
		var left int
		if err := w.Store.DB().QueryRow("SELECT count(*) FROM pending_pushes").Scan(&left); err != nil || left != 0 {
			t.Fatalf("%d pending pushes left, %v", left, err)
		}
	})
}

// A server that dies between the ref and the row of a merge: completed with
// exactly one merge event, whoever notices first.
func TestMergeCutOff(t *testing.T) {
	killed := errors.New("killed")
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		for name, notice := range map[string]func(t *testing.T, w *modelstest.World){
			"by the sweep": func(t *testing.T, w *modelstest.World) {
				w.Clock.Advance(time.Minute)
				if n, err := w.Store.SweepMerges(t.Context(), false); n != 1 || err != nil {
					t.Fatalf("completed %d, %v", n, err)
				}
			},
			"by a push to the source": func(t *testing.T, w *modelstest.World) { w.Push("feature") },
			"by a push to the target": func(t *testing.T, w *modelstest.World) { w.Push("main") },
		} {
			t.Run(name, func(t *testing.T) {
				var w *modelstest.World
				if db.Driver == models.DriverSQLite {
					w = modelstest.New(t, modelstest.SQLite(t))
				} else {
					w = modelstest.New(t, modelstest.Postgres(t))
				}
				service := w.Service("licence")
				max := w.Member("max", models.RoleMaintainer)
				mr := w.MergeRequest("feature", "main")
				w.Store.SetHooks(models.Hooks{AfterMergeMoved: func() error { return killed }})
				_, err := w.Store.Merge(t.Context(), max, mr.ProjectID, mr.IID, models.MergeOptions{Role: models.RoleMaintainer})
				if !errors.Is(err, killed) {
					t.Fatal(err)
				}
				w.Store.SetHooks(models.Hooks{})
				if got, _ := w.Reload(mr); got.State != models.StateOpened {
					t.Fatalf("the row says %s", got.State)
				}
				notice(t, w)
				for range 2 { // again: nothing more happens
					w.Clock.Advance(time.Minute)
					if _, err := w.Store.SweepMerges(t.Context(), true); err != nil {
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

// An announced merge whose target never moved is forgotten.
func TestMergeAnnouncedOnly(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		mr := w.MergeRequest("feature", "main")
		w.Git.BeforeMove = func() { w.Git.Move(w.Project.ID, "main", w.Git.Tip(w.Project.ID, "main")) }
		_, err := merge(t, w, mr)
		wantCode(t, err, models.CodeTargetMoved)
		w.Git.BeforeMove = nil
		w.Clock.Advance(time.Minute)
		if n, err := w.Store.SweepMerges(t.Context(), false); n != 0 || err != nil {
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
