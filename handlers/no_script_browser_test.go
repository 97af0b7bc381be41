package handlers

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/mergegate/mergegate/cmd/mergegate/browsertest"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// TestMainPathWithoutScript registers a service, opens a merge request,
// retries, approves and merges it, and removes the service, in a browser that
// runs no script.
func TestMainPathWithoutScript(t *testing.T) {
	s := newMRSite(t, modelstest.SQLite(t))
	s.Git.Move(s.Project.ID, "other", s.Git.Tip(s.Project.ID, "main"))
	s.Push("other")
	mona := s.withPassword("mona", false)
	if _, err := s.Store.AddMember(t.Context(), s.Owner, models.RoleOwner, s.Project.ID, mona.ID, models.RoleMaintainer); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s.handler)
	t.Cleanup(server.Close)
	p := browsertest.New(t)
	p.Allow("422")
	p.NoScript()

	p.Go(server.URL + settingsPath)
	p.WaitURL("/users/sign_in")
	p.Fill("#login", "mona")
	p.Fill("#password", testPassword)
	p.Press("Sign in")
	p.WaitURL("/settings/merge_requests$")
	p.Click("#checks-must-succeed")
	p.Press("Save changes")
	p.WaitText(".toast", "Changes saved.")

	p.Click("#add-status-check")
	p.WaitText("h1", "Add status check")
	p.Fill("#status-check-url", "https://ci.example.test/hook")
	p.Click("#submit-status-check")
	p.WaitText("#status-check-name-error", "Please provide a name")
	p.Fill("#status-check-name", "Build")
	p.Click("#submit-status-check")
	p.WaitText(".toast", "Status check added.")

	p.Go(server.URL + "/olga/pear/-/merge_requests")
	p.Press("New merge request")
	p.WaitText("#checks-preview", "1 status check will run")
	p.Click("#source_branch")
	p.Press("other")
	p.Fill("#mr-title", "Trim the pear")
	p.Press("Create merge request")
	p.WaitText("h1", "Trim the pear")
	p.WaitText("#merge-h", "Merge blocked: 1 check pending")

	s.Clock.Advance(3 * time.Minute)
	p.Reload()
	p.WaitText("#merge-h", "Merge blocked: 1 check failed")
	p.Press("Retry Build")
	p.WaitText("#status-checks-summary", "1 pending")
	p.Press("Approve")
	p.WaitText("#approvals", "1 approval")

	ctx := t.Context()
	services, _, err := s.Store.StatusChecks(ctx, s.Project.ID, models.Page{})
	if err != nil || len(services) != 1 {
		t.Fatalf("%d services, %v", len(services), err)
	}
	mr, err := s.Store.MergeRequest(ctx, s.Project.ID, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Respond(mr, services[0], mr.HeadSHA, models.StatusPassed); err != nil {
		t.Fatal(err)
	}
	p.Reload()
	p.WaitText("#merge-h", "Ready to merge!")
	p.Press("Merge")
	p.WaitText("#mr-state", "Merged")

	p.Go(server.URL + settingsPath)
	p.Press("Remove Build")
	p.WaitText("h1", "Remove status check?")
	p.Press("Remove status check")
	p.WaitText(".toast", "Status check removed.")
	if left := s.services(); left != "" {
		t.Errorf("services: %q", left)
	}
}
