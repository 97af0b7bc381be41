package models_test

import (
	"slices"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

func autoMerge(t *testing.T, w *modelstest.Fixture, by models.User, mr models.MergeRequest) models.MergeRequest {
	t.Helper()
	set, err := w.Store.AutoMerge(t.Context(), by, mr.ProjectID, mr.IID, models.MergeOptions{SHA: mr.HeadSHA, Role: models.RoleOwner})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// runAutoMerges does what the job does once, and returns how many merges happened.
func runAutoMerges(t *testing.T, w *modelstest.Fixture) int {
	t.Helper()
	claimed, err := w.Store.ClaimAutoMerges(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, mr := range claimed {
		merged, err := w.Store.RunAutoMerge(t.Context(), mr)
		if err != nil {
			t.Fatal(err)
		}
		if merged {
			n++
		}
	}
	return n
}

func assertAborted(t *testing.T, w *modelstest.Fixture, mr models.MergeRequest, want models.AbortReason) {
	t.Helper()
	got, _ := w.Reload(mr)
	if got.State == models.StateMerged || got.HasAutoMerge() || got.AutoMergeAborted != want {
		t.Fatalf("state %s, set %v, aborted %q, want %q", got.State, got.HasAutoMerge(), got.AutoMergeAborted, want)
	}
	events, _, err := w.Store.AuditEvents(t.Context(), mr.ProjectID, models.AuditFilter{Kind: models.AuditKindMergeRequests}, models.Page{})
	if err != nil {
		t.Fatal(err)
	}
	isAbort := func(e models.AuditEvent) bool {
		return e.Action == models.AuditAutoMergeAborted && slices.Contains(e.Details, models.AuditChange{Field: "reason", To: string(want)})
	}
	if !slices.ContainsFunc(events, isAbort) {
		t.Fatalf("no audit event with the reason %q: %+v", want, events)
	}
	if n := runAutoMerges(t, w); n != 0 {
		t.Fatalf("%d merges after the abort", n)
	}
}

// The rule holds with "Status checks must succeed" on and off.
func TestAutoMerge_LastCheckPasses_MergesOnce(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		licence, security := w.Service("licence"), w.Service("security")
		max := w.Member("max", models.RoleMaintainer)
		for _, branch := range []string{"feature", "other"} {
			if branch == "other" {
				w.Git.AddCommit(w.Project.ID, "other", w.Git.Tip(w.Project.ID, "main"))
				requireChecks(t, w)
			}
			mr := w.MergeRequest(branch, "main")
			set, err := w.Store.AutoMerge(t.Context(), max, mr.ProjectID, mr.IID,
				models.MergeOptions{Role: models.RoleMaintainer, Squash: true, Message: "Trim it", RemoveSourceBranch: true})
			if err != nil || !set.HasAutoMerge() || set.State != models.StateOpened || set.AutoMergeUser.Username != "max" {
				t.Fatalf("set: %+v, %v", set, err)
			}
			respond := func(service models.ExternalStatusCheck, status models.Status) {
				if err := w.Respond(mr, service, mr.HeadSHA, status); err != nil {
					t.Fatal(err)
				}
			}
			respond(licence, models.StatusPassed)
			respond(security, models.StatusFailed)
			if n := runAutoMerges(t, w); n != 0 {
				t.Fatal("merged with a failed check")
			}
			respond(security, models.StatusPending)
			if n := runAutoMerges(t, w); n != 0 {
				t.Fatal("merged with a pending check")
			}
			respond(security, models.StatusPassed)
			if n := runAutoMerges(t, w); n != 1 {
				t.Fatalf("%d merges", n)
			}
			merged, err := w.Store.MergeRequest(t.Context(), mr.ProjectID, mr.IID)
			if err != nil || merged.State != models.StateMerged || merged.MergeUser.Username != "max" || merged.SquashCommitSHA == "" || merged.HasAutoMerge() {
				t.Fatalf("merged: %+v, %v", merged, err)
			}
			if w.Git.Tip(w.Project.ID, branch) != "" {
				t.Fatal("the source branch was not removed")
			}
			events := 0
			for _, d := range w.Deliveries(licence) {
				if d.MergeRequestIID == mr.IID && d.Action == models.ActionMerged {
					events++
				}
			}
			if n := runAutoMerges(t, w); n != 0 || events != 1 {
				t.Fatalf("%d more merges, %d merge events", n, events)
			}
		}
	})
}

func TestAutoMerge_AllChecksPassed_MergesAtOnce(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		if got := autoMerge(t, w, w.Owner, w.MergeRequest("feature", "main")); got.State != models.StateMerged {
			t.Fatalf("without checks: %s", got.State)
		}
		service := w.Service("licence")
		w.Git.AddCommit(w.Project.ID, "other", w.Git.Tip(w.Project.ID, "main"))
		mr := w.MergeRequest("other", "main")
		if err := w.Respond(mr, service, mr.HeadSHA, models.StatusPassed); err != nil {
			t.Fatal(err)
		}
		// A check that fails before the lock of the merge: auto-merge is set instead.
		w.Store.SetHooks(models.Hooks{BeforeMergeLock: once(func() {
			if err := w.Respond(mr, service, mr.HeadSHA, models.StatusFailed); err != nil {
				t.Error(err)
			}
		})})
		if got := autoMerge(t, w, w.Owner, mr); got.State != models.StateOpened || !got.HasAutoMerge() {
			t.Fatalf("with a check that failed meanwhile: %s, %v", got.State, got.HasAutoMerge())
		}
	})
}

