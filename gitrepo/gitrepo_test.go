package gitrepo

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestMain lets the test binary also run as a process that a test kills.
func TestMain(m *testing.M) {
	if root := os.Getenv(readingRoot); root != "" {
		readUntilKilled(root)
	}
	os.Exit(m.Run())
}

// when is the time of the commits of the tests.
var when = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

var ada = Identity{Name: "Ada", Email: "ada@example.com"}

// newStore returns a store with one empty repository, of project 1.
func newStore(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := New(filepath.Join(t.TempDir(), `o"dd: näme`, "repositories"), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Create(t.Context(), 1, "main"); err != nil {
		t.Fatal(err)
	}
	return s
}

// write creates a commit on a branch, with the tip of the branch or else parent as
// its parent.
func write(t testing.TB, r Repo, branch, parent, message string, files map[string]string) string {
	t.Helper()
	if tip, ok, err := r.BranchTip(t.Context(), branch); err != nil {
		t.Fatal(err)
	} else if ok {
		parent = tip
	}
	sha, err := r.WriteCommit(t.Context(), WriteInput{Branch: branch, Parent: parent, Files: files, Message: message, Author: ada, When: when})
	if err != nil {
		t.Fatal(err)
	}
	return sha
}

// gitHost serves a store over HTTP. It handles pushes with decide.
type gitHost struct {
	store  *Store
	url    string // of repository 1
	server *httptest.Server

	mu     sync.Mutex
	decide func(hook string, p Push) (message string) // in pre-receive a refusal
	hooks  map[string][]Push                          // the pushes that PreReceive and PostReceive got, by hook
}

func newGitHost(t *testing.T, o Options) *gitHost {
	t.Helper()
	h := &gitHost{
		store: newStore(t, o), hooks: map[string][]Push{},
		decide: func(string, Push) string { return "" },
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{id}/info/refs", func(w http.ResponseWriter, r *http.Request) {
		id, _ := strconv.ParseInt(r.PathValue("id"), 10, 64)
		if err := h.store.InfoRefs(w, r, id, r.URL.Query().Get("service")); err != nil {
			t.Logf("info/refs: %v", err)
		}
	})
	mux.HandleFunc("POST /{id}/{service}", func(w http.ResponseWriter, r *http.Request) {
		id, _ := strconv.ParseInt(r.PathValue("id"), 10, 64)
		var err error
		if r.PathValue("service") == ReceivePack {
			err = h.store.ReceivePack(w, r, id, "req-1", h)
		} else {
			err = h.store.UploadPack(w, r, id)
		}
		if err != nil {
			t.Logf("%s: %v", r.URL.Path, err)
		}
	})
	h.server = httptest.NewServer(mux)
	t.Cleanup(h.server.Close)
	h.url = h.server.URL + "/1"
	return h
}

func (h *gitHost) PreReceive(_ context.Context, p Push) (refusal string) {
	return h.handle(preReceive, p)
}

func (h *gitHost) PostReceive(_ context.Context, p Push) (message string) {
	return h.handle(postReceive, p)
}

func (h *gitHost) handle(hook string, p Push) (message string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hooks[hook] = append(h.hooks[hook], p)
	return h.decide(hook, p)
}

// seen returns the pushes that a hook got since the last call.
func (h *gitHost) seen(hook string) []Push {
	h.mu.Lock()
	defer h.mu.Unlock()
	found := h.hooks[hook]
	h.hooks = map[string][]Push{}
	return found
}

// client is a work tree whose origin is a gitHost.
type client struct {
	t   testing.TB
	dir string
}

// newClient creates an empty work tree on branch main with origin url.
func newClient(t testing.TB, url string) client {
	t.Helper()
	c := client{t, t.TempDir()}
	c.git("init", "--quiet", "--initial-branch=main")
	c.git("remote", "add", "origin", url)
	return c
}

// try runs git and returns its whole output.
func (c client) try(args ...string) (string, error) {
	cmd := exec.CommandContext(c.t.Context(), "git", args...)
	cmd.Dir = c.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + c.dir, "LANG=C.UTF-8", "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.com", "GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.com"}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// git runs git and fails the test on an error.
func (c client) git(args ...string) string {
	c.t.Helper()
	out, err := c.try(args...)
	if err != nil {
		c.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(out)
}

// refused runs git, which must fail, and returns its output.
func (c client) refused(args ...string) string {
	c.t.Helper()
	out, err := c.try(args...)
	if err == nil {
		c.t.Fatalf("git %s succeeded\n%s", strings.Join(args, " "), out)
	}
	return out
}

// commit changes a file and commits it; it returns the id.
func (c client) commit(path, content string) string {
	c.t.Helper()
	full := filepath.Join(c.dir, path)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
		c.t.Fatal(err)
	}
	c.git("add", "-A")
	c.git("commit", "--quiet", "-m", "Change "+path)
	return c.git("rev-parse", "HEAD")
}

// contains fails the test unless got contains want.
func contains(t testing.TB, got, want string) {
	t.Helper()
	if !strings.Contains(got, want) {
		t.Errorf("%q is not in:\n%s", want, got)
	}
}

