package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// TreeEntry is one file or folder.
type TreeEntry struct {
	Mode string // octal
	Kind string // "blob", "tree", or "commit" for a submodule
	SHA  string
	Name string // without the folder
	Size int64  // bytes of a blob, -1 for others
}

// Tree lists a folder of a commit, the root for an empty path; ErrNotFound
// when there is no such folder.
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
			continue // the empty record of an empty folder
		}
		size, err := strconv.ParseInt(f[3], 10, 64)
		if err != nil {
			size = -1
		}
		entries = append(entries, TreeEntry{Mode: f[0], Kind: f[1], SHA: f[2], Name: validText(name), Size: size})
	}
	return entries, nil
}

// Blob reads a file of a commit, limit bytes at most; complete is false when
// there is more. ErrNotFound when there is no such file.
func (r Repo) Blob(ctx context.Context, sha, path string, limit int64) (content []byte, complete bool, err error) {
	object, err := objectAt(sha, path)
	if err != nil {
		return nil, false, err
	}
	if path == "" {
		return nil, false, fmt.Errorf("the root is no file: %w", ErrNotFound)
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

// objectAt is git's name for a path of a commit. It begins with an id, so it
// can be no option; dots that git would resolve are refused.
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

// noSuchPath reads git's exit code 128 as a path that is not there.
func noSuchPath(err error, path string) error {
	var failed *CommandError
	if errors.As(err, &failed) && failed.ExitCode == 128 {
		return fmt.Errorf("%q: %w", validText(path), errors.Join(ErrNotFound, err))
	}
	return err
}
