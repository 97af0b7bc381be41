//go:build !linux

package gitrepo

import "golang.org/x/sys/unix"

// apply does nothing: setting limits of another process needs Linux. The limits of
// time, output and number work on every system.
func (l limits) apply(int) error { return nil }

// syncFolder asks the system to write all changes to disk.
func syncFolder(string) error { return unix.Sync() }
