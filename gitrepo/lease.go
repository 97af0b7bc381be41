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

// leaseName is a file in each repository. A git process that may change refs
// holds a shared lock (flock) on it, through a descriptor that everything it
// starts inherits: the lock ends with the last of them, also when this process
// is killed. Whoever gets the exclusive lock knows that every git lock file in
// the repository is left over from a crash, on all instances that share the
// folder.
const leaseName = "mergegate.lease"

// leaseWait is how long a process waits for a sweep of the repository, which
// takes milliseconds.
const leaseWait = 5 * time.Second

// lockAge is how old a lock file must be to be left over although a process
// holds the lease: git holds one for moments.
const lockAge = 10 * time.Minute

// takeLease gives a process that may change refs the repository's lease. The
// file must be closed after the process has started.
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
	// The sweep passes over repositories in which nothing has run since.
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

// SweepLocks removes the lock files that git processes left behind when they
// were killed. They would refuse every later push to their branch. Meant for
// the start and for every minute: repositories in which nothing has run since
// the last time cost one look at a file.
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
			faults = append(faults, fmt.Errorf("sweep the locks of project %d: %w", id, err))
		}
	}
	return errors.Join(faults...)
}

// sweepIfUsed sweeps a repository unless nothing has run in it since.
func (s *Store) sweepIfUsed(id int64) error {
	var used time.Time // zero: no process of ours ever changed a ref
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

// sweepLocks removes the lock files of a repository that no living git process
// holds, and counts them. all is false where processes are running, so that
// only locks older than lockAge could go.
func (s *Store) sweepLocks(id int64) (removed int, all bool, err error) {
	lease, err := s.openLease(id)
	if err != nil {
		return 0, false, err
	}
	defer lease.Close() // and with it the lock
	before := time.Now().Add(time.Hour)
	switch err := syscall.Flock(int(lease.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
	case errors.Is(err, syscall.EWOULDBLOCK):
		before = time.Now().Add(-lockAge)
	case err != nil:
		return 0, false, fmt.Errorf("take the lease of project %d: %w", id, err)
	default:
		all = true
	}
	repo := s.path(id)
	err = filepath.WalkDir(repo, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // gone while walking
		}
		if err != nil {
			return err
		}
		if d.IsDir() {
			if filepath.Dir(path) == filepath.Join(repo, "objects") && d.Name() != "info" && d.Name() != "pack" {
				return fs.SkipDir // objects have no locks
			}
			return nil
		}
		if !strings.HasSuffix(d.Name(), ".lock") && path != filepath.Join(repo, "gc.pid") {
			return nil
		}
		if info, err := d.Info(); err != nil || info.ModTime().After(before) {
			return nil
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		removed++
		s.log.Warn("removed a lock that a crash left behind", "project_id", id, "path", strings.TrimPrefix(path, s.root))
		return nil
	})
	return removed, all, err
}
