package main

import (
	"archive/tar"
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/cmd/mergegate/backup"
	"github.com/mergegate/mergegate/cmd/mergegate/doctor"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// backupContent is what a backup has, in a form that can be compared: digests of rows by
// member, and refs by project.
type backupContent struct {
	Rows map[string]string
	Refs map[string]map[string]string
}

// readBackup reads a backup file without the program.
func readBackup(t *testing.T, path string) backupContent {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	content := backupContent{map[string]string{}, map[string]map[string]string{}}
	for members := tar.NewReader(file); ; {
		header, err := members.Next()
		if errors.Is(err, io.EOF) {
			return content
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(members)
		if err != nil {
			t.Fatal(err)
		}
		if header.Name == "manifest.json" {
			var manifest backup.Manifest
			if err := json.Unmarshal(text, &manifest); err != nil {
				t.Fatal(err)
			}
			for _, member := range manifest.Members {
				if strings.HasPrefix(member.Name, "rows/") {
					content.Rows[member.Name] = member.SHA256
				}
			}
		}
		if id, ok := strings.CutSuffix(header.Name, ".refs"); ok {
			content.Refs[id] = map[string]string{}
			for line := range strings.Lines(string(text)) {
				sha, ref, _ := strings.Cut(strings.TrimSpace(line), " ")
				content.Refs[id][ref] = sha
			}
		}
	}
}

// backup writes a backup of a program, which may be running.
func (p *program) backup() string {
	p.t.Helper()
	path := filepath.Join(p.t.TempDir(), "backup.tar")
	if out, err := p.run(nil, "backup", path); err != nil {
		p.t.Fatalf("%v: %s", err, out)
	}
	return path
}

// secretKey returns the secret key of a program.
func (p *program) secretKey() string {
	p.t.Helper()
	for _, setting := range p.env {
		if key, ok := strings.CutPrefix(setting, "MERGEGATE_SECRET_KEY="); ok {
			return key
		}
	}
	key, err := os.ReadFile(filepath.Join(p.data, "secret_key"))
	if err != nil {
		p.t.Fatal(err)
	}
	return strings.TrimSpace(string(key))
}

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

func (p *program) repositories() []string {
	p.t.Helper()
	found, err := filepath.Glob(filepath.Join(p.data, "repositories", "*.git"))
	if err != nil || len(found) == 0 {
		p.t.Fatalf("no repositories in %s: %v", p.data, err)
	}
	return found
}

// refs returns all refs of a repository.
func refs(t *testing.T, repository string) map[string]string {
	t.Helper()
	out, err := exec.Command("git", "--git-dir", repository, "for-each-ref", "--format=%(refname) %(objectname)").Output()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for line := range strings.Lines(string(out)) {
		ref, sha, _ := strings.Cut(strings.TrimSpace(line), " ")
		all[ref] = sha
	}
	return all
}

// What happens after the rows were read is not in the backup: it is the state of one
// instant, and moves to the other database.
func TestBackup_ChangesAfterSnapshot_AreLeftOut(t *testing.T) {
	t.Parallel()
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		t.Parallel()
		w := newWorld(t, db)
		w.api.call("PUT", fmt.Sprintf("/projects/%d", w.id), map[string]any{"only_allow_merge_if_all_status_checks_passed": false}, 200, nil)
		mergeRequest := func(branch string) {
			t.Helper()
			w.tree.git("checkout", "-q", "-b", branch, "origin/main")
			w.tree.commit(branch+".txt", branch)
			w.tree.git("push", "-q", "-o", "merge_request.create", "origin", branch)
		}
		merge := func(iid int, body map[string]any) {
			t.Helper()
			w.api.call("PUT", fmt.Sprintf("/projects/%d/merge_requests/%d/merge", w.id, iid), body, 200, nil)
		}
		for _, branch := range []string{"two", "three", "four", "five"} { // !2 to !5
			mergeRequest(branch)
		}
		merge(2, nil)
		before := refs(t, w.repositories()[0])

		o := backup.Options{BaseURL: w.url, Data: w.data}
		o.Driver, o.DSN = w.database()
		o.AfterSnapshot = func() {
			w.tree.git("checkout", "-q", "feature")
			w.tree.commit("later.txt", "later\n")
			w.tree.git("push", "-q", "origin", "feature")
			w.tree.git("push", "-q", "origin", ":five")
			merge(3, map[string]any{"should_remove_source_branch": true})
			merge(4, map[string]any{"squash": true})
			mergeRequest("six")
		}
		path := filepath.Join(t.TempDir(), "backup.tar")
		manifest, err := backup.Write(t.Context(), o, path)
		if err != nil || len(manifest.Warnings) > 0 {
			t.Fatalf("%v, %v", err, manifest.Warnings)
		}
		before["refs/heads/six"] = strings.TrimSpace(w.tree.git("rev-parse", "six")) // a branch that no row knows
		stored := readBackup(t, path).Refs[fmt.Sprint("repositories/", w.id)]
		delete(stored, "") // the line with the default branch
		if diff := cmp.Diff(before, stored); diff != "" {
			t.Errorf("refs are not those of the snapshot (-want +got):\n%s", diff)
		}
		w.stop()
		modelstest.EachEmpty(t, func(t *testing.T, into modelstest.Database) {
			original := *w.program
			original.t = t
			q := original.restored(into, path)
			q.assertServes(w)
		})
	})
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

// Backups are written while users push, answer and merge. Each can be restored, and what
// was cut off is completed when it is served.
func TestBackup_UnderLoad(t *testing.T) {
	for _, test := range []struct {
		name       string
		from, into func(testing.TB) modelstest.Database
		instances  int
	}{
		{"SQLite to PostgreSQL", modelstest.SQLite, modelstest.EmptyPostgres, 1},
		{"PostgreSQL to SQLite", modelstest.Postgres, emptySQLite, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if os.Getenv(modelstest.DatabasesVariable) == "sqlite" {
				t.Skip("runs on PostgreSQL only")
			}
			r := newFaultRun(t, test.from(t), faultOptions{instances: test.instances, users: 3, services: 2})
			var paths []string
			r.during(0, 2, func(rng *rand.Rand) {
				r.progress(rng)
				paths = append(paths, r.instances[0].backup())
			}, 7)
			for _, p := range r.instances {
				p.stop()
			}
			for _, path := range append(paths, r.instances[0].backup()) {
				q := r.instances[0].restored(test.into(t), path)
				served := &faultRun{t: t, data: q.data, instances: []*program{q}, projectID: r.projectID, services: r.services}
				served.age()
				q.start(nil, "serve")
				served.settle()
				served.assertRefs(served.deliveries())
				served.assertOpenAreNotMerged()
				q.stop()
			}
		})
	}
}