// Whatever makes auto-merge impossible aborts it, at once or at the attempt, and the
// reason is stored and audited.
func TestAutoMerge_Aborted(t *testing.T) {
	text := func(s string) *string { return &s }
	yes := true
	tests := map[models.AbortReason]func(t *testing.T, w *modelstest.Fixture, mr models.MergeRequest) error{
		models.AbortedByPush: func(_ *testing.T, w *modelstest.Fixture, _ models.MergeRequest) error {
			w.Push("feature")
			return nil
		},
		models.AbortedByClose: func(t *testing.T, w *modelstest.Fixture, mr models.MergeRequest) error {
			_, err := w.Store.CloseMergeRequest(t.Context(), w.Owner, mr.ProjectID, mr.IID)
			return err
		},
		models.AbortedByRetarget: func(t *testing.T, w *modelstest.Fixture, mr models.MergeRequest) error {
			w.Git.SetBranch(mr.ProjectID, "release/1", w.Git.Tip(mr.ProjectID, "main"))
			_, err := w.Store.UpdateMergeRequest(t.Context(), w.Owner, mr.ProjectID, mr.IID, models.MergeRequestUpdate{TargetBranch: text("release/1")})
			return err
		},
		models.AbortReason(models.BlockedDraft): func(t *testing.T, w *modelstest.Fixture, mr models.MergeRequest) error {
			_, err := w.Store.UpdateMergeRequest(t.Context(), w.Owner, mr.ProjectID, mr.IID, models.MergeRequestUpdate{Draft: &yes})
			return err
		},
		models.AbortReason(models.BlockedSourceGone): func(_ *testing.T, w *modelstest.Fixture, mr models.MergeRequest) error {
			w.Git.SetBranch(mr.ProjectID, "feature", "")
			w.RecordPush("feature", mr.HeadSHA, zeroSHA)
			return nil
		},
		models.AbortReason(models.BlockedConflict): func(_ *testing.T, w *modelstest.Fixture, _ models.MergeRequest) error {
			w.Git.Conflicts = []string{"README.md"}
			return nil
		},
		models.AbortReason(models.BlockedTargetGone): func(_ *testing.T, w *modelstest.Fixture, mr models.MergeRequest) error {
			w.Git.SetBranch(mr.ProjectID, "main", "")
			return nil
		},
		models.AbortedByRole: func(t *testing.T, w *modelstest.Fixture, mr models.MergeRequest) error {
			_, err := w.Store.ChangeMember(t.Context(), w.Owner, models.RoleOwner, mr.ProjectID, *mr.AutoMergeUserID, models.RoleDeveloper, "")
			return err
		},
		models.AbortedByUser: func(t *testing.T, w *modelstest.Fixture, mr models.MergeRequest) error {
			_, err := w.Store.DB().Exec("UPDATE users SET blocked = true WHERE username = 'max'")
			return err
		},
	}
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		service := w.Service("licence")
		max := w.Member("max", models.RoleMaintainer)
		main := w.Git.Tip(w.Project.ID, "main")
		for reason, happen := range tests {
			t.Run(string(reason), func(t *testing.T) {
				w.T = t
				w.Git.SetBranch(w.Project.ID, "main", main)
				sha := w.Git.AddCommit(w.Project.ID, "feature", main)
				w.RecordPush("feature", main, sha)
				mr := w.MergeRequest("feature", "main")
				mr = autoMerge(t, w, max, mr)
				if err := happen(t, w, mr); err != nil {
					t.Fatal(err)
				}
				now, _ := w.Reload(mr)
				if err := w.Respond(mr, service, now.HeadSHA, models.StatusPassed); err != nil {
					t.Fatal(err)
				}
				if n := runAutoMerges(t, w); n != 0 {
					t.Fatalf("%d merges", n)
				}
				assertAborted(t, w, mr, reason)
				// Undo what the case changed.
				w.Git.Conflicts = nil
				if _, err := w.Store.DB().Exec("UPDATE users SET blocked = false"); err != nil {
					t.Fatal(err)
				}
				if _, err := w.Store.ChangeMember(t.Context(), w.Owner, models.RoleOwner, mr.ProjectID, max.ID, models.RoleMaintainer, ""); err != nil {
					t.Fatal(err)
				}
				_, err := w.Store.CloseMergeRequest(t.Context(), w.Owner, mr.ProjectID, mr.IID)
				if err != nil && models.CodeOf(err) != models.CodeNotOpen {
					t.Fatal(err)
				}
			})
		}
	})
}

