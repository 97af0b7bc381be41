package gitrepo

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTreeEntriesAndFile(t *testing.T) {
	r := newStore(t, Options{}).View(1)
	sha := write(t, r, "main", "", "First", map[string]string{"a.txt": "one\n", "dir/sub/b.txt": "two\n", "dir/[x]*.txt": "three\n", ":(top)c": "four\n"})
	names := func(path string, recursive bool) []string {
		t.Helper()
		entries, complete, err := r.TreeEntries(t.Context(), sha, path, recursive)
		if err != nil || !complete {
			t.Fatalf("TreeEntries(%q) = %v, %v", path, complete, err)
		}
		var names []string
		for _, e := range entries {
			names = append(names, e.Kind+" "+e.Name)
		}
		return names
	}
	for _, tc := range []struct {
		path      string
		recursive bool
		want      []string
	}{
		{"", false, []string{"blob :(top)c", "blob a.txt", "tree dir"}},
		{"dir", false, []string{"blob [x]*.txt", "tree sub"}},
		{"dir", true, []string{"blob [x]*.txt", "tree sub", "blob sub/b.txt"}},
	} {
		if got := names(tc.path, tc.recursive); !slices.Equal(got, tc.want) {
			t.Errorf("TreeEntries(%q, %v) = %q, want %q", tc.path, tc.recursive, got, tc.want)
		}
	}
	for _, path := range []string{"a.txt", "nothing", "../x", "dir/../dir", "a.txt/b"} {
		if _, _, err := r.TreeEntries(t.Context(), sha, path, false); !errors.Is(err, ErrNotFound) {
			t.Errorf("TreeEntries(%q): %v", path, err)
		}
	}
	for path, size := range map[string]int64{"a.txt": 4, "dir/sub/b.txt": 4, "dir/[x]*.txt": 6, ":(top)c": 5} {
		if f, err := r.File(t.Context(), sha, path); err != nil || f.Size != size || f.Name != path || f.Mode != "100644" {
			t.Errorf("File(%q) = %+v, %v", path, f, err)
		}
	}
	for _, path := range []string{"", "dir", "dir/", "a.txt/", "*.txt", "nothing", "..", "./a.txt", "--help"} {
		if _, err := r.File(t.Context(), sha, path); !errors.Is(err, ErrNotFound) {
			t.Errorf("File(%q): %v", path, err)
		}
	}
}

func TestLastCommitAndPatchID(t *testing.T) {
	r := newStore(t, Options{}).View(1)
	first := write(t, r, "main", "", "First", map[string]string{"a": "1\n"})
	second := write(t, r, "main", "", "Second", map[string]string{"b": "2\n"})
	third := write(t, r, "topic", first, "Third", map[string]string{"b": "2\n"})
	if got, err := r.LastCommit(t.Context(), second, "a"); err != nil || got != first {
		t.Errorf("LastCommit = %s, %v", got, err)
	}
	one, err := r.PatchID(t.Context(), first, second)
	if err != nil || len(one) != 40 {
		t.Fatalf("PatchID = %q, %v", one, err)
	}
	if same, err := r.PatchID(t.Context(), first, third); err != nil || same != one {
		t.Errorf("the same change has the patch id %q, %v; want %q", same, err, one)
	}
	if none, err := r.PatchID(t.Context(), first, first); err != nil || none != "" {
		t.Errorf("no change has the patch id %q, %v", none, err)
	}
}

func TestTags(t *testing.T) {
	s := newStore(t, Options{})
	r := s.View(1)
	sha := write(t, r, "main", "", "First", map[string]string{"a": "1"})
	for _, name := range []string{"v1.10", "v1.9", "other"} {
		if err := r.UpdateRef(t.Context(), "refs/tags/"+name, sha, ZeroID); err != nil {
			t.Fatal(err)
		}
	}
	annotated := object(t, r, "object "+sha+"\ntype commit\ntag v2\ntagger Ada <ada@example.com> 1700000000 +0100\n\nTwo\n\nbody\n", "mktag")
	blob := object(t, r, "boom\n", "hash-object", "-w", "--stdin")
	for name, id := range map[string]string{"v2": annotated, "a-file": blob} {
		if err := r.UpdateRef(t.Context(), "refs/tags/"+name, id, ZeroID); err != nil {
			t.Fatal(err)
		}
	}
	page, total, err := r.Tags(t.Context(), "V", TagsByVersion, true, 0, 2)
	if err != nil || total != 3 || len(page) != 2 || page[0].Name != "v1.9" || page[1].Name != "v1.10" {
		t.Errorf("Tags = %+v, %d, %v", page, total, err)
	}
	page, _, err = r.Tags(t.Context(), "", TagsByName, false, 3, 9)
	if err != nil || len(page) != 2 || page[0].Name != "other" || page[1].Name != "a-file" || page[1].Commit.SHA != "" {
		t.Errorf("Tags = %+v, %v", page, err)
	}
	tag, err := r.Tag(t.Context(), "v2")
	if err != nil || tag.Message != "Two\n\nbody" || tag.Target != annotated || tag.Commit.SHA != sha || tag.CreatedAt.Unix() != 1700000000 {
		t.Errorf("Tag = %+v, %v", tag, err)
	}
	if tag, err := r.Tag(t.Context(), "v1.9"); err != nil || tag.Message != "" || !tag.CreatedAt.IsZero() || tag.Target != sha {
		t.Errorf("Tag = %+v, %v", tag, err)
	}
	for _, name := range []string{"v", "nothing", "../heads/main", "*"} {
		if _, err := r.Tag(t.Context(), name); !errors.Is(err, ErrNotFound) {
			t.Errorf("Tag(%q): %v", name, err)
		}
	}
}

