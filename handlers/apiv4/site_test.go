package apiv4_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/cmd/mergegate/repositories"
	"github.com/mergegate/mergegate/gitrepo"
	"github.com/mergegate/mergegate/handlers"
	"github.com/mergegate/mergegate/handlers/apiv4"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// allowedPlans are statements that may read a whole table, with the reason.
var allowedPlans = map[string]string{
	"admin AND NOT bot AND NOT blocked": "blocking an administrator locks all of them; there are few users",
}

func TestMain(m *testing.M) { os.Exit(modelstest.MainWithPlans(m, allowedPlans)) }

// testSite is the complete router with its own database and real repositories. It
// has the private project olga/pear with the branches main and feature (one commit
// ahead), merge request !1 from feature to main, and two services: "licences" for
// all branches and "notary" for release/*.
type testSite struct {
	*modelstest.Fixture
	handler http.Handler // plain, but validates every answer against openapi.yaml
	plain   http.Handler
	repos   *gitrepo.Store
	root    string // the directory of the repositories
	git     repositories.Git
	users   map[string]models.User
	tokens  map[string]string
	mr      models.MergeRequest
	service models.ExternalStatusCheck
	other   models.ExternalStatusCheck
}

// roles are the roles of the project's members by username. In addition "olga" is
// the owner, "root" an administrator, and "outsider" a user who is not a member.
var roles = map[string]models.Role{
	"guest": models.RoleGuest, "reporter": models.RoleReporter, "developer": models.RoleDeveloper, "maintainer": models.RoleMaintainer,
}

func eachDatabase(t *testing.T, test func(t *testing.T, s *testSite)) {
	t.Helper()
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) { test(t, newSite(t, db)) })
}

func newSite(t testing.TB, db modelstest.Database) *testSite {
	t.Helper()
	dir := t.TempDir()
	repos, err := gitrepo.New(filepath.Join(dir, "repositories"), gitrepo.Options{})
	if err != nil {
		t.Fatal(err)
	}
	git := repositories.Git{Store: repos}
	s := &testSite{
		git:     git,
		Fixture: modelstest.Open(t, db, modelstest.WithGit(git)), repos: repos, root: filepath.Join(dir, "repositories"),
		users: map[string]models.User{}, tokens: map[string]string{},
	}
	s.startRouter(t, apiv4.Limits{Token: apiv4.Limit{PerMinute: -1}, Address: apiv4.Limit{PerMinute: -1}})
	s.populate()
	return s
}

// startRouter creates the router with the given rate limits.
func (s *testSite) startRouter(t testing.TB, limits apiv4.Limits) {
	t.Helper()
	e, err := handlers.New(handlers.Deps{
		Store: s.Store, Git: s.git, Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError})),
		BaseURL: "https://gate.example", SessionKey: []byte("an example key of thirty-two bytes!!"),
	})
	if err != nil {
		t.Fatal(err)
	}
	apiv4.Register(e, apiv4.Deps{
		Store: s.Store, Git: s.git, BaseURL: "https://gate.example", Version: "1.2.3", Revision: "abc",
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Limits: limits, Stylesheet: "/assets/style.css",
	})
	s.plain, s.handler = e, validateAnswers(t, e)
}

func (s *testSite) populate() {
	s.T.Helper()
	ctx := s.T.Context()
	s.Owner = s.addUser(s.User("olga"))
	s.addUser(s.Admin("root"))
	s.addUser(s.User("outsider"))
	namespace := must(s.Store.Namespace(ctx, "olga"))(s.T)
	s.Project = must(s.Store.CreateProject(ctx, s.Owner, models.ProjectInput{NamespaceID: namespace.ID, Path: "pear"}, true))(s.T)
	for _, name := range []string{"guest", "reporter", "developer", "maintainer"} {
		s.addUser(s.Member(name, roles[name]))
	}
	release := must(s.Store.CreateProtectedBranch(ctx, s.Owner, s.Project.ID, models.ProtectedBranchInput{
		Name: "release/*", PushAccessLevel: models.RoleMaintainer, MergeAccessLevel: models.RoleMaintainer,
	}))(s.T)
	s.commit("main", "feature", map[string]string{"pears.txt": "conference\n"})
	s.service = must(s.Store.CreateExternalStatusCheck(ctx, s.Owner, s.Project.ID, models.ExternalStatusCheckInput{
		Name: "licences", ExternalURL: "https://user:word@checks.example/mr?team=a#x", SharedSecret: "s3cret",
	}, false))(s.T)
	s.other = must(s.Store.CreateExternalStatusCheck(ctx, s.Owner, s.Project.ID, models.ExternalStatusCheckInput{
		Name: "notary", ExternalURL: "https://notary.example/", ProtectedBranchIDs: []int64{release.ID},
	}, false))(s.T)
	s.mr = s.MergeRequest("feature", "main")
}

