package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/cmd/mergegate/doctor"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// examine runs the doctor and checks that its exit code fits its report.
func (p *program) examine(env ...string) doctor.Report {
	p.t.Helper()
	out, err := p.run(env, "doctor", "--json")
	var report doctor.Report
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		p.t.Fatalf("%v in %s", err, out)
	}
	if (err != nil) != (report.Faults > 0) {
		p.t.Errorf("%d faults and exit %v", report.Faults, err)
	}
	return report
}

// assertFinding checks that a report has a finding whose message contains text, and that
// it says what to do.
func assertFinding(t *testing.T, report doctor.Report, state doctor.State, text string) {
	t.Helper()
	for _, f := range report.Findings {
		if f.State == state && strings.Contains(f.Message, text) {
			if f.Help == "" && state != doctor.OK {
				t.Errorf("%q has no way out", f.Message)
			}
			return
		}
	}
	t.Errorf("no %s with %q in %+v", state, text, report.Findings)
}

func TestDoctor_BesideServer(t *testing.T) {
	t.Parallel()
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		t.Parallel()
		w := newWorld(t, db)
		report := w.examine()
		if report.Faults != 0 {
			t.Errorf("a healthy installation: %+v", report.Findings)
		}
		assertFinding(t, report, doctor.OK, "The secret key opens 1 stored secret")
		assertFinding(t, report, doctor.OK, "Refs and rows of 1 project agree")
		assertFinding(t, report, doctor.OK, w.url+" answers")
		assertFinding(t, report, doctor.OK, "1 of 1 servers of services accept connections")
		assertFinding(t, report, doctor.Warning, `"test" of ada`) // its token ends within a day

		report = w.examine("MERGEGATE_SECRET_KEY="+auth.NewSecretKey(), "MERGEGATE_OUTBOUND_ALLOW=10.0.0.0/8", "MERGEGATE_BASE_URL=http://127.0.0.1:1")
		assertFinding(t, report, doctor.Fault, fmt.Sprintf("does not open the secrets of 1 service: %d of project %d", w.check, w.id))
		assertFinding(t, report, doctor.Warning, "an address that this server must not reach")
		assertFinding(t, report, doctor.Fault, "http://127.0.0.1:1 does not answer")

		repository := filepath.Join(w.data, "repositories", fmt.Sprint(w.id)+".git")
		lock := filepath.Join(repository, "refs", "heads", "feature.lock")
		if err := os.WriteFile(lock, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		// The server removes it when it is old, unless a push holds the lease. A lock in
		// the future of the clock is not old.
		w.stop()
		old := time.Now().Add(-time.Hour)
		if err := os.Chtimes(lock, old, old); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("git", "--git-dir", repository, "update-ref", "refs/heads/feature", "main").CombinedOutput(); err == nil {
			t.Fatalf("the lock does not lock: %s", out)
		}
		assertFinding(t, w.examine(), doctor.Warning, filepath.Join(fmt.Sprint(w.id)+".git", "refs", "heads", "feature.lock"))
		if err := os.Remove(lock); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("git", "--git-dir", repository, "update-ref", "refs/heads/feature", "main").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		assertFinding(t, w.examine(), doctor.Fault, "HEAD of merge request 1 is "+w.head[:8]+", its branch is at")

		hooks, err := filepath.Glob(filepath.Join(w.data, "hooks", "*", "pre-receive"))
		if err != nil || len(hooks) != 1 {
			t.Fatalf("hooks %v, %v", hooks, err)
		}
		if err := os.Chmod(hooks[0], 0o600); err != nil {
			t.Fatal(err)
		}
		assertFinding(t, w.examine(), doctor.Fault, "git cannot run "+hooks[0])

		if err := os.Rename(repository, filepath.Join(w.data, "repositories", "99.git")); err != nil {
			t.Fatal(err)
		}
		report = w.examine()
		assertFinding(t, report, doctor.Fault, fmt.Sprintf("Project %d: the repository is missing", w.id))
		assertFinding(t, report, doctor.Warning, "repositories without a project: 99.git")
	})
}

func TestDoctor_DatabaseWithoutServer(t *testing.T) {
	t.Parallel()
	modelstest.EachEmpty(t, func(t *testing.T, db modelstest.Database) {
		t.Parallel()
		p := newProgram(t, db)
		report := p.examine()
		if db.Driver == models.DriverSQLite {
			assertFinding(t, report, doctor.Warning, "There is no database yet")
		} else {
			assertFinding(t, report, doctor.Warning, "The database is empty")
		}
		if files, err := os.ReadDir(p.data); err != nil || len(files) != 0 {
			t.Errorf("the doctor created %v, %v", files, err)
		}
		p.admin()
		driver, dsn := p.database()
		sql := modelstest.Database{Driver: driver, DSN: dsn}.SQL(t)
		for version, want := range map[string]string{"-1": "and this program needs", "+1": "and this program knows only"} {
			if _, err := sql.Exec("UPDATE goose_db_version SET version_id = version_id" + version + " WHERE version_id = (SELECT max(version_id) FROM goose_db_version)"); err != nil {
				t.Fatal(err)
			}
			assertFinding(t, p.examine(), doctor.Fault, want)
			if _, err := sql.Exec("UPDATE goose_db_version SET version_id = version_id - (" + version + ") WHERE version_id = (SELECT max(version_id) FROM goose_db_version)"); err != nil {
				t.Fatal(err)
			}
		}
		report = p.examine("MERGEGATE_LISTEN=nowhere", "MERGEGATE_LOG_FORMAT=xml")
		assertFinding(t, report, doctor.Fault, "MERGEGATE_LISTEN is")
		assertFinding(t, report, doctor.Fault, "MERGEGATE_LOG_FORMAT is")
		if db.Driver == models.DriverSQLite {
			if err := os.Remove(filepath.Join(p.data, "secret_key")); err != nil {
				t.Fatal(err)
			}
			assertFinding(t, p.examine(), doctor.Fault, "no secret key")
		} else {
			assertFinding(t, p.examine("MERGEGATE_DATABASE_URL=postgres://nobody@127.0.0.1:1/x"), doctor.Fault, "The database does not answer")
		}
		if out, err := p.run(nil, "doctor", "me"); err == nil || !strings.Contains(out, "Usage") {
			t.Errorf("an unknown argument: %v, %s", err, out)
		}
	})
}
