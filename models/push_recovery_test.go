package models_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

const zeroSHA = "0000000000000000000000000000000000000000"

// interruptedPush is a push by dana of two branches: main, to a commit that contains
// HEAD of an open merge request, and the new branch topic, with the push option to open
// a merge request.
type interruptedPush struct {
	*modelstest.Fixture
	t         *testing.T
	dana, max models.User
	request   string
	base      string // main before the push
	main      string // the pushed commit of main
	topic     string // the pushed commit of topic
	pending   int64
	end       func()
	pushes    int
	mr        models.MergeRequest
	service   models.ExternalStatusCheck
	moved     map[string]bool // branches that the push itself moved
	processed bool            // post-receive was processed
}

func (p *interruptedPush) update(branch string) models.RefUpdate {
	if branch == "main" {
		return models.RefUpdate{Ref: "refs/heads/main", Old: p.base, New: p.main}
	}
	return models.RefUpdate{Ref: "refs/heads/topic", Old: zeroSHA, New: p.topic}
}

var createByOption = models.PushOptions{Create: true, Title: "By option"}

// preReceive does what happens up to the end of the pre-receive hook.
func (p *interruptedPush) preReceive() {
	end := p.Store.BeginPush(p.Project.ID, p.request)
	p.end = func() {
		if err := end(p.t.Context()); err != nil {
			p.t.Log(err)
		}
	}
	var err error
	p.pending, err = p.Store.PreparePush(p.t.Context(), p.dana, p.Project.ID, p.request,
		[]models.RefUpdate{p.update("main"), p.update("topic")}, createByOption)
	if err != nil {
		p.t.Fatal(err)
	}
}

// move moves branches as git receive-pack does.
func (p *interruptedPush) move(branches ...string) {
	for _, branch := range branches {
		p.Git.MoveByPush(p.Project.ID, p.request, branch, p.update(branch).New)
		p.moved[branch] = true
	}
}

// postReceive processes the moved branches, as the post-receive hook does.
func (p *interruptedPush) postReceive() error {
	var updates []models.RefUpdate
	for _, branch := range []string{"main", "topic"} {
		if p.moved[branch] {
			updates = append(updates, p.update(branch))
		}
	}
	_, err := p.Store.Push(p.t.Context(), models.PushInput{
		ProjectID: p.Project.ID, By: p.dana, Updates: updates, Options: createByOption, PendingID: p.pending,
	})
	return err
}

// crash simulates the end of the process.
func (p *interruptedPush) crash() { p.Store.ForgetRunningPushes() }

