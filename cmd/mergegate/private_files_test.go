package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/mergegate/mergegate/models/modelstest"
)

// TestFiles_ReadableOnlyByOwner: in a data folder that others may enter, with a database
// that others could read, nothing that the program makes can be read by others
// after a push.
func TestFiles_ReadableOnlyByOwner(t *testing.T) {
	t.Parallel()
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		t.Parallel()
		w := newWorld(t, db)
		w.stop()
		if err := os.Chmod(w.data, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"mergegate.db", "mergegate.db-wal", "mergegate.db-shm"} {
			if err := os.Chmod(filepath.Join(w.data, name), 0o644); err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
		}
		w.start(nil, "serve")
		w.tree.commit("trim.txt", "two\n")
		w.tree.git("push", "-q", "origin", "feature")
		seen := 0
		err := filepath.WalkDir(w.data, func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				if os.IsNotExist(err) { // git removed it meanwhile
					return nil
				}
				return err
			}
			info, err := entry.Info()
			if os.IsNotExist(err) {
				return nil
			}
			if err != nil || info.Mode()&fs.ModeSymlink != 0 || path == w.data {
				return err
			}
			seen++
			if info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s has mode %v", path, info.Mode())
			}
			return nil
		})
		if err != nil || seen < 10 {
			t.Errorf("%d files, %v", seen, err)
		}
		w.stop()
	})
}
