package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// pruneAge is how old an object that nothing points to must be before Prune
// removes it: far older than any push or merge that is being prepared.
const pruneAge = "1.day.ago"

// Prune packs what has come loose and removes what nothing points to, among it
// the remains of pushes that a crash cut off. Meant for a daily job.
func (s *Store) Prune(ctx context.Context, id int64) error {
	for _, args := range [][]string{
		// Reflogs are kept for recovery, which needs minutes of them.
		{"reflog", "expire", "--all", "--expire=" + pruneAge, "--expire-unreachable=" + pruneAge},
		{"-c", "gc.auto=2000", "-c", "gc.autoDetach=false", "gc", "--auto", "--quiet"},
		{"prune", "--expire=" + pruneAge},
	} {
		c := s.Repo(id).command(args...)
		c.limits, c.writes = maintenanceLimits(), true
		if _, err := s.run(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// leftoverAge is how old a folder on its way in or out must be to be nobody's.
const leftoverAge = 10 * time.Minute

// Tidy is the daily upkeep of all repositories: Sweep, and Prune for each. One
// damaged repository keeps none of the others from theirs.
func (s *Store) Tidy(ctx context.Context) error {
	_, err := s.Sweep(ctx, leftoverAge)
	faults := []error{err}
	entries, err := os.ReadDir(s.root)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name, isRepo := strings.CutSuffix(e.Name(), ".git")
		id, err := strconv.ParseInt(name, 10, 64)
		if !isRepo || err != nil {
			continue
		}
		if err := s.Prune(ctx, id); err != nil {
			faults = append(faults, fmt.Errorf("tidy the repository of project %d: %w", id, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(faults...)
}

// Sweep removes the folders of deleted or half-made repositories that a crash
// left behind and that are older than age. It returns their names.
func (s *Store) Sweep(ctx context.Context, age time.Duration) ([]string, error) {
	entries, err := os.ReadDir(s.root)
	if err != nil {
		return nil, err
	}
	before := time.Now().Add(-age)
	var removed []string
	var faults []error
	for _, e := range entries {
		if ctx.Err() != nil {
			return removed, ctx.Err()
		}
		if !strings.HasPrefix(e.Name(), leftoverPrefix) {
			continue
		}
		if info, err := e.Info(); err != nil || info.ModTime().After(before) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(s.root, e.Name())); err != nil {
			faults = append(faults, err)
			continue
		}
		removed = append(removed, e.Name())
		s.log.Warn("removed what a crash left behind", "path", e.Name())
	}
	return removed, errors.Join(faults...)
}
