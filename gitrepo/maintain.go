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

// pruneAge is the age from which Prune removes unreachable objects. No push or
// merge takes that long.
const pruneAge = "1.day.ago"

// Prune packs loose objects and removes unreachable ones, including those of
// pushes that a crash interrupted. Call it once a day.
func (s *Store) Prune(ctx context.Context, id int64) error {
	for _, args := range [][]string{
		// Recovery reads reflogs, but only the last minutes of them.
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

// leftoverAge is the age from which Tidy removes temporary folders.
const leftoverAge = 10 * time.Minute

// Tidy calls Sweep, and Prune for every repository. It continues after a failure
// and returns the joined errors. Call it once a day.
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
			faults = append(faults, fmt.Errorf("prune the repository of project %d: %w", id, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(faults...)
}

// Sweep removes temporary folders of created or deleted repositories that a crash
// left and that are older than age. It returns their names.
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
		s.log.Warn("temporary folder of a crash removed", "path", e.Name())
	}
	return removed, errors.Join(faults...)
}
