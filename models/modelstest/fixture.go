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

// NewSealer returns the fake sealer that Open uses.
func NewSealer() models.Sealer { return fakeSealer{} }

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
	f := &Fixture{T: t, DB: db, Clock: NewClock(), Git: NewGit()}
	cfg := models.Config{
		Driver: db.Driver, DSN: db.DSN, Now: f.Clock.Now, Payload: RenderPayload, Sealer: fakeSealer{}, Git: f.Git, MaxConns: 10,
	}
	if _, measured := t.(*testing.B); statements.collected && !measured {
		cfg.Query = func(statement string) { collectStatement(db.Driver, statement) }
	}
	for _, o := range options {
		o(&cfg)
	}
	store, err := models.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	f.Store = store
	t.Cleanup(func() { checkMerged(t, store, cfg.Git) })
	return f
}

// New is Open plus the user olga and the private project olga/pear.
func New(t testing.TB, db Database, options ...Option) *Fixture {
	t.Helper()
	f := Open(t, db, options...)
	f.Owner = f.User("olga")
	f.Project = f.NewProject(f.Owner, "pear", models.VisibilityPrivate)
	return f
}

// User creates a user.
func (f *Fixture) User(name string) models.User {
	f.T.Helper()
	user, err := f.Store.CreateUser(f.T.Context(), models.User{}, models.UserInput{Username: name, Name: name})
	return must(f.T, user, err)
}

// Admin creates an administrator.
func (f *Fixture) Admin(name string) models.User {
	f.T.Helper()
	user, err := f.Store.CreateUser(f.T.Context(), models.User{}, models.UserInput{Username: name, Name: name, Admin: true})
	return must(f.T, user, err)
}

// Member creates a user with a role on Project.
func (f *Fixture) Member(name string, role models.Role) models.User {
	f.T.Helper()
	user := f.User(name)
	_, err := f.Store.AddMember(f.T.Context(), f.Owner, models.RoleOwner, f.Project.ID, user.ID, role)
	must(f.T, 0, err)
	return user
}

// NewProject creates a project like Fixture.Project in the owner's namespace.
func (f *Fixture) NewProject(owner models.User, path string, visibility models.Visibility) models.Project {
	f.T.Helper()
	ctx := f.T.Context()
	ns, err := f.Store.Namespace(ctx, owner.Username)
	must(f.T, ns, err)
	project, err := f.Store.CreateProject(ctx, owner,
		models.ProjectInput{NamespaceID: ns.ID, Name: path, Path: path, Visibility: visibility}, true)
	must(f.T, project, err)
	_, err = f.Store.CreateProtectedBranch(ctx, owner, project.ID,
		models.ProtectedBranchInput{Name: "release/*", PushAccessLevel: models.RoleMaintainer, MergeAccessLevel: models.RoleMaintainer})
	must(f.T, 0, err)
	f.Git.AddCommit(project.ID, "feature", f.Git.Tip(project.ID, "main"))
	return project
}

// Service adds a service to Project. branches are names of protected branches; without
// any, the service applies to all branches.
func (f *Fixture) Service(name string, branches ...string) models.ExternalStatusCheck {
	f.T.Helper()
	var ids []int64
	for _, branch := range branches {
		rule, err := f.Store.ProtectedBranchByName(f.T.Context(), f.Project.ID, branch)
		ids = append(ids, must(f.T, rule, err).ID)
	}
	service, err := f.Store.CreateExternalStatusCheck(f.T.Context(), f.Owner, f.Project.ID,
		models.ExternalStatusCheckInput{Name: name, ExternalURL: "https://" + name + ".example.test/hook", ProtectedBranchIDs: ids}, false)
	return must(f.T, service, err)
}

// MergeRequest opens a merge request of Project.
func (f *Fixture) MergeRequest(source, target string) models.MergeRequest {
	f.T.Helper()
	mr, err := f.Store.CreateMergeRequest(f.T.Context(), f.Owner, f.Project.ID,
		models.MergeRequestInput{Title: "Trim " + source, SourceBranch: source, TargetBranch: target})
	return must(f.T, mr, err)
}

// Push adds a commit to a branch of Project, records the push and returns the commit.
func (f *Fixture) Push(branch string) string {
	f.T.Helper()
	old := f.Git.Tip(f.Project.ID, branch)
	sha := f.Git.AddCommit(f.Project.ID, branch, old)
	f.RecordPush(branch, old, sha)
	return sha
}

// RecordPush calls Store.Push for a branch of Project that has moved.
func (f *Fixture) RecordPush(branch, old, sha string) []models.PushedBranch {
	f.T.Helper()
	pushed, err := f.Store.Push(f.T.Context(),
		models.PushInput{ProjectID: f.Project.ID, By: f.Owner, Updates: []models.RefUpdate{{Ref: "refs/heads/" + branch, Old: old, New: sha}}})
	return must(f.T, pushed, err)
}

// Respond records a response of a service as Owner.
func (f *Fixture) Respond(mr models.MergeRequest, service models.ExternalStatusCheck, sha string, status models.Status) error {
	_, err := f.Store.RecordResponse(f.T.Context(), f.Owner, mr.ProjectID, mr.IID,
		models.ResponseInput{ExternalStatusCheckID: service.ID, SHA: sha, Status: status})
	return err
}

// Reload reads a merge request and its checks again.
func (f *Fixture) Reload(mr models.MergeRequest) (models.MergeRequest, []models.MergeRequestCheck) {
	f.T.Helper()
	mr, err := f.Store.MergeRequest(f.T.Context(), mr.ProjectID, mr.IID)
	must(f.T, mr, err)
	checks, err := f.Store.Checks(f.T.Context(), mr.ID)
	return mr, must(f.T, checks, err)[mr.ID]
}

// Status returns the current state of a service's check on a merge request, "" if there
// is no check.
func (f *Fixture) Status(mr models.MergeRequest, service models.ExternalStatusCheck) models.Status {
	f.T.Helper()
	_, checks := f.Reload(mr)
	for _, check := range checks {
		if check.ExternalStatusCheckID == service.ID {
			return check.StatusAt(f.Store.Now())
		}
	}
	return ""
}

// Deliveries lists the deliveries to a service, oldest first.
func (f *Fixture) Deliveries(service models.ExternalStatusCheck) []models.Delivery {
	f.T.Helper()
	list, _, err := f.Store.Deliveries(f.T.Context(), service.ProjectID, service.ID, models.DeliveryFilter{}, models.Page{})
	must(f.T, 0, err)
	for i, j := 0, len(list)-1; i < j; i, j = i+1, j-1 {
		list[i], list[j] = list[j], list[i]
	}
	return list
}

// PayloadOf returns the payload of a delivery that RenderPayload rendered.
func (f *Fixture) PayloadOf(d models.Delivery) Payload {
	f.T.Helper()
	full, _, err := f.Store.Delivery(f.T.Context(), d.ProjectID, d.ExternalStatusCheckID, d.ID)
	must(f.T, 0, err)
	var p Payload
	if err := json.Unmarshal(full.Payload, &p); err != nil {
		f.T.Fatal(err)
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
