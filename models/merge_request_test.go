package models_test

import (
	"slices"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

func ptr[T any](v T) *T { return &v }

// Services that match the new target, also by wildcard, get pending checks and an
// event.
func TestUpdateMergeRequest_NewTarget_ReplacesChecks(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		everywhere, release, main := w.Service("everywhere"), w.Service("release", "release/*"), w.Service("main", "main")
		mr := w.MergeRequest("feature", "main")
		if err := w.Respond(mr, everywhere, mr.HeadSHA, models.StatusPassed); err != nil {
			t.Fatal(err)
		}
		w.Git.SetBranch(w.Project.ID, "release/1/x", w.Git.Tip(w.Project.ID, "main"))
		w.Clock.Advance(time.Hour)
		if _, err := w.Store.UpdateMergeRequest(t.Context(), w.Owner, mr.ProjectID, mr.IID, models.MergeRequestUpdate{TargetBranch: ptr("release/1/x")}); err != nil {
			t.Fatal(err)
		}
		if w.Status(mr, everywhere) != models.StatusPending || w.Status(mr, release) != models.StatusPending || w.Status(mr, main) != "" {
			t.Fatal("the checks were not replaced")
		}
		last := w.Deliveries(release)
		if len(last) != 1 || w.PayloadOf(last[0]).Target != "release/1/x" || !slices.Contains(w.PayloadOf(last[0]).Changes, "target_branch") {
			t.Fatalf("deliveries: %+v", last)
		}
		if left := w.Deliveries(main); len(left) != 1 || left[0].State != models.DeliverySuperseded || left[0].SupersededReason != models.SupersededByRemoval {
			t.Fatalf("deliveries of the service that no longer applies: %+v", left)
		}
	})
}

// While a merge request is closed, time-outs stop, pushes change nothing and responses
// are recorded. Reopening moves HEAD and restarts pending checks.
func TestCloseAndReopen_StopsAndRestartsTimeouts(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		a, b := w.Service("a"), w.Service("b")
		mr := w.MergeRequest("feature", "main")
		if err := w.Respond(mr, a, mr.HeadSHA, models.StatusPassed); err != nil {
			t.Fatal(err)
		}
		w.Clock.Advance(time.Minute)
		if _, err := w.Store.CloseMergeRequest(t.Context(), w.Owner, mr.ProjectID, mr.IID); err != nil {
			t.Fatal(err)
		}
		list := w.Deliveries(b)
		if list[0].State != models.DeliverySuperseded || list[1].Action != models.ActionClose || !list[1].WholeSchedule {
			t.Fatalf("deliveries at the close: %+v", list)
		}
		w.Clock.Advance(time.Hour)
		if w.Status(mr, b) != models.StatusPending {
			t.Fatal("the time-out was not stopped")
		}
		if n, err := w.Store.ExpirePending(t.Context(), 10); n != 0 || err != nil {
			t.Fatalf("expired %d, %v", n, err)
		}
		_, err := w.Store.RetryCheck(t.Context(), w.Owner, mr.ProjectID, mr.IID, a.ID)
		assertCode(t, err, models.CodeNotOpen)
		old := mr.HeadSHA
		head := w.Push("feature")
		if got, _ := w.Reload(mr); got.HeadSHA != old || len(w.Deliveries(b)) != 2 {
			t.Fatal("a push to the source of a closed merge request changed it")
		}
		if err := w.Respond(mr, b, old, models.StatusFailed); err != nil {
			t.Fatalf("an answer for HEAD of a closed merge request: %v", err)
		}
		if _, err := w.Store.ReopenMergeRequest(t.Context(), w.Owner, mr.ProjectID, mr.IID); err != nil {
			t.Fatal(err)
		}
		got, _ := w.Reload(mr)
		if got.HeadSHA != head || w.Status(mr, a) != models.StatusPending || w.Status(mr, b) != models.StatusPending {
			t.Fatalf("reopened at %s", got.HeadSHA)
		}
		// Reopened without a move: what was settled stays, what pended starts
		// anew.
		if err := w.Respond(mr, a, head, models.StatusPassed); err != nil {
			t.Fatal(err)
		}
		w.Clock.Advance(time.Minute)
		if _, err := w.Store.CloseMergeRequest(t.Context(), w.Owner, mr.ProjectID, mr.IID); err != nil {
			t.Fatal(err)
		}
		w.Clock.Advance(time.Hour)
		if _, err := w.Store.ReopenMergeRequest(t.Context(), w.Owner, mr.ProjectID, mr.IID); err != nil {
			t.Fatal(err)
		}
		w.Clock.Advance(119 * time.Second)
		if w.Status(mr, a) != models.StatusPassed || w.Status(mr, b) != models.StatusPending {
			t.Fatalf("reopened: a %s, b %s", w.Status(mr, a), w.Status(mr, b))
		}
		w.Clock.Advance(2 * time.Second)
		if w.Status(mr, b) != models.StatusFailed {
			t.Fatal("the time-out did not restart")
		}
	})
}

