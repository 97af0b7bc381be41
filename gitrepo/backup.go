package gitrepo

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// Missing returns those ids that are not objects of the repository.
func (r Repo) Missing(ctx context.Context, ids []string) ([]string, error) {
	c := r.command("cat-file", "--batch-check=%(objectname)")
	c.limits, c.limit = maintenanceLimits(), 1<<30
	c.stdin = strings.NewReader(lines(ids))
	out, err := r.store.run(ctx, c)
	var missing []string
	for line := range strings.Lines(string(out)) {
		if id, ok := strings.CutSuffix(line, " missing\n"); ok {
			missing = append(missing, id)
		}
	}
	return missing, err
}

// WritePack writes a pack with all objects that are reachable from ids. All of them must
// exist.
func (r Repo) WritePack(ctx context.Context, ids []string, w io.Writer) error {
	// One thread, because a backup runs beside a server.
	c := r.command("pack-objects", "--revs", "--stdout", "--delta-base-offset", "--quiet", "--threads=1")
	c.limits, c.stdin = maintenanceLimits(), strings.NewReader(lines(ids))
	return r.store.stream(ctx, c, func(out io.Reader) (bool, error) {
		_, err := io.Copy(w, out)
		return true, err
	})
}

// Restore creates the repository of a project from a pack and refs. pack may be nil if
// there are no refs. Branches get no reflog: recovery then takes the refs as they are.
func (s *Store) Restore(ctx context.Context, id int64, defaultBranch string, pack io.Reader, refs map[string]string) error {
	if err := s.Create(ctx, id, defaultBranch); err != nil || len(refs) == 0 {
		return err
	}
	index := s.Repo(id).command("index-pack", "--stdin")
	index.limits, index.stdin = maintenanceLimits(), pack
	if _, err := s.runOnce(ctx, index); err != nil {
		return fmt.Errorf("unpack the repository of project %d: %w", id, err)
	}
	var updates strings.Builder
	for _, ref := range slices.Sorted(maps.Keys(refs)) {
		fmt.Fprintf(&updates, "create %s %s\n", ref, refs[ref])
	}
	for _, args := range [][]string{
		{"-c", "core.logAllRefUpdates=false", "update-ref", "--no-deref", "--stdin"}, {"pack-refs", "--all"},
	} {
		c := s.Repo(id).command(args...)
		c.limits, c.stdin = maintenanceLimits(), strings.NewReader(updates.String())
		if _, err := s.run(ctx, c); err != nil {
			return fmt.Errorf("create the refs of project %d: %w", id, err)
		}
	}
	return nil
}

// lines joins ids, one per line.
func lines(ids []string) string {
	if len(ids) == 0 {
		return ""
	}
	return strings.Join(ids, "\n") + "\n"
}
