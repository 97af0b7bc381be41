package gitrepo

import (
	"context"
	"os"
	"strconv"
	"strings"
)

// Version returns the version of the git program in PATH, or an error if it is missing
// or too old.
func Version() (string, error) {
	s, err := Open(os.TempDir())
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
