package gitrepo

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
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