// Reopening a closed merge request must not create a second open one either.
func TestCreateMergeRequest_SecondForSameBranches_IsConflict(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		mr := w.MergeRequest("feature", "main")
		_, err := w.Store.CreateMergeRequest(t.Context(), w.Owner, w.Project.ID,
			models.MergeRequestInput{Title: "x", SourceBranch: "feature", TargetBranch: "main"})
		assertCode(t, err, models.CodeAlreadyOpen)
		if _, err := w.Store.CloseMergeRequest(t.Context(), w.Owner, mr.ProjectID, mr.IID); err != nil {
			t.Fatal(err)
		}
		w.MergeRequest("feature", "main")
		_, err = w.Store.ReopenMergeRequest(t.Context(), w.Owner, mr.ProjectID, mr.IID)
		assertCode(t, err, models.CodeAlreadyOpen)
	})
}

// The merge is blocked until the branch is pushed again.
func TestPush_DeletedSourceBranch_BlocksMerge(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		service := w.Service("licence")
		mr := w.MergeRequest("feature", "main")
		w.Git.SetBranch(w.Project.ID, "feature", "")
		w.RecordPush("feature", mr.HeadSHA, zeroSHA)
		got, _ := w.Reload(mr)
		if got.State != models.StateOpened || !got.SourceBranchDeleted || got.HeadSHA != mr.HeadSHA {
			t.Fatalf("after the deletion: %+v", got)
		}
		if err := w.Respond(mr, service, mr.HeadSHA, models.StatusPassed); err != nil {
			t.Fatalf("response after the deletion: %v", err)
		}
		_, err := merge(t, w, mr)
		assertCode(t, err, models.CodeMergeBlocked)
		w.Git.SetBranch(w.Project.ID, "feature", mr.HeadSHA)
		w.RecordPush("feature", zeroSHA, mr.HeadSHA)
		if got, _ := w.Reload(mr); got.SourceBranchDeleted || w.Status(mr, service) != models.StatusPending {
			t.Fatalf("pushed again: %+v", got)
		}
	})
}

func TestPush_SeveralMergeRequests_OneEventEach(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		service := w.Service("licence")
		w.Git.SetBranch(w.Project.ID, "release/1", w.Git.Tip(w.Project.ID, "main"))
		first, second := w.MergeRequest("feature", "main"), w.MergeRequest("feature", "release/1")
		head := w.Push("feature")
		for _, mr := range []models.MergeRequest{first, second} {
			if got, _ := w.Reload(mr); got.HeadSHA != head {
				t.Fatalf("!%d is at %s", mr.IID, got.HeadSHA)
			}
		}
		list := w.Deliveries(service)
		if len(list) != 4 || list[2].MergeRequestIID != 1 || list[3].MergeRequestIID != 2 || list[2].EventUUID == list[3].EventUUID {
			t.Fatalf("%+v", list)
		}
		if list[0].State != models.DeliverySuperseded || list[0].SupersededReason != models.SupersededByHead {
			t.Fatalf("delivery for the old HEAD: %+v", list[0])
		}
	})
}