func TestNew_OldOrMissingGit_Fails(t *testing.T) {
	dir := t.TempDir()
	old := filepath.Join(dir, "git")
	if err := os.WriteFile(old, []byte("#!/bin/sh\necho git version 2.37.9\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := New(filepath.Join(dir, "r"), Options{GitPath: old})
	if err == nil || !strings.Contains(err.Error(), "git is too old: install git 2.38 or later") {
		t.Errorf("old git: %v", err)
	}
	_, err = New(filepath.Join(dir, "r"), Options{GitPath: filepath.Join(dir, "nothing")})
	if err == nil || !strings.Contains(err.Error(), "git is missing") {
		t.Errorf("no git: %v", err)
	}
}

func TestCreateAndDelete(t *testing.T) {
	s := newStore(t, Options{})
	if !s.Exists(1) || s.Exists(2) {
		t.Error("Exists is wrong")
	}
	if err := s.Create(t.Context(), 1, "main"); !errors.Is(err, ErrExists) {
		t.Errorf("Create again: %v", err)
	}
	if err := s.Create(t.Context(), 2, "--bare"); err == nil || s.Exists(2) {
		t.Errorf("Create with a bad branch: %v", err)
	}
	if err := s.Delete(t.Context(), 1); err != nil || s.Exists(1) {
		t.Errorf("Delete: %v", err)
	}
	if err := s.Delete(t.Context(), 1); err != nil {
		t.Errorf("Delete again: %v", err)
	}
	if _, err := s.Repo(1).Tips(t.Context()); !errors.Is(err, ErrNotFound) {
		t.Errorf("Tips of a deleted repository: %v", err)
	}
	entries, err := os.ReadDir(s.root)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != ".hooks" {
			t.Errorf("%s stays", e.Name())
		}
	}
}

// GIT_DIR in the environment of the server has no effect.
func TestRun_DoesNotInheritEnvironment(t *testing.T) {
	s := newStore(t, Options{})
	t.Setenv("GIT_DIR", t.TempDir())
	t.Setenv("GIT_CONFIG_COUNT", "bad")
	sha := write(t, s.Repo(1), "main", "", "First", map[string]string{"a": "1"})
	tip, ok, err := s.Repo(1).BranchTip(t.Context(), "main")
	if err != nil || !ok || tip != sha {
		t.Errorf("BranchTip = %q, %v, %v; want %q", tip, ok, err, sha)
	}
}

func TestRun_OutputAboveLimit_ReturnsErrTooLarge(t *testing.T) {
	s := newStore(t, Options{})
	c := s.Repo(1).command("version")
	c.limit = 5
	if _, err := s.run(t.Context(), c); !errors.Is(err, ErrTooLarge) {
		t.Errorf("run over its limit: %v", err)
	}
}

func TestRun_EndOfContext_StopsGit(t *testing.T) {
	s := newStore(t, Options{})
	c := s.Repo(1).command("cat-file", "--batch")
	reader, writer := io.Pipe() // nothing to read, and no end
	defer writer.Close()
	c.stdin, c.limits.time = reader, 50*time.Millisecond
	time.AfterFunc(200*time.Millisecond, func() { writer.Close() })
	if _, err := s.run(t.Context(), c); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a process that takes too long: %v", err)
	}
}

// Prune overrides gc.auto of the environment with an option.
func TestRun_OptionsOverrideEnvironment(t *testing.T) {
	s := newStore(t, Options{})
	out, err := s.Repo(1).git(t.Context(), "-c", "gc.auto=2000", "config", "gc.auto")
	if got := strings.TrimSpace(string(out)); err != nil || got != "2000" {
		t.Errorf("gc.auto is %q, %v", got, err)
	}
}

func TestSweepAndPrune(t *testing.T) {
	s := newStore(t, Options{})
	r := s.Repo(1)
	tip := write(t, r, "main", "", "First", map[string]string{"a": "1"})
	dead := filepath.Join(s.root, leftoverPrefix+"9-x")
	if err := os.Mkdir(dead, 0o700); err != nil {
		t.Fatal(err)
	}
	if removed, err := s.Sweep(t.Context(), time.Hour); err != nil || len(removed) != 0 {
		t.Errorf("Sweep of what is young: %v, %v", removed, err)
	}
	past := time.Now().Add(-2 * time.Hour)
	if err := os.Chtimes(dead, past, past); err != nil {
		t.Fatal(err)
	}
	if removed, err := s.Sweep(t.Context(), time.Hour); err != nil || len(removed) != 1 {
		t.Errorf("Sweep: %v, %v", removed, err)
	}
	write(t, r, "main", "", "Second", map[string]string{"a": "2"})

	incoming := filepath.Join(s.path(1), "objects", "tmp_objdir-incoming-x")
	old := time.Now().Add(-48 * time.Hour)
	if err := errors.Join(os.Mkdir(incoming, 0o700), os.Chtimes(incoming, old, old)); err != nil {
		t.Fatal(err)
	}
	// A folder that is not a repository is an error, and the others are pruned.
	if err := os.Mkdir(s.path(0), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.Tidy(t.Context()); err == nil || !strings.Contains(err.Error(), "project 0") {
		t.Fatalf("Tidy: %v", err)
	}
	if _, err := os.Stat(incoming); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the remains of a push stay: %v", err)
	}
	if _, err := r.Commit(t.Context(), tip); err != nil {
		t.Errorf("Prune removed what is needed: %v", err)
	}
}
