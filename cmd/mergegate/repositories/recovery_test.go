package repositories

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// sweep runs recovery several times, until it has given up on all rows.
func (h *host) sweep() {
	h.T.Helper()
	for _, wait := range []time.Duration{45 * time.Second, time.Hour, time.Hour} {
		h.Clock.Advance(wait)
		if _, err := h.Store.RecoverPushes(h.T.Context(), false); err != nil {
			h.T.Fatal(err)
		}
	}
	h.wantPending(0)
}

func (h *host) wantPending(want int) {
	h.T.Helper()
	var n int
	if err := h.Store.DB().QueryRow("SELECT count(*) FROM pending_pushes").Scan(&n); err != nil || n != want {
		h.T.Errorf("%d pending pushes, want %d (%v)", n, want, err)
	}
}

func (h *host) wantState(want models.MergeRequestState) models.MergeRequest {
	h.T.Helper()
	mr, err := h.Store.MergeRequest(h.T.Context(), h.Project.ID, 1)
	if err != nil || mr.State != want {
		h.T.Errorf("merge request 1 is %s, want %s (%v)", mr.State, want, err)
	}
	return mr
}

// beforePush makes a clone run a script after it has read the remote refs and before
// it pushes.
func (w worktree) beforePush(script string) {
	w.t.Helper()
	hook := filepath.Join(w.dir, ".git", "hooks", "pre-push")
	if err := os.MkdirAll(filepath.Dir(hook), 0o700); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(hook, []byte("#!/bin/sh\nset -e\n"+script), 0o700); err != nil {
		w.t.Fatal(err)
	}
}

// A push that loses the race for main merges and opens nothing, neither at once nor
// in recovery, even if another push moves main again.
func TestPush_LostRace_ChangesNothing(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		h := newHost(t, db)
		a, b := h.clone(h.as("olga", "olga/pear")), h.clone(h.as("olga", "olga/pear"))
		a.git("switch", "--quiet", "-c", "topic")
		a.commit("topic", "1\n")
		a.git("push", "-o", "merge_request.create", "origin", "topic")
		a.git("switch", "--quiet", "main")
		a.git("merge", "--quiet", "--no-ff", "-m", "Merge topic", "topic")
		b.commit("other", "1\n")
		a.beforePush("git -C '" + b.dir + "' push --quiet origin main\n")
		contains(t, a.refused("push", "-o", "merge_request.create", "origin", "main", "main:opened"), "[remote rejected] main -> main")
		h.wantPending(0)
		h.sweep()
		h.wantState(models.StateOpened)
		b.commit("other", "2\n")
		b.git("push", "origin", "main")
		h.sweep()
		h.wantState(models.StateOpened)
	})
}

// A locked ref does not move and has no effects; with --atomic, neither do the other
// refs of the push.
func TestPush_LockedRef_ChangesNothing(t *testing.T) {
	h := newHost(t, modelstest.SQLite(t))
	w := h.clone(h.as("olga", "olga/pear"))
	w.git("switch", "--quiet", "-c", "topic")
	w.commit("topic", "1\n")
	w.git("push", "-o", "merge_request.create", "origin", "topic")
	w.git("switch", "--quiet", "main")
	w.git("merge", "--quiet", "--no-ff", "-m", "Merge topic", "topic")
	unlock := h.lock("main")
	w.refused("push", "--atomic", "-o", "merge_request.create", "origin", "main", "main:first")
	w.refused("push", "-o", "merge_request.create", "-o", "merge_request.target=topic", "origin", "main", "main:second")
	unlock()
	h.sweep()
	h.wantState(models.StateOpened)
	list, _, err := h.Store.MergeRequests(t.Context(), models.MergeRequestFilter{ProjectIDs: []int64{h.Project.ID}}, models.Page{})
	if err != nil || len(list) != 2 || list[0].SourceBranch != "second" && list[1].SourceBranch != "second" {
		t.Errorf("%d merge requests, want that of topic and of second: %+v, %v", len(list), list, err)
	}
}

// lock locks a branch until unlock. The lock file has a time in the future, so it is
// not removed as stale.
func (h *host) lock(branch string) (unlock func()) {
	h.T.Helper()
	lock := filepath.Join(h.folder(h.Project.ID), "refs", "heads", branch+".lock")
	if err := os.WriteFile(lock, nil, 0o600); err != nil {
		h.T.Fatal(err)
	}
	future := time.Now().Add(100 * time.Hour)
	if err := os.Chtimes(lock, future, future); err != nil {
		h.T.Fatal(err)
	}
	return func() {
		if err := os.Remove(lock); err != nil {
			h.T.Fatal(err)
		}
	}
}