func emptySQLite(testing.TB) modelstest.Database {
	return modelstest.Database{Driver: models.DriverSQLite}
}

// assertOpenAreNotMerged checks that no target contains HEAD of an open merge request.
func (r *faultRun) assertOpenAreNotMerged() {
	r.t.Helper()
	r.query(func(rows *sql.Rows) error {
		var iid int64
		var head string
		if err := rows.Scan(&iid, &head); err != nil {
			return err
		}
		if exec.Command("git", "--git-dir", r.instances[0].repositories()[0], "merge-base", "--is-ancestor", head, "main").Run() == nil {
			r.t.Errorf("!%d is open and main contains its HEAD", iid)
		}
		return nil
	}, "SELECT iid, head_sha FROM merge_requests WHERE state = 'opened'")
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

// A restore that is killed at any instant can be repeated.
func TestRestore_Killed_CanBeRepeated(t *testing.T) {
	t.Parallel()
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		t.Parallel()
		w := newWorld(t, db)
		path := w.backup()
		empty := emptySQLite
		if db.Driver == models.DriverPostgres {
			empty = modelstest.EmptyPostgres
		}
		q := newProgram(t, empty(t))
		q.env = append(q.env, "MERGEGATE_SECRET_KEY="+w.secretKey())
		refused := 0
		for delay, done := 10*time.Millisecond, false; !done; delay += 15 * time.Millisecond {
			var output bytes.Buffer
			cmd := exec.Command(q.path, "restore", path)
			cmd.Env, cmd.Stdout, cmd.Stderr = q.env, &output, &output
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			kill := time.AfterFunc(delay, func() { _ = cmd.Process.Kill() })
			err := cmd.Wait()
			kill.Stop()
			switch {
			case err == nil, strings.Contains(output.String(), "A restore needs an empty"): // killed just after the last step
				done = true
			case !cmd.ProcessState.Sys().(interface{ Signaled() bool }).Signaled():
				// A git process of the killed one may still write.
				if refused++; refused > 20 {
					t.Fatalf("a restore after a killed one: %v\n%s", err, &output)
				}
			}
		}
		if diff := cmp.Diff(readBackup(t, path), readBackup(t, q.backup())); diff != "" {
			t.Error(diff)
		}
	})
}