// pushByMax is a complete push by max. An empty sha deletes the branch.
func (p *interruptedPush) pushByMax(branch, sha string) {
	p.pushes++
	request, old := fmt.Sprint("other-", p.Project.ID, "-", p.pushes), p.Git.Tip(p.Project.ID, branch)
	if old == sha {
		return
	}
	update := models.RefUpdate{Ref: "refs/heads/" + branch, Old: old, New: sha}
	if old == "" {
		update.Old = zeroSHA
	}
	if sha == "" {
		update.New = zeroSHA
	}
	updates := []models.RefUpdate{update}
	end := p.Store.BeginPush(p.Project.ID, request)
	pending, err := p.Store.PreparePush(p.t.Context(), p.max, p.Project.ID, request, updates, models.PushOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
	p.Git.MoveByPush(p.Project.ID, request, branch, sha)
	if _, err := p.Store.Push(p.t.Context(), models.PushInput{ProjectID: p.Project.ID, By: p.max, Updates: updates, PendingID: pending}); err != nil {
		p.t.Fatal(err)
	}
	if err := end(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
}

// pushEnds are the ways in which a push can end after its pre-receive hook.
var pushEnds = map[string]func(p *interruptedPush){
	"success": func(p *interruptedPush) {
		p.move("main", "topic")
		if err := p.postReceive(); err != nil {
			p.t.Fatal(err)
		}
		p.processed = true
		p.end()
	},
	"overwritten before its post-receive": func(p *interruptedPush) {
		p.move("main", "topic")
		p.pushByMax("main", p.Git.NewCommit(p.base))
		if err := p.postReceive(); err != nil {
			p.t.Fatal(err)
		}
		p.processed = true
		p.moved["main"] = false // overwritten
		p.end()
	},
	"every ref is locked": func(p *interruptedPush) { p.end() },
	"one ref is locked": func(p *interruptedPush) {
		p.move("topic")
		if err := p.postReceive(); err != nil {
			p.t.Fatal(err)
		}
		p.processed = true
		p.end()
	},
	"lost race": func(p *interruptedPush) {
		p.pushByMax("main", p.Git.NewCommit(p.base))
		p.pushByMax("topic", p.Git.NewCommit(p.base))
		p.end()
	},
	"atomic and refused": func(p *interruptedPush) {
		p.pushByMax("main", p.Git.NewCommit(p.base))
		p.end()
	},
	"killed before the refs":    func(p *interruptedPush) { p.crash() },
	"killed between two refs":   func(p *interruptedPush) { p.move("main"); p.crash() },
	"killed after the refs":     func(p *interruptedPush) { p.move("main", "topic"); p.crash() },
	"post-receive has not run":  func(p *interruptedPush) { p.move("main", "topic"); p.end(); p.processed = true },
	"post-receive failed":       func(p *interruptedPush) { p.failPostReceive(); p.end(); p.processed = true },
	"post-receive and end fail": func(p *interruptedPush) { p.failPostReceive(); p.withFailingCommit(p.end) },
}

func (p *interruptedPush) withFailingCommit(do func()) {
	p.Store.SetHooks(models.Hooks{BeforePushCommit: func() error { return errors.New("the database went away") }})
	do()
	p.Store.SetHooks(models.Hooks{})
}

func (p *interruptedPush) failPostReceive() {
	p.move("main", "topic")
	p.withFailingCommit(func() {
		if p.postReceive() == nil {
			p.t.Fatal("post-receive did not fail")
		}
	})
}

// laterMove is a change of both branches. survives says that the interrupted push is
// still visible afterwards, containsHead that the change itself brings HEAD into main.
type laterMove struct {
	do                     func(p *interruptedPush)
	survives, containsHead bool
}

// laterMoves are changes of both branches between an interrupted push and its recovery.
var laterMoves = map[string]laterMove{
	"nothing": {func(*interruptedPush) {}, true, false},
	"push": {func(p *interruptedPush) {
		for _, branch := range []string{"main", "topic"} {
			if tip := p.Git.Tip(p.Project.ID, branch); tip != "" {
				p.pushByMax(branch, p.Git.NewCommit(tip))
			}
		}
	}, true, false},
	"push of the same commit": {func(p *interruptedPush) {
		p.pushByMax("main", p.main)
		p.pushByMax("topic", p.topic)
	}, true, true},
	"push of a commit that contains it": {func(p *interruptedPush) {
		p.pushByMax("main", p.Git.NewCommit(p.main))
		p.pushByMax("topic", p.Git.NewCommit(p.topic))
	}, true, true},
	"force push": {func(p *interruptedPush) {
		p.pushByMax("main", p.Git.NewCommit(p.base))
		p.pushByMax("topic", p.Git.NewCommit(p.base))
	}, false, false},
	"merge": {func(p *interruptedPush) {
		mr := p.MergeRequest("second", "main")
		if _, err := p.Store.Merge(p.t.Context(), p.max, mr.ProjectID, mr.IID, models.MergeOptions{Role: models.RoleOwner}); err != nil {
			p.t.Fatal(err)
		}
	}, true, false},
	"deletion": {func(p *interruptedPush) {
		p.pushByMax("main", "")
		p.pushByMax("topic", "")
	}, false, false},
	"re-creation": {func(p *interruptedPush) {
		p.pushByMax("main", "")
		p.pushByMax("topic", "")
		p.pushByMax("main", p.main)
		p.pushByMax("topic", p.topic)
	}, false, false},
}

// Whatever the push itself moved is processed once and in the name of its pusher, and
// nothing else is.
func TestExhaustiveRecoverPushes_EveryEndingAndLaterMove(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		dana, max := w.User("dana"), w.User("max")
		n := 0
		for ending, end := range pushEnds {
			for moving, later := range laterMoves {
				n++
				w.Project = w.NewProject(w.Owner, fmt.Sprint("p", n), models.VisibilityPrivate)
				t.Run(ending+", "+moving, func(t *testing.T) {
					p := &interruptedPush{Fixture: w, t: t, dana: dana, max: max, request: fmt.Sprint("req-", n), moved: map[string]bool{}}
					p.service, p.mr = p.Service("licence"), p.MergeRequest("feature", "main")
					p.base = p.Git.Tip(p.Project.ID, "main")
					p.Git.AddCommit(p.Project.ID, "second", p.base)
					p.main, p.topic = p.Git.NewCommit(p.base, p.mr.HeadSHA), p.Git.NewCommit(p.base)
					p.preReceive()
					end(p)
					later.do(p)
					p.recover()
					p.assertState(later)
				})
			}
		}
	})
}

