package gitrepo

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// OpenReader opens an existing folder of repositories to read it beside a server. It
// writes nothing; methods that change repositories must not be called.
func OpenReader(root string) (*Store, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	git, err := exec.LookPath("git")
	if err != nil {
		return nil, fmt.Errorf("git is missing: install git %s or later (%w)", minimumVersion, err)
	}
	if git, err = filepath.Abs(git); err != nil {
		return nil, err
	}
	s := &Store{
		root: root, git: git, options: Options{HooksDir: os.DevNull}, log: slog.New(slog.DiscardHandler),
		pools: newPools(), swept: map[int64]time.Time{},
	}
	s.env = s.environment()
	_, err = s.version()
	return s, err
}

// Version returns the version of the git program in PATH, or an error if it is missing
// or too old.
func Version() (string, error) {
	s, err := OpenReader(os.TempDir())
	if err != nil {
		return "", err
	}
	return s.version()
}

// Refs returns all refs of the repository by their full names. It returns ErrMissing if
// there is no repository.
func (r Repo) Refs(ctx context.Context) (map[string]string, error) {
	c := r.command("for-each-ref", "--format=%(objectname) %(refname)")
	c.limits, c.limit = maintenanceLimits(), 1<<30
	out, err := r.store.run(ctx, c)
	if err != nil {
		return nil, err
	}
	refs := map[string]string{}
	for line := range strings.Lines(string(out)) {
		sha, ref, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		refs[ref] = sha
	}
	return refs, nil
}

// IDs returns the ids of the projects that have a repository, in no order.
func (s *Store) IDs() ([]int64, error) {
	entries, err := os.ReadDir(s.root)
	if err != nil {
		return nil, err
	}
	var ids []int64
	for _, e := range entries {
		name, isRepo := strings.CutSuffix(e.Name(), ".git")
		if id, err := strconv.ParseInt(name, 10, 64); isRepo && err == nil {
			ids = append(ids, id)
		}
	}
	return ids, nil
}
