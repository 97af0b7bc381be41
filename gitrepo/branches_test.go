package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
)

func TestResolve(t *testing.T) {
	r := newStore(t, Options{}).Repo(1)
	sha := write(t, r, "main", "", "First", map[string]string{"a": "1"})
	if err := r.UpdateRef(t.Context(), "refs/tags/v1", sha, ZeroID); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"main", "v1", sha, sha[:8], strings.ToUpper(sha)} {
		if got, err := r.Resolve(t.Context(), name); err != nil || got != sha {
			t.Errorf("Resolve(%q) = %q, %v", name, got, err)
		}
	}
	for _, name := range []string{"", "nothing", "--help", "main^", "main@{0}", "HEAD", sha[:6], unknownID, "main:a", "a\x00b", "\xff"} {
		if got, err := r.Resolve(t.Context(), name); !errors.Is(err, ErrNotFound) {
			t.Errorf("Resolve(%q) = %q, %v", name, got, err)
		}
		if _, ok, err := r.BranchTip(t.Context(), name); ok || err != nil {
			t.Errorf("BranchTip(%q) = %v, %v", name, ok, err)
		}
	}
}

// The tip is the same whether it is read from a file or by git: in a file of its own, in
// packed-refs, in both, behind a symbolic ref, and after a deletion.
func TestBranchTip_EveryStorage_AgreesWithGit(t *testing.T) {
	r := newStore(t, Options{}).Repo(1)
	first := write(t, r, "main", "", "First", map[string]string{"a": "1"})
	second := write(t, r, "topic/x", first, "Second", map[string]string{"a": "2"})
	git := func(args ...string) {
		t.Helper()
		if _, err := r.git(t.Context(), args...); err != nil {
			t.Fatal(err)
		}
	}
	assertTip := func(branch, want string, stored bool) {
		t.Helper()
		sha, ok, err := r.BranchTip(t.Context(), branch)
		asked, found, gitErr := r.refTip(t.Context(), "refs/heads/"+branch)
		if err != nil || gitErr != nil || sha != want || asked != want || ok != found || ok != (want != "") {
			t.Errorf("BranchTip(%s) = %q, %v, %v; git says %q, %v, %v", branch, sha, ok, err, asked, found, gitErr)
		}
		if got := r.storedTip(branch); got != "" && got != want || (got != "") != stored {
			t.Errorf("storedTip(%s) = %q, want a result: %v", branch, got, stored)
		}
	}
	assertTip("main", first, true)
	assertTip("topic/x", second, true)
	assertTip("topic", "", false)
	git("pack-refs", "--all", "--prune")
	assertTip("main", first, true)
	assertTip("topic/x", second, true)
	assertTip("x", "", false)
	git("update-ref", "refs/heads/main", second)
	assertTip("main", second, true)
	git("update-ref", "-d", "refs/heads/topic/x")
	assertTip("topic/x", "", false)
	git("symbolic-ref", "refs/heads/alias", "refs/heads/main")
	assertTip("alias", second, false)
}

// The stamp changes with every move of the branch, with loose and with packed refs.
func TestBranchStamp_Changes(t *testing.T) {
	r := newStore(t, Options{}).Repo(1)
	seen := map[string]string{}
	note := func(step string) {
		t.Helper()
		stamp := r.BranchStamp("main")
		if earlier, found := seen[stamp]; found {
			t.Errorf("the stamp after %s is that after %s: %q", step, earlier, stamp)
		}
		seen[stamp] = step
		if again := r.BranchStamp("main"); again != stamp {
			t.Errorf("after %s it is %q, then %q", step, stamp, again)
		}
	}
	note("nothing")
	sha := write(t, r, "main", "", "First", map[string]string{"a": "1"})
	note("the first commit")
	write(t, r, "main", sha, "Second", map[string]string{"a": "2"})
	note("the second")
	if _, err := r.git(t.Context(), "pack-refs", "--all"); err != nil {
		t.Fatal(err)
	}
	note("packing")
	if _, err := r.git(t.Context(), "update-ref", "-d", "refs/heads/main"); err != nil {
		t.Fatal(err)
	}
	note("deletion")
	if got := r.BranchStamp("../HEAD"); got != "" {
		t.Errorf("of an invalid name: %q", got)
	}
}

