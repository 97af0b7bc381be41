package gitrepo

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// holdLock starts a git process that holds the lock of a ref, and returns it.
func holdLock(t *testing.T, r Repo, ref, sha string) *exec.Cmd {
	t.Helper()
	c := r.command("update-ref", "--stdin")
	c.writes = true
	cmd := r.store.process(t.Context(), c)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.store.start(t.Context(), cmd, c); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(in, "start\nupdate "+ref+" "+sha+"\nprepare\n"); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if lines.Text() == "prepare: ok" {
			break
		}
	}
	if _, err := os.Stat(filepath.Join(r.store.path(r.id), ref+".lock")); err != nil {
		t.Fatalf("git holds no lock: %v", err)
	}
	return cmd
}

// crash kills a process.
func crash(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
}

// The lock file of a killed git is removed; that of a running git stays.
func TestSweepLocks_RemovesStaleLocksOnly(t *testing.T) {
	h := newGitHost(t, Options{})
	s := h.store
	r := s.Repo(1)
	c := newClient(t, h.url)
	tip := c.commit("a", "1")
	c.git("push", "--quiet", "origin", "main")
	if err := r.KeepHead(t.Context(), 5, tip); err != nil {
		t.Fatal(err)
	}
	refs := []string{"refs/heads/main", "refs/merge-requests/5/head"}
	// A second store is another instance that shares the folder.
	other, err := New(s.root, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, ref := range refs {
		lock := filepath.Join(s.path(1), ref+".lock")
		there := func() bool { _, err := os.Stat(lock); return err == nil }

		living := holdLock(t, r, ref, tip)
		for _, store := range []*Store{s, other} {
			if err := store.SweepLocks(t.Context()); err != nil || !there() {
				t.Fatalf("%s: a lock that is held is gone, or %v", ref, err)
			}
		}
		crash(t, living)
		if !there() {
			t.Fatalf("%s: the crash left no lock", ref)
		}
		if err := other.SweepLocks(t.Context()); err != nil || there() {
			t.Errorf("%s: a lock that a crash left stays, %v", ref, err)
		}
	}

	// The other files that git locks.
	for _, name := range []string{"packed-refs.lock", "HEAD.lock", "gc.pid", "objects/info/commit-graph.lock"} {
		lock := filepath.Join(s.path(1), name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(lock), 0o700), os.WriteFile(lock, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.sweepLocks(1); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(lock); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s stays", name)
		}
	}

	// Whoever comes before the next sweep helps themselves.
	crash(t, holdLock(t, r, "refs/heads/main", tip))
	next := c.commit("a", "2")
	c.git("push", "--quiet", "origin", "main")
	crash(t, holdLock(t, r, "refs/heads/main", next))
	if err := r.UpdateRef(t.Context(), "refs/heads/main", tip, next); err != nil {
		t.Errorf("a merge after a crash: %v", err)
	}
	crash(t, holdLock(t, r, refs[1], tip))
	if err := r.KeepHead(t.Context(), 5, next); err != nil {
		t.Errorf("keeping HEAD after a crash: %v", err)
	}
}

func TestPush_MessagesContainNoServerPath(t *testing.T) {
	h := newGitHost(t, Options{})
	c := newClient(t, h.url)
	tip := c.commit("a", "1")
	c.git("push", "--quiet", "origin", "main")
	living := holdLock(t, h.store.Repo(1), "refs/heads/main", tip)
	defer crash(t, living)
	c.commit("a", "2")
	out := c.refused("push", "origin", "main")
	contains(t, out, "refs/heads/main.lock")
	if strings.Contains(out, h.store.root) || strings.Contains(out, filepath.Dir(h.store.root)) {
		t.Errorf("the answer names a folder of the server:\n%s", out)
	}
}
