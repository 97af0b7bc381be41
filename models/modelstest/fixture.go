package modelstest

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
)

// Clock is a fake clock that only Advance moves.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock returns a clock that shows 2026-11-22 09:00 UTC.
func NewClock() *Clock {
	return &Clock{now: time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)}
}

// Now returns the time of the clock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock forward by d.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// fakeSealer is a fake models.Sealer. It stores the context and the reversed text, so
// tests can see both.
type fakeSealer struct{}

func (fakeSealer) Seal(plain []byte, context string) ([]byte, error) {
	return []byte(context + "|" + reverse(string(plain))), nil
}

func (fakeSealer) Open(sealed []byte, context string) ([]byte, error) {
	text, ok := strings.CutPrefix(string(sealed), context+"|")
	if !ok {
		return nil, fmt.Errorf("modelstest: not sealed for %s", context)
	}
	return []byte(reverse(text)), nil
}

func reverse(s string) string {
	r := []rune(s)
	for i, j := 0, len(r)-1; i < j; i, j = i+1, j-1 {
		r[i], r[j] = r[j], r[i]
	}
	return string(r)
}

// Payload is the body of the fixture's deliveries: the parts of an event that tests
// check.
type Payload struct {
	UUID    string        `json:"uuid"`
	Action  models.Action `json:"action"`
	OldRev  string        `json:"oldrev"`
	Changes []string      `json:"changes"`
	// Previous maps each changed field to its previous value.
	Previous    map[string]any `json:"previous"`
	Head        string         `json:"head"`
	Target      string         `json:"target"`
	User        string         `json:"user"`
	ServiceID   int64          `json:"service_id"`
	ServiceName string         `json:"service_name"`
	Test        bool           `json:"test"`
}

// RenderPayload is the default models.Config.Payload of Open.
func RenderPayload(e models.Event) ([]byte, error) {
	p := Payload{
		Previous: map[string]any{},
		UUID:     e.UUID, Action: e.Action, OldRev: e.OldRev, Head: e.MergeRequest.HeadSHA, Target: e.MergeRequest.TargetBranch,
		User: e.User.Username, ServiceID: e.Service.ID, ServiceName: e.Service.Name, Test: e.Test,
	}
	for _, c := range e.Changes {
		p.Changes = append(p.Changes, c.Field)
		p.Previous[c.Field] = c.Previous
	}
	return json.Marshal(p)
}

// Fixture is a store with a fake clock and a fake git. New also creates Owner and
// Project.
type Fixture struct {
	T     testing.TB
	DB    Database
	Clock *Clock
	Git   *Git
	Store *models.Store
	// Owner is the Owner of Project. Project has the branches main and feature, which
	// is one commit ahead; main and release/* are protected for Maintainers.
	Owner   models.User
	Project models.Project
}

// Option changes the configuration that Open uses.
type Option func(*models.Config)

// WithGit replaces the fake git.
func WithGit(git models.Git) Option { return func(c *models.Config) { c.Git = git } }

// WithPayload replaces RenderPayload.
func WithPayload(f func(models.Event) ([]byte, error)) Option {
	return func(c *models.Config) { c.Payload = f }
}

// WithSealer replaces the fake sealer.
func WithSealer(s models.Sealer) Option { return func(c *models.Config) { c.Sealer = s } }

// Open opens a store on a database, with a new fake clock and fake git. When the test
// ends, it closes the store and checks the merged merge requests.
func Open(t testing.TB, db Database, options ...Option) *Fixture {
	t.Helper()
	w := &Fixture{T: t, DB: db, Clock: NewClock(), Git: NewGit()}
	cfg := models.Config{
		Driver: db.Driver, DSN: db.DSN, Now: w.Clock.Now, Payload: RenderPayload, Sealer: fakeSealer{}, Git: w.Git, MaxConns: 10,
	}
	for _, o := range options {
		o(&cfg)
	}
	store, err := models.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	w.Store = store
	t.Cleanup(func() { checkMerged(t, store, cfg.Git) })
	return w
}

// New is Open plus the user olga and the private project olga/pear.
func New(t testing.TB, db Database, options ...Option) *Fixture {
	t.Helper()
	w := Open(t, db, options...)
	w.Owner = w.User("olga")
	w.Project = w.NewProject(w.Owner, "pear", models.VisibilityPrivate)
	return w
}

// User creates a user.
func (w *Fixture) User(name string) models.User {
	w.T.Helper()
	user, err := w.Store.CreateUser(w.T.Context(), models.User{}, models.UserInput{Username: name, Name: name})
	return must(w.T, user, err)
}

// Admin creates an administrator.
func (w *Fixture) Admin(name string) models.User {
	w.T.Helper()
	user, err := w.Store.CreateUser(w.T.Context(), models.User{}, models.UserInput{Username: name, Name: name, Admin: true})
	return must(w.T, user, err)
}

// Member creates a user with a role on Project.
func (w *Fixture) Member(name string, role models.Role) models.User {
	w.T.Helper()
	user := w.User(name)
	_, err := w.Store.AddMember(w.T.Context(), w.Owner, models.RoleOwner, w.Project.ID, user.ID, role)
	must(w.T, 0, err)
	return user
}

