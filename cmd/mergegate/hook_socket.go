package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// hookFolderPrefix is the prefix of the temporary folders that contain the
// socket for git's hooks.
const hookFolderPrefix = "mergegate-hooks-"

// hookFolderGrace is the age below which a folder is kept, because its process
// may not have locked it yet.
const hookFolderGrace = time.Minute

// hookSocket returns the path of the socket for git's hooks. With SQLite, only
// one process uses the data folder, and the socket is in it. Instances that use
// PostgreSQL may share the folder, and the kernel limits the path of a socket to
// about 100 bytes. In these two cases the socket is in a private temporary
// folder, which cleanup removes. hookSocket removes the folders of killed
// processes.
func (c config) hookSocket() (path string, cleanup func(), err error) {
	if path = filepath.Join(c.Data, "hooks.sock"); !c.postgres() && len(path) <= 100 {
		return path, func() {}, nil
	}
	removeStaleHookFolders(os.TempDir())
	dir, err := os.MkdirTemp("", hookFolderPrefix)
	if err != nil {
		return "", nil, fmt.Errorf("create the folder of the hook socket: %w", err)
	}
	lock, err := lockFolder(dir)
	if err != nil {
		return "", nil, errors.Join(fmt.Errorf("lock the folder of the hook socket: %w", err), os.RemoveAll(dir))
	}
	return filepath.Join(dir, "hooks.sock"), func() { _ = os.RemoveAll(dir); _ = lock.Close() }, nil
}

// removeStaleHookFolders removes the folders whose process has ended: the lock
// of a process ends with it.
func removeStaleHookFolders(parent string) {
	folders, _ := filepath.Glob(filepath.Join(parent, hookFolderPrefix+"*"))
	for _, dir := range folders {
		info, err := os.Lstat(dir)
		if err != nil || !info.IsDir() || time.Since(info.ModTime()) < hookFolderGrace {
			continue
		}
		if owner, ok := info.Sys().(*syscall.Stat_t); !ok || int(owner.Uid) != os.Geteuid() {
			continue
		}
		lock, err := lockFolder(dir)
		if err != nil {
			continue // in use
		}
		_ = os.RemoveAll(dir)
		_ = lock.Close()
	}
}

// lockFolder locks a folder until the returned file is closed.
func lockFolder(dir string) (*os.File, error) {
	return lockFile(filepath.Join(dir, "lock"))
}

// lockFile creates a file and locks it until it is closed. It returns
// EWOULDBLOCK if another process has locked it.
func lockFile(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}

// isLocked reports whether a process has locked an existing file.
func isLocked(path string) (bool, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return false, err
	}
	defer file.Close()
	// A shared lock does not refuse other readers that look at the same time.
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return true, nil
	}
	return false, err
}
