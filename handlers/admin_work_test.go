package handlers

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
)

// Retry now tries the deliveries of a paused service at once.
func TestBackgroundWork_RetryNow_WakesService(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		service, admin := s.Service("licence"), s.as(s.Admin("root"))
		s.openMergeRequest("topic")
		fail := func() {
			t.Helper()
			claimed, err := s.Store.Claim(t.Context(), models.ClaimOptions{Limit: 1})
			if err != nil || len(claimed) != 1 {
				t.Fatalf("%d deliveries, %v", len(claimed), err)
			}
			if err := s.Store.FinishDelivery(t.Context(), claimed[0].Delivery, models.AttemptResult{HTTPStatus: 503, StartedAt: s.Store.Now()}); err != nil {
				t.Fatal(err)
			}
		}
		fail()
		due := func() bool {
			t.Helper()
			return !s.Deliveries(service)[0].NextAttemptAt.After(s.Store.Now())
		}
		if due() {
			t.Fatal("the delivery is due at once")
		}
		page := admin.get(backgroundWorkPath).wantStatus(http.StatusOK)
		row, total := collapseSpace(page.Find("#queues tbody tr").Text()), page.Find("#work-totals dd").First().Text()
		if !strings.Contains(row, "licence olga/pear") || total != "1" {
			t.Errorf("row %q, total %q", row, total)
		}
		admin.post(backgroundWorkPath+"/retry", url.Values{"service": {page.attr("#queues input[name=service]", "value")}}).wantStatus(http.StatusSeeOther)
		if !due() {
			t.Error("the delivery is not due after Retry now")
		}
		for range models.BreakerThreshold - 1 {
			s.Clock.Advance(2 * time.Minute)
			fail()
		}
		if got := admin.get(backgroundWorkPath).text("#queues .badge"); !strings.Contains(got, "Paused") {
			t.Errorf("state %q", got)
		}
		before, err := s.Store.Breaker(t.Context(), s.Project.ID, service.ID)
		if err != nil || !before.ProbeAt.After(s.Store.Now()) {
			t.Fatalf("breaker %+v, %v", before, err)
		}
		admin.post(backgroundWorkPath+"/retry", url.Values{"service": {itoa(service.ID)}}).wantStatus(http.StatusSeeOther)
		fail() // the probe
		admin.post(backgroundWorkPath+"/retry", url.Values{"service": {"999999"}}).wantStatus(http.StatusNotFound)
		admin.post(backgroundWorkPath+"/retry", url.Values{"service": {"x"}}).wantStatus(http.StatusNotFound)
	})
}

// Retry now completes an interrupted push.
func TestBackgroundWork_RetryNow_CompletesPush(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		admin, mr := s.as(s.Admin("root")), s.openMergeRequest("topic")
		old := s.Git.Tip(s.Project.ID, "topic")
		head := s.Git.NewCommit(old)
		updates := []models.RefUpdate{{Ref: "refs/heads/topic", Old: old, New: head}}
		if _, err := s.Store.PreparePush(t.Context(), s.Owner, s.Project.ID, "req_1", updates, models.PushOptions{}); err != nil {
			t.Fatal(err)
		}
		s.Git.MoveByPush(s.Project.ID, "req_1", "topic", head)
		s.Clock.Advance(time.Minute)
		if got := admin.get(backgroundWorkPath).text("#recovery-pending_pushes .num"); got != "1" {
			t.Fatalf("%s pending pushes, want 1", got)
		}
		admin.post(backgroundWorkPath+"/retry", url.Values{"recovery": {"pending_pushes"}}).wantStatus(http.StatusSeeOther)
		for end := time.Now().Add(time.Minute); admin.get(backgroundWorkPath).has("#recovery-pending_pushes [role=status]"); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("Retry now does not end")
			}
		}
		if now, _ := s.Reload(mr); now.HeadSHA != head {
			t.Errorf("HEAD is %s, want %s", now.HeadSHA, head)
		}
		if got := admin.get(backgroundWorkPath).text("#recovery-pending_pushes .num"); got != "0" {
			t.Errorf("%s pending pushes, want 0", got)
		}
		admin.post(backgroundWorkPath+"/retry", url.Values{"recovery": {"nonsense"}}).wantStatus(http.StatusNotFound)
		admin.post(backgroundWorkPath+"/retry", nil).wantStatus(http.StatusNotFound)
	})
}

func TestAdminProjects_ListsSizesAndDeletes(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		admin := s.as(s.Admin("root"))
		other := s.NewProject(s.User("otto"), "quince", models.VisibilityPrivate)
		page := admin.get(adminProjectsPath).wantStatus(http.StatusOK)
		rows := collapseSpace(page.Find("tbody").Text())
		for _, want := range []string{"olga/pear", "otto/quince", "3.0 MiB", "Private"} {
			if !strings.Contains(rows, want) {
				t.Errorf("rows %q lack %q", rows, want)
			}
		}
		path := adminProjectsPath + "/" + itoa(other.ID) + "/remove"
		if !strings.Contains(admin.get(path).wantStatus(http.StatusOK).text("main"), "otto/quince") {
			t.Error("the confirmation does not name the project")
		}
		refused := admin.post(path, url.Values{"confirm": {"quince"}}).wantStatus(http.StatusUnprocessableEntity)
		if got := refused.text("#confirm-error"); !strings.Contains(got, "not the path of the project") {
			t.Errorf("message %q", got)
		}
		admin.post(path, url.Values{"confirm": {"otto/quince"}}).wantStatus(http.StatusSeeOther)
		admin.get("/otto/quince").wantStatus(http.StatusNotFound)
		if rows := admin.get(adminProjectsPath + "?search=quince").text(".empty"); !strings.Contains(rows, "No projects match") {
			t.Errorf("after the deletion: %q", rows)
		}
	})
}

func TestAdminNamespaces_CreateAndDelete(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		root := s.Admin("root")
		admin := s.as(root)
		admin.post(adminNamespacesPath, url.Values{"path": {"tools"}}).wantStatus(http.StatusSeeOther)
		ns, err := s.Store.Namespace(t.Context(), "tools")
		if err != nil {
			t.Fatal(err)
		}
		project, err := s.Store.CreateProject(t.Context(), root, models.ProjectInput{NamespaceID: ns.ID, Name: "p", Path: "p"}, false)
		if err != nil {
			t.Fatal(err)
		}
		path := adminNamespacesPath + "/" + itoa(ns.ID) + "/remove"
		if admin.get(adminNamespacesPath).has("a[href='" + path + "']") {
			t.Error("the list offers to delete a namespace with a project")
		}
		admin.post(path, nil).wantStatus(http.StatusUnprocessableEntity)
		if err := s.Store.DeleteProject(t.Context(), root, project.ID); err != nil {
			t.Fatal(err)
		}
		admin.get(path).wantStatus(http.StatusOK)
		admin.post(path, nil).wantStatus(http.StatusSeeOther)
		admin.get("/tools").wantStatus(http.StatusNotFound)
		own, err := s.Store.Namespace(t.Context(), "olga")
		if err != nil {
			t.Fatal(err)
		}
		admin.get(adminNamespacesPath + "/" + itoa(own.ID) + "/remove").wantStatus(http.StatusNotFound)
		s.as(s.Owner).get(adminNamespacesPath).wantStatus(http.StatusNotFound)
	})
}
