package modelstest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
)

func TestMain(m *testing.M) { os.Exit(Main(m)) }

func TestEachEmpty_DatabasesAreSeparate(t *testing.T) {
	for range 2 {
		EachEmpty(t, func(t *testing.T, db Database) {
			if _, err := db.SQL(t).Exec("CREATE TABLE pears (id bigint)"); err != nil {
				t.Error(err)
			}
		})
	}
}

// Statements that read a whole table are found on both databases, and others are not.
func TestCheckPlans_FindsPlantedScans(t *testing.T) {
	setStatementsAside(t)
	planted := map[string]string{ // and the problem, "" for none
		"SELECT id FROM merge_requests WHERE description = 'x'":                              "reads all of merge_requests",
		"SELECT id FROM deliveries ORDER BY url LIMIT 1":                                     "reads all of deliveries",
		"SELECT count(*) FROM audit_events":                                                  "reads all of audit_events",
		"SELECT p.id FROM projects p WHERE p.description = 'x'":                              "reads all of projects",
		"UPDATE merge_request_checks SET sha = '' WHERE description = 'x'":                   "reads all of merge_request_checks",
		"SELECT id FROM pears":                                                               "no plan",
		"SELECT id FROM users ORDER BY password_digest LIMIT 1":                              "", // allowed
		"SELECT id FROM merge_requests WHERE project_id = 1 AND iid = 2":                     "",
		"SELECT id FROM merge_requests WHERE project_id = 1 ORDER BY iid DESC LIMIT 20":      "",
		"SELECT id FROM deliveries WHERE id IN (SELECT id FROM deliveries WHERE uuid = 'x')": "",
	}
	for driver := range statements.byShape {
		if driver == models.DriverPostgres && os.Getenv(DatabasesVariable) == "sqlite" {
			continue
		}
		for statement := range planted {
			collectStatement(driver, statement)
		}
	}
	problems := CheckPlans(map[string]string{"password_digest": "for this test"})
	for driver, byShape := range statements.byShape {
		for shape, statement := range byShape {
			want := planted[statement]
			i := slices.IndexFunc(problems, func(p string) bool {
				return strings.HasPrefix(p, driver+": ") && strings.HasSuffix(p, "\n\t"+shape)
			})
			if found := i >= 0; found != (want != "") || found && !strings.Contains(problems[i], want) {
				t.Errorf("%s: %s: want problem %q in %q", driver, statement, want, problems)
			}
		}
	}
}

func TestRemoveStaleFolders(t *testing.T) {
	parent := t.TempDir()
	used, err := newServerFolder(parent, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer used.remove()
	left, err := newServerFolder(parent, nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = left.lock.Close() // as the kernel does when a process ends
	young := filepath.Join(parent, folderPrefix+"young")
	other := filepath.Join(parent, "somebody-else")
	for _, dir := range []string{young, other} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	long := time.Now().Add(-2 * staleAfter)
	for _, dir := range []string{used.path, left.path, other} {
		if err := os.Chtimes(dir, long, long); err != nil {
			t.Fatal(err)
		}
	}

	removeStaleFolders(parent)

	for dir, kept := range map[string]bool{used.path: true, left.path: false, young: true, other: true} {
		if _, err := os.Stat(dir); (err == nil) != kept {
			t.Errorf("%s: kept is %v, want %v", filepath.Base(dir), err == nil, kept)
		}
	}
}

func TestWithDatabase(t *testing.T) {
	const dsn = "postgres://u:p@h:5432/old?host=%2Ftmp%2Fx&sslmode=disable"
	const want = "postgres://u:p@h:5432/new?host=%2Ftmp%2Fx&sslmode=disable"
	if got := withDatabase(dsn, "new"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestShapeOf(t *testing.T) {
	for statement, want := range map[string]string{
		"SELECT id FROM users WHERE id = 12 LIMIT 1":              "SELECT id FROM users WHERE id = ? LIMIT ?",
		"WHERE id IN (1,22, 3) AND name IN ('a','it''s, \u00e9')": "WHERE id IN (?) AND name IN (?)",
		"SET sha256 = '', t1.x2 = 0.5, y = -7 WHERE z = x":        "SET sha256 = ?, t1.x2 = ?, y = -? WHERE z = x",
		"VALUES (1,'a',true)":                                     "VALUES (?,true)",
	} {
		if got := shapeOf(statement); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", statement, got, want)
		}
	}
}

// Statements that differ only in their values are one problem.
func TestCheckPlans_WholeTableRead_IsAProblem(t *testing.T) {
	setStatementsAside(t)
	for _, statement := range []string{
		"SELECT id FROM merge_requests WHERE id = 7",
		"SELECT id FROM merge_requests WHERE title = 'pear'",
		"SELECT id FROM merge_requests WHERE title = 'apple'",
		"SELECT id FROM members WHERE role = 7",
	} {
		collectStatement(models.DriverSQLite, statement)
	}
	problems := CheckPlans(map[string]string{"FROM members": "an example"})
	if len(problems) != 1 || !strings.Contains(problems[0], "reads all of merge_requests\n\tSELECT id FROM merge_requests WHERE title = ?") {
		t.Errorf("problems: %q", problems)
	}
}

// setStatementsAside lets a test collect statements of its own.
func setStatementsAside(t *testing.T) {
	t.Helper()
	swap := func(byShape map[string]map[string]string) (before map[string]map[string]string) {
		statements.Lock()
		defer statements.Unlock()
		before, statements.byShape = statements.byShape, byShape
		return before
	}
	before := swap(map[string]map[string]string{models.DriverSQLite: {}, models.DriverPostgres: {}})
	t.Cleanup(func() { swap(before) })
}
