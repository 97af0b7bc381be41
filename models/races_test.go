package models_test

import (
	"sync"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// requireChecks switches "Status checks must succeed" on.
func requireChecks(t *testing.T, w *modelstest.Fixture) {
	t.Helper()
	on := true
	if _, err := w.Store.UpdateProject(t.Context(), w.Owner, w.Project.ID, models.ProjectUpdate{OnlyAllowMergeIfAllStatusChecksPassed: &on}); err != nil {
		t.Fatal(err)
	}
}

// once returns a hook that calls f the first time only.
func once(f func()) func() {
	var o sync.Once
	return func() { o.Do(f) }
}

// A push before the response's lock makes the response stale; a push after it makes the
// check pending again.
func TestRecordResponse_ConcurrentPush_IsStale(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		service := w.Service("licence")
		mr := w.MergeRequest("feature", "main")
		old := mr.HeadSHA
		w.Store.SetHooks(models.Hooks{BeforeResponseLock: once(func() { w.Push("feature") })})
		err := w.Respond(mr, service, old, models.StatusPassed)
		assertCode(t, err, models.CodeStaleSHA)
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

func TestRecordResponse_ParallelPush_NewHeadIsPending(t *testing.T) {
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

// Services are deleted while responses and pushes arrive.
func TestDeleteService_Parallel_DoesNotDeadlock(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		for range 5 {
			a, b := w.Service("a"), w.Service("b")
			mr := w.MergeRequest("feature", "main")
			var all sync.WaitGroup
			all.Go(func() {
				if err := w.Store.DeleteExternalStatusCheck(t.Context(), w.Owner, w.Project.ID, a.ID); err != nil {
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
			if err := w.Store.DeleteExternalStatusCheck(t.Context(), w.Owner, w.Project.ID, b.ID); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Store.CloseMergeRequest(t.Context(), w.Owner, mr.ProjectID, mr.IID); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// The post-receive hooks of two pushes may run in any order.
func TestPush_AnyOrder_HeadIsBranchTip(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		service := w.Service("licence")
		mr := w.MergeRequest("feature", "main")
		check := func(want string) {
			t.Helper()
			if got, checks := w.Reload(mr); got.HeadSHA != want || checks[0].SHA != want || checks[0].Status != models.StatusPending {
				t.Fatalf("HEAD %s, check %+v, want %s", got.HeadSHA, checks[0], want)
			}
			if kept := w.Git.HeadRef(w.Project.ID, mr.IID); kept != want {
				t.Fatalf("kept %s, want %s", kept, want)
			}
		}
		events := func() int { return len(w.Deliveries(service)) }
		a := mr.HeadSHA
		b := w.Git.AddCommit(w.Project.ID, "feature", a)
		c := w.Git.AddCommit(w.Project.ID, "feature", b)
		was := events()
		w.RecordPush("feature", a, b)
		w.RecordPush("feature", b, c)
		check(c)
		if got := events() - was; got != 2 {
			t.Fatalf("got %d events, want 2", got)
		}
		d := w.Git.AddCommit(w.Project.ID, "feature", c)
		e := w.Git.AddCommit(w.Project.ID, "feature", d)
		w.RecordPush("feature", d, e)
		w.RecordPush("feature", c, d)
		check(e)
		// The branch moves forward and back again; the pushes are recorded in reverse
		// order.
		f := w.Git.AddCommit(w.Project.ID, "feature", e)
		w.Git.SetBranch(w.Project.ID, "feature", e)
		w.RecordPush("feature", f, e)
		w.RecordPush("feature", e, f)
		check(e)
		// Recording a push twice has no effect.
		was = events()
		w.RecordPush("feature", f, e)
		if got := events() - was; got != 0 {
			t.Fatalf("got %d events for a repeated push, want 0", got)
		}
	})
}

func TestPush_Parallel_HeadIsBranchTip(t *testing.T) {
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
				sha := w.Git.AddCommit(w.Project.ID, "feature", old)
				ref.Unlock()
				w.RecordPush("feature", old, sha)
			})
		}
		all.Wait()
		if got, _ := w.Reload(mr); got.HeadSHA != w.Git.Tip(w.Project.ID, "feature") {
			t.Fatalf("HEAD is not the branch's tip")
		}
	})
}

func TestCreateMergeRequest_ParallelPush_IsNotMissed(t *testing.T) {
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
				sha := w.Git.AddCommit(w.Project.ID, "feature", old)
				w.RecordPush("feature", old, sha)
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

// The process dies between the refs and the rows of a push.
func TestRecoverPushes_KeepsUserAndOptions(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		service := w.Service("licence")
		dana := w.Member("dana", models.RoleDeveloper)
		mr := w.MergeRequest("feature", "main")
		old := mr.HeadSHA
		prepare := func(branch, from, to string, options models.PushOptions) {
			_, err := w.Store.PreparePush(t.Context(), dana, w.Project.ID, "req-"+branch,
				[]models.RefUpdate{{Ref: "refs/heads/" + branch, Old: from, New: to}}, options)
			if err != nil {
				t.Fatal(err)
			}
		}
		sha, fresh := w.Git.NewCommit(old), w.Git.NewCommit(old)
		prepare("feature", old, sha, models.PushOptions{})
		w.Git.MoveByPush(w.Project.ID, "req-feature", "feature", sha)
		prepare("fresh", zeroSHA, fresh, models.PushOptions{Create: true, Title: "By push"})
		w.Git.MoveByPush(w.Project.ID, "req-fresh", "fresh", fresh)
		prepare("never", zeroSHA, fresh, models.PushOptions{})
		if n, err := w.Store.RecoverPushes(t.Context(), false); n != 0 || err != nil {
			t.Fatalf("a running push was recovered: %d, %v", n, err)
		}
		w.Clock.Advance(time.Minute)
		if n, err := w.Store.RecoverPushes(t.Context(), false); n != 2 || err != nil {
			t.Fatalf("recovered %d, %v", n, err)
		}
		if got, _ := w.Reload(mr); got.HeadSHA != sha {
			t.Fatalf("HEAD %s, want %s", got.HeadSHA, sha)
		}
		list := w.Deliveries(service)
		last := w.PayloadOf(list[1])
		if last.User != "dana" || last.OldRev != old || last.Head != sha {
			t.Fatalf("the event of the interrupted push: %+v", last)
		}
		created, _, err := w.Store.MergeRequests(t.Context(),
			models.MergeRequestFilter{ProjectIDs: []int64{w.Project.ID}, SourceBranch: "fresh"}, models.Page{})
		if err != nil || len(created) != 1 || created[0].Title != "By push" || *created[0].AuthorID != dana.ID {
			t.Fatalf("the push option: %+v, %v", created, err)
		}
		// A push that never moved its ref is dropped, and no event is sent twice.
		w.Clock.Advance(time.Hour)
		if n, err := w.Store.RecoverPushes(t.Context(), false); n != 0 || err != nil {
			t.Fatalf("recovered again: %d, %v", n, err)
		}
		var left int
		if err := w.Store.DB().QueryRow("SELECT count(*) FROM pending_pushes").Scan(&left); err != nil || left != 0 {
			t.Fatalf("%d pending pushes left, %v", left, err)
		}
	})
}
