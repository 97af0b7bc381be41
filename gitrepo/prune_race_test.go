package gitrepo

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A concurrent prune can remove the folder in which git creates an object. The fake
// git of this test fails like that the first time.
func TestRun_ConcurrentPrune_RunsAgain(t *testing.T) {
	s := newStore(t, Options{})
	dir := t.TempDir()
	script := fmt.Sprintf("#!/bin/sh\nif [ ! -e %[1]s/tried ]; then\n  touch %[1]s/tried\n"+
		"  echo 'error: unable to create temporary file: No such file or directory' >&2\n  exit 1\nfi\nexec %[2]s \"$@\"\n", dir, s.git)
	s.git = filepath.Join(dir, "git")
	if err := os.WriteFile(s.git, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	out, err := s.Repo(1).gitInput(t.Context(), "content", "hash-object", "-w", "--stdin")
	if err != nil {
		t.Fatal(err)
	}
	const sha = "6b584e8ece562ebffc15d38808cd6b98fc3d97ea" // of "content"
	if got := strings.TrimSpace(string(out)); got != sha {
		t.Errorf("hash-object wrote %s, want %s", got, sha)
	}
}
