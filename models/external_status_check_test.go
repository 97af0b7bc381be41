package models_test

import (
	"slices"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

func checkNames(checks []models.MergeRequestCheck) []string {
	var list []string
	for _, c := range checks {
		list = append(list, c.Name)
	}
	return list
}

func TestUpdateService_WithoutApply_KeepsOpenMergeRequests(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		licence := w.Service("licence")
		mr := w.MergeRequest("feature", "main")
		if err := w.Respond(mr, licence, mr.HeadSHA, models.StatusPassed); err != nil {
			t.Fatal(err)
		}
		w.Service("later")
		update := models.ExternalStatusCheckUpdate{Name: ptr("renamed"), ExternalURL: ptr("https://moved.example.test/")}
		if _, err := w.Store.UpdateExternalStatusCheck(t.Context(), w.Owner, w.Project.ID, licence.ID, update, false); err != nil {
			t.Fatal(err)
		}
		_, checks := w.Reload(mr)
		if got := checkNames(checks); !slices.Equal(got, []string{"licence"}) || checks[0].ExternalURL != licence.ExternalURL || checks[0].Status != models.StatusPassed {
			t.Fatalf("the open merge request has %v: %+v", got, checks)
		}
		w.Push("feature")
		if _, checks = w.Reload(mr); len(checks) != 1 || checks[0].Name != "licence" {
			t.Fatalf("a push updated the copy: %v", checkNames(checks))
		}
	})
}

func TestUpdateService_Apply_ChangesOpenMergeRequests(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		licence := w.Service("licence")
		mr := w.MergeRequest("feature", "main")
		w.Git.SetBranch(w.Project.ID, "release/1", w.Git.Tip(w.Project.ID, "main"))
		other := w.MergeRequest("feature", "release/1")
		if err := w.Respond(mr, licence, mr.HeadSHA, models.StatusPassed); err != nil {
			t.Fatal(err)
		}
		count := func(c models.ExternalStatusCheck) int {
			n, err := w.Store.CountApply(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		// A new service for release/* changes one of the two merge requests.
		rule, err := w.Store.ProtectedBranchByName(t.Context(), w.Project.ID, "release/*")
		if err != nil {
			t.Fatal(err)
		}
		if n := count(models.ExternalStatusCheck{ProjectID: w.Project.ID, Branches: []models.ExternalStatusCheckBranch{{Name: "release/*"}}}); n != 1 {
			t.Fatalf("CountApply = %d, want 1", n)
		}
		w.Clock.Advance(time.Hour)
		release, err := w.Store.CreateExternalStatusCheck(t.Context(), w.Owner, w.Project.ID,
			models.ExternalStatusCheckInput{Name: "release", ExternalURL: "https://release.example.test/", ProtectedBranchIDs: []int64{rule.ID}}, true)
		if err != nil {
			t.Fatal(err)
		}
		if w.Status(mr, release) != "" || w.Status(other, release) != models.StatusPending {
			t.Fatal("applied to the wrong merge requests")
		}
		if list := w.Deliveries(release); len(list) != 1 || list[0].Action != models.ActionUpdate {
			t.Fatalf("deliveries: %+v", list)
		}
		// A new name keeps the result, a new URL does not.
		renamed, err := w.Store.UpdateExternalStatusCheck(t.Context(), w.Owner, w.Project.ID, licence.ID,
			models.ExternalStatusCheckUpdate{Name: ptr("Licence scan")}, true)
		if err != nil {
			t.Fatal(err)
		}
		if _, checks := w.Reload(mr); checks[0].Name != "Licence scan" || w.Status(mr, licence) != models.StatusPassed {
			t.Fatalf("after the rename: %+v", checks)
		}
		if n := count(renamed); n != 0 {
			t.Fatalf("CountApply = %d, want 0", n)
		}
		if _, err := w.Store.UpdateExternalStatusCheck(t.Context(), w.Owner, w.Project.ID, licence.ID, models.ExternalStatusCheckUpdate{ExternalURL: ptr("https://new.example.test/")}, true); err != nil {
			t.Fatal(err)
		}
		if w.Status(mr, licence) != models.StatusPending {
			t.Fatal("the result was kept although the URL changed")
		}
		// A narrower scope removes the check.
		if _, err := w.Store.UpdateExternalStatusCheck(t.Context(), w.Owner, w.Project.ID, licence.ID, models.ExternalStatusCheckUpdate{ProtectedBranchIDs: &[]int64{rule.ID}}, true); err != nil {
			t.Fatal(err)
		}
		if w.Status(mr, licence) != "" || w.Status(other, licence) == "" {
			t.Fatal("the check was not removed by the narrower scope")
		}
	})
}

