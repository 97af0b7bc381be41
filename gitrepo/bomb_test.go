package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// object stores an object and returns its id.
func object(t testing.TB, r Repo, input string, args ...string) string {
	t.Helper()
	out, err := r.gitInput(t.Context(), input, args...)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// bomb returns a commit on parent that has width to the power of levels files:
// nested folders of width equal entries. leaf is the mode, kind and id of the
// innermost entries; empty means a small file.
func bomb(t testing.TB, r Repo, parent string, levels, width int, leaf string) string {
	t.Helper()
	if leaf == "" {
		leaf = "100644 blob " + object(t, r, "boom\n", "hash-object", "-w", "--stdin")
	}
	for range levels {
		var list strings.Builder
		for i := range width {
			fmt.Fprintf(&list, "%s\tf%d\n", leaf, i)
		}
		leaf = "040000 tree " + object(t, r, list.String(), "mktree")
	}
	root, err := r.git(t.Context(), "ls-tree", parent)
	if err != nil {
		t.Fatal(err)
	}
	tree := object(t, r, string(root)+leaf+"\tbomb\n", "mktree")
	sha, err := r.commitTree(t.Context(), tree, []string{parent}, MergeInput{Message: "Bomb", Author: ada, Committer: ada, When: when})
	if err != nil {
		t.Fatal(err)
	}
	return sha
}

// usedByChildren returns the processor time of the git processes that have ended.
func usedByChildren(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_CHILDREN, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// With any trees and files, a read takes at most about one second of processor
// time, and its result is marked as incomplete.
func TestView_HostileTrees_StopsAtLimit(t *testing.T) {
	s := newStore(t, Options{})
	r := s.View(1)
	base := write(t, r, "main", "", "Base", map[string]string{"a": "1"})
	huge := "100644 blob " + object(t, r, strings.Repeat("a\n", 3<<20), "hash-object", "-w", "--stdin")
	deep := "100644 blob " + object(t, r, "boom\n", "hash-object", "-w", "--stdin")
	for _, tc := range []struct {
		name          string
		head          string
		moreFiles     bool
		sureTruncated bool
	}{
		{"many files in eight levels", bomb(t, r, base, 8, 10, ""), true, true},
		{"only empty folders", bomb(t, r, base, 8, 10, "040000 tree "+EmptyTree), true, true},
		{"deeper than any path", bomb(t, r, base, 600, 1, deep), true, true},
		{"few files of a huge content", bomb(t, r, base, 3, 10, huge), false, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := usedByChildren(t)
			d, err := r.Diff(t.Context(), base, tc.head, DiffLimits{})
			if err != nil {
				t.Fatal(err)
			}
			n, err := r.CountFiles(t.Context(), base, tc.head)
			if err != nil {
				t.Fatal(err)
			}
			if used := usedByChildren(t) - before; used > 2500*time.Millisecond {
				t.Errorf("took %v of processor time", used)
			}
			if d.Truncated != tc.sureTruncated || d.MoreFiles != tc.moreFiles || n.More != tc.moreFiles || n.Files != d.TotalFiles {
				t.Errorf("%d of %d files, truncated %v, more %v; %+v counted", len(d.Files), d.TotalFiles, d.Truncated, d.MoreFiles, n)
			}
			before = usedByChildren(t)
			if _, err := r.Diff(t.Context(), base, tc.head, DiffLimits{}); err != nil {
				t.Fatal(err)
			}
			if used := usedByChildren(t) - before; used > 0 {
				t.Errorf("asking again took %v of processor time", used)
			}
			if _, err := r.Conflicts(t.Context(), base, tc.head); err != nil && !errors.Is(err, ErrTooLarge) {
				t.Errorf("Conflicts: %v", err)
			}
			if _, err := r.Tree(t.Context(), tc.head, "bomb"); err != nil {
				t.Errorf("Tree: %v", err)
			}
			if _, err := r.Log(t.Context(), base, tc.head, 0, 10); err != nil {
				t.Errorf("Log: %v", err)
			}
			if used := usedByChildren(t) - before; used > 2500*time.Millisecond {
				t.Errorf("the other questions took %v of processor time", used)
			}
		})
	}
}

func TestPrepareMerge_TreeBomb_ReadsEachTreeOnce(t *testing.T) {
	r := newStore(t, Options{}).Repo(1)
	base := write(t, r, "main", "", "Base", map[string]string{"a": "1"})
	head := bomb(t, r, base, 8, 10, "")
	target := write(t, r, "main", "", "Beside", map[string]string{"b": "1"})
	before := usedByChildren(t)
	merged, err := r.PrepareMerge(t.Context(), MergeInput{TargetSHA: target, SourceSHA: head, Message: "Merge", Author: ada, Committer: ada, When: when})
	if err != nil && !errors.Is(err, ErrTooLarge) || err == nil && merged.SHA == "" {
		t.Errorf("PrepareMerge = %+v, %v", merged, err)
	}
	if used := usedByChildren(t) - before; used > 3*time.Second {
		t.Errorf("took %v of processor time", used)
	}
}

func TestRun_ProcessLimits_ReturnErrTooLarge(t *testing.T) {
	s := newStore(t, Options{})
	r := s.View(1)
	base := write(t, r, "main", "", "Base", map[string]string{"a": "1"})
	head := bomb(t, r, base, 8, 10, "")
	c := r.command("diff-tree", "-r", "--name-only", base, head)
	if _, err := s.run(t.Context(), c); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a process that lists a bomb: %v", err)
	}
	c.limits = limits{memory: 32 << 20}
	if _, err := s.run(t.Context(), c); !errors.Is(err, ErrTooLarge) || !strings.Contains(err.Error(), "memory") {
		t.Errorf("a process that needs too much memory: %v", err)
	}
}

