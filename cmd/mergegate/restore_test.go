package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/cmd/mergegate/backup"
	"github.com/mergegate/mergegate/cmd/mergegate/doctor"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// restored restores a backup of p into an empty place on a database and checks that
// nothing is missing: another backup has the same rows and refs, git fsck and the doctor
// find nothing.
func (p *program) restored(db modelstest.Database, path string) *program {
	t := p.t
	t.Helper()
	q := newProgram(t, db)
	q.env = append(q.env, "MERGEGATE_SECRET_KEY="+p.secretKey())
	if out, err := q.run(nil, "restore", path); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if diff := cmp.Diff(readBackup(t, path), readBackup(t, q.backup())); diff != "" {
		t.Errorf("the restored installation differs (-original +restored):\n%s", diff)
	}
	for _, repository := range q.repositories() {
		if out, err := exec.Command("git", "--git-dir", repository, "fsck", "--strict", "--full").CombinedOutput(); err != nil {
			t.Errorf("git fsck: %v\n%s", err, out)
		}
	}
	for _, f := range q.examine().Findings {
		if f.State == doctor.Fault && f.Area != "base URL" { // not started yet
			t.Errorf("%s: %s", f.Area, f.Message)
		}
	}
	return q
}

// assertServes starts a restored program and does a push, a delivery, an answer and a
// merge.
func (p *program) assertServes(w *world) {
	t := p.t
	t.Helper()
	p.start(nil, "serve")
	served := *w
	served.program, served.api = p, client{t: t, url: p.url, token: w.api.token}
	served.tree = clone(t, p.url, w.project, w.api.token)
	served.tree.git("checkout", "-q", "feature")
	head := served.tree.commit("restored.txt", p.url)
	var found []struct{ IID int }
	served.api.call("GET", fmt.Sprintf("/projects/%d/merge_requests?state=all&search=trim+cac", w.id), nil, 200, &found)
	if len(found) != 1 || found[0].IID != 1 {
		t.Errorf("a search finds %v, want merge request 1", found)
	}
	served.tree.git("push", "-q", "origin", "feature")
	p.await("the delivery", func() bool {
		return slices.ContainsFunc(w.service.got("update"), func(r received) bool {
			return r.field("object_attributes", "last_commit", "id") == head
		})
	})
	for _, r := range w.service.got("update") {
		verify(t, r) // signed with the restored secret
	}
	if status, body := served.respond(head, "passed"); status != 201 {
		t.Fatalf("the answer: %d %s", status, body)
	}
	served.api.call("PUT", fmt.Sprintf("/projects/%d/merge_requests/1/merge", w.id), map[string]any{"sha": head}, 200, nil)
	p.stop()
}

func emptySQLite(testing.TB) modelstest.Database {
	return modelstest.Database{Driver: models.DriverSQLite}
}

func TestRestore_RefusesAndRecovers(t *testing.T) {
	t.Parallel()
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		t.Parallel()
		w := newWorld(t, db)
		path := w.backup()
		refused := func(p *program, want string, args ...string) {
			t.Helper()
			if out, err := p.run(nil, args...); err == nil || !strings.Contains(out, want) || strings.Count(out, "\n") != 1 {
				t.Errorf("%v: %v, %s; want one line with %q", args, err, out, want)
			}
		}
		refused(w.program, "exists already", "backup", path)
		if db.Driver == models.DriverSQLite {
			refused(w.program, "another Mergegate process uses this data folder", "restore", path)
			w.stop()
		}
		refused(w.program, map[string]string{models.DriverSQLite: "mergegate.db exists", models.DriverPostgres: "the database is not empty"}[db.Driver], "restore", path)

		empty := emptySQLite
		if db.Driver == models.DriverPostgres {
			empty = modelstest.EmptyPostgres
		}
		q := newProgram(t, empty(t))
		key := "MERGEGATE_SECRET_KEY=" + w.secretKey()
		q.env = append(q.env, "MERGEGATE_SECRET_KEY="+auth.NewSecretKey())
		refused(q, "which is not configured", "restore", path)
		q.env = append(q.env, key)
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		cut := filepath.Join(t.TempDir(), "cut.tar")
		if err := os.WriteFile(cut, whole[:len(whole)/2], 0o600); err != nil {
			t.Fatal(err)
		}
		refused(q, "is damaged or incomplete", "restore", cut)
		refused(q, "cannot be read", "restore", cut+"x")
		refused(q, "nothing to back up", "backup", filepath.Join(t.TempDir(), "nothing.tar"))
		if left := entries(t, q.data); len(left) > 1 { // the lock file
			t.Errorf("refused restores left %v", left)
		}

		// A failure in the middle leaves nothing.
		occupied := filepath.Join(q.data, "repositories", "7.git")
		if err := os.MkdirAll(occupied, 0o700); err != nil {
			t.Fatal(err)
		}
		refused(q, "has repositories", "restore", path)
		// A killed restore leaves its marker and files: the server does not start, and the
		// next restore begins anew.
		marker := filepath.Join(q.data, backup.MarkerName)
		if err := os.WriteFile(marker, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		refused(q, "a restore into "+q.data+" is running or was interrupted", "serve")
		assertFinding(t, q.examine(), doctor.Fault, "is running or was interrupted")
		if out, err := q.run(nil, "restore", path); err != nil {
			t.Fatalf("after an interrupted restore: %v: %s", err, out)
		}
		if _, err := os.Stat(occupied); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("files of the interrupted restore are left: %v", err)
		}
		// Interrupted at the very end: the same restore only removes the marker.
		digest := strings.TrimSpace(string(whole[strings.LastIndex(string(whole), "end\x00"):][512:][:64]))
		if err := os.WriteFile(marker, []byte(digest), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := q.run(nil, "restore", path); err != nil {
			t.Fatalf("after a restore that was complete: %v: %s", err, out)
		}
		if diff := cmp.Diff(readBackup(t, path), readBackup(t, q.backup())); diff != "" {
			t.Error(diff)
		}
	})
}

func entries(t *testing.T, folder string) []string {
	t.Helper()
	found := map[string]bool{}
	list, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		found[e.Name()] = true
	}
	return slices.Sorted(maps.Keys(found))
}