// tokenLifetime is the lifetime of the tokens that testSite creates.
const tokenLifetime = 100 * 24 * time.Hour

// addUser stores a user and a new token for them by username.
func (s *testSite) addUser(user models.User) models.User {
	s.users[user.Username] = user
	s.tokens[user.Username] = s.token(user, models.ScopeAPI)
	return user
}

func (s *testSite) token(user models.User, scopes ...string) string {
	s.T.Helper()
	secret := auth.NewAccessToken()
	_ = must(s.Store.CreatePersonalToken(s.T.Context(), user, models.AccessTokenInput{
		Name: "test", Scopes: scopes, ExpiresAt: s.Store.Now().Add(tokenLifetime), Digest: auth.Digest(secret),
	}))(s.T)
	return secret
}

// commit adds a commit to a branch, and records the push. A new branch starts at
// from and is not recorded. The commit's id is the same in every run.
func (s *testSite) commit(from, branch string, files map[string]string) string {
	s.T.Helper()
	repo := s.repos.Repo(s.Project.ID)
	old, exists, err := repo.BranchTip(s.T.Context(), branch)
	parent := old
	if err == nil && !exists {
		parent, _, err = repo.BranchTip(s.T.Context(), from)
	}
	if err != nil {
		s.T.Fatal(err)
	}
	sha := must(repo.WriteCommit(s.T.Context(), gitrepo.WriteInput{
		Branch: branch, Parent: parent, Files: files, Message: "Change " + branch + "\n\nMore of it.\n",
		Author: gitrepo.Identity{Name: "Ines Park", Email: "ines@orchard.example"}, When: s.Clock.Now(),
	}))(s.T)
	if exists {
		s.RecordPush(branch, old, sha)
	}
	return sha
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// answer is an HTTP answer of the API.
type answer struct {
	status int
	header http.Header
	body   string
}

// json decodes the body.
func (a answer) json(t testing.TB) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		t.Fatalf("not JSON: %v\n%s", err, a.body)
	}
	return v
}

// field returns one field of the object in the body, as JSON.
func (a answer) field(t testing.TB, name string) string {
	t.Helper()
	object, _ := a.json(t).(map[string]any)
	return string(must(json.Marshal(object[name]))(t))
}

// do sends a request with the token of user who, or without a token if who is "".
// body is JSON, or "" for none.
func (s *testSite) do(who, method, path, body string) answer {
	s.T.Helper()
	header := http.Header{}
	if who != "" {
		header.Set("Private-Token", s.tokens[who])
	}
	if body != "" {
		header.Set("Content-Type", "application/json")
	}
	return s.send(method, path, body, header)
}

func (s *testSite) send(method, path, body string, header http.Header) answer {
	s.T.Helper()
	r := httptest.NewRequest(method, "/api/v4"+path, strings.NewReader(body))
	r.Host = "gate.example"
	if host := header.Get("Host"); host != "" {
		r.Host = host
	}
	maps.Copy(r.Header, header)
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	text := must(io.ReadAll(w.Result().Body))(s.T)
	return answer{w.Code, w.Result().Header, string(text)}
}

// wantAnswer fails the test unless the answer has the status and its body contains
// each text. It returns the answer.
func (s *testSite) wantAnswer(t testing.TB, a answer, status int, text ...string) answer {
	t.Helper()
	if a.status != status {
		t.Errorf("status %d, want %d: %s", a.status, status, a.body)
	}
	for _, part := range text {
		if !strings.Contains(a.body, part) {
			t.Errorf("body does not contain %q: %s", part, a.body)
		}
	}
	return a
}

// tag creates a lightweight tag at the tip of a branch.
func (s *testSite) tag(name, branch string) {
	s.T.Helper()
	repo := s.repos.Repo(s.Project.ID)
	tip, _, err := repo.BranchTip(s.T.Context(), branch)
	if err == nil {
		err = repo.UpdateRef(s.T.Context(), "refs/tags/"+name, tip, gitrepo.ZeroID)
	}
	if err != nil {
		s.T.Fatal(err)
	}
}