func TestPool_LimitsProcesses(t *testing.T) {
	p := newPool(3, 2)
	p.wait = 20 * time.Millisecond
	enter := func(project int64) func() {
		t.Helper()
		leave, err := p.enter(t.Context(), project)
		if err != nil {
			t.Fatalf("project %d: %v", project, err)
		}
		return leave
	}
	refused := func(project int64) {
		t.Helper()
		if _, err := p.enter(t.Context(), project); !errors.Is(err, ErrBusy) {
			t.Fatalf("project %d: %v", project, err)
		}
	}
	one, two := enter(1), enter(1)
	refused(1)
	other := enter(2) // project 1 cannot take all places
	refused(2)
	refused(3)
	one()
	three := enter(3)
	for _, leave := range []func(){two, other, three} {
		leave()
	}
	if len(p.projects) != 0 {
		t.Errorf("%d projects are remembered", len(p.projects))
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	p.wait = time.Minute
	a, b := enter(1), enter(1)
	if _, err := p.enter(gone, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that has gone: %v", err)
	}
	a()
	b()
}

func TestCached_ConcurrentCallers_ShareOneCall(t *testing.T) {
	var a answers
	key := answerKey{1, "diff", "a", "b", DiffLimits{}}
	asked := 0
	ask := func(context.Context) (int, int, bool, error) {
		asked++
		return 7, maxAnswerBytes / 2, true, nil
	}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if n, err := cached(t.Context(), &a, key, ask); n != 7 || err != nil {
				t.Errorf("%d, %v", n, err)
			}
		})
	}
	all.Wait()
	for _, head := range []string{"c", "d"} { // no place for three
		key.other = head
		if _, err := cached(t.Context(), &a, key, ask); err != nil {
			t.Fatal(err)
		}
	}
	if asked != 3 || a.byKey.Len() != 2 || a.bytes != maxAnswerBytes/2*2 {
		t.Errorf("asked %d times, %d answers of %d bytes are kept", asked, a.byKey.Len(), a.bytes)
	}
}
