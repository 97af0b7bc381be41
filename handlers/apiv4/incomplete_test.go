package apiv4_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
)

// repositoryDir returns the directory of the project's repository.
func (s *testSite) repositoryDir() string {
	return filepath.Join(s.root, fmt.Sprint(s.Project.ID)+".git")
}

// If the source branch cannot be removed, the merge still succeeds. The answer
// lists the parameter as incomplete, and recovery removes the branch later.
func TestMerge_LockedSourceBranch_IsReportedIncomplete(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		lock := filepath.Join(s.repositoryDir(), "refs", "heads", "feature.lock")
		if err := os.WriteFile(lock, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		future := time.Now().Add(100 * time.Hour) // too new to be removed as a stale lock
		if err := os.Chtimes(lock, future, future); err != nil {
			t.Fatal(err)
		}
		answer := s.wantAnswer(t, s.do("olga", "PUT", "/projects/olga%2Fpear/merge_requests/1/merge", `{"should_remove_source_branch":true}`), 200)
		state, incomplete := answer.field(t, "state"), answer.field(t, "incomplete")
		if state != `"merged"` || incomplete != `["should_remove_source_branch"]` {
			t.Errorf("state %s, incomplete %s", state, incomplete)
		}
		if err := os.Remove(lock); err != nil {
			t.Fatal(err)
		}
		s.Clock.Advance(time.Minute)
		if _, err := s.Store.RecoverMerges(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		if _, exists, err := s.git.BranchTip(t.Context(), s.Project.ID, "feature"); err != nil || exists {
			t.Errorf("the source branch exists: %v, %v", exists, err)
		}
	})
}

// An update is saved, with one event, even if git cannot read the repository for
// the answer.
func TestUpdateMergeRequest_MissingRepository_IsSaved(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		events := len(s.Deliveries(s.service))
		if err := os.Rename(s.repositoryDir(), s.repositoryDir()+".away"); err != nil {
			t.Fatal(err)
		}
		answer := s.wantAnswer(t, s.do("olga", "PUT", "/projects/olga%2Fpear/merge_requests/1", `{"title":"Sweeter pears"}`), 200)
		if title, status := answer.field(t, "title"), answer.field(t, "detailed_merge_status"); title != `"Sweeter pears"` || status != `"unchecked"` {
			t.Errorf("title %s, detailed merge status %s", title, status)
		}
		s.wantAnswer(t, s.do("olga", "PUT", "/projects/olga%2Fpear/merge_requests/1", `{"state_event":"close"}`), 200)
		if n := len(s.Deliveries(s.service)) - events; n != 2 {
			t.Errorf("%d events, want 2", n)
		}
	})
}

// If a service cannot be applied to open merge requests, it is still saved. The
// answer lists the parameter as incomplete.
func TestService_ApplyFails_IsSavedAndReportedIncomplete(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		refuse := []string{`CREATE TRIGGER refuse_checks BEFORE INSERT ON merge_request_checks BEGIN SELECT RAISE(ABORT, 'refused'); END`}
		allow := `DROP TRIGGER refuse_checks`
		if s.Store.Driver() == models.DriverPostgres {
			refuse = []string{
				`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused'; END $$`,
				`CREATE TRIGGER refuse_checks BEFORE INSERT ON merge_request_checks FOR EACH ROW EXECUTE FUNCTION refuse()`,
			}
			allow += ` ON merge_request_checks`
		}
		for _, statement := range refuse {
			if _, err := s.Store.DB().ExecContext(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
		}
		const path = "/projects/olga%2Fpear/external_status_checks"
		const body = `{"name":"late","external_url":"https://late.example/","apply_to_open_merge_requests":true}`
		answer := s.wantAnswer(t, s.do("olga", "POST", path, body), 201)
		if got := answer.field(t, "incomplete"); got != `["apply_to_open_merge_requests"]` {
			t.Errorf("incomplete %s", got)
		}
		change := s.do("olga", "PUT", path+"/"+answer.field(t, "id"), `{"name":"later","apply_to_open_merge_requests":true}`)
		if got := s.wantAnswer(t, change, 200).field(t, "incomplete"); got != `["apply_to_open_merge_requests"]` {
			t.Errorf("incomplete after the change: %s", got)
		}
		if _, err := s.Store.DB().ExecContext(t.Context(), allow); err != nil {
			t.Fatal(err)
		}
		s.Clock.Advance(time.Minute)
		if err := s.Store.RecoverApplies(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, checks := s.Reload(s.mr); len(checks) != 2 || !strings.Contains(checks[0].Name+checks[1].Name, "later") {
			t.Errorf("checks after recovery: %+v", checks)
		}
		if list := s.do("olga", "GET", path, ""); strings.Contains(list.body, "incomplete") {
			t.Errorf("list contains incomplete: %s", list.body)
		}
	})
}
