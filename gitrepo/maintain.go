package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
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
		c.limits = maintenanceLimits()
		if _, err := s.run(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// lockAge is how old a ref lock must be to be nobody's: git holds one for
// moments.
const lockAge = 10 * time.Minute

// Tidy is the daily upkeep of all repositories: Sweep, and Prune for each. One
// damaged repository keeps none of the others from theirs.
func (s *Store) Tidy(ctx context.Context) error {
	_, err := s.Sweep(ctx, lockAge)
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

// Sweep removes what crashes leave behind and nothing else cleans up: ref
// locks, which would refuse every later push to that branch, and folders of
// deleted or half-made repositories, where they are older than age. It
// returns the paths removed, relative to the root.
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
		path := filepath.Join(s.root, e.Name())
		switch {
		case strings.HasPrefix(e.Name(), leftoverPrefix):
			if info, err := e.Info(); err != nil || info.ModTime().After(before) {
				continue
			}
			if err := os.RemoveAll(path); err != nil {
				faults = append(faults, err)
				continue
			}
			removed = append(removed, e.Name())
		case strings.HasSuffix(e.Name(), ".git"):
			locks, err := sweepLocks(path, before)
			faults = append(faults, err)
			for _, l := range locks {
				rel, _ := filepath.Rel(s.root, l)
				removed = append(removed, rel)
			}
		}
	}
	for _, path := range removed {
		s.log.Warn("removed what a crash left behind", "path", path)
	}
	return removed, errors.Join(faults...)
}

// sweepLocks removes the lock files of a repository that are older than
// before. Objects are not looked through: they have no locks.
func sweepLocks(repo string, before time.Time) ([]string, error) {
	var removed []string
	err := filepath.WalkDir(repo, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // gone while walking
		}
		if err != nil {
			return err
		}
		if d.IsDir() {
			if d.Name() == "objects" && filepath.Dir(path) == repo {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(d.Name(), ".lock") {
			return nil
		}
		info, err := d.Info()
		if err != nil || info.ModTime().After(before) {
			return nil
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		removed = append(removed, path)
		return nil
	})
	return removed, err
}
