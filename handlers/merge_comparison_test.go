package handlers

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mergegate/mergegate/gitrepo"
	"github.com/mergegate/mergegate/models/modelstest"
)

func TestMergeConflicts_SameCommits_AreComputedOnce(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		mr := s.openMergeRequest("topic")
		v := s.as(s.Owner)
		box := func() string { return v.get(s.mrPath(mr, "")).wantStatus(200).text("#merge-checks") }
		s.Git.Conflicts = []string{"leaf.txt"}
		for range 3 {
			if got := box(); !strings.Contains(got, "1 file conflicts:leaf.txt") {
				t.Fatalf("conflicts: %s", got)
			}
		}
		if s.git.merged != 1 {
			t.Errorf("git merged the same commits %d times", s.git.merged)
		}
		// The source moves and has no more conflicts.
		s.Git.Conflicts = nil
		s.Push("topic")
		if got := box(); strings.Contains(got, "leaf.txt") || s.git.merged != 2 {
			t.Errorf("after a push, merged %d times: %s", s.git.merged, got)
		}
		// The target moves.
		s.Git.Conflicts = []string{"root.txt"}
		s.Push("main")
		if got := box(); !strings.Contains(got, "root.txt") || s.git.merged != 3 {
			t.Errorf("after a push to the target, merged %d times: %s", s.git.merged, got)
		}
	})
}

func TestMergeConflicts_GitFails_IsNotCached(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	mr := s.openMergeRequest("topic")
	v := s.as(s.Owner)
	s.git.fails = fmt.Errorf("out of memory")
	v.get(s.mrPath(mr, "")).wantStatus(500)
	s.git.fails = nil
	v.get(s.mrPath(mr, "")).wantStatus(200)
}

// A few unusual merge requests must not fill the memory.
func TestMergeConflicts_TooManyFiles_AreNotCached(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	mr := s.openMergeRequest("topic")
	s.Git.Conflicts = make([]string, maxKeptConflicts+1)
	for range 2 {
		s.as(s.Owner).get(s.mrPath(mr, "")).wantStatus(200)
	}
	if s.git.merged != 2 {
		t.Errorf("git merged %d times, want 2", s.git.merged)
	}
}

// The page of a closed merge request is shown even if git cannot count its
// commits and files.
func TestMergeRequestTabs_GitFails_ShowNoCounts(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	mr := s.openMergeRequest("topic")
	v := s.as(s.Owner)
	v.post(s.mrPath(mr, "/close"), nil).wantStatus(303)
	s.git.fails = fmt.Errorf("out of memory")
	if got := collapseSpace(v.get(s.mrPath(mr, "")).wantStatus(200).text(".tabs")); got != "Overview Commits Changes" {
		t.Errorf("tabs %q", got)
	}
}

func TestMergeRequestTabs_ShowCounts(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		mr := s.openMergeRequest("topic")
		s.git.changes = gitrepo.Diff{TotalFiles: 3}
		v := s.as(s.Owner)
		for _, act := range []string{"", "/close"} {
			if act != "" {
				v.post(s.mrPath(mr, act), nil).wantStatus(303)
			}
			for _, tab := range []string{"", "/commits", "/diffs"} {
				if got := collapseSpace(v.get(s.mrPath(mr, tab)).wantStatus(200).text(".tabs")); got != "Overview Commits1 Changes3" {
					t.Errorf("after %q, %q: %s", act, tab, got)
				}
			}
		}
	})
}