func TestBranches(t *testing.T) {
	r := newStore(t, Options{}).Repo(1)
	if page, total, err := r.Branches(t.Context(), "", 0, 10); err != nil || total != 0 || len(page) != 0 {
		t.Errorf("no branches: %v, %d, %v", page, total, err)
	}
	sha := write(t, r, "main", "", "First", map[string]string{"a": "1"})
	for _, name := range []string{"release/1", "Release/2", "topic"} {
		write(t, r, name, sha, "On "+name, map[string]string{"b": name})
	}
	page, total, err := r.Branches(t.Context(), "release", 1, 5)
	if err != nil || total != 2 || len(page) != 1 || page[0].Name != "release/1" || page[0].Commit.Title != "On release/1" {
		t.Errorf("Branches = %+v, %d, %v", page, total, err)
	}
	if page, _, err := r.Branches(t.Context(), "", 0, 2, "topic"); err != nil || len(page) != 2 || page[0].Name != "topic" || page[1].Name != "Release/2" {
		t.Errorf("with one before the others: %+v, %v", page, err)
	}
	if page, total, err := r.Branches(t.Context(), "", 99, 5); err != nil || total != 4 || len(page) != 0 {
		t.Errorf("page beyond the end = %v, %d, %v", page, total, err)
	}
	for _, packed := range []bool{false, true} {
		if packed {
			if _, err := r.git(t.Context(), "pack-refs", "--all"); err != nil {
				t.Fatal(err)
			}
		}
		for branch, want := range map[string]bool{"main": true, "release/1": true, "Release/2": true, "release": false, "ain": false, "nothing": false, "../HEAD": false, "": false} {
			if got, err := r.HasBranch(t.Context(), branch); got != want || err != nil {
				t.Errorf("packed %v: HasBranch(%q) = %v, %v", packed, branch, got, err)
			}
		}
	}
	if _, err := r.store.Repo(99).HasBranch(t.Context(), "main"); !errors.Is(err, ErrNotFound) {
		t.Errorf("no repository: %v", err)
	}
	names, total, err := r.RecentBranches(t.Context(), "E", "topic", 2)
	if err != nil || total != 2 || len(names) != 2 || names[0] != "Release/2" || names[1] != "release/1" {
		t.Errorf("RecentBranches of a search = %q, %d, %v", names, total, err)
	}
	if names, total, err := r.RecentBranches(t.Context(), "", "topic", 2); err != nil || total != 4 || len(names) != 2 || names[0] != "topic" {
		t.Errorf("RecentBranches with one first = %q, %d, %v", names, total, err)
	}
	if tips, err := r.Tips(t.Context()); err != nil || len(tips) != 4 || tips["main"] != sha {
		t.Errorf("Tips = %v, %v", tips, err)
	}
}

func TestUpdateRef_CompareAndSwap(t *testing.T) {
	r := newStore(t, Options{}).Repo(1)
	base := write(t, r, "main", "", "Base", map[string]string{"a": "0"})
	next := make([]string, 6)
	for i := range next {
		next[i] = write(t, r, fmt.Sprintf("n%d", i), base, "Next", map[string]string{"a": fmt.Sprint(i)})
	}
	var wins, moved int
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, sha := range next {
		all.Go(func() {
			err := r.UpdateRef(context.Background(), "refs/heads/main", sha, base)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				wins++
			case errors.Is(err, ErrRefMoved):
				moved++
			default:
				t.Errorf("UpdateRef: %v", err)
			}
		})
	}
	all.Wait()
	if wins != 1 || moved != len(next)-1 {
		t.Errorf("%d won and %d lost", wins, moved)
	}
	if err := r.UpdateRef(t.Context(), "refs/heads/n0", base, ZeroID); !errors.Is(err, ErrRefMoved) {
		t.Errorf("creating what exists: %v", err)
	}
	if err := r.DeleteRef(t.Context(), "refs/heads/n0", base); !errors.Is(err, ErrRefMoved) {
		t.Errorf("deleting what is elsewhere: %v", err)
	}
	if err := r.UpdateRef(t.Context(), "refs/heads/n9", unknownID, ZeroID); err == nil || errors.Is(err, ErrRefMoved) {
		t.Errorf("a ref to nothing: %v", err)
	}
	for _, ref := range []string{"HEAD", "refs/heads", "refs/heads/../x", "--stdin", "refs/heads/a b"} {
		if err := r.UpdateRef(t.Context(), ref, base, ZeroID); err == nil {
			t.Errorf("UpdateRef(%q) succeeded", ref)
		}
	}
}

// A full object id means the object, even if a branch has this name. No new branch
// or tag can have such a name.
func TestResolve_NamesThatAreObjectIDs(t *testing.T) {
	h := newGitHost(t, Options{})
	r := h.store.Repo(1)
	c := newClient(t, h.url)
	first := c.commit("a", "1")
	second := c.commit("a", "2")
	c.git("push", "--quiet", "origin", "main")
	long := strings.Repeat("0a", 32)
	for _, name := range []string{first, strings.ToUpper(first), long} {
		for _, kind := range []string{"heads", "tags"} {
			contains(t, c.refused("push", "origin", second+":refs/"+kind+"/"+name), "is an object id")
		}
	}
	for _, name := range []string{"evil\u202egnp", "iso\u2066late", "mark\u200f"} {
		contains(t, c.refused("push", "origin", second+":refs/heads/"+name), "bidirectional control characters")
	}
	c.git("push", "--quiet", "origin", second+":refs/heads/"+first[:39], second+":refs/heads/fix/"+first)
	if _, err := r.WriteCommit(t.Context(), WriteInput{Branch: first, Files: map[string]string{"a": "1"}, Message: "m", Author: ada, When: when}); err == nil {
		t.Error("WriteCommit made a branch that is called like an id")
	}

	// One that is there already, from before or by hand.
	for _, ref := range []string{"refs/heads/" + first, "refs/tags/" + first, "refs/heads/" + long} {
		if err := r.UpdateRef(t.Context(), ref, second, ZeroID); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{first: first, strings.ToUpper(first): first, long: second, first[:39]: second} {
		if got, err := r.Resolve(t.Context(), name); got != want {
			t.Errorf("%s is %s, %v; want %s", name, got, err, want)
		}
	}
	contains(t, c.refused("push", "--force", "origin", first+":refs/heads/"+long), "is an object id")
	c.git("push", "--quiet", "origin", ":refs/heads/"+first)
}
