package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/mergegate/mergegate/cmd/mergegate/browsertest"
	"github.com/mergegate/mergegate/models/modelstest"
)

// demo starts the demo and returns the content of demo.json.
func (p *program) demo() demoState {
	p.t.Helper()
	p.start(nil, "demo")
	path := filepath.Join(p.data, "demo.json")
	p.await("demo.json", func() bool { return strings.Contains(p.output.String(), "Press Ctrl-C to stop") })
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		p.t.Fatalf("demo.json: %v, %v", info, err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		p.t.Fatal(err)
	}
	var state demoState
	if err := json.Unmarshal(content, &state); err != nil {
		p.t.Fatal(err)
	}
	return state
}

func (d demoState) user(t *testing.T, role string) demoUser {
	t.Helper()
	for _, u := range d.Users {
		if u.Role == role {
			return u
		}
	}
	t.Fatalf("the demo has no %s", role)
	return demoUser{}
}

// signIn signs a role in and opens a page.
func (d demoState) signIn(t *testing.T, p *browsertest.Page, role, path string) {
	t.Helper()
	user := d.user(t, role)
	p.Go(d.BaseURL + "/users/sign_in")
	p.Fill("#login", user.Username)
	p.Fill("#password", user.Password)
	p.Press("Sign in")
	p.WaitURL(`^` + d.BaseURL + `/$`)
	p.Go(d.BaseURL + path)
}

// The demo for a new user: polls update the widget from pending to its final state,
// Retry sends a delivery again, the title decides the result, and the merge is
// blocked and then allowed. A second start keeps the data.
func TestBrowserDemo_DeveloperAndMaintainer_MergeRequest(t *testing.T) {
	t.Parallel()
	p := newProgram(t, modelstest.Database{Driver: "sqlite"})
	state := p.demo()
	mr := "/" + state.Project.PathWithNamespace + "/-/merge_requests/1"

	developer := browsertest.New(t)
	state.signIn(t, developer, "developer", mr)
	// Polls update the widget without a reload.
	developer.WaitText("#status-checks-summary", "1 failed")
	developer.WaitText("#merge-state", "Merge blocked: 1 check failed")
	developer.Wait("#merge-button[aria-disabled=true]")

	// The services respond after a delay, so the retry is pending for a while.
	developer.Press("Retry Security sign-off")
	developer.WaitText("#status-checks-summary", "1 pending")
	developer.WaitText("#status-checks-summary", "1 failed")

	// The service accepts the change because the title contains "reviewed".
	developer.Press("Edit")
	developer.Fill("#mr-title", "Make refund webhooks idempotent (reviewed)")
	developer.Press("Save changes")
	developer.Press("Retry Security sign-off")
	developer.WaitText("#status-checks-summary", "Status checks all passed")
	// main is protected for Maintainers.
	if developer.Count("#merge-button:not([aria-disabled])") != 0 {
		t.Error("a Developer may merge into main")
	}

	maintainer := browsertest.New(t)
	state.signIn(t, maintainer, "maintainer", mr)
	maintainer.WaitText("#merge-state", "Ready to merge!")
	maintainer.Press("Merge")
	maintainer.WaitText("#mr-state", "Merged")

	if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	p.awaitEnd()
	if p.endedBy != nil {
		t.Fatalf("Ctrl-C: %v", p.endedBy)
	}
	if again := p.demo(); fmt.Sprint(again) != fmt.Sprint(state) {
		t.Errorf("the second start has another demo: %v", again)
	}
	// The session and the merge survive the restart.
	maintainer.Reload()
	maintainer.WaitText("#mr-state", "Merged")
}

// Without JavaScript, each role sees the pages that it may see.
func TestBrowserDemo_Roles_SeeWhatTheyMay(t *testing.T) {
	t.Parallel()
	p := newProgram(t, modelstest.Database{Driver: "sqlite"})
	state := p.demo()
	project := "/" + state.Project.PathWithNamespace
	for role, sees := range map[string]struct{ mr, settings int }{
		"guest": {404, 403}, "reporter": {200, 403}, "developer": {200, 403}, "maintainer": {200, 200}, "owner": {200, 200}, "admin": {200, 200},
	} {
		page := browsertest.New(t)
		page.Allow(`^40[34] from`)
		page.NoScript()
		state.signIn(t, page, role, project+"/-/merge_requests/1")
		if sees.mr == 200 {
			page.WaitText("#status-checks", "Licence scan")
		} else {
			page.WaitText("body", "404")
		}
		page.Go(state.BaseURL + project + "/-/settings/merge_requests")
		if sees.settings == 200 {
			page.WaitText("main", "Add status check")
		} else {
			page.WaitText("body", "403")
		}
	}
}