// A force push that moves the source to the target's tip does not merge: the merge
// request has no commits then.
func TestPush_TargetContainsHead_MarksMerged(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		service := w.Service("licence")
		requireChecks(t, w) // applies to merges, not pushes
		mr := w.MergeRequest("feature", "main")
		old := w.Git.Tip(w.Project.ID, "main")
		tip := w.Git.AddCommit(w.Project.ID, "main", old, mr.HeadSHA)
		w.RecordPush("main", old, tip)
		if got, _ := w.Reload(mr); got.State != models.StateMerged || *got.MergeUserID != w.Owner.ID {
			t.Fatalf("pushed to the target, but %s", got.State)
		}
		if list := w.Deliveries(service); list[len(list)-1].Action != models.ActionMerged {
			t.Fatalf("deliveries: %+v", list)
		}

		w.Git.AddCommit(w.Project.ID, "second", tip)
		empty := w.MergeRequest("second", "main")
		w.Git.SetBranch(w.Project.ID, "second", tip)
		w.RecordPush("second", empty.HeadSHA, tip)
		if got, _ := w.Reload(empty); got.State != models.StateOpened || got.HeadSHA != tip {
			t.Fatalf("after a force push to the target's tip: %+v", got)
		}
		w.Push("main")
		if got, _ := w.Reload(empty); got.State != models.StateOpened {
			t.Fatalf("a merge request without commits was merged by a push: %s", got.State)
		}
		if err := w.Respond(empty, service, tip, models.StatusPassed); err != nil {
			t.Fatal(err)
		}
		_, err := merge(t, w, empty)
		assertCode(t, err, models.CodeMergeBlocked)
	})
}

func TestCreateMergeRequest_NoCommits_IsRefused(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		w.Git.SetBranch(w.Project.ID, "same", w.Git.Tip(w.Project.ID, "main"))
		_, err := w.Store.CreateMergeRequest(t.Context(), w.Owner, w.Project.ID,
			models.MergeRequestInput{Title: "x", SourceBranch: "same", TargetBranch: "main"})
		assertFieldError(t, err, "source_branch", models.CodeNoCommits)
		_, err = w.Store.CreateMergeRequest(t.Context(), w.Owner, w.Project.ID,
			models.MergeRequestInput{Title: "", SourceBranch: "nowhere", TargetBranch: ""})
		assertFieldError(t, err, "title", models.CodeBlank)
		assertFieldError(t, err, "target_branch", models.CodeBlank)
	})
}

// An edit that changes nothing sends no event.
func TestUpdateMergeRequest_OneEventPerEdit(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		service := w.Service("licence")
		mr := w.MergeRequest("feature", "main")
		edit := func(u models.MergeRequestUpdate) {
			if _, err := w.Store.UpdateMergeRequest(t.Context(), w.Owner, mr.ProjectID, mr.IID, u); err != nil {
				t.Fatal(err)
			}
		}
		edit(models.MergeRequestUpdate{Title: &mr.Title, Description: &mr.Description, TargetBranch: &mr.TargetBranch, Draft: ptr(false)})
		if n := len(w.Deliveries(service)); n != 1 {
			t.Fatalf("an edit without changes: %d deliveries", n)
		}
		w.Clock.Advance(time.Minute)
		edit(models.MergeRequestUpdate{Title: ptr("New"), Description: ptr("text"), Draft: ptr(true)})
		list := w.Deliveries(service)
		if len(list) != 2 {
			t.Fatalf("%d deliveries", len(list))
		}
		got := w.PayloadOf(list[1]).Changes
		for _, field := range []string{"title", "description", "draft"} {
			if !slices.Contains(got, field) {
				t.Errorf("changes %v lack %s", got, field)
			}
		}
		// An edit does not touch the clock.
		w.Clock.Advance(61 * time.Second)
		if w.Status(mr, service) != models.StatusFailed {
			t.Fatal("the edit restarted the time-out")
		}
	})
}

