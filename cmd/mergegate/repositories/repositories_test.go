package repositories

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/gitrepo"
	"github.com/mergegate/mergegate/handlers/githttp"
	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

func TestMain(m *testing.M) { os.Exit(modelstest.Main(m)) }

const password = "correct horse battery staple"

// host is a server for git over HTTP with real repositories and a project olga/pear
// with a readme.
type host struct {
	*modelstest.Fixture
	git  *gitrepo.Store
	url  string
	root string // the folder of repositories
	// loseNews makes telling a push fail at the last moment.
	loseNews atomic.Bool
}

func newHost(t testing.TB, db modelstest.Database) *host {
	t.Helper()
	root := filepath.Join(t.TempDir(), "repositories")
	git, err := gitrepo.New(root, gitrepo.Options{})
	if err != nil {
		t.Fatal(err)
	}
	h := &host{Fixture: modelstest.Open(t, db, modelstest.WithGit(Git{git})), git: git, root: root}
	h.Store.SetHooks(models.Hooks{BeforePushCommit: func() error {
		if h.loseNews.Load() {
			return errors.New("the database went away")
		}
		return nil
	}})
	e := echo.New()
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	h.url = server.URL
	log := slog.New(slog.DiscardHandler)
	e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			request.SetID(c, "req_"+rand.Text())
			return next(c)
		}
	})
	githttp.Register(e, githttp.Deps{Store: h.Store, Transport: git, Log: log, BaseURL: h.url})

	h.Owner = h.withPassword(h.User("olga"))
	h.Project = h.project("pear", models.VisibilityPrivate)
	return h
}

// folder returns the folder of the repository of a project.
func (h *host) folder(projectID int64) string {
	return filepath.Join(h.root, fmt.Sprint(projectID)+".git")
}

// project creates a project of olga with a readme.
func (h *host) project(path string, visibility models.Visibility) models.Project {
	h.T.Helper()
	ns, err := h.Store.Namespace(h.T.Context(), "olga")
	if err != nil {
		h.T.Fatal(err)
	}
	p, err := h.Store.CreateProject(h.T.Context(), h.Owner, models.ProjectInput{NamespaceID: ns.ID, Name: path, Path: path, Visibility: visibility}, true)
	if err != nil {
		h.T.Fatal(err)
	}
	return p
}

var passwordDigest = sync.OnceValues(func() (string, error) {
	return auth.HashPassword(context.Background(), password)
})

// withPassword sets the password that all users share.
func (h *host) withPassword(user models.User) models.User {
	h.T.Helper()
	digest, err := passwordDigest()
	if err != nil {
		h.T.Fatal(err)
	}
	if err := h.Store.SetPassword(h.T.Context(), user, digest, "", false); err != nil {
		h.T.Fatal(err)
	}
	return user
}

// token creates a personal access token with a scope.
func (h *host) token(user models.User, scope string) string {
	h.T.Helper()
	secret := auth.NewAccessToken()
	_, err := h.Store.CreatePersonalToken(h.T.Context(), user, models.AccessTokenInput{
		Name: "t", Scopes: []string{scope}, ExpiresAt: h.Store.Now().Add(48 * time.Hour), Digest: auth.Digest(secret),
	})
	if err != nil {
		h.T.Fatal(err)
	}
	return secret
}

// remote returns the URL of a project with credentials.
func (h *host) remote(path, name, secret string) string {
	u, err := url.Parse(h.url)
	if err != nil {
		h.T.Fatal(err)
	}
	u.User = url.UserPassword(name, secret)
	return u.String() + "/" + path
}

// as is remote with the password that all users share.
func (h *host) as(user, path string) string { return h.remote(path, user, password) }

// get requests info/refs with these credentials.
func (h *host) get(path, service, name, secret string) *http.Response {
	h.T.Helper()
	req, err := http.NewRequestWithContext(h.T.Context(), http.MethodGet, h.url+"/"+path+"/info/refs?service="+service, nil)
	if err != nil {
		h.T.Fatal(err)
	}
	if name != "" || secret != "" {
		req.SetBasicAuth(name, secret)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		h.T.Fatal(err)
	}
	resp.Body.Close()
	return resp
}

// worktree is a clone of a project.
type worktree struct {
	t   testing.TB
	dir string
}

func (h *host) clone(remote string) worktree {
	h.T.Helper()
	w := worktree{h.T, filepath.Join(h.T.TempDir(), "clone")}
	parent := worktree{h.T, filepath.Dir(w.dir)}
	parent.git("clone", "--quiet", remote, w.dir)
	return w
}

// try runs git and returns its whole output.
func (w worktree) try(args ...string) (string, error) {
	cmd := exec.CommandContext(w.t.Context(), "git", args...)
	cmd.Dir = w.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + w.dir, "LANG=C.UTF-8", "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=Olga", "GIT_AUTHOR_EMAIL=olga@example.com", "GIT_COMMITTER_NAME=Olga", "GIT_COMMITTER_EMAIL=olga@example.com"}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (w worktree) git(args ...string) string {
	w.t.Helper()
	out, err := w.try(args...)
	if err != nil {
		w.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(out)
}

func (w worktree) refused(args ...string) string {
	w.t.Helper()
	out, err := w.try(args...)
	if err == nil {
		w.t.Fatalf("git %s succeeded\n%s", strings.Join(args, " "), out)
	}
	return out
}

// commit changes a file, commits it and returns the id.
func (w worktree) commit(name, content string) string {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(content), 0o644); err != nil {
		w.t.Fatal(err)
	}
	w.git("add", "-A")
	w.git("commit", "--quiet", "-m", "Change "+name)
	return w.git("rev-parse", "HEAD")
}

func contains(t testing.TB, got string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in:\n%s", want, got)
		}
	}
}
