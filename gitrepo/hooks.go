package gitrepo

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// The names of git's hooks that a push runs: before its refs move, and afterwards.
const (
	preReceive  = "pre-receive"
	postReceive = "post-receive"
)

// hookScript is the text of both hooks. A hook sends the data of a push to hookPipes and
// prints the answer. A script starts ten times faster than this program would.
//
//go:embed hook.sh
var hookScript []byte

// hooksFolder returns the folder for hooks in dir. Its name depends on the script, so
// that another version of this program, which uses the same dir, keeps its own.
func hooksFolder(dir string) string {
	sum := sha256.Sum256(hookScript)
	return filepath.Join(dir, hex.EncodeToString(sum[:6]))
}

// ensureHooks checks the hooks before a push and writes them if necessary. git
// ignores a hook that it cannot run and would accept every push.
func (s *Store) ensureHooks() error {
	if s.checkHooks() == nil {
		return nil
	}
	if err := s.writeHooks(); err != nil {
		return err
	}
	return s.checkHooks()
}

// checkHooks returns an error if git cannot run one of the hooks.
func (s *Store) checkHooks() error {
	for _, name := range []string{preReceive, postReceive} {
		path := filepath.Join(s.hooks, name)
		info, err := os.Lstat(path)
		if err != nil {
			return fmt.Errorf("find the hook: %w", err)
		}
		if !info.Mode().IsRegular() {
			return fmt.Errorf("the hook %s is not a file", path)
		}
		if err := unix.Access(path, unix.X_OK); err != nil {
			return fmt.Errorf("the hook %s cannot be run, for example because its file system is mounted with noexec: %w", path, err)
		}
	}
	return nil
}

// writeHooks writes the hooks. It replaces files by a rename, so a concurrent push
// finds the old or the new one.
func (s *Store) writeHooks() error {
	if err := os.MkdirAll(s.hooks, 0o700); err != nil {
		return fmt.Errorf("create the folder of hooks: %w", err)
	}
	for _, name := range []string{preReceive, postReceive} {
		fresh := filepath.Join(s.hooks, "."+name+"-"+randomName())
		err := os.WriteFile(fresh, hookScript, 0o700)
		if err == nil {
			err = os.Rename(fresh, filepath.Join(s.hooks, name))
		}
		if err != nil {
			return errors.Join(fmt.Errorf("write the hook %s: %w", name, err), os.RemoveAll(fresh))
		}
	}
	return nil
}
