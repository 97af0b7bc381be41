package handlers

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mergegate/mergegate/gitrepo"
	"github.com/mergegate/mergegate/models/modelstest"
	"github.com/mergegate/mergegate/views"
)

// formatDiffLines formats each line as kind, old number, new number and text.
func formatDiffLines(lines []views.DiffLine) string {
	var out strings.Builder
	for _, line := range lines {
		end := ""
		if line.Return {
			end = "␍"
		}
		fmt.Fprintf(&out, "%s %d %d %s%s\n", line.Kind, line.Old, line.New, line.Text, end)
	}
	return out.String()
}

func TestDiffLines_ParsesPatch(t *testing.T) {
	tests := []struct{ name, patch, want string }{
		{"a change", "@@ -9,3 +9,4 @@ main()\n context\n-old\n+new\n+more\n\\ No newline at end of file\n",
			"hunk 0 0 @@ -9,3 +9,4 @@ main()\ncontext 9 9 context\ndeleted 10 0 old\nadded 0 10 new\nadded 0 11 more\nnote 0 0 \n"},
		{"same line endings", "@@ -1 +1 @@\n-a\r\n+b\r\n", "hunk 0 0 @@ -1 +1 @@\ndeleted 1 0 a\nadded 0 1 b\n"},
		{"changed line endings", "@@ -1,2 +1,2 @@\n same\r\n-a\r\n+a\n", "hunk 0 0 @@ -1,2 +1,2 @@\ncontext 1 1 same␍\ndeleted 2 0 a␍\nadded 0 2 a\n"},
		{"lines of plus and minus signs", "@@ -1 +1 @@\n---\n++++\n", "hunk 0 0 @@ -1 +1 @@\ndeleted 1 0 --\nadded 0 1 +++\n"},
		{"bidirectional control characters", "@@ -0,0 +1 @@\n+if admin \u202e} \u2066 {\n", "hunk 0 0 @@ -0,0 +1 @@\nadded 0 1 if admin ⟦U+202E⟧} ⟦U+2066⟧ {\n"},
		{"a hunk header without numbers", "@@ @@\n+a\n", "hunk 0 0 @@ @@\nadded 0 0 a\n"},
		{"an empty patch", "", ""},
		{"no line break at the end", "@@ -0,0 +1 @@\n+a", "hunk 0 0 @@ -0,0 +1 @@\nadded 0 1 a\n"},
	}
	for _, test := range tests {
		if got := formatDiffLines(diffLines(test.patch, 100)); got != test.want {
			t.Errorf("%s:\n%swant:\n%s", test.name, got, test.want)
		}
	}
	if got := len(diffLines("@@ -0,0 +1,9 @@\n"+strings.Repeat("+a\n", 9), 4)); got != 4 {
		t.Errorf("%d lines, want at most 4", got)
	}
}

// The lines per file and per page are limited. The page says so and how to see
// the rest.
func TestChangesTab_LargeDiff_IsCut(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	mr := s.openMergeRequest("topic")
	patch := func(lines int) string {
		return fmt.Sprintf("@@ -0,0 +1,%d @@\n", lines) + strings.Repeat("+a\n", lines)
	}
	file := func(path string, lines int) gitrepo.FileDiff {
		return gitrepo.FileDiff{NewPath: path, OldPath: path, Status: "A", Additions: lines, OldMode: "000000", NewMode: "100644", Patch: patch(lines)}
	}
	s.git.changes = gitrepo.Diff{TotalFiles: 9, Files: []gitrepo.FileDiff{
		file("long", maxFileLines+500), file("cut by git", 10), file("2", 1999), file("3", 1999), file("4", 1999), file("5", 1990), file("6", 20), file("7", 20),
		{NewPath: "mode.sh", OldPath: "mode.sh", Status: "M", OldMode: "100644", NewMode: "100755"},
	}}
	s.git.changes.Files[1].TooLarge = true
	page := s.as(s.Owner).get(s.mrPath(mr, "/diffs")).wantStatus(200)
	total := 0
	for i, want := range []int{maxFileLines, 11, 2000, 989, 0, 0, 0, 0, 0} {
		got := page.Find(fmt.Sprintf("#file-%d .diff tr", i+1)).Length()
		total += got
		if got != want {
			t.Errorf("file %d has %d lines, want %d", i+1, got, want)
		}
	}
	if total > maxLines {
		t.Errorf("%d lines on a page, want at most %d", total, maxLines)
	}
	for selector, want := range map[string]string{
		"#file-1 .card__foot": "Only the first lines are shown.", "#file-2 .card__foot": "Only the first lines are shown.",
		"#file-3 .card__foot": "", "#file-7 .card__body": "The lines are not shown because there are too many changes.",
		"#file-9 .card__body": "No changed lines.", "#file-9 .badge": "Mode 100644 → 100755", "#file-1 .badge": "Added",
		"#changes-cut .code": "git fetch origin refs/merge-requests/1/head && git diff ",
		"#changes-cut p":     "7 files are listed without all of their lines.To see everything, run this in a clone of the project:",
	} {
		if got := page.text(selector); got != want && (selector != "#changes-cut .code" || !strings.HasPrefix(got, want)) {
			t.Errorf("%s is %q, want %q", selector, got, want)
		}
	}
	if n, open := page.Find("details[id^=file-] > summary h2").Length(), page.Find("details[id^=file-][open]").Length(); n != 9 || open != 2 {
		t.Errorf("%d files can be collapsed and %d are open, want 9 and 2; files that are cut are closed", n, open)
	}
}

func TestCommitsTab_ManyCommits_HasPages(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		tip := s.Git.Tip(s.Project.ID, "main")
		for range 120 {
			tip = s.Git.AddCommit(s.Project.ID, "long", tip)
		}
		mr := s.MergeRequest("long", "main")
		v := s.as(s.Owner)
		first := v.get(s.mrPath(mr, "/commits")).wantStatus(200)
		if got := first.text(".pagination > span:first-child"); got != "Showing 1 to 1 of 120" || s.git.offset != 0 {
			t.Errorf("first page: %q, offset %d", got, s.git.offset)
		}
		if got := first.text(".tabs [aria-current] .count"); got != "120" {
			t.Errorf("count on the tab %q", got)
		}
		v.get(first.Find(".pagination a").Last().AttrOr("href", "")).wantStatus(200)
		if s.git.offset != commitsPageSize {
			t.Errorf("second page: offset %d", s.git.offset)
		}
		last := v.get(s.mrPath(mr, "/commits?page=3")).wantStatus(200)
		if s.git.offset != 2*commitsPageSize || last.Find(".pagination a").Length() != 1 {
			t.Errorf("last page: offset %d, %d links to other pages", s.git.offset, last.Find(".pagination a").Length())
		}
		for page, offset := range map[string]int{"0": 0, "-1": 0, "x": 0, "99": 2 * commitsPageSize} {
			v.get(s.mrPath(mr, "/commits?page="+page)).wantStatus(200)
			if s.git.offset != offset {
				t.Errorf("page %s: offset %d", page, s.git.offset)
			}
		}
		one := s.openMergeRequest("short")
		if v.get(s.mrPath(one, "/commits")).has(".pagination") {
			t.Error("a list of one commit has pages")
		}
	})
}