func TestRetryCheck_FailedCheck_BecomesPending(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		service, other := w.Service("licence"), w.Service("other")
		dana := w.Member("dana", models.RoleDeveloper)
		mr := w.MergeRequest("feature", "main")
		retry := func() error {
			_, err := w.Store.RetryCheck(t.Context(), dana, mr.ProjectID, mr.IID, service.ID)
			return err
		}
		assertCode(t, retry(), models.CodeNotFailed)
		w.Clock.Advance(121 * time.Second)
		if err := retry(); err != nil {
			t.Fatal(err)
		}
		list := w.Deliveries(service)
		p := w.PayloadOf(list[1])
		if w.Status(mr, service) != models.StatusPending || list[1].Kind != models.DeliveryOfRetry || p.User != "dana" || p.Action != "" || len(p.Changes) != 0 || list[0].UUID == list[1].UUID {
			t.Fatalf("the retry: %+v %+v", list[1], p)
		}
		if list[0].SupersededReason != models.SupersededByRetry || len(w.Deliveries(other)) != 1 {
			t.Fatal("the retry touched the wrong deliveries")
		}
		assertCode(t, retry(), models.CodeNotFailed) // already pending
		if err := w.Respond(mr, service, mr.HeadSHA, models.StatusPassed); err != nil {
			t.Fatal(err)
		}
		assertCode(t, retry(), models.CodeNotFailed)
		_, err := w.Store.RetryCheck(t.Context(), dana, mr.ProjectID, mr.IID, 999)
		if models.KindOf(err) != models.KindNotFound {
			t.Fatalf("a service that is not on it: %v", err)
		}
	})
}

// The redirect ends when another project takes the old path.
func TestUpdateProject_NewPath_RedirectsOldPath(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		if _, err := w.Store.UpdateProject(t.Context(), w.Owner, w.Project.ID, models.ProjectUpdate{Path: ptr("Quince")}); err != nil {
			t.Fatal(err)
		}
		find := func(path string) (int64, bool) {
			access, moved, err := w.Store.AccessByPath(t.Context(), &w.Owner, "OLGA", path)
			if err != nil && models.KindOf(err) != models.KindNotFound {
				t.Fatal(err)
			}
			return access.Project.ID, moved
		}
		if id, moved := find("pear"); id != w.Project.ID || !moved {
			t.Fatalf("the old path: %d, %v", id, moved)
		}
		if id, moved := find("quince"); id != w.Project.ID || moved {
			t.Fatalf("the new path: %d, %v", id, moved)
		}
		other := w.NewProject(w.Owner, "pear", models.VisibilityPrivate)
		if id, moved := find("pear"); id != other.ID || moved {
			t.Fatalf("taken: %d, %v", id, moved)
		}
		if err := w.Store.DeleteProject(t.Context(), w.Owner, w.Project.ID); err != nil {
			t.Fatal(err)
		}
		if id, _ := find("quince"); id != 0 {
			t.Fatal("deleted, but found")
		}
	})
}

func TestLastOwner_CannotBeRemoved(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		err := w.Store.RemoveMember(t.Context(), w.Owner, models.RoleOwner, w.Project.ID, w.Owner.ID)
		assertCode(t, err, models.CodeLastOwner)
		_, err = w.Store.ChangeMember(t.Context(), w.Owner, models.RoleOwner, w.Project.ID, w.Owner.ID,
			models.RoleGuest, "")
		assertCode(t, err, models.CodeLastOwner)
		max := w.Member("max", models.RoleMaintainer)
		_, err = w.Store.ChangeMember(t.Context(), max, models.RoleMaintainer, w.Project.ID, max.ID, models.RoleOwner, "")
		assertCode(t, err, models.CodeOwnerOnly)
		if _, err := w.Store.ChangeMember(t.Context(), w.Owner, models.RoleOwner, w.Project.ID, max.ID, models.RoleOwner, ""); err != nil {
			t.Fatal(err)
		}
		if err := w.Store.RemoveMember(t.Context(), w.Owner, models.RoleOwner, w.Project.ID, w.Owner.ID); err != nil {
			t.Fatal(err)
		}
	})
}