func TestArchive(t *testing.T) {
	r := newStore(t, Options{}).View(1)
	sha := write(t, r, "main", "", "First", map[string]string{"a.txt": "one\n", "dir/b.txt": "two\n"})
	files := func(path string) []string {
		t.Helper()
		a := Archive{SHA: sha, Path: path, Format: "tar.gz", Prefix: "p/"}
		if err := r.CheckArchive(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		if err := r.WriteArchive(t.Context(), w, a); err != nil {
			t.Fatal(err)
		}
		unpacked, err := gzip.NewReader(w.Body)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for in := tar.NewReader(unpacked); ; {
			h, err := in.Next()
			if errors.Is(err, io.EOF) {
				return names
			}
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, h.Name)
		}
	}
	if got, want := files(""), []string{"pax_global_header", "p/", "p/a.txt", "p/dir/", "p/dir/b.txt"}; !slices.Equal(got, want) {
		t.Errorf("the archive holds %q, want %q", got, want)
	}
	if got := files("dir"); !slices.Contains(got, "p/dir/b.txt") || slices.Contains(got, "p/a.txt") {
		t.Errorf("the archive of a folder holds %q", got)
	}
	for _, path := range []string{"nothing", "..", "*"} {
		if err := r.CheckArchive(t.Context(), Archive{SHA: sha, Path: path, Format: "tar"}); !errors.Is(err, ErrNotFound) {
			t.Errorf("an archive of %q: %v", path, err)
		}
	}
}

// Listing and archiving hostile trees stay within the processor time of a view.
func TestDownload_HostileTrees_StopsAtLimit(t *testing.T) {
	s := newStore(t, Options{})
	r := s.View(1)
	base := write(t, r, "main", "", "Base", map[string]string{"a": "1"})
	large := "100644 blob " + object(t, r, strings.Repeat("a\n", 3<<20), "hash-object", "-w", "--stdin")
	for name, head := range map[string]string{
		"many files":    bomb(t, r, base, 8, 10, ""),
		"empty folders": bomb(t, r, base, 8, 10, "040000 tree "+EmptyTree),
		"large files":   bomb(t, r, base, 3, 10, large),
	} {
		t.Run(name, func(t *testing.T) {
			before := usedByChildren(t)
			if err := r.CheckArchive(t.Context(), Archive{SHA: head, Format: "zip"}); !errors.Is(err, ErrTooLarge) {
				t.Errorf("CheckArchive: %v", err)
			}
			entries, complete, err := r.TreeEntries(t.Context(), head, "", true)
			if err != nil || len(entries) > maxTreeList || complete != (name == "large files") {
				t.Errorf("TreeEntries: %d entries, complete %v, %v", len(entries), complete, err)
			}
			if id, err := r.PatchID(t.Context(), base, head); err != nil || name == "many files" && id != "" {
				t.Errorf("PatchID: %q, %v", id, err)
			}
			if _, err := r.LastCommit(t.Context(), head, "bomb"); err != nil {
				t.Errorf("LastCommit: %v", err)
			}
			if used := usedByChildren(t) - before; used > 6*time.Second {
				t.Errorf("git took %v", used)
			}
		})
	}
}

// Attributes in the tree can expand files beyond the size in the listing.
func TestDownload_AboveLimit_Fails(t *testing.T) {
	r := newStore(t, Options{}).View(1)
	sha := write(t, r, "main", "", "First", map[string]string{"a.txt": strings.Repeat("0123456789", 100)})
	f, err := r.File(t.Context(), sha, "a.txt")
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	if err := r.WriteBlob(t.Context(), w, f.SHA, f.Size); err != nil || w.Body.Len() != 1000 {
		t.Errorf("WriteBlob: %d bytes, %v", w.Body.Len(), err)
	}
	w.Body = new(bytes.Buffer)
	if err := r.WriteBlob(t.Context(), w, f.SHA, 999); !errors.Is(err, ErrTooLarge) {
		t.Errorf("WriteBlob beyond its limit: %v", err)
	}
}
