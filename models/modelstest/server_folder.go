package modelstest

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const (
	// folderPrefix is the prefix of the directories of temporary servers.
	folderPrefix = "mergegate-pg-"
	// staleAfter spares directories that are too new to have their lock file.
	staleAfter = time.Minute
	// socketLimit is the longest path of a unix socket, in bytes.
	socketLimit = 100
)

// serverFolder is the directory of one server, with its data, socket and log. A locked
// file in it marks a directory in use; a killed process leaves it unlocked.
type serverFolder struct {
	path string
	lock *os.File
}

func newServerFolder(parent string, account *syscall.Credential) (*serverFolder, error) {
	path, err := os.MkdirTemp(parent, folderPrefix)
	if err != nil {
		return nil, err
	}
	dir := &serverFolder{path: path}
	if err := dir.prepare(account); err != nil {
		dir.remove()
		return nil, err
	}
	return dir, nil
}

func (d *serverFolder) prepare(account *syscall.Credential) error {
	if socket := filepath.Join(d.socket(), ".s.PGSQL.5432"); len(socket) > socketLimit {
		return fmt.Errorf("the path %s is too long for a socket: set TMPDIR to a shorter one", socket)
	}
	lock, err := lockFile(filepath.Join(d.path, "lock"))
	if err != nil {
		return err
	}
	d.lock = lock
	if err := os.Chmod(d.path, 0o755); err != nil { // the server's account enters it
		return err
	}
	for _, sub := range []string{d.data(), d.socket()} {
		if err := os.Mkdir(sub, 0o700); err != nil {
			return err
		}
		if account == nil {
			continue
		}
		if err := os.Chown(sub, int(account.Uid), int(account.Gid)); err != nil {
			return err
		}
	}
	return nil
}

func (d *serverFolder) data() string   { return filepath.Join(d.path, "data") }
func (d *serverFolder) socket() string { return filepath.Join(d.path, "socket") }
func (d *serverFolder) log() string    { return filepath.Join(d.path, "log") }

func (d *serverFolder) remove() {
	_ = os.RemoveAll(d.path)
	if d.lock != nil {
		_ = d.lock.Close()
	}
}

// removeStaleFolders removes the directories of processes that have ended.
func removeStaleFolders(parent string) {
	found, _ := filepath.Glob(filepath.Join(parent, folderPrefix+"*"))
	for _, path := range found {
		info, err := os.Stat(path)
		if err != nil || time.Since(info.ModTime()) < staleAfter {
			continue
		}
		lock, err := lockFile(filepath.Join(path, "lock"))
		if err != nil { // in use, or not ours
			continue
		}
		_ = os.RemoveAll(path)
		_ = lock.Close()
	}
}

// lockFile creates and locks a file. The lock is released when the process ends.
func lockFile(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}
