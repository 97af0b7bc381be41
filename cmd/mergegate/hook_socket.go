package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// hookFolderPrefix begins the name of a folder for a hooks' socket among the
// temporary files.
const hookFolderPrefix = "mergegate-hooks-"

// hookFolderGrace spares folders that may be too young to be locked.
const hookFolderGrace = time.Minute

// hookSocket chooses where hooks find this process. On SQLite there is one
// process to a data folder, and the socket is in it. Instances on PostgreSQL
// may share the folder, and the kernel takes about a hundred bytes of path: they,
// and deep folders, get a private folder among the temporary files, which cleanup
// removes. Folders of processes that were killed are removed here.
func (c config) hookSocket() (path string, cleanup func(), err error) {
	if path = filepath.Join(c.Data, "hooks.sock"); !c.postgres() && len(path) <= 100 {
		return path, func() {}, nil
	}
	removeStaleHookFolders(os.TempDir())
	dir, err := os.MkdirTemp("", hookFolderPrefix)
	if err != nil {
		return "", nil, fmt.Errorf("make a folder for the hooks' socket: %w", err)
	}
	lock, err := lockFolder(dir)
	if err != nil {
		return "", nil, errors.Join(fmt.Errorf("lock the folder of the hooks' socket: %w", err), os.RemoveAll(dir))
	}
	return filepath.Join(dir, "hooks.sock"), func() { _ = os.RemoveAll(dir); _ = lock.Close() }, nil
}

// removeStaleHookFolders removes the folders whose process is gone: the lock
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

// lockFolder takes the lock of a folder, for as long as the file is open.
func lockFolder(dir string) (*os.File, error) {
	return lockFile(filepath.Join(dir, "lock"))
}

// lockFile makes and locks a file, for as long as it is open. EWOULDBLOCK means
// that another process has it.
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