// A scope keeps its branch name when the branch is unprotected, and is reconnected when
// it is protected again.
func TestScope_UnprotectedBranch_StillApplies(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		service := w.Service("main-only", "main")
		rule, err := w.Store.ProtectedBranchByName(t.Context(), w.Project.ID, "main")
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Store.DeleteProtectedBranch(t.Context(), w.Owner, w.Project.ID, rule.ID); err != nil {
			t.Fatal(err)
		}
		read := func() models.ExternalStatusCheck {
			c, err := w.Store.ExternalStatusCheck(t.Context(), w.Project.ID, service.ID)
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		if c := read(); len(c.Branches) != 1 || c.Branches[0].Protected || c.Branches[0].ProtectedBranchID != rule.ID || !c.AppliesTo("main") || c.AppliesTo("other") {
			t.Fatalf("unprotected: %+v", c.Branches)
		}
		// The last id is taken back, ids of nothing are not.
		if _, err := w.Store.UpdateExternalStatusCheck(t.Context(), w.Owner, w.Project.ID, service.ID, models.ExternalStatusCheckUpdate{ProtectedBranchIDs: &[]int64{rule.ID}}, false); err != nil {
			t.Fatal(err)
		}
		_, err = w.Store.UpdateExternalStatusCheck(t.Context(), w.Owner, w.Project.ID, service.ID,
			models.ExternalStatusCheckUpdate{ProtectedBranchIDs: &[]int64{rule.ID, 999}}, false)
		assertFieldError(t, err, "protected_branch_ids", models.CodeForeignBranch)
		if mr := w.MergeRequest("feature", "main"); w.Status(mr, service) == "" {
			t.Fatal("the service no longer applies")
		}
		again, err := w.Store.CreateProtectedBranch(t.Context(), w.Owner, w.Project.ID,
			models.ProtectedBranchInput{Name: "main", PushAccessLevel: models.RoleMaintainer, MergeAccessLevel: models.RoleMaintainer})
		if err != nil {
			t.Fatal(err)
		}
		if c := read(); !c.Branches[0].Protected || c.Branches[0].ProtectedBranchID != again.ID {
			t.Fatalf("protected again: %+v", c.Branches)
		}
	})
}

// Names and URLs are unique per project after normalisation, and the secret can be set
// once.
func TestCreateService_ReportsAllFieldErrors(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		first := w.Service("Straße")
		create := func(projectID int64, in models.ExternalStatusCheckInput) error {
			_, err := w.Store.CreateExternalStatusCheck(t.Context(), w.Owner, projectID, in, false)
			return err
		}
		err := create(w.Project.ID,
			models.ExternalStatusCheckInput{Name: " STRASSE ", ExternalURL: "HTTPS://Straße.example.test:443/hook#x", ProtectedBranchIDs: []int64{12345}})
		assertFieldError(t, err, "name", models.CodeTaken)
		assertFieldError(t, err, "external_url", models.CodeTaken)
		assertFieldError(t, err, "protected_branch_ids", models.CodeForeignBranch)
		second := w.NewProject(w.Owner, "second", models.VisibilityPrivate)
		if err := create(second.ID, models.ExternalStatusCheckInput{Name: "Straße", ExternalURL: first.ExternalURL}); err != nil {
			t.Fatalf("the same names in a second project: %v", err)
		}
		if _, err := w.Store.ExternalStatusCheck(t.Context(), second.ID, first.ID); models.KindOf(err) != models.KindNotFound {
			t.Fatalf("another project's service: %v", err)
		}
		update := func(secret string) error {
			_, err := w.Store.UpdateExternalStatusCheck(t.Context(), w.Owner, w.Project.ID, first.ID,
				models.ExternalStatusCheckUpdate{SharedSecret: &secret}, false)
			return err
		}
		if err := update("once"); err != nil {
			t.Fatal(err)
		}
		if err := update(""); err != nil {
			t.Fatal(err)
		}
		assertFieldError(t, update("twice"), "shared_secret", models.CodeImmutable)
		w.MergeRequest("feature", "main")
		claimed, err := w.Store.Claim(t.Context(), models.ClaimOptions{Limit: 10})
		if err != nil || len(claimed) != 1 || claimed[0].Secret != "once" {
			t.Fatalf("claimed %+v, %v", claimed, err)
		}
	})
}

func TestRecordResponse_ServiceNotOnMergeRequest_StoresNothing(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		release := w.Service("release", "release/*")
		mr := w.MergeRequest("feature", "main")
		later := w.Service("later")
		second := w.NewProject(w.Owner, "second", models.VisibilityPrivate)
		foreign, err := w.Store.CreateExternalStatusCheck(t.Context(), w.Owner, second.ID,
			models.ExternalStatusCheckInput{Name: "x", ExternalURL: "https://x.example.test"}, false)
		if err != nil {
			t.Fatal(err)
		}
		for _, service := range []models.ExternalStatusCheck{release, later, foreign, {ID: 999}} {
			if err := w.Respond(mr, service, mr.HeadSHA, models.StatusPassed); models.KindOf(err) != models.KindNotFound {
				t.Errorf("service %q: %v", service.Name, err)
			}
		}
		var n int
		if err := w.Store.DB().QueryRow("SELECT count(*) FROM status_check_responses").Scan(&n); err != nil || n != 0 {
			t.Fatalf("%d responses stored, %v", n, err)
		}
	})
}

func TestRecoverApplies_ContinuesInterrupted(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		mr := w.MergeRequest("feature", "main")
		late := w.Service("late")
		if _, err := w.Store.DB().Exec("UPDATE external_status_checks SET apply_after_id = 0"); err != nil {
			t.Fatal(err)
		}
		if err := w.Store.RecoverApplies(t.Context()); err != nil || w.Status(mr, late) != "" {
			t.Fatalf("a running apply was recovered: %v", err)
		}
		w.Clock.Advance(time.Minute)
		if err := w.Store.RecoverApplies(t.Context()); err != nil || w.Status(mr, late) != models.StatusPending {
			t.Fatalf("status %q, %v", w.Status(mr, late), err)
		}
	})
}