// The server died after the refs moved and before post-receive. Recovery processes
// the push for its user, even if the branch has moved since. It does not process a
// rejected push whose commits another user pushed later.
func TestPush_Interrupted_RecoveredByReflog(t *testing.T) {
	for name, later := range map[string]func(w worktree){
		"nothing": func(worktree) {},
		"push":    func(w worktree) { w.commit("later", "1\n"); w.git("push", "origin", "HEAD:main") },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, modelstest.SQLite(t))
			max := h.withPassword(h.Member("max", models.RoleMaintainer))
			w := h.clone(h.as("olga", "olga/pear"))
			base := w.git("rev-parse", "HEAD")
			w.git("switch", "--quiet", "-c", "topic")
			w.commit("topic", "1\n")
			w.git("push", "-o", "merge_request.create", "origin", "topic")
			merged := w.commit("more", "1\n")
			// Somebody's push of the same commits that git refused before the
			// server died, so that nothing could delete its row.
			refused := []models.RefUpdate{{Ref: "refs/heads/main", Old: base, New: merged}}
			if _, err := h.Store.PreparePush(t.Context(), h.User("eve"), h.Project.ID, "req_refused", refused, models.PushOptions{}); err != nil {
				t.Fatal(err)
			}
			h.loseNews.Store(true)
			w.git("push", h.as("max", "olga/pear"), "topic:main")
			h.loseNews.Store(false)
			h.wantPending(2)
			later(w)
			h.sweep()
			if mr := h.wantState(models.StateMerged); mr.MergeUserID == nil || *mr.MergeUserID != max.ID {
				t.Errorf("merged by %v, want max", mr.MergeUserID)
			}
		})
	}
}

// A reflog entry has the request id of its push and is deleted with the branch.
func TestBranchLog(t *testing.T) {
	h := newHost(t, modelstest.SQLite(t))
	w := h.clone(h.as("olga", "olga/pear"))
	first := w.commit("a", "1\n")
	w.git("push", "origin", "HEAD:topic")
	second := w.commit("a", "2\n")
	w.git("push", "origin", "HEAD:topic")
	log, err := Git{h.git}.BranchLog(t.Context(), h.Project.ID, "topic")
	if err != nil || len(log) != 2 || log[0].SHA != second || log[1].SHA != first || log[0].RequestID == log[1].RequestID {
		t.Fatalf("%+v, %v", log, err)
	}
	contains(t, log[0].RequestID, "req_")
	w.git("push", "origin", "--delete", "topic")
	w.git("push", "origin", "HEAD:topic")
	if log, err = (Git{h.git}).BranchLog(t.Context(), h.Project.ID, "topic"); err != nil || len(log) != 1 {
		t.Errorf("after the branch was created again: %+v, %v", log, err)
	}
	if log, err = (Git{h.git}).BranchLog(t.Context(), h.Project.ID, "nowhere"); err != nil || len(log) != 0 {
		t.Errorf("of no branch: %+v, %v", log, err)
	}
}

// A missing repository does not stop the recovery of others.
func TestRecoverPushes_MissingRepository_Continues(t *testing.T) {
	h := newHost(t, modelstest.SQLite(t))
	gone := h.project("gone", models.VisibilityPrivate)
	zero := "0000000000000000000000000000000000000000"
	if _, err := h.Store.PreparePush(t.Context(), h.Owner, gone.ID, "req_gone", []models.RefUpdate{{Ref: "refs/heads/x", Old: zero, New: zero[1:] + "1"}}, models.PushOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(h.folder(gone.ID), h.folder(gone.ID)+".away"); err != nil {
		t.Fatal(err)
	}
	w := h.clone(h.as("olga", "olga/pear"))
	w.git("switch", "--quiet", "-c", "topic")
	w.commit("a", "1\n")
	h.loseNews.Store(true)
	w.git("push", "-o", "merge_request.create", "origin", "topic:main")
	w.git("push", "-o", "merge_request.create", "origin", "topic:two", "main:three")
	h.loseNews.Store(false)
	h.Clock.Advance(time.Minute)
	if n, err := h.Store.RecoverPushes(t.Context(), false); err == nil {
		t.Errorf("swept %d, no error about the missing repository", n)
	}
	h.wantPending(1)
	h.Clock.Advance(25 * time.Hour)
	if _, err := h.Store.RecoverPushes(t.Context(), false); err == nil {
		t.Error("giving up is not reported")
	}
	h.wantPending(0)
}

// A backup can have the row of a merge that had begun without its prepared commit, which
// no ref reaches. That merge did not happen.
func TestRecoverMerges_PreparedCommitIsMissing_ClearsMerge(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		h := newHost(t, db)
		w := h.clone(h.as("olga", "olga/pear"))
		w.git("switch", "--quiet", "-c", "topic")
		w.commit("a", "1\n")
		w.git("push", "-o", "merge_request.create", "origin", "topic")
		_, err := db.SQL(t).Exec("UPDATE merge_requests SET merging_sha = $1, merging_head_sha = head_sha, merging_started_at = created_at",
			strings.Repeat("1", 40))
		if err != nil {
			t.Fatal(err)
		}
		if n, err := h.Store.RecoverMerges(t.Context(), true); n != 0 || err != nil {
			t.Errorf("RecoverMerges = %d, %v", n, err)
		}
		if mr := h.wantState(models.StateOpened); mr.MergingSHA != "" || mr.MergingStartedAt != nil {
			t.Errorf("the merge is still announced: %+v", mr)
		}
	})
}
