package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"
)

const unknownID = "1234567890123456789012345678901234567890"

func TestCommitAndLog(t *testing.T) {
	r := newStore(t, Options{}).Repo(1)
	first := write(t, r, "main", "", "First\n\nbody", map[string]string{"a": "1"})
	second := write(t, r, "main", "", "Second", map[string]string{"a": "2"})
	topic := write(t, r, "topic", first, "Topic", map[string]string{"b": "1"})

	c, err := r.Commit(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	if c.SHA != first || c.Title != "First" || c.Message != "First\n\nbody" || len(c.ParentSHAs) != 0 ||
		c.AuthorName != "Ada" || c.CommitterEmail != "ada@example.com" || !c.AuthoredAt.Equal(when) || !c.CommittedAt.Equal(when) {
		t.Errorf("Commit = %+v", c)
	}
	log, err := r.Log(t.Context(), "", second, 0, 10)
	if err != nil || len(log) != 2 || log[0].SHA != second || !slices.Equal(log[0].ParentSHAs, []string{first}) {
		t.Errorf("Log = %+v, %v", log, err)
	}
	if log, err := r.Log(t.Context(), "", second, 1, 1); err != nil || len(log) != 1 || log[0].SHA != first {
		t.Errorf("second page = %+v, %v", log, err)
	}
	if log, err := r.Log(t.Context(), second, topic, 0, 10); err != nil || len(log) != 1 || log[0].SHA != topic {
		t.Errorf("Log of a branch = %+v, %v", log, err)
	}
	if n, err := r.Count(t.Context(), topic, second); err != nil || n != 1 {
		t.Errorf("Count = %d, %v", n, err)
	}
	if base, ok, err := r.MergeBase(t.Context(), second, topic); err != nil || !ok || base != first {
		t.Errorf("MergeBase = %s, %v, %v", base, ok, err)
	}
	for _, c := range []struct {
		ancestor, descendant string
		want                 bool
	}{{first, second, true}, {second, first, false}, {second, topic, false}, {first, first, true}} {
		if got, err := r.IsAncestor(t.Context(), c.ancestor, c.descendant); err != nil || got != c.want {
			t.Errorf("IsAncestor(%.7s, %.7s) = %v, %v", c.ancestor, c.descendant, got, err)
		}
	}
	reached, err := r.Reached(t.Context(), first, second, []string{first, second, topic, unknownID})
	if err != nil || len(reached) != 4 || !reached[second] || reached[first] || reached[topic] || reached[unknownID] {
		t.Errorf("Reached = %v, %v", reached, err)
	}
	lone := write(t, r, "lone", "", "Lone", map[string]string{"z": "1"})
	if _, ok, err := r.MergeBase(t.Context(), second, lone); ok || err != nil {
		t.Errorf("MergeBase of unrelated commits = %v, %v", ok, err)
	}
}

// Only full ids reach git as revisions, and an unknown id is distinguished from a
// damaged repository.
func TestRepo_UnknownIDs_ReturnErrNotFound(t *testing.T) {
	r := newStore(t, Options{}).Repo(1)
	sha := write(t, r, "main", "", "First", map[string]string{"a": "1"})
	for _, bad := range []string{unknownID, "main", "--help", "--output=/tmp/x", "HEAD", "", sha + "\n", sha[:10], "^" + sha[1:]} {
		for name, err := range map[string]error{
			"Commit":     second(r.Commit(t.Context(), bad)),
			"Log":        second(r.Log(t.Context(), sha, bad, 0, 1)),
			"Count":      second(r.Count(t.Context(), sha, bad)),
			"IsAncestor": second(r.IsAncestor(t.Context(), bad, sha)),
			"MergeBase":  third(r.MergeBase(t.Context(), sha, bad)),
			"Conflicts":  second(r.Conflicts(t.Context(), sha, bad)),
			"Merge":      second(r.PrepareMerge(t.Context(), MergeInput{TargetSHA: sha, SourceSHA: bad, When: when})),
		} {
			if !errors.Is(err, ErrNotFound) {
				t.Errorf("%s of %q: %v", name, bad, err)
			}
		}
		for name, err := range map[string]error{
			"Diff": second(r.Diff(t.Context(), sha, "x"+bad, DiffLimits{})),
			"Tree": second(r.Tree(t.Context(), bad, "")),
		} {
			if !errors.Is(err, ErrNotFound) {
				t.Errorf("%s of %q: %v", name, bad, err)
			}
		}
	}
	if _, err := r.Diff(t.Context(), sha, unknownID, DiffLimits{}); !errors.Is(err, ErrNotFound) {
		t.Errorf("Diff with an unknown commit: %v", err)
	}
}

func second[A any](_ A, err error) error        { return err }
func third[A, B any](_ A, _ B, err error) error { return err }

func TestCommit_UnusualContent(t *testing.T) {
	r := newStore(t, Options{}).Repo(1)
	stream := "commit refs/heads/main\nauthor \xff\xfe <a\xff@b> 99999999999999 +9999\ncommitter X <x@y> 1700000000 +0530\ndata 9\nT\xfftle\n\nb\n"
	if _, err := r.gitInput(t.Context(), stream, "fast-import", "--quiet", "--date-format=raw-permissive"); err != nil {
		t.Fatal(err)
	}
	tip, _, err := r.BranchTip(t.Context(), "main")
	if err != nil {
		t.Fatal(err)
	}
	c, err := r.Commit(t.Context(), tip)
	if err != nil {
		t.Fatal(err)
	}
	if !utf8.ValidString(c.AuthorName+c.AuthorEmail+c.Message) || c.Title != "T\uFFFDtle" {
		t.Errorf("%+v", c)
	}
	if y := c.AuthoredAt.Year(); y < 1970 || y > 9999 {
		t.Errorf("authored in the year %d", y)
	}
	if got := c.CommittedAt.Format(time.RFC3339); got != "2023-11-15T03:43:20+05:30" {
		t.Errorf("committed at %s", got)
	}
}

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

func TestPrepareMerge(t *testing.T) {
	s := newStore(t, Options{})
	r := s.Repo(1)
	base := write(t, r, "main", "", "Base", map[string]string{"a": "0\n", "c/ü": "0\n"})
	target := write(t, r, "main", "", "Target", map[string]string{"b": "1\n"})
	source := write(t, r, "topic", base, "Source", map[string]string{"a": "1\n"})
	in := MergeInput{TargetSHA: target, SourceSHA: source, Message: "Merge\r\n\r\ntopic\xff", When: when,
		Author: ada, Committer: Identity{Name: " <.> ", Email: "bot@example.com"}}
	got, err := r.PrepareMerge(t.Context(), in)
	if err != nil || len(got.Conflicts) > 0 {
		t.Fatalf("PrepareMerge = %+v, %v", got, err)
	}
	c, err := r.Commit(t.Context(), got.SHA)
	if err != nil || !slices.Equal(c.ParentSHAs, []string{target, source}) || c.Message != "Merge\n\ntopic\uFFFD" ||
		c.AuthorName != "Ada" || c.CommitterName != "bot" || !c.CommittedAt.Equal(when) {
		t.Errorf("merge commit %+v, %v", c, err)
	}
	if content, _, err := r.Blob(t.Context(), got.SHA, "a", 10); err != nil || string(content) != "1\n" {
		t.Errorf("merged file %q, %v", content, err)
	}
	if tip, _, err := r.BranchTip(t.Context(), "main"); err != nil || tip != target {
		t.Errorf("preparing moved the branch to %s (%v)", tip, err)
	}
	in.Squash = true
	if got, err = r.PrepareMerge(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	if c, err := r.Commit(t.Context(), got.SHA); err != nil || !slices.Equal(c.ParentSHAs, []string{target}) {
		t.Errorf("squashed commit %+v, %v", c, err)
	}

	other := write(t, r, "other", base, "Other", map[string]string{"a": "2\n", "c/ü": "2\n"})
	clash := write(t, r, "clash", base, "Clash", map[string]string{"a": "3\n", "c/ü": "3\n"})
	got, err = r.PrepareMerge(t.Context(), MergeInput{TargetSHA: other, SourceSHA: clash, Message: "m", When: when, Author: ada, Committer: ada})
	if err != nil || got.SHA != "" || !slices.Equal(got.Conflicts, []string{"a", "c/ü"}) {
		t.Errorf("conflict = %+v, %v", got, err)
	}
	if files, err := r.Conflicts(t.Context(), other, clash); err != nil || !slices.Equal(files, got.Conflicts) {
		t.Errorf("Conflicts = %v, %v", files, err)
	}
	if files, err := r.Conflicts(t.Context(), target, source); err != nil || len(files) != 0 {
		t.Errorf("Conflicts of a clean merge = %v, %v", files, err)
	}
	lone := write(t, r, "lone", "", "Lone", map[string]string{"z": "1"})
	if _, err := r.PrepareMerge(t.Context(), MergeInput{TargetSHA: target, SourceSHA: lone, When: when}); !errors.Is(err, ErrUnrelated) {
		t.Errorf("unrelated commits: %v", err)
	}
	if _, err := r.PrepareMerge(t.Context(), MergeInput{TargetSHA: target, SourceSHA: base, When: when}); !errors.Is(err, ErrNothingToMerge) {
		t.Errorf("nothing to merge: %v", err)
	}

	// A damaged repository is an error, never a conflict, and never a merge
	// that takes what cannot be read for deleted.
	tree := strings.TrimSpace(string(must(r.git(t.Context(), "rev-parse", source+"^{tree}"))))
	if err := os.Remove(filepath.Join(s.path(1), "objects", tree[:2], tree[2:])); err != nil {
		t.Fatal(err)
	}
	got, err = r.PrepareMerge(t.Context(), in)
	if err == nil || errors.Is(err, ErrUnrelated) || errors.Is(err, ErrNotFound) {
		t.Errorf("damaged repository: %+v, %v", got, err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestWriteCommit(t *testing.T) {
	r := newStore(t, Options{}).Repo(1)
	first := write(t, r, "main", "", "First", map[string]string{"README.md": "# Hi\n", "a \"b\"\\c": "x", "dir/empty": ""})
	second, err := r.WriteCommit(t.Context(), WriteInput{Branch: "main", Parent: first, Delete: []string{"dir/empty"}, Message: "Remove", Author: ada, When: when})
	if err != nil {
		t.Fatal(err)
	}
	entries, err := r.Tree(t.Context(), second, "")
	if err != nil || len(entries) != 2 || entries[0].Name != "README.md" || entries[0].Size != 5 || entries[1].Name != `a "b"\c` {
		t.Errorf("Tree = %+v, %v", entries, err)
	}
	if entries, err := r.Tree(t.Context(), first, "dir"); err != nil || len(entries) != 1 || entries[0].Name != "empty" {
		t.Errorf("Tree of a folder = %+v, %v", entries, err)
	}
	_, err = r.WriteCommit(t.Context(), WriteInput{Branch: "main", Parent: first, Message: "Late", Author: ada, When: when})
	if !errors.Is(err, ErrRefMoved) {
		t.Errorf("on an old parent: %v", err)
	}
	_, err = r.WriteCommit(t.Context(), WriteInput{Branch: "new", Parent: unknownID, Message: "m", Author: ada, When: when})
	if !errors.Is(err, ErrNotFound) {
		t.Errorf("on an unknown parent: %v", err)
	}
	for _, path := range []string{"", "/x", "../x", "a/../b", ".git/config", "a/.GIT/x", "a\nb"} {
		if _, err := r.WriteCommit(t.Context(), WriteInput{Branch: "bad", Files: map[string]string{path: "x"}, Message: "m", Author: ada, When: when}); err == nil {
			t.Errorf("the path %q was written", path)
		}
	}
	refs := string(must(r.git(t.Context(), "for-each-ref", "refs/mergegate")))
	if refs != "" {
		t.Errorf("temporary refs stay: %s", refs)
	}
	if content, whole, err := r.Blob(t.Context(), second, "README.md", 3); err != nil || whole || string(content) != "# H" {
		t.Errorf("Blob cut = %q, %v, %v", content, whole, err)
	}
	for _, path := range []string{"nothing", "", "dir", "../README.md", "./README.md"} {
		if _, _, err := r.Blob(t.Context(), first, path, 10); !errors.Is(err, ErrNotFound) {
			t.Errorf("Blob(%q): %v", path, err)
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
