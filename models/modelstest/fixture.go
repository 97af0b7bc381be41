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

// Clock is a clock that stands still until a test moves it.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock makes a clock that shows a fixed instant.
func NewClock() *Clock {
	return &Clock{now: time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)}
}

// Now is what the clock shows.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// plainSealer marks what it seals, so that a test sees both that it was sealed
// and for which place.
type plainSealer struct{}

func (plainSealer) Seal(plain []byte, context string) ([]byte, error) {
	return []byte(context + "|" + reverse(string(plain))), nil
}

func (plainSealer) Open(sealed []byte, context string) ([]byte, error) {
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

// Payload is what the fixture's deliveries carry: enough of the real payload
// to see which event it was.
type Payload struct {
	UUID    string        `json:"uuid"`
	Action  models.Action `json:"action"`
	OldRev  string        `json:"oldrev"`
	Changes []string      `json:"changes"`
	// Previous is what the changed fields were before.
	Previous    map[string]any `json:"previous"`
	Head        string         `json:"head"`
	Target      string         `json:"target"`
	User        string         `json:"user"`
	ServiceID   int64          `json:"service_id"`
	ServiceName string         `json:"service_name"`
	Test        bool           `json:"test"`
}

// RenderPayload is the fixture's models.Config.Payload.
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

// Fixture is a store with a clock, an imagined git and a few inhabitants.
type Fixture struct {
	T     testing.TB
	DB    Database
	Clock *Clock
	Git   *Git
	Store *models.Store
	// Owner owns Project, whose main and release/* are protected for
	// Maintainers, whose branches are main and feature (one commit ahead).
	Owner   models.User
	Project models.Project
}

// Option changes the configuration that Open uses.
type Option func(*models.Config)

// WithGit replaces the imagined git.
func WithGit(git models.Git) Option { return func(c *models.Config) { c.Git = git } }

// WithPayload replaces the fixture's payload.
func WithPayload(f func(models.Event) ([]byte, error)) Option {
	return func(c *models.Config) { c.Payload = f }
}

// WithSealer replaces the fixture's sealer.
func WithSealer(s models.Sealer) Option { return func(c *models.Config) { c.Sealer = s } }

// Open opens a store on a database, with a clock and git of its own.
func Open(t testing.TB, db Database, options ...Option) *Fixture {
	t.Helper()
	w := &Fixture{T: t, DB: db, Clock: NewClock(), Git: NewGit()}
	cfg := models.Config{
		Driver: db.Driver, DSN: db.DSN, Now: w.Clock.Now, Payload: RenderPayload, Sealer: plainSealer{}, Git: w.Git, MaxConns: 10,
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

// New is Open with an owner and a project.
func New(t testing.TB, db Database, options ...Option) *Fixture {
	t.Helper()
	w := Open(t, db, options...)
	w.Owner = w.User("olga")
	w.Project = w.NewProject(w.Owner, "pear", models.VisibilityPrivate)
	return w
}

// User makes a user.
func (w *Fixture) User(name string) models.User {
	w.T.Helper()
	user, err := w.Store.CreateUser(w.T.Context(), models.User{}, models.UserInput{Username: name, Name: name})
	return must(w.T, user, err)
}

// Admin makes an administrator.
func (w *Fixture) Admin(name string) models.User {
	w.T.Helper()
	user, err := w.Store.CreateUser(w.T.Context(), models.User{}, models.UserInput{Username: name, Name: name, Admin: true})
	return must(w.T, user, err)
}

// Member makes a user with a role on Project.
func (w *Fixture) Member(name string, role models.Role) models.User {
	w.T.Helper()
	user := w.User(name)
	_, err := w.Store.AddMember(w.T.Context(), w.Owner, models.RoleOwner, w.Project.ID, user.ID, role)
	must(w.T, 0, err)
	return user
}

// NewProject makes a project of a user, with branches main and feature, main
// and release/* protected.
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

// Service adds a service to Project; branches are names of protected branches,
// none for all.
func (w *Fixture) Service(name string, branches ...string) models.ExternalStatusCheck {
	w.T.Helper()
	var ids []int64
	for _, branch := range branches {
		rule, err := w.Store.ProtectedBranchByName(w.T.Context(), w.Project.ID, branch)
		ids = append(ids, must(w.T, rule, err).ID)
	}
	check, err := w.Store.CreateExternalStatusCheck(w.T.Context(), w.Owner, w.Project.ID,
		models.ExternalStatusCheckInput{Name: name, ExternalURL: "https://" + name + ".example.test/hook", ProtectedBranchIDs: ids}, false)
	return must(w.T, check, err)
}

// MergeRequest opens a merge request of Project from a branch into another.
func (w *Fixture) MergeRequest(source, target string) models.MergeRequest {
	w.T.Helper()
	mr, err := w.Store.CreateMergeRequest(w.T.Context(), w.Owner, w.Project.ID, models.MergeRequestInput{Title: "Trim " + source, SourceBranch: source, TargetBranch: target})
	return must(w.T, mr, err)
}

// Push commits to a branch of Project and tells the store.
func (w *Fixture) Push(branch string) string {
	w.T.Helper()
	old := w.Git.Tip(w.Project.ID, branch)
	sha := w.Git.AddCommit(w.Project.ID, branch, old)
	w.RecordPush(branch, old, sha)
	return sha
}

// RecordPush tells the store that a branch of Project has moved.
func (w *Fixture) RecordPush(branch, old, sha string) []models.PushedBranch {
	w.T.Helper()
	pushed, err := w.Store.Push(w.T.Context(), models.PushInput{ProjectID: w.Project.ID, By: w.Owner, Updates: []models.RefUpdate{{Ref: "refs/heads/" + branch, Old: old, New: sha}}})
	return must(w.T, pushed, err)
}

// Respond answers a check as the owner.
func (w *Fixture) Respond(mr models.MergeRequest, service models.ExternalStatusCheck, sha string, status models.Status) error {
	_, _, err := w.Store.RecordResponse(w.T.Context(), w.Owner, mr.ProjectID, mr.IID, models.ResponseInput{ExternalStatusCheckID: service.ID, SHA: sha, Status: status})
	return err
}

// Reload reads a merge request again, with its checks.
func (w *Fixture) Reload(mr models.MergeRequest) (models.MergeRequest, []models.MergeRequestCheck) {
	w.T.Helper()
	mr, err := w.Store.MergeRequest(w.T.Context(), mr.ProjectID, mr.IID)
	must(w.T, mr, err)
	checks, err := w.Store.Checks(w.T.Context(), mr.ID)
	return mr, must(w.T, checks, err)[mr.ID]
}

// Status is the state of the check of a service on a merge request now, "" for
// none.
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

// Deliveries lists what was recorded for a service, the oldest first.
func (w *Fixture) Deliveries(service models.ExternalStatusCheck) []models.Delivery {
	w.T.Helper()
	list, _, err := w.Store.Deliveries(w.T.Context(), service.ProjectID, service.ID, "", models.Page{})
	must(w.T, 0, err)
	for i, j := 0, len(list)-1; i < j; i, j = i+1, j-1 {
		list[i], list[j] = list[j], list[i]
	}
	return list
}

// PayloadOf reads the payload of a delivery of the fixture.
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
