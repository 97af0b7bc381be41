package gitrepo

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// Limits of a comparison of two trees. A tree may contain the same tree many times,
// so a pack of a few hundred bytes can describe more files than fit on a disk. git
// diff-tree lists all of them before it prints the first.
const (
	maxTreeChanges   = 20_000   // changed files
	maxTreeFolders   = 50_000   // folders entered
	maxTreeDepth     = 500      // folders inside folders
	maxTreeBytes     = 64 << 20 // of tree objects, including repeated ones
	maxTreeObject    = 8 << 20  // of one tree object: about 200,000 entries
	maxTreePathBytes = 8 << 20  // of the paths of all changed files
	maxTreeCache     = 16 << 20 // of cached tree objects
)

// treeChange is a file that differs between two trees. Mode and id are empty if the
// tree does not have the file.
type treeChange struct {
	path             string
	oldMode, newMode string
	oldID, newID     string
}

// status returns the kind of change. It does not detect renames.
func (c treeChange) status() FileStatus {
	switch {
	case c.oldID == "":
		return FileAdded
	case c.newID == "":
		return FileDeleted
	case fileKind(c.oldMode) != fileKind(c.newMode):
		return FileTypeChanged
	}
	return FileModified
}

// fileKind returns the part of a mode that distinguishes files, links and
// submodules, without permissions.
func fileKind(mode string) string { return mode[:min(2, len(mode))] }

// treeEntry is one entry of a tree object.
type treeEntry struct {
	mode string // as stored: "40000" for a folder
	id   string
	name string
}

func (e treeEntry) isTree() bool { return e.mode == "40000" }

// sortKey returns the key by which git orders entries: folders as if their names
// ended in "/".
func (e treeEntry) sortKey() string {
	if e.isTree() {
		return e.name + "/"
	}
	return e.name
}

// treeChanges lists the files that differ between two commits or trees, in the order
// of git and without detecting renames. complete is false if it stopped at a limit
// and there are more changes.
func (r Repo) treeChanges(ctx context.Context, base, head string) (changes []treeChange, complete bool, err error) {
	if err := checkIDs(base, head); err != nil {
		return nil, false, err
	}
	requests, ask, err := os.Pipe()
	if err != nil {
		return nil, false, err
	}
	defer requests.Close()
	defer ask.Close()
	w := treeWalk{ask: ask, known: map[string][]byte{}}
	c := r.command("cat-file", "--batch")
	c.stdin = requests
	var walkErr error
	err = r.store.stream(ctx, c, func(out io.Reader) (bool, error) {
		w.answers = bufio.NewReaderSize(out, 64<<10)
		walkErr = w.run(base, head)
		return !w.stopped, ask.Close() // git exits at the end of its input
	})
	switch {
	case errors.Is(err, ErrTooLarge):
		return w.changes, false, nil
	case err != nil:
		return nil, false, err
	}
	return w.changes, !w.stopped, walkErr
}

// treeWalk compares trees, whose objects it reads from one git process.
type treeWalk struct {
	ask     io.Writer
	answers *bufio.Reader
	known   map[string][]byte // tree objects by id
	kept    int               // size of known in bytes

	changes   []treeChange
	folders   int
	bytes     int
	pathBytes int
	stopped   bool // a limit was reached
}

// run compares two commits or trees.
func (w *treeWalk) run(base, head string) error {
	old, err := w.top(base)
	if err != nil || w.stopped {
		return err
	}
	new, err := w.top(head)
	if err != nil || w.stopped {
		return err
	}
	return w.compare(old, new, "", 0)
}

// top returns the tree object of a commit or tree, or ErrNotFound.
func (w *treeWalk) top(id string) ([]byte, error) {
	data, err := w.read(id + "^{tree}")
	if err == nil && data == nil && !w.stopped {
		return nil, fmt.Errorf("%s: %w", id, ErrNotFound)
	}
	return data, err
}

