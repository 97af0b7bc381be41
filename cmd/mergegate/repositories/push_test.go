package repositories

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/mergegate/mergegate/gitrepo"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// With real git: a push opens a merge request, the next one moves its HEAD, both
// create deliveries, and the merge moves the target branch.
func TestPushToMerge(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		h := newHost(t, db)
		service := h.Service("approval")
		w := h.clone(h.as("olga", "olga/pear.git"))
		w.git("switch", "--quiet", "-c", "seat-hold")
		first := w.commit("hold.go", "package hold\n")
		out := w.git("push", "origin", "seat-hold")
		contains(t, out, "remote: To create a merge request for seat-hold, visit:",
			h.url+"/olga/pear/-/merge_requests/new?"+url.Values{"merge_request[source_branch]": {"seat-hold"}}.Encode())

		out = w.git("push", "-o", "merge_request.create", "-o", "merge_request.title=Hold a seat", "-o", `mr.description=One\ntwo`,
			"-o", "merge_request.draft", "-o", "ci.skip", "origin", "seat-hold:other")
		contains(t, out, "remote: Created merge request !1 for other:", h.url+"/olga/pear/-/merge_requests/1",
			"remote: The push option ci.skip is unknown to Mergegate and was ignored.")
		mr, err := h.Store.MergeRequest(t.Context(), h.Project.ID, 1)
		if err != nil {
			t.Fatal(err)
		}
		if mr.Title != "Draft: Hold a seat" || mr.Description != "One\ntwo" || !mr.Draft || mr.HeadSHA != first || mr.HeadMessage != "Change hold.go" ||
			mr.TargetBranch != "main" || *mr.AuthorID != h.Owner.ID {
			t.Errorf("merge request %+v", mr)
		}

		second := w.commit("hold.go", "package hold // two\n")
		out = w.git("push", "-o", "merge_request.create", "origin", "seat-hold:other")
		contains(t, out, "remote: View the merge request for other:", h.url+"/olga/pear/-/merge_requests/1")
		if mr, _ = h.Reload(mr); mr.HeadSHA != second {
			t.Errorf("HEAD is %s, pushed was %s", mr.HeadSHA, second)
		}
		deliveries := h.Deliveries(service)
		if len(deliveries) != 2 {
			t.Fatalf("%d deliveries", len(deliveries))
		}
		if p := h.PayloadOf(deliveries[0]); p.Action != models.ActionOpen || p.Head != first {
			t.Errorf("first payload %+v", p)
		}
		if p := h.PayloadOf(deliveries[1]); p.Action != models.ActionUpdate || p.Head != second || p.OldRev != first {
			t.Errorf("second payload %+v", p)
		}
		if pending, err := h.Store.RecoverPushes(t.Context(), true); err != nil || pending != 0 {
			t.Errorf("%d pushes are still pending, %v", pending, err)
		}

		title := "Hold a seat"
		if _, err := h.Store.UpdateMergeRequest(t.Context(), h.Owner, h.Project.ID, 1, models.MergeRequestUpdate{Title: &title}); err != nil {
			t.Fatal(err)
		}
		merged, err := h.Store.Merge(t.Context(), h.Owner, h.Project.ID, 1, models.MergeOptions{Role: models.RoleOwner, RemoveSourceBranch: true})
		if err != nil || merged.State != models.StateMerged {
			t.Fatalf("Merge = %+v, %v", merged, err)
		}
		w.git("fetch", "--quiet", "--prune", "origin")
		if parents := w.git("log", "-1", "--format=%P", "origin/main"); !strings.HasSuffix(parents, " "+second) {
			t.Errorf("main's parents are %s", parents)
		}
		if branches := w.git("branch", "-r"); strings.Contains(branches, "origin/other") {
			t.Errorf("the source branch stays: %s", branches)
		}
		w.git("fetch", "--quiet", "origin", "refs/merge-requests/1/head")
	})
}

// A push to the target that contains HEAD marks the merge request as merged.
func TestPush_ContainsHead_Merges(t *testing.T) {
	h := newHost(t, modelstest.SQLite(t))
	w := h.clone(h.as("olga", "olga/pear"))
	w.git("switch", "--quiet", "-c", "topic")
	w.commit("a", "1\n")
	w.git("push", "-o", "merge_request.create", "origin", "topic")
	contains(t, w.git("push", "origin", "topic:main"), "remote: Merge request !1 is merged by this push:")
	if mr, err := h.Store.MergeRequest(t.Context(), h.Project.ID, 1); err != nil || mr.State != models.StateMerged {
		t.Errorf("%+v, %v", mr, err)
	}
}

