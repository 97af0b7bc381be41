package models_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// countRows counts the rows of a table, with an optional WHERE clause.
func countRows(t *testing.T, w *modelstest.Fixture, query string) (n int) {
	t.Helper()
	if err := w.Store.DB().QueryRow("SELECT count(*) FROM " + query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// A missing repository does not block the recovery of another project. Its error names
// the project, and recovery gives up after a day.
func TestRecovery_MissingRepository_Continues(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		w.Service("licence")
		var bad models.Project
		var good models.MergeRequest
		for _, path := range []string{"bad", "good"} {
			w.Project = w.NewProject(w.Owner, path, models.VisibilityPrivate)
			w.Git.AddCommit(w.Project.ID, "second", w.Git.Tip(w.Project.ID, "main"))
			merging, pushed := w.MergeRequest("feature", "main"), w.MergeRequest("second", "main")
			// A push and a merge, both interrupted after moving the ref.
			update := models.RefUpdate{Ref: "refs/heads/second", Old: pushed.HeadSHA, New: w.Git.NewCommit(pushed.HeadSHA)}
			if _, err := w.Store.PreparePush(t.Context(), w.Owner, w.Project.ID, "req-"+path, []models.RefUpdate{update}, models.PushOptions{}); err != nil {
				t.Fatal(err)
			}
			w.Git.MoveByPush(w.Project.ID, "req-"+path, "second", update.New)
			w.Store.SetHooks(models.Hooks{AfterMergeMoved: func() error { return errors.New("killed") }})
			if _, err := merge(t, w, merging); err == nil {
				t.Fatal("the merge was not cut off")
			}
			w.Store.SetHooks(models.Hooks{})
			if path == "bad" {
				bad = w.Project
			} else {
				good = pushed
			}
		}
		w.Git.SetMissing(bad.ID, true)
		w.Clock.Advance(time.Minute)
		n, err := w.Store.RecoverMerges(t.Context(), false)
		if assertProjectError(t, err, bad.ID); n != 1 {
			t.Errorf("%d merges completed, want 1", n)
		}
		n, err = w.Store.RecoverPushes(t.Context(), false)
		if assertProjectError(t, err, bad.ID); n != 1 {
			t.Errorf("%d pushes recovered, want 1", n)
		}
		if mr, _ := w.Reload(good); mr.HeadSHA != w.Git.Tip(good.ProjectID, "second") {
			t.Error("the push of the good project was not recovered")
		}
		w.Clock.Advance(25 * time.Hour)
		_, err = w.Store.RecoverMerges(t.Context(), false)
		assertProjectError(t, err, bad.ID)
		_, err = w.Store.RecoverPushes(t.Context(), false)
		assertProjectError(t, err, bad.ID)
		if pushes, merges := countRows(t, w, "pending_pushes"), countRows(t, w, "merge_requests WHERE state = 'opened' AND merging_sha <> ''"); pushes+merges != 0 {
			t.Errorf("still pending: %d pushes, %d merges", pushes, merges)
		}
		w.Git.SetMissing(bad.ID, false) // for checkMerged
	})
}

// More failing rows than one batch.
func TestRecoverPushes_ManyFailingRows_ReachesTheLast(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		good := w.Project
		bad := w.NewProject(w.Owner, "bad", models.VisibilityPrivate)
		update := models.RefUpdate{Ref: "refs/heads/x", Old: zeroSHA, New: w.Git.NewCommit()}
		prepare := func(project models.Project, request string) {
			if _, err := w.Store.PreparePush(t.Context(), w.Owner, project.ID, request, []models.RefUpdate{update}, models.PushOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 101 {
			prepare(bad, fmt.Sprint("bad-", i))
		}
		prepare(good, "good")
		w.Git.MoveByPush(good.ID, "good", "x", update.New)
		w.Git.SetMissing(bad.ID, true)
		w.Clock.Advance(time.Minute)
		if n, err := w.Store.RecoverPushes(t.Context(), false); n != 1 || err == nil {
			t.Errorf("recovered %d, %v", n, err)
		}
	})
}