// read returns a tree object. It returns nil if there is none, and nil with stopped
// set if the object is too large.
func (w *treeWalk) read(name string) ([]byte, error) {
	if data, ok := w.known[name]; ok {
		w.count(len(data))
		return data, nil
	}
	if _, err := io.WriteString(w.ask, name+"\n"); err != nil {
		return nil, fmt.Errorf("request the tree %s from git: %w", name, err)
	}
	head, err := w.answers.ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("read the tree %s: %w", name, err)
	}
	words := strings.Fields(head)
	if len(words) != 3 || words[1] != "tree" {
		return nil, nil // git printed "<name> missing"
	}
	size, err := strconv.Atoi(words[2])
	if err != nil {
		return nil, fmt.Errorf("read the tree %s: %w", name, err)
	}
	if size > maxTreeObject {
		w.stopped = true
		return nil, nil
	}
	data := make([]byte, size+1) // and a line break
	if _, err := io.ReadFull(w.answers, data); err != nil {
		return nil, fmt.Errorf("read the tree %s: %w", name, err)
	}
	data = data[:size]
	if w.kept += size; w.kept > maxTreeCache {
		clear(w.known)
		w.kept = size
	}
	w.known[name] = data
	w.count(size)
	return data, nil
}

// count counts a tree object and stops the walk at a limit.
func (w *treeWalk) count(size int) {
	w.folders++
	w.bytes += size
	w.stopped = w.stopped || w.folders > maxTreeFolders || w.bytes > maxTreeBytes
}

// compare adds the differences between two tree objects to changes.
func (w *treeWalk) compare(old, new []byte, folder string, depth int) error {
	if depth > maxTreeDepth {
		w.stopped = true
	}
	var a, b treeEntry
	var hasA, hasB bool
	var err error
	next := func(from *[]byte, e *treeEntry, has *bool) {
		if err == nil && !*has && len(*from) > 0 {
			*e, *from, err = nextEntry(*from)
			*has = err == nil
		}
	}
	for !w.stopped {
		next(&old, &a, &hasA)
		next(&new, &b, &hasB)
		if err != nil {
			return fmt.Errorf("read the folder %q: %w", validText(folder), err)
		}
		order := 0
		switch {
		case !hasA && !hasB:
			return nil
		case !hasA:
			order = 1
		case !hasB:
			order = -1
		default:
			order = strings.Compare(a.sortKey(), b.sortKey())
		}
		switch {
		case order < 0:
			err, hasA = w.changed(a, treeEntry{}, folder, depth), false
		case order > 0:
			err, hasB = w.changed(treeEntry{}, b, folder, depth), false
		default:
			if a != b {
				err = w.changed(a, b, folder, depth)
			}
			hasA, hasB = false, false
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// changed adds a changed file, or the changes inside a folder. One of the entries may
// be empty.
func (w *treeWalk) changed(a, b treeEntry, folder string, depth int) error {
	path := folder + a.name
	if a.name == "" {
		path = folder + b.name
	}
	if a.isTree() || b.isTree() {
		var old, new []byte
		var err error
		if a.isTree() {
			if old, err = w.sub(a.id); err != nil || w.stopped {
				return err
			}
		}
		if b.isTree() {
			if new, err = w.sub(b.id); err != nil || w.stopped {
				return err
			}
		}
		return w.compare(old, new, path+"/", depth+1)
	}
	if len(w.changes) == maxTreeChanges || w.pathBytes+len(path) > maxTreePathBytes {
		w.stopped = true
		return nil
	}
	w.pathBytes += len(path)
	w.changes = append(w.changes, treeChange{path: path, oldMode: a.mode, newMode: b.mode, oldID: a.id, newID: b.id})
	return nil
}

// sub returns the tree object of a folder, or an error if it is missing.
func (w *treeWalk) sub(id string) ([]byte, error) {
	data, err := w.read(id)
	if err == nil && data == nil && !w.stopped {
		err = fmt.Errorf("the tree %s is missing", id)
	}
	return data, err
}

// nextEntry parses one entry, "<mode> <name> NUL <id in binary>", and returns it and
// the rest of the tree object.
func nextEntry(data []byte) (treeEntry, []byte, error) {
	mode, rest, ok := bytes.Cut(data, []byte{' '})
	name, rest, ok2 := bytes.Cut(rest, []byte{0})
	if !ok || !ok2 || len(rest) < 20 || len(mode) == 0 || len(name) == 0 {
		return treeEntry{}, nil, errors.New("invalid tree object")
	}
	mode = bytes.TrimLeft(mode, "0") // some old programs write leading zeros
	return treeEntry{mode: string(mode), name: string(name), id: hex.EncodeToString(rest[:20])}, rest[20:], nil
}