func TestPushOptions_Invalid_PushSucceeds(t *testing.T) {
	h := newHost(t, modelstest.SQLite(t))
	w := h.clone(h.as("olga", "olga/pear.git"))
	w.git("push", "origin", "main:same")
	w.git("switch", "--quiet", "-c", "topic")
	for i, c := range []struct {
		options []string
		want    string
	}{
		{[]string{"merge_request.create", "merge_request.target=nowhere"}, "No merge request was created for b0: there is no target branch nowhere."},
		{[]string{"merge_request.create", "merge_request.target=b1"}, "the target branch is the branch itself."},
		{[]string{"merge_request.create", "merge_request.title=" + strings.Repeat("x", 300)}, "the title must have 1 to 255 characters"},
		{[]string{"merge_request.create=perhaps"}, "The push option merge_request.create cannot have the value perhaps and was ignored."},
		{[]string{"merge_request.title=x"}, "The push option merge_request.title does nothing without merge_request.create."},
		{[]string{"merge_request.create", "merge_request.target="}, "The push option merge_request.target needs a value and was ignored."},
		{[]string{"\x1b[31mred=1"}, "The push option ?[31mred is unknown"},
	} {
		branch := fmt.Sprintf("b%d", i)
		w.commit("a", branch)
		args := []string{"push"}
		for _, o := range c.options {
			args = append(args, "-o", o)
		}
		out := w.git(append(args, "origin", "topic:"+branch)...)
		contains(t, out, c.want)
		if _, ok, err := h.git.Repo(h.Project.ID).BranchTip(t.Context(), branch); err != nil || !ok {
			t.Errorf("%v: the push was lost (%v)", c.options, err)
		}
	}
	contains(t, w.git("push", "-o", "merge_request.create", "origin", "main:again"), "No merge request was created for again: it has no commits that main lacks.")
}

