package gitrepo

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestDiff(t *testing.T) {
	h := newGitHost(t, Options{})
	c := newClient(t, h.url)
	text := strings.Repeat("line\n", 20)
	c.commit("moved.txt", text+"diff --git a/x b/x\n")
	c.commit("gone.txt", "gone\n")
	c.commit("changed.txt", "one\ntwo\n")
	c.commit("link", "a file\n")
	c.commit("mode.sh", "run\n")
	base := c.commit("plain", "x\n")
	c.git("mv", "moved.txt", "dir moved\tto.txt")
	c.git("rm", "--quiet", "gone.txt", "link")
	if err := os.Symlink("elsewhere", filepath.Join(c.dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(c.dir, "mode.sh"), 0o755); err != nil {
		t.Fatal(err)
	}
	c.commit("bad-\xff.txt", "caf\xe9\n")
	c.commit("image.bin", "a\x00b")
	c.commit("new", "no line break at the end")
	head := c.commit("changed.txt", "one\n2\n")
	c.git("push", "origin", "main")

	d, err := h.store.Repo(1).Diff(t.Context(), base, head, DiffLimits{})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := h.store.Repo(1).CountFiles(t.Context(), base, head); err != nil || n.Files != d.TotalFiles || n.More {
		t.Errorf("%+v files are counted, %d listed (%v)", n, d.TotalFiles, err)
	}
	files := map[string]FileDiff{}
	for _, f := range d.Files {
		if !utf8.ValidString(f.NewPath + f.Patch) {
			t.Errorf("%q is not UTF-8", f.NewPath)
		}
		files[f.NewPath] = f
	}
	if len(files) != 8 || d.TotalFiles != 8 || d.Truncated {
		t.Fatalf("%d of %d files: %+v", len(d.Files), d.TotalFiles, d.Files)
	}
	if f := files["dir moved\tto.txt"]; f.Status != FileRenamed || f.OldPath != "moved.txt" || f.Patch != "" || f.Additions != 0 {
		t.Errorf("renamed: %+v", f)
	}
	if f := files["gone.txt"]; f.Status != FileDeleted || f.NewMode != "000000" || f.Deletions != 1 || f.Patch != "@@ -1 +0,0 @@\n-gone\n" {
		t.Errorf("deleted: %+v", f)
	}
	if f := files["changed.txt"]; f.Status != FileModified || f.Additions != 1 || f.Deletions != 1 || f.Patch != "@@ -1,2 +1,2 @@\n one\n-two\n+2\n" {
		t.Errorf("changed: %+v", f)
	}
	if f := files["link"]; f.Status != FileTypeChanged || f.NewMode != "120000" || !strings.Contains(f.Patch, "-a file\n") || !strings.Contains(f.Patch, "+elsewhere") {
		t.Errorf("changed to a link: %+v", f)
	}
	if f := files["mode.sh"]; f.OldMode != "100644" || f.NewMode != "100755" || f.Patch != "" {
		t.Errorf("made executable: %+v", f)
	}
	if f := files["image.bin"]; !f.Binary || f.Patch != "" || f.Status != FileAdded {
		t.Errorf("binary: %+v", f)
	}
	if f := files["new"]; f.Patch != "@@ -0,0 +1 @@\n+no line break at the end\n\\ No newline at end of file\n" {
		t.Errorf("new: %+v", f)
	}
	if f := files["bad-\uFFFD.txt"]; f.Patch != "@@ -0,0 +1 @@\n+caf\uFFFD\n" {
		t.Errorf("not UTF-8: %+v", f)
	}
	if d, err := h.store.Repo(1).Diff(t.Context(), head, head, DiffLimits{}); err != nil || len(d.Files) != 0 {
		t.Errorf("Diff with itself = %+v, %v", d, err)
	}
	if d, err := h.store.Repo(1).Diff(t.Context(), "", base, DiffLimits{}); err != nil || len(d.Files) != 6 || d.Files[0].Status != FileAdded {
		t.Errorf("Diff with nothing = %+v, %v", d, err)
	}
}

func TestDiff_Limits(t *testing.T) {
	r := newStore(t, Options{}).Repo(1)
	base := write(t, r, "main", "", "Base", map[string]string{"z": "1"})
	files := map[string]string{"a": strings.Repeat("0123456789\n", 100), "b": strings.Repeat("x", 100_000), "y": "diff --git a/b b/b\n"}
	for i := range 10 {
		files[fmt.Sprintf("c%d", i)] = "small\n"
	}
	head := write(t, r, "main", "", "Head", files)
	d, err := r.Diff(t.Context(), base, head, DiffLimits{MaxFiles: 12, MaxFileBytes: 500, MaxBytes: 550})
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Files) != 12 || d.TotalFiles != 13 || !d.Truncated || d.Additions != 100+1+1+10 {
		t.Errorf("%d of %d files, truncated %v, %d additions", len(d.Files), d.TotalFiles, d.Truncated, d.Additions)
	}
	a := d.Files[0]
	if !a.TooLarge || a.Truncated || len(a.Patch) > 500 || len(a.Patch) < 480 || !strings.HasSuffix(a.Patch, "9\n") || a.Additions != 100 {
		t.Errorf("cut file: %d bytes, %+v", len(a.Patch), a)
	}
	if b := d.Files[1]; !b.TooLarge || b.Patch != "@@ -0,0 +1 @@\n" {
		t.Errorf("one long line: %+v", b)
	}
	var whole, left int
	for _, f := range d.Files[2:] {
		switch {
		case f.Truncated && f.Patch == "":
			left++
		case f.Patch == "@@ -0,0 +1 @@\n+small\n":
			whole++
		default:
			t.Errorf("%+v", f)
		}
	}
	if whole == 0 || left == 0 || whole+left != 10 {
		t.Errorf("%d patches whole and %d left out", whole, left)
	}
	d, err = r.Diff(t.Context(), base, head, DiffLimits{MaxFileBytes: 500})
	if err != nil {
		t.Fatal(err)
	}
	if y := d.Files[12]; y.NewPath != "y" || y.Patch != "@@ -0,0 +1 @@\n+diff --git a/b b/b\n" {
		t.Errorf("a file that looks like a diff: %+v", y)
	}
}
