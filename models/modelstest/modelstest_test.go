package modelstest

import (
	"os"
	"path/filepath"
	"testing"
	"time"
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
