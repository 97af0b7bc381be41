package main

import (
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mergegate/mergegate/cmd/mergegate/backup"
	"github.com/mergegate/mergegate/cmd/mergegate/doctor"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// release is the version of which TestMakeRelease stores data; MERGEGATE_TEST_PREVIOUS
// names its binary, otherwise it is this program.
var release = flag.String("release", "", "store data of this release in testdata/releases")

// releaseKey is the secret key of the stored data. It protects nothing.
const releaseKey = "MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3BxcnN0dXY="

// TestMakeRelease stores data of a release, as a backup. See docs/upgrade.md.
func TestMakeRelease(t *testing.T) {
	if *release == "" {
		t.Skip("only run to add a release")
	}
	p := newProgram(t, modelstest.Database{Driver: models.DriverSQLite})
	current := p.path
	if path := os.Getenv(previousVariable); path != "" {
		p.path = path
	}
	p.env = append(p.env, "MERGEGATE_SECRET_KEY="+releaseKey)
	w := newWorldOf(t, p)
	w.fill()
	w.stop()
	p.path = current
	path := filepath.Join("testdata", "releases", *release+".tar")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := p.run(nil, "backup", path); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// fill adds what an installation has: merge requests in all states, answers, approvals,
// protected branches, tokens, services with and without answers, a renamed project.
func (w *world) fill() {
	t := w.t
	t.Helper()
	call := func(method, path string, body map[string]any) {
		t.Helper()
		if status, answer := w.api.try(method, fmt.Sprintf("/projects/%d%s", w.id, path), body); status >= 300 {
			t.Fatalf("%s %s: %d %s", method, path, status, answer)
		}
	}
	call("PUT", "", map[string]any{"path": "quince", "description": "Fruit"})
	call("POST", "/protected_branches", map[string]any{"name": "release/*"})
	call("POST", "/external_status_checks", map[string]any{
		"name": "Unreachable", "external_url": "http://127.0.0.1:1/hook", "informational": true,
		"custom_headers": []map[string]any{{"key": "X-Team", "value": "fruit"}},
	})
	call("POST", "/access_tokens", map[string]any{"name": "bot", "scopes": []string{"api"}, "access_level": 30})
	for _, branch := range []string{"two", "three", "four"} { // !2 to !4
		w.tree.git("checkout", "-q", "-b", branch, "origin/main")
		head := w.tree.commit(branch+".txt", branch)
		w.tree.git("push", "-q", "-o", "merge_request.create", "origin", branch)
		iid := map[string]int{"two": 2, "three": 3, "four": 4}[branch]
		call("POST", fmt.Sprintf("/merge_requests/%d/status_check_responses", iid), map[string]any{
			"external_status_check_id": w.check, "sha": head, "status": "passed", "description": "Fine", "target_url": "https://example.com/1",
		})
	}
	call("POST", "/merge_requests/2/approve", nil)
	call("PUT", "/merge_requests/2/merge", nil)
	call("PUT", "/merge_requests/3", map[string]any{"state_event": "close"})
	w.head = w.tree.commit("four.txt", "again")
	w.tree.git("push", "-q", "origin", "four")
	w.await("a failed delivery", func() bool { return strings.Contains(w.output.String(), "connection_refused") })
}

// Data of each release is migrated to this version and served, on both databases.
func TestUpgrade_FromEachRelease(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("testdata", "releases", "*.tar"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no releases in testdata: %v", err)
	}
	for _, file := range files {
		modelstest.EachEmpty(t, func(t *testing.T, db modelstest.Database) {
			t.Parallel()
			assertUpgrades(t, db, file)
		})
	}
}

func assertUpgrades(t *testing.T, db modelstest.Database, file string) {
	p := newProgram(t, db)
	p.env = append(p.env, "MERGEGATE_SECRET_KEY="+releaseKey)
	// A restore creates the schema of the release, fills it and migrates.
	if out, err := p.run(nil, "restore", file); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	before, after := readManifest(t, file), readManifest(t, p.backup())
	if before.Schema >= after.Schema {
		t.Logf("no migration since schema version %d", before.Schema)
	}
	for _, table := range slices.Sorted(maps.Keys(before.Rows)) {
		if before.Rows[table] != after.Rows[table] {
			t.Errorf("%s had %d rows and has %d", table, before.Rows[table], after.Rows[table])
		}
	}
	api := p.adminNamed("eve")
	p.start(nil, "serve")
	report := p.examine()
	if report.Faults > 0 {
		t.Errorf("after the upgrade: %+v", report.Findings)
	}
	assertFinding(t, report, doctor.OK, "The secret key opens 2 stored secrets")

	var states []struct{ State string }
	api.call("GET", "/projects/1/merge_requests?state=all&order_by=created_at&sort=asc", nil, 200, &states)
	if got := fmt.Sprint(states); got != "[{opened} {merged} {closed} {opened}]" {
		t.Errorf("the merge requests are %s", got)
	}
	for _, path := range []string{"/ada/quince/-/merge_requests/1", "/ada/pear/-/merge_requests/2"} {
		if response, err := http.Get(p.url + path); err != nil || response.StatusCode != 200 {
			t.Errorf("%s: %v, %v", path, response, err)
		}
	}
	// A push to an open merge request is delivered, signed with the secret of the release.
	s := newService(t)
	api.call("PUT", "/projects/1/external_status_checks/1", map[string]any{"external_url": s.url, "apply_to_open_merge_requests": true}, 200, nil)
	tree := clone(t, p.url, "ada/quince", api.token)
	tree.git("checkout", "-q", "four")
	head := tree.commit("four.txt", "after the upgrade")
	tree.git("push", "-q", "origin", "four")
	isPush := func(r received) bool {
		return r.field("object_attributes", "last_commit", "id") == head && r.field("object_attributes", "oldrev") != "<nil>"
	}
	p.await("the delivery", func() bool { return slices.ContainsFunc(s.got("update"), isPush) })
	verify(t, s.got("update")[0])
	api.call("POST", "/projects/1/merge_requests/4/status_check_responses",
		map[string]any{"external_status_check_id": 1, "sha": head, "status": "passed"}, 201, nil)
	api.call("PUT", "/projects/1/merge_requests/4/merge", map[string]any{"sha": head}, 200, nil)
	p.stop()
}

// readManifest returns the manifest of a backup.
func readManifest(t *testing.T, path string) backup.Manifest {
	t.Helper()
	manifest, err := backup.Verify(path)
	if err != nil {
		t.Fatal(err)
	}
	return manifest
}
