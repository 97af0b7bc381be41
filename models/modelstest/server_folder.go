package modelstest

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const (
	// folderPrefix begins the name of every folder of a throw-away server.
	folderPrefix = "mergegate-test-postgres-"
	// sweepAfter spares folders too young to carry their lock yet.
	sweepAfter = time.Minute
	// socketLimit is how long, in bytes, the path of a unix socket may be.
	socketLimit = 100
)

// serverFolder holds the data, socket and log of one server. A lock on a file
// in it tells a folder in use from one that a killed process left behind.
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

// sweepServerFolders removes the folders whose process is gone.
func sweepServerFolders(parent string) {
	found, _ := filepath.Glob(filepath.Join(parent, folderPrefix+"*"))
	for _, path := range found {
		info, err := os.Stat(path)
		if err != nil || time.Since(info.ModTime()) < sweepAfter {
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

// lockFile makes and locks a file. The lock goes with the process.
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
