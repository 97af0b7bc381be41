package gitrepo

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
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

	"github.com/mergegate/mergegate/gitrepo/hooktest"
)

// TestMain runs the hook if git starts this test binary as one.
func TestMain(m *testing.M) {
	if name, ok := IsHook(os.Args[0]); ok {
		hooktest.Exit(RunHook(name, os.Stdin, os.Stdout, os.Stderr, os.Environ()))
	}
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
	s, err := New(filepath.Join(t.TempDir(), "repositories"), o)
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

// gitHost serves a store over HTTP. decide handles the requests of its hooks.
type gitHost struct {
	store  *Store
	url    string // of repository 1
	server *httptest.Server

	mu       sync.Mutex
	decide   func(HookRequest) HookResponse
	requests []HookRequest
	stopHook func()
}

func newGitHost(t *testing.T, o Options) *gitHost {
	t.Helper()
	dir, err := os.MkdirTemp("", "mg") // short: the path of a socket is limited
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	o.SocketPath = filepath.Join(dir, "hooks.sock")
	h := &gitHost{store: newStore(t, o), decide: func(HookRequest) HookResponse { return HookResponse{} }}
	l, err := ListenHooks(o.SocketPath)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- ServeHooks(ctx, l, h.handle, slog.New(slog.DiscardHandler)) }()
	h.stopHook = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("ServeHooks: %v", err)
		}
	})
	t.Cleanup(h.stopHook)

	mux := http.NewServeMux()
	mux.HandleFunc("GET /{id}/info/refs", func(w http.ResponseWriter, r *http.Request) {
		id, _ := strconv.ParseInt(r.PathValue("id"), 10, 64)
		if err := h.store.InfoRefs(w, r, id, r.URL.Query().Get("service")); err != nil {
			t.Logf("info/refs: %v", err)
		}
	})
	mux.HandleFunc("POST /{id}/{service}", func(w http.ResponseWriter, r *http.Request) {
		id, _ := strconv.ParseInt(r.PathValue("id"), 10, 64)
		if err := h.store.Service(w, r, id, r.PathValue("service"), 7, "req-1"); err != nil {
			t.Logf("service: %v", err)
		}
	})
	h.server = httptest.NewServer(mux)
	t.Cleanup(h.server.Close)
	h.url = h.server.URL + "/1"
	return h
}

func (h *gitHost) handle(_ context.Context, r HookRequest) HookResponse {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.requests = append(h.requests, r)
	return h.decide(r)
}

// seen returns the hook requests of a kind since the last call.
func (h *gitHost) seen(kind string) []HookRequest {
	h.mu.Lock()
	defer h.mu.Unlock()
	var found []HookRequest
	for _, r := range h.requests {
		if r.Kind == kind {
			found = append(found, r)
		}
	}
	h.requests = nil
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

func TestServeHooks(t *testing.T) {
	if _, err := ListenHooks("/tmp/" + strings.Repeat("x", 120)); err == nil {
		t.Error("a path that is too long for a socket was accepted")
	}
	dir, err := os.MkdirTemp("", "mg")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "s")
	// A crash leaves a socket on which no process listens.
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	l, err := ListenHooks(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("socket: %v, %v", info.Mode(), err)
	}
	if _, err := ListenHooks(path); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("second listener: %v", err)
	}
}

func TestRunHook_InvalidInput_RejectsPush(t *testing.T) {
	var out, errs bytes.Buffer
	code := RunHook(PreReceive, strings.NewReader("nonsense\n"), &out, &errs, nil)
	if code != 1 || out.Len() > 0 {
		t.Errorf("RunHook = %d, printed %q", code, out.String())
	}
	contains(t, errs.String(), "is invalid")
}