// NewProject creates a project like Fixture.Project in the owner's namespace.
func (w *Fixture) NewProject(owner models.User, path string, visibility models.Visibility) models.Project {
	w.T.Helper()
	ctx := w.T.Context()
	ns, err := w.Store.Namespace(ctx, owner.Username)
	must(w.T, ns, err)
	project, err := w.Store.CreateProject(ctx, owner, models.ProjectInput{NamespaceID: ns.ID, Name: path, Path: path, Visibility: visibility}, true)
	must(w.T, project, err)
	_, err = w.Store.CreateProtectedBranch(ctx, owner, project.ID, models.ProtectedBranchInput{Name: "release/*", PushAccessLevel: models.RoleMaintainer, MergeAccessLevel: models.RoleMaintainer})
	must(w.T, 0, err)
	w.Git.AddCommit(project.ID, "feature", w.Git.Tip(project.ID, "main"))
	return project
}

// Service adds a service to Project. branches are names of protected branches; without
// any, the service applies to all branches.
func (w *Fixture) Service(name string, branches ...string) models.ExternalStatusCheck {
	w.T.Helper()
	var ids []int64
	for _, branch := range branches {
		rule, err := w.Store.ProtectedBranchByName(w.T.Context(), w.Project.ID, branch)
		ids = append(ids, must(w.T, rule, err).ID)
	}
	service, err := w.Store.CreateExternalStatusCheck(w.T.Context(), w.Owner, w.Project.ID,
		models.ExternalStatusCheckInput{Name: name, ExternalURL: "https://" + name + ".example.test/hook", ProtectedBranchIDs: ids}, false)
	return must(w.T, service, err)
}

// MergeRequest opens a merge request of Project.
func (w *Fixture) MergeRequest(source, target string) models.MergeRequest {
	w.T.Helper()
	mr, err := w.Store.CreateMergeRequest(w.T.Context(), w.Owner, w.Project.ID, models.MergeRequestInput{Title: "Trim " + source, SourceBranch: source, TargetBranch: target})
	return must(w.T, mr, err)
}

// Push adds a commit to a branch of Project, records the push and returns the commit.
func (w *Fixture) Push(branch string) string {
	w.T.Helper()
	old := w.Git.Tip(w.Project.ID, branch)
	sha := w.Git.AddCommit(w.Project.ID, branch, old)
	w.RecordPush(branch, old, sha)
	return sha
}

// RecordPush calls Store.Push for a branch of Project that has moved.
func (w *Fixture) RecordPush(branch, old, sha string) []models.PushedBranch {
	w.T.Helper()
	pushed, err := w.Store.Push(w.T.Context(), models.PushInput{ProjectID: w.Project.ID, By: w.Owner, Updates: []models.RefUpdate{{Ref: "refs/heads/" + branch, Old: old, New: sha}}})
	return must(w.T, pushed, err)
}

// Respond records a response of a service as Owner.
func (w *Fixture) Respond(mr models.MergeRequest, service models.ExternalStatusCheck, sha string, status models.Status) error {
	_, _, err := w.Store.RecordResponse(w.T.Context(), w.Owner, mr.ProjectID, mr.IID, models.ResponseInput{ExternalStatusCheckID: service.ID, SHA: sha, Status: status})
	return err
}

// Reload reads a merge request and its checks again.
func (w *Fixture) Reload(mr models.MergeRequest) (models.MergeRequest, []models.MergeRequestCheck) {
	w.T.Helper()
	mr, err := w.Store.MergeRequest(w.T.Context(), mr.ProjectID, mr.IID)
	must(w.T, mr, err)
	checks, err := w.Store.Checks(w.T.Context(), mr.ID)
	return mr, must(w.T, checks, err)[mr.ID]
}

// Status returns the current state of a service's check on a merge request, "" if there
// is no check.
func (w *Fixture) Status(mr models.MergeRequest, service models.ExternalStatusCheck) models.Status {
	w.T.Helper()
	_, checks := w.Reload(mr)
	for _, check := range checks {
		if check.ExternalStatusCheckID == service.ID {
			return check.StatusAt(w.Store.Now())
		}
	}
	return ""
}

// Deliveries lists the deliveries to a service, oldest first.
func (w *Fixture) Deliveries(service models.ExternalStatusCheck) []models.Delivery {
	w.T.Helper()
	list, _, err := w.Store.Deliveries(w.T.Context(), service.ProjectID, service.ID, "", models.Page{})
	must(w.T, 0, err)
	for i, j := 0, len(list)-1; i < j; i, j = i+1, j-1 {
		list[i], list[j] = list[j], list[i]
	}
	return list
}

// PayloadOf returns the payload of a delivery that RenderPayload rendered.
func (w *Fixture) PayloadOf(d models.Delivery) Payload {
	w.T.Helper()
	full, _, err := w.Store.Delivery(w.T.Context(), d.ProjectID, d.ExternalStatusCheckID, d.ID)
	must(w.T, 0, err)
	var p Payload
	if err := json.Unmarshal(full.Payload, &p); err != nil {
		w.T.Fatal(err)
	}
	return p
}

func must[T any](t testing.TB, v T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return v
}
