package main

import (
	"archive/tar"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mergegate/mergegate/cmd/mergegate/backup"
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