func TestPush_ProtectedBranches(t *testing.T) {
	h := newHost(t, modelstest.SQLite(t))
	h.withPassword(h.Member("dora", models.RoleDeveloper))
	owner := h.clone(h.as("olga", "olga/pear"))
	for _, b := range []string{"release/1", "topic", "loose/1"} {
		owner.git("push", "origin", "main:"+b)
	}
	for name, force := range map[string]bool{"release/*": false, "loose/*": true} {
		_, err := h.Store.CreateProtectedBranch(t.Context(), h.Owner, h.Project.ID, models.ProtectedBranchInput{
			Name: name, PushAccessLevel: models.RoleMaintainer, MergeAccessLevel: models.RoleMaintainer, AllowForcePush: force,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	dora := h.clone(h.as("dora", "olga/pear"))
	dora.commit("a", "1\n")
	contains(t, dora.refused("push", "origin", "HEAD:main"), `remote: You are not allowed to push to main: the protected branch rule "main" does not allow it.`)
	contains(t, dora.refused("push", "origin", "HEAD:topic", "HEAD:release/2"), `push to release/2: the protected branch rule "release/*"`)
	if tip, _, _ := h.git.Repo(h.Project.ID).BranchTip(t.Context(), "topic"); tip == dora.git("rev-parse", "HEAD") {
		t.Error("part of a refused push went through")
	}
	dora.git("push", "origin", "HEAD:topic")
	dora.git("push", "--force", "origin", "HEAD~1:topic")
	dora.git("push", "origin", "HEAD:refs/tags/v1")
	dora.git("push", "origin", "--delete", "topic")

	owner.commit("b", "1\n")
	owner.git("push", "origin", "HEAD:main", "HEAD:release/1", "HEAD:loose/1")
	contains(t, owner.refused("push", "--force", "origin", "HEAD~1:release/1"), `You are not allowed to force push to release/1: the protected branch rule "release/*"`)
	owner.git("push", "--force", "origin", "HEAD~1:loose/1")
	contains(t, owner.refused("push", "origin", "--delete", "release/1"), `release/1 cannot be deleted: the protected branch rule "release/*" covers it.`)
	contains(t, owner.refused("push", "origin", "--delete", "main"), "main is the default branch of this project and cannot be deleted.")
}

// Recovery processes a push whose post-receive did not run.
func TestPush_LostPostReceive_IsRecovered(t *testing.T) {
	h := newHost(t, modelstest.SQLite(t))
	w := h.clone(h.as("olga", "olga/pear"))
	w.git("switch", "--quiet", "-c", "topic")
	w.commit("a", "1\n")
	w.git("push", "-o", "merge_request.create", "origin", "topic")
	head := w.commit("a", "2\n")
	h.loseNews.Store(true)
	contains(t, w.git("push", "origin", "topic"), "Your push was received. Mergegate could not process it yet")
	h.loseNews.Store(false)
	if n, err := h.Store.RecoverPushes(t.Context(), true); err != nil || n != 1 {
		t.Errorf("RecoverPushes = %d, %v", n, err)
	}
	if mr, err := h.Store.MergeRequest(t.Context(), h.Project.ID, 1); err != nil || mr.HeadSHA != head {
		t.Errorf("HEAD is %s after the sweep, pushed was %s (%v)", mr.HeadSHA, head, err)
	}
}

func TestPrepareMerge_BlockReasons(t *testing.T) {
	h := newHost(t, modelstest.SQLite(t))
	r := h.git.Repo(h.Project.ID)
	main, _, err := r.BranchTip(t.Context(), "main")
	if err != nil {
		t.Fatal(err)
	}
	lone, err := r.WriteCommit(t.Context(), gitrepo.WriteInput{Branch: "lone", Files: map[string]string{"z": "1"}, Message: "m", Author: identity(h.Owner), When: h.Store.Now()})
	if err != nil {
		t.Fatal(err)
	}
	in := models.MergeInput{TargetSHA: main, SourceSHA: lone, By: h.Owner, At: h.Store.Now()}
	if _, _, err := (Git{h.git}).PrepareMerge(t.Context(), h.Project.ID, in); models.CodeOf(err) != models.CodeMergeBlocked {
		t.Errorf("unrelated commits: %v", err)
	}
	in.SourceSHA = main
	if _, _, err := (Git{h.git}).PrepareMerge(t.Context(), h.Project.ID, in); models.CodeOf(err) != models.CodeMergeBlocked {
		t.Errorf("nothing to merge: %v", err)
	}
	if err := (Git{h.git}).MoveBranch(t.Context(), h.Project.ID, "main", lone, lone); !errors.Is(err, models.ErrRefMoved) {
		t.Errorf("a lost race: %v", err)
	}
}

// Concurrent pushes to different branches all succeed and create events. Of
// concurrent pushes to one new branch, one succeeds and no event is lost.
func TestPush_Concurrent_LosesNothing(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		h := newHost(t, db)
		w := h.clone(h.as("olga", "olga/pear"))
		const n = 5
		heads := make([]string, n)
		for i := range heads {
			w.git("switch", "--quiet", "-c", fmt.Sprintf("t%d", i), "main")
			heads[i] = w.commit("a", fmt.Sprint(i))
		}
		errs := make([]error, 2*n)
		var all sync.WaitGroup
		for i := range heads {
			all.Go(func() {
				_, errs[i] = w.try("push", "-o", "merge_request.create", "origin", fmt.Sprintf("t%d", i))
			})
			all.Go(func() { _, errs[n+i] = w.try("push", "origin", fmt.Sprintf("t%d:same", i)) })
		}
		all.Wait()
		lost := 0
		for i, err := range errs {
			if err != nil && i < n {
				t.Errorf("push of t%d: %v", i, err)
			} else if err != nil {
				lost++
			}
		}
		if lost != n-1 {
			t.Errorf("%d pushes to one branch lost", lost)
		}
		found, _, err := h.Store.MergeRequests(t.Context(), models.MergeRequestFilter{ProjectIDs: []int64{h.Project.ID}, State: models.StateOpened}, models.Page{})
		if err != nil || len(found) != n {
			t.Fatalf("%d merge requests, %v", len(found), err)
		}
		for _, mr := range found {
			var i int
			if _, err := fmt.Sscanf(mr.SourceBranch, "t%d", &i); err != nil || mr.HeadSHA != heads[i] {
				t.Errorf("%s: HEAD is %s", mr.SourceBranch, mr.HeadSHA)
			}
		}
	})
}