// recover runs recovery until no push is pending.
func (p *interruptedPush) recover() {
	p.t.Helper()
	for _, wait := range []time.Duration{time.Minute, time.Hour, time.Minute} {
		p.Clock.Advance(wait)
		if _, err := p.Store.RecoverPushes(p.t.Context(), false); err != nil {
			p.t.Fatal(err)
		}
	}
	var left int
	if err := p.Store.DB().QueryRow("SELECT count(*) FROM pending_pushes").Scan(&left); err != nil || left != 0 {
		p.t.Fatalf("%d pending pushes left, %v", left, err)
	}
}

// assertState compares the store with what git did.
func (p *interruptedPush) assertState(later laterMove) {
	p.t.Helper()
	mr, _ := p.Reload(p.mr)
	want := ""
	switch {
	case p.moved["main"] && (p.processed || later.survives):
		want = "dana"
	case !p.moved["main"] && later.containsHead:
		want = "max"
	}
	got := ""
	if mr.State == models.StateMerged {
		got = mr.MergeUser.Username
	}
	if got != want {
		p.t.Errorf("merged by %q, want %q", got, want)
	}
	events := 0
	for _, d := range p.Deliveries(p.service) {
		if d.Action == models.ActionMerged && p.PayloadOf(d).Head == mr.HeadSHA {
			events++
		}
	}
	if (events == 1) != (mr.State == models.StateMerged) {
		p.t.Errorf("%d merge events, and it is %s", events, mr.State)
	}
	created, _, err := p.Store.MergeRequests(p.t.Context(),
		models.MergeRequestFilter{ProjectIDs: []int64{p.Project.ID}, SourceBranch: "topic"}, models.Page{})
	if err != nil {
		p.t.Fatal(err)
	}
	number := 0
	if p.moved["topic"] && (p.processed || later.survives) {
		number = 1
	}
	if len(created) != number {
		p.t.Errorf("%d merge requests by the push option, want %d", len(created), number)
	}
}

// A push stores all that it changes of a merge request and of its checks.
func TestPush_Stored_EqualsWhatItReturns(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		service := w.Service("lint")
		mr := w.MergeRequest("feature", "main")
		text := func(mr models.MergeRequest) string {
			mr.Author, mr.AutoMergeUser = nil, nil
			encoded, err := json.Marshal(mr)
			if err != nil {
				t.Fatal(err)
			}
			return string(encoded)
		}
		for _, withAutoMerge := range []bool{false, true} {
			before, _ := w.Reload(mr)
			if err := w.Respond(before, service, before.HeadSHA, models.StatusFailed); err != nil {
				t.Fatal(err)
			}
			if withAutoMerge {
				autoMerge(t, w, w.Owner, before)
			}
			w.Clock.Advance(time.Second)
			tip := w.Git.AddCommit(w.Project.ID, "feature", before.HeadSHA)
			returned := w.RecordPush("feature", before.HeadSHA, tip)[0].Open[0]
			stored, checks := w.Reload(mr)
			if text(returned) != text(stored) || stored.HeadSHA != tip || !stored.UpdatedAt.Equal(w.Clock.Now()) || stored.HasAutoMerge() {
				t.Errorf("returned %s\nstored   %s", text(returned), text(stored))
			}
			if c := checks[0]; c.Status != models.StatusPending || c.SHA != tip || c.SettledAt != nil || !c.PendingSince.Equal(w.Clock.Now()) {
				t.Errorf("check %+v", c)
			}
		}
	})
}