// "Also apply" continues after a failing merge request, within a service and across
// services, and gives up after a day.
func TestRecoverApplies_FailingService_Continues(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		failing := []string{"bad", "good"}
		w := modelstest.New(t, db, modelstest.WithPayload(func(e models.Event) ([]byte, error) {
			if slices.Contains(failing, e.Service.Name) && strings.HasSuffix(e.MergeRequest.Title, "feature") {
				return nil, errors.New("no payload")
			}
			return modelstest.RenderPayload(e)
		}))
		w.Git.AddCommit(w.Project.ID, "second", w.Git.Tip(w.Project.ID, "main"))
		first, second := w.MergeRequest("feature", "main"), w.MergeRequest("second", "main")
		services := map[string]models.ExternalStatusCheck{}
		for _, name := range failing {
			service, err := w.Store.CreateExternalStatusCheck(t.Context(), w.Owner, w.Project.ID,
				models.ExternalStatusCheckInput{Name: name, ExternalURL: "https://" + name + ".test/"}, true)
			if err != nil || service.Incomplete == nil || service.Applied != 1 {
				t.Fatalf("%s: applied to %d, incomplete %v, error %v", name, service.Applied, service.Incomplete, err)
			}
			services[name] = service
		}
		failing = failing[:1]
		w.Clock.Advance(time.Minute)
		assertProjectError(t, w.Store.RecoverApplies(t.Context()), w.Project.ID)
		for name, want := range map[string][2]bool{"bad": {false, true}, "good": {true, true}} {
			if got := [2]bool{w.Status(first, services[name]) != "", w.Status(second, services[name]) != ""}; got != want {
				t.Errorf("%s is on the merge requests %v, want %v", name, got, want)
			}
		}
		w.Clock.Advance(25 * time.Hour)
		assertProjectError(t, w.Store.RecoverApplies(t.Context()), w.Project.ID)
		if err := w.Store.RecoverApplies(t.Context()); err != nil {
			t.Errorf("recovery did not give up: %v", err)
		}
	})
}

func TestExpirePending_FailingRow_Continues(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		w.Service("licence")
		w.Git.AddCommit(w.Project.ID, "second", w.Git.Tip(w.Project.ID, "main"))
		first, second := w.MergeRequest("feature", "main"), w.MergeRequest("second", "main")
		statements := []string{fmt.Sprintf(`CREATE TRIGGER refuse BEFORE UPDATE ON merge_request_checks WHEN NEW.merge_request_id = %d BEGIN SELECT RAISE(ABORT, 'refused'); END`, first.ID)}
		if db.Driver == models.DriverPostgres {
			statements = []string{
				`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused'; END $$`,
				fmt.Sprintf(`CREATE TRIGGER refuse BEFORE UPDATE ON merge_request_checks FOR EACH ROW WHEN (NEW.merge_request_id = %d) EXECUTE FUNCTION refuse()`, first.ID),
			}
		}
		for _, statement := range statements {
			if _, err := w.Store.DB().Exec(statement); err != nil {
				t.Fatal(err)
			}
		}
		w.Clock.Advance(3 * time.Minute)
		n, err := w.Store.ExpirePending(t.Context(), 10)
		assertProjectError(t, err, w.Project.ID)
		if _, checks := w.Reload(second); n != 1 || !checks[0].TimedOut {
			t.Errorf("stored %d time-outs, second check %+v", n, checks[0])
		}
	})
}

// A failure after the merge does not lose the removal of the source branch.
func TestMerge_RemoveSource_IsRetried(t *testing.T) {
	for name, c := range map[string]struct {
		meanwhile func(w *modelstest.Fixture, mr models.MergeRequest)
		stays     bool
	}{
		"locked for a while":            {func(*modelstest.Fixture, models.MergeRequest) {}, false},
		"removed, and the server crash": {func(w *modelstest.Fixture, mr models.MergeRequest) { w.Git.SetBranch(mr.ProjectID, "feature", "") }, false},
		"pushed to meanwhile":           {func(w *modelstest.Fixture, _ models.MergeRequest) { w.Push("feature") }, true},
	} {
		t.Run(name, func(t *testing.T) {
			modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
				w := modelstest.New(t, db)
				w.Git.SetBranch(w.Project.ID, "release/1", w.Git.Tip(w.Project.ID, "main"))
				mr, other := w.MergeRequest("feature", "main"), w.MergeRequest("feature", "release/1")
				w.Git.SetLocked("feature", true)
				merged, err := w.Store.Merge(t.Context(), w.Owner, mr.ProjectID, mr.IID,
					models.MergeOptions{Role: models.RoleOwner, RemoveSourceBranch: true})
				if err != nil || merged.State != models.StateMerged || merged.MergeUser == nil || !errors.Is(merged.Incomplete, models.ErrSourceNotRemoved) {
					t.Fatalf("merged as %+v, %v", merged, err)
				}
				w.Clock.Advance(time.Minute)
				_, err = w.Store.RecoverMerges(t.Context(), false)
				assertProjectError(t, err, w.Project.ID)
				w.Git.SetLocked("feature", false)
				c.meanwhile(w, mr)
				if _, err := w.Store.RecoverMerges(t.Context(), false); err != nil {
					t.Fatal(err)
				}
				if stays := w.Git.Tip(w.Project.ID, "feature") != ""; stays != c.stays {
					t.Errorf("the branch exists: %v, want %v", stays, c.stays)
				}
				if other, _ = w.Reload(other); other.SourceBranchDeleted == c.stays {
					t.Errorf("the other merge request says that its source is gone: %v", other.SourceBranchDeleted)
				}
				if n := countRows(t, w, "merge_request_steps"); n != 0 {
					t.Errorf("%d steps left", n)
				}
			})
		})
	}
}

