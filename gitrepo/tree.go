package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// TreeEntry is a file, folder or submodule.
type TreeEntry struct {
	Mode string // octal
	Kind string // "blob", "tree", or "commit" for a submodule
	SHA  string
	Name string // name in the folder, or path; see the method
	Size int64  // bytes of a blob; -1 for others and if unknown
}

// Tree lists a folder of a commit, or returns ErrNotFound. An empty path means the
// root.
func (r Repo) Tree(ctx context.Context, sha, path string) ([]TreeEntry, error) {
	object, err := objectAt(sha, path)
	if err != nil {
		return nil, err
	}
	out, err := r.git(ctx, "ls-tree", "-z", "--long", "--end-of-options", object)
	if err != nil {
		return nil, noSuchPath(err, path)
	}
	var entries []TreeEntry
	for record := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		words, name, ok := strings.Cut(record, "\t")
		f := strings.Fields(words)
		if !ok || len(f) != 4 {
			continue // an empty folder has one empty record
		}
		size, err := strconv.ParseInt(f[3], 10, 64)
		if err != nil {
			size = -1
		}
		entries = append(entries, TreeEntry{Mode: f[0], Kind: f[1], SHA: f[2], Name: validText(name), Size: size})
	}
	return entries, nil
}

// Blob reads at most limit bytes of a file of a commit, or returns ErrNotFound.
// complete is false if the file is longer.
func (r Repo) Blob(ctx context.Context, sha, path string, limit int64) (content []byte, complete bool, err error) {
	object, err := objectAt(sha, path)
	if err != nil {
		return nil, false, err
	}
	if path == "" {
		return nil, false, fmt.Errorf("the root is not a file: %w", ErrNotFound)
	}
	err = r.store.stream(ctx, r.command("cat-file", "blob", object), func(in io.Reader) (bool, error) {
		content, err = io.ReadAll(io.LimitReader(in, limit+1))
		complete = int64(len(content)) <= limit
		return complete, err
	})
	if !complete {
		content = content[:limit]
	}
	return content, complete && err == nil, noSuchPath(err, path)
}

// objectAt returns the revision of git for a path of a commit. It begins with an id,
// so git cannot read it as an option. Paths with "." or ".." are ErrNotFound.
func objectAt(sha, path string) (string, error) {
	if err := checkIDs(sha); err != nil {
		return "", err
	}
	for part := range strings.SplitSeq(path, "/") {
		if part == "." || part == ".." || strings.Contains(part, "\x00") {
			return "", fmt.Errorf("%q: %w", validText(path), ErrNotFound)
		}
	}
	return sha + ":" + path, nil
}

// noSuchPath returns ErrNotFound for exit code 128 of git, and other errors
// unchanged.
func noSuchPath(err error, path string) error {
	var failed *CommandError
	if errors.As(err, &failed) && failed.ExitCode == 128 {
		return fmt.Errorf("%q: %w", validText(path), errors.Join(ErrNotFound, err))
	}
	return err
}

// maxTreeList is the maximum number of entries that TreeEntries returns.
const maxTreeList = 20_000

// TreeEntries lists a folder of a commit without sizes, or returns ErrNotFound. An
// empty path means the root. With recursive it also lists the contents of its
// folders; names are paths relative to the folder. complete is false if there are
// more than maxTreeList entries, of which it returns the first.
func (r Repo) TreeEntries(ctx context.Context, sha, path string, recursive bool) (entries []TreeEntry, complete bool, err error) {
	object, err := objectAt(sha, path)
	if err != nil {
		return nil, false, err
	}
	args := []string{"ls-tree", "-z", "--full-tree"}
	if recursive {
		args = append(args, "-r", "-t")
	}
	complete = true
	err = r.store.stream(ctx, r.command(append(args, "--end-of-options", object)...), func(out io.Reader) (bool, error) {
		return eachRecord(out, func(record string) bool {
			words, name, _ := strings.Cut(record, "\t")
			f := strings.Fields(words)
			if len(f) != 3 {
				return true
			}
			if complete = len(entries) < maxTreeList; complete {
				entries = append(entries, TreeEntry{Mode: f[0], Kind: f[1], SHA: f[2], Name: validText(name), Size: -1})
			}
			return complete
		})
	})
	return entries, complete, noSuchPath(err, path)
}

// File returns the entry of a file of a commit, with the whole path as Name. It
// returns ErrNotFound if there is none, or if path is a folder or submodule.
func (r Repo) File(ctx context.Context, sha, path string) (TreeEntry, error) {
	if _, err := objectAt(sha, path); err != nil {
		return TreeEntry{}, err
	}
	c := r.command("ls-tree", "-z", "--long", "--full-tree", "--end-of-options", sha, path)
	c.env = append(c.env, literalPaths)
	out, err := r.store.run(ctx, c)
	if err != nil {
		return TreeEntry{}, noSuchPath(err, path)
	}
	words, name, _ := strings.Cut(strings.TrimSuffix(string(out), "\x00"), "\t")
	f := strings.Fields(words)
	if path == "" || name != path || len(f) != 4 || f[1] != "blob" {
		return TreeEntry{}, fmt.Errorf("%q: %w", validText(path), ErrNotFound)
	}
	size, err := strconv.ParseInt(f[3], 10, 64)
	return TreeEntry{Mode: f[0], Kind: f[1], SHA: f[2], Name: name, Size: size}, err
}

// LastCommit returns the last commit in the history of sha that changed a path, or
// "" if a limit is reached.
func (r Repo) LastCommit(ctx context.Context, sha, path string) (string, error) {
	if err := checkIDs(sha); err != nil {
		return "", err
	}
	c := r.command("log", "-1", "--format=%H", "--end-of-options", sha, "--", path)
	c.env = append(c.env, literalPaths)
	out, err := r.store.run(ctx, c)
	if errors.Is(err, ErrTooLarge) {
		return "", nil
	}
	return strings.TrimSpace(string(out)), err
}
