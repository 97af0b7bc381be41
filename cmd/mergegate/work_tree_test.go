package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// workTree is a clone of a project.
type workTree struct {
	t   *testing.T
	dir string
}

// clone clones a project with a token.
func clone(t *testing.T, url, path, token string) workTree {
	t.Helper()
	w := workTree{t: t, dir: t.TempDir()}
	w.git("clone", "-q", strings.Replace(url, "://", "://token:"+token+"@", 1)+"/"+path+".git", ".")
	return w
}

// git runs git and returns what it printed.
func (w workTree) git(args ...string) string {
	w.t.Helper()
	out, err := w.tryGit(args...)
	if err != nil {
		w.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return out
}

func (w workTree) tryGit(args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = w.dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + w.dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=Ines", "GIT_AUTHOR_EMAIL=ines@orchard.test", "GIT_COMMITTER_NAME=Ines", "GIT_COMMITTER_EMAIL=ines@orchard.test",
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// commit writes a file and commits it; it returns the commit's id.
func (w workTree) commit(name, text string) string {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.git("add", ".")
	w.git("commit", "-q", "-m", "Write "+name)
	return strings.TrimSpace(w.git("rev-parse", "HEAD"))
}
