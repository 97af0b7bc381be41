package backup

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// newArchive writes a backup without rows and returns its content.
func newArchive(t *testing.T, format int) []byte {
	t.Helper()
	var content bytes.Buffer
	a := &archiveWriter{tar: tar.NewWriter(&content), folder: t.TempDir(), at: time.Now()}
	a.manifest.Header = Header{Format: format, Program: "v1"}
	for _, name := range []string{headerName, "rows/users.jsonl.gz", "repositories/1.pack", "repositories/1.refs"} {
		err := a.add(name, func(w io.Writer) error { _, err := io.WriteString(w, strings.Repeat(name, 50)); return err })
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := a.close(); err != nil {
		t.Fatal(err)
	}
	return content.Bytes()
}

func verifyContent(t *testing.T, content []byte) error {
	t.Helper()
	path := filepath.Join(t.TempDir(), "backup.tar")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	_, _, err := verify(path)
	return err
}

func TestVerify_DamagedFile_IsRefused(t *testing.T) {
	whole := newArchive(t, formatVersion)
	if err := verifyContent(t, whole); err != nil {
		t.Fatalf("a whole backup: %v", err)
	}
	assertDamaged := func(what string, content []byte) {
		t.Helper()
		err := verifyContent(t, content)
		if damaged := (*damagedError)(nil); !errors.As(err, &damaged) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", what, err)
		}
	}
	// Every block of 512 bytes holds a header or content; the last two are empty.
	for size := 0; size < len(whole)-1024; size += 512 {
		assertDamaged("cut off", whole[:size])
		assertDamaged("cut off within a block", whole[:size+30])
		changed := bytes.Clone(whole)
		changed[size] ^= 1
		assertDamaged("changed", changed)
	}
	assertDamaged("something else", []byte(strings.Repeat("no backup ", 1000)))
	if err := verifyContent(t, newArchive(t, formatVersion+1)); err == nil || !strings.Contains(err.Error(), "made by a newer Mergegate (v1)") {
		t.Errorf("a newer format: %v", err)
	}
}