// The merge request is closed between the interrupted push and its recovery.
func TestRecoverPushes_ClosedMergeRequest_RestoresHeadRef(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		mr := w.MergeRequest("feature", "main")
		update := models.RefUpdate{Ref: "refs/heads/feature", Old: mr.HeadSHA, New: w.Git.NewCommit(mr.HeadSHA)}
		in := models.PushInput{ProjectID: mr.ProjectID, By: w.Owner, Updates: []models.RefUpdate{update}}
		var err error
		if in.PendingID, err = w.Store.PreparePush(t.Context(), w.Owner, mr.ProjectID, "req", in.Updates, models.PushOptions{}); err != nil {
			t.Fatal(err)
		}
		w.Git.MoveByPush(mr.ProjectID, "req", "feature", update.New)
		w.Store.SetHooks(models.Hooks{BeforePushCommit: func() error { return errors.New("killed") }})
		if _, err := w.Store.Push(t.Context(), in); err == nil {
			t.Fatal("the push was not cut off")
		}
		w.Store.SetHooks(models.Hooks{})
		if _, err := w.Store.CloseMergeRequest(t.Context(), w.Owner, mr.ProjectID, mr.IID); err != nil {
			t.Fatal(err)
		}
		w.Clock.Advance(time.Minute)
		if n, err := w.Store.RecoverPushes(t.Context(), false); n != 1 || err != nil {
			t.Fatalf("recovered %d, %v", n, err)
		}
		if got := w.Git.HeadRef(mr.ProjectID, mr.IID); got != mr.HeadSHA {
			t.Errorf("head ref %s, HEAD %s", got, mr.HeadSHA)
		}
		// Reopening moves the ref only when it is committed.
		rolledBack := errors.New("rolled back")
		err = w.Store.Transaction(t.Context(), func(tx *models.Store) error {
			if _, err := tx.ReopenMergeRequest(t.Context(), w.Owner, mr.ProjectID, mr.IID); err != nil {
				return err
			}
			return rolledBack
		})
		if got := w.Git.HeadRef(mr.ProjectID, mr.IID); !errors.Is(err, rolledBack) || got != mr.HeadSHA {
			t.Errorf("after a reopening that was rolled back: head ref %s, HEAD %s, %v", got, mr.HeadSHA, err)
		}
		if _, err := w.Store.ReopenMergeRequest(t.Context(), w.Owner, mr.ProjectID, mr.IID); err != nil {
			t.Fatal(err)
		}
		if got := w.Git.HeadRef(mr.ProjectID, mr.IID); got != update.New || countRows(t, w, "merge_request_steps") != 0 {
			t.Errorf("after reopening: head ref %s, HEAD %s", got, update.New)
		}
	})
}

// Recovery completes the merge.
func TestInterruptedMerge_CannotBeClosedOrRetargeted(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		w.Git.SetBranch(w.Project.ID, "release/1", w.Git.Tip(w.Project.ID, "main"))
		mr := w.MergeRequest("feature", "main")
		w.Store.SetHooks(models.Hooks{AfterMergeMoved: func() error { return errors.New("killed") }})
		if _, err := merge(t, w, mr); err == nil {
			t.Fatal("the merge was not cut off")
		}
		w.Store.SetHooks(models.Hooks{})
		_, err := w.Store.CloseMergeRequest(t.Context(), w.Owner, mr.ProjectID, mr.IID)
		assertCode(t, err, models.CodeNotOpen)
		target := "release/1"
		_, err = w.Store.UpdateMergeRequest(t.Context(), w.Owner, mr.ProjectID, mr.IID,
			models.MergeRequestUpdate{TargetBranch: &target})
		assertCode(t, err, models.CodeNotOpen)
		w.Clock.Advance(time.Minute)
		if n, err := w.Store.RecoverMerges(t.Context(), false); n != 1 || err != nil {
			t.Fatalf("completed %d, %v", n, err)
		}
		if mr, _ = w.Reload(mr); mr.State != models.StateMerged {
			t.Errorf("it is %s", mr.State)
		}
	})
}

func TestDeleteProject_RepositoryFails_IsRetried(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		w.Git.SetMissing(w.Project.ID, true)
		if err := w.Store.DeleteProject(t.Context(), w.Owner, w.Project.ID); err != nil {
			t.Fatal(err)
		}
		w.Clock.Advance(time.Minute)
		_, err := w.Store.RecoverMerges(t.Context(), false)
		assertProjectError(t, err, w.Project.ID)
		w.Git.SetMissing(w.Project.ID, false)
		if _, err := w.Store.RecoverMerges(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		if w.Git.HasRepository(w.Project.ID) || countRows(t, w, "repository_removals") != 0 {
			t.Error("the repository or its row is still there")
		}
	})
}
