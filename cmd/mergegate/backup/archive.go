package backup

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"time"
)

// A backup is a tar file with these members, in this order:
//
//	backup.json              header
//	rows/TABLE.jsonl.gz      rows of a table, referenced tables first
//	repositories/ID.refs     refs of a project, "SHA NAME" per line
//	repositories/ID.pack     objects of a project, missing if it has no refs
//	manifest.json            what the file must contain
//	end                      SHA-256 of manifest.json
const (
	headerName   = "backup.json"
	manifestName = "manifest.json"
	endName      = "end"
)

// formatVersion is the version of the format. A program reads its own and earlier ones.
const formatVersion = 1

// Header says what a backup is of.
type Header struct {
	Format    int       `json:"format"`
	Program   string    `json:"program"`
	Schema    int64     `json:"schema"`
	Database  string    `json:"database"`
	BaseURL   string    `json:"base_url"`
	CreatedAt time.Time `json:"created_at"`
}

// Manifest lists what a backup contains.
type Manifest struct {
	Header
	Members []member `json:"members"`
	// Rows are the numbers of rows, by table.
	Rows map[string]int64 `json:"rows"`
	// LastIDs are the last ids that were given, by table, also of deleted rows.
	LastIDs map[string]int64 `json:"last_ids"`
	// SealedWith are the ids of the secret keys that stored secrets need.
	SealedWith []string `json:"sealed_with"`
	// Deleted are projects that have rows, but were deleted while the backup ran.
	Deleted []int64 `json:"deleted_projects"`
	// Projects is the number of projects, without the deleted ones.
	Projects int `json:"projects"`
	// Warnings say which repositories are incomplete.
	Warnings []string `json:"warnings"`
}

type member struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// archiveWriter writes the members of a backup.
type archiveWriter struct {
	tar      *tar.Writer
	folder   string // of temporary files
	at       time.Time
	manifest Manifest
}

// add writes a member. Its content goes through a temporary file, because tar needs the
// size first.
func (a *archiveWriter) add(name string, write func(io.Writer) error) (err error) {
	spool, err := os.CreateTemp(a.folder, ".mergegate-backup-")
	if err != nil {
		return err
	}
	_ = os.Remove(spool.Name()) // the open file stays
	defer spool.Close()
	digest := sha256.New()
	if err := write(io.MultiWriter(spool, digest)); err != nil {
		return err
	}
	size, err := spool.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	if _, err := spool.Seek(0, io.SeekStart); err != nil {
		return err
	}
	a.manifest.Members = append(a.manifest.Members, member{name, size, hex.EncodeToString(digest.Sum(nil))})
	return a.write(name, size, spool)
}

func (a *archiveWriter) write(name string, size int64, content io.Reader) error {
	header := tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600, ModTime: a.at}
	if err := a.tar.WriteHeader(&header); err != nil {
		return err
	}
	_, err := io.Copy(a.tar, content)
	return err
}

func (a *archiveWriter) addJSON(name string, v any) error {
	return a.add(name, func(w io.Writer) error { return writeJSON(w, v) })
}

func writeJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

// close writes the manifest and the end.
func (a *archiveWriter) close() error {
	manifest := a.manifest
	if err := a.addJSON(manifestName, manifest); err != nil {
		return err
	}
	digest := a.manifest.Members[len(a.manifest.Members)-1].SHA256
	if err := a.add(endName, func(w io.Writer) error { _, err := io.WriteString(w, digest); return err }); err != nil {
		return err
	}
	return a.tar.Close()
}

// createFile creates a file under a temporary name; commit gives it its own, discard
// removes it unless it is committed.
func createFile(path string) (file *os.File, commit func() error, discard func(), err error) {
	temporary := path + ".incomplete"
	file, err = os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, nil, nil, err
	}
	commit = func() error {
		if err := errors.Join(file.Sync(), file.Close()); err != nil {
			return err
		}
		// A link, unlike renaming, does not replace a file that somebody has created.
		if err := os.Link(temporary, path); err != nil {
			return err
		}
		return errors.Join(os.Remove(temporary), syncFolder(filepath.Dir(path)))
	}
	return file, commit, func() { _ = file.Close(); _ = os.Remove(temporary) }, nil
}

// syncFolder makes renamed files in a folder survive a power failure.
func syncFolder(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// damagedError says that a file is not a complete backup.
type damagedError struct {
	path, reason string
}

func (e *damagedError) Error() string {
	return fmt.Sprintf("%s is damaged or incomplete (%s); nothing was changed. Use another backup", e.path, e.reason)
}

// readArchive calls read with each member but the last two, in their order.
func readArchive(path string, read func(name string, content io.Reader) error) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	for members := tar.NewReader(file); ; {
		header, err := members.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := read(header.Name, members); err != nil {
			return err
		}
	}
}

// Verify reads a whole backup and returns its manifest, or an error that says what is
// wrong with it.
func Verify(path string) (Manifest, error) {
	manifest, _, err := verify(path)
	return manifest, err
}

// verify reads a whole backup, compares each member with the manifest and returns the
// manifest and its digest. It changes nothing.
func verify(path string) (Manifest, string, error) {
	damaged := func(reason string, args ...any) (Manifest, string, error) {
		return Manifest{}, "", &damagedError{path, fmt.Sprintf(reason, args...)}
	}
	if _, err := os.Stat(path); err != nil {
		return Manifest{}, "", fmt.Errorf("the backup cannot be read: %w", err)
	}
	var (
		found    []member
		manifest Manifest
		end      []byte
	)
	err := readArchive(path, func(name string, content io.Reader) error {
		digest, counted := sha256.New(), &countingReader{Reader: content}
		var err error
		switch name {
		case manifestName:
			err = json.NewDecoder(io.TeeReader(counted, digest)).Decode(&manifest)
		case endName:
			end, err = io.ReadAll(io.LimitReader(counted, sha256.Size*2+1))
		}
		if err == nil {
			err = drain(counted, digest)
		}
		found = append(found, member{name, counted.n, hex.EncodeToString(digest.Sum(nil))})
		return err
	})
	n := len(found)
	switch {
	case err != nil:
		return damaged("%v", err)
	case n == 0 || found[0].Name != headerName:
		return damaged("it is not a backup of Mergegate")
	case manifest.Format > formatVersion:
		return Manifest{}, "", fmt.Errorf("%s has format %d and this program reads %d: it was made by a newer Mergegate (%s), use that one",
			path, manifest.Format, formatVersion, manifest.Program)
	case n < 3 || found[n-1].Name != endName || found[n-2].Name != manifestName || string(end) != found[n-2].SHA256:
		return damaged("its end is missing")
	case n-2 != len(manifest.Members):
		return damaged("it has %d members instead of %d", n-2, len(manifest.Members))
	}
	for i, want := range manifest.Members {
		if found[i] != want {
			return damaged("%s was changed", want.Name)
		}
	}
	return manifest, string(end), nil
}

type countingReader struct {
	io.Reader
	n int64
}

func (r *countingReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.n += int64(n)
	return n, err
}

// drain adds the rest of a member to its digest.
func drain(r io.Reader, digest hash.Hash) error {
	_, err := io.Copy(digest, r)
	return err
}