func TestAutoMerge_Refused(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		w.Service("licence")
		mr := w.MergeRequest("feature", "main")
		set := func(o models.MergeOptions) error {
			_, err := w.Store.AutoMerge(t.Context(), w.Owner, mr.ProjectID, mr.IID, o)
			return err
		}
		assertCode(t, set(models.MergeOptions{Role: models.RoleOwner, SHA: zeroSHA}), models.CodeStaleSHA)
		assertCode(t, set(models.MergeOptions{Role: models.RoleDeveloper}), models.CodeProtectedBranch)
		w.Git.Conflicts = []string{"README.md"}
		assertCode(t, set(models.MergeOptions{Role: models.RoleOwner}), models.CodeConflicts)
		w.Git.Conflicts = nil
		yes := true
		if _, err := w.Store.UpdateMergeRequest(t.Context(), w.Owner, mr.ProjectID, mr.IID, models.MergeRequestUpdate{Draft: &yes}); err != nil {
			t.Fatal(err)
		}
		assertCode(t, set(models.MergeOptions{Role: models.RoleOwner}), models.CodeMergeBlocked)
		_, err := w.Store.CancelAutoMerge(t.Context(), w.Owner, mr.ProjectID, mr.IID)
		assertCode(t, err, models.CodeNoAutoMerge)
	})
}

// newDatabase returns another empty database of the same kind.
func newDatabase(t *testing.T, like modelstest.Database) modelstest.Database {
	t.Helper()
	if like.Driver == models.DriverSQLite {
		return modelstest.SQLite(t)
	}
	return modelstest.Postgres(t)
}

// Auto-merge that a bot has set ends with the bot's token.
func TestAutoMerge_TokenOfBotEnded_IsAborted(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		service := w.Service("licence")
		token, err := w.Store.CreateProjectToken(t.Context(), w.Owner, models.RoleOwner, w.Project.ID, models.AccessTokenInput{
			Name: "bot", Scopes: []string{models.ScopeAPI}, ExpiresAt: w.Store.Now().Add(time.Hour), Digest: "bot", Role: models.RoleMaintainer,
		})
		if err != nil {
			t.Fatal(err)
		}
		bot, err := w.Store.User(t.Context(), token.UserID)
		if err != nil {
			t.Fatal(err)
		}
		mr := autoMerge(t, w, bot, w.MergeRequest("feature", "main"))
		w.Clock.Advance(time.Hour)
		if err := w.Respond(mr, service, mr.HeadSHA, models.StatusPassed); err != nil {
			t.Fatal(err)
		}
		if n := runAutoMerges(t, w); n != 0 {
			t.Fatalf("%d merges", n)
		}
		assertAborted(t, w, mr, models.AbortedByUser)
	})
}
