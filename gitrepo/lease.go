package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// leaseName is the name of the lease, a file in each repository. Every git process
// that may change refs holds a shared lock (flock) on it. Its child processes
// inherit the lock, which ends with the last of them, even if this process is
// killed. So whoever gets the exclusive lock knows that all lock files of git in
// the repository are stale. This works for all instances that share the folder.
const leaseName = "mergegate.lease"

// leaseWait is how long a process waits for the lease while SweepLocks holds it,
// which takes milliseconds.
const leaseWait = 5 * time.Second

// lockAge is the age from which a lock file is stale even if a process holds the
// lease. git holds lock files only for a moment.
const lockAge = 10 * time.Minute

// takeLease takes the lease of a repository and passes it to cmd. The caller
// closes the file after the process has started.
func (s *Store) takeLease(ctx context.Context, cmd *exec.Cmd, id int64) (*os.File, error) {
	file, err := s.openLease(id)
	if err != nil {
		return nil, err
	}
	for begin := time.Now(); ; {
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
		if err == nil {
			break
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) || time.Since(begin) > leaseWait || ctx.Err() != nil {
			return nil, errors.Join(fmt.Errorf("take the lease of project %d: %w", id, err), file.Close())
		}
		time.Sleep(2 * time.Millisecond)
	}
	// SweepLocks skips repositories whose lease was not used since.
	now := time.Now()
	if err := os.Chtimes(file.Name(), now, now); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	cmd.ExtraFiles = append(cmd.ExtraFiles, file)
	return file, nil
}

func (s *Store) openLease(id int64) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(s.path(id), leaseName), os.O_CREATE|os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		err = ErrMissing
	}
	return file, err
}

// SweepLocks removes the lock files of killed git processes in all repositories.
// They would block every later push to the same branch. Call it at start and every
// minute: for a repository that was not used since the last call it only checks
// the lease.
func (s *Store) SweepLocks(ctx context.Context) error {
	entries, err := os.ReadDir(s.root)
	if err != nil {
		return err
	}
	var faults []error
	for _, e := range entries {
		name, isRepo := strings.CutSuffix(e.Name(), ".git")
		id, err := strconv.ParseInt(name, 10, 64)
		if !isRepo || err != nil {
			continue
		}
		if ctx.Err() != nil {
			break
		}
		if err := s.sweepIfUsed(id); err != nil && !errors.Is(err, ErrNotFound) { // deleted meanwhile
			faults = append(faults, fmt.Errorf("remove stale lock files of project %d: %w", id, err))
		}
	}
	return errors.Join(faults...)
}

// sweepIfUsed calls sweepLocks if the lease was used since the last call.
func (s *Store) sweepIfUsed(id int64) error {
	var used time.Time // zero if no process has taken the lease yet
	if info, err := os.Stat(filepath.Join(s.path(id), leaseName)); err == nil {
		used = info.ModTime()
	}
	s.sweptMu.Lock()
	last, swept := s.swept[id]
	s.sweptMu.Unlock()
	if swept && last.Equal(used) {
		return nil
	}
	_, all, err := s.sweepLocks(id)
	if err == nil && all {
		s.sweptMu.Lock()
		s.swept[id] = used
		s.sweptMu.Unlock()
	}
	return err
}

// sweepLocks removes the stale lock files of a repository and returns their
// number. all is false if git processes hold the lease; then it removes only files
// older than lockAge.
func (s *Store) sweepLocks(id int64) (removed int, all bool, err error) {
	lease, err := s.openLease(id)
	if err != nil {
		return 0, false, err
	}
	defer lease.Close() // also releases the lock
	before := time.Now().Add(time.Hour)
	switch err := syscall.Flock(int(lease.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
	case errors.Is(err, syscall.EWOULDBLOCK):
		before = time.Now().Add(-lockAge)
	case err != nil:
		return 0, false, fmt.Errorf("take the lease of project %d: %w", id, err)
	default:
		all = true
	}
	err = s.eachLock(id, func(path string, d fs.DirEntry) error {
		if info, err := d.Info(); err != nil || info.ModTime().After(before) {
			return nil
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		removed++
		s.log.Warn("stale lock file removed", "project_id", id, "path", strings.TrimPrefix(path, s.root))
		return nil
	})
	return removed, all, err
}

// StaleLocks returns the paths of lock files that git holds for longer than ten minutes,
// relative to the folder of repositories. A running server removes them within a
// minute, so they show that no server does. It changes nothing.
func (s *Store) StaleLocks(ctx context.Context, id int64) ([]string, error) {
	before := time.Now().Add(-lockAge)
	var stale []string
	err := s.eachLock(id, func(path string, d fs.DirEntry) error {
		if info, err := d.Info(); err == nil && info.ModTime().Before(before) {
			stale = append(stale, strings.TrimPrefix(path, s.root+string(filepath.Separator)))
		}
		return ctx.Err()
	})
	return stale, err
}

// eachLock calls f with each lock file of git in a repository.
func (s *Store) eachLock(id int64, f func(path string, d fs.DirEntry) error) error {
	repo := s.path(id)
	return filepath.WalkDir(repo, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // deleted in the meantime
		}
		if err != nil {
			return err
		}
		if d.IsDir() {
			if filepath.Dir(path) == filepath.Join(repo, "objects") && d.Name() != "info" && d.Name() != "pack" {
				return fs.SkipDir // no lock files there
			}
			return nil
		}
		if !strings.HasSuffix(d.Name(), ".lock") && path != filepath.Join(repo, "gc.pid") {
			return nil
		}
		return f(path, d)
	})
}
