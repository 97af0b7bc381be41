//go:build !linux

package gitrepo

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// apply does nothing: setting limits of another process needs Linux. The limits of
// time, output and number work on every system.
func (l limits) apply(int) error { return nil }

// endWithParent does nothing: only the kernel of Linux ends processes with their parent.
func endWithParent(*syscall.SysProcAttr) {}

// syncFolder asks the system to write all changes to disk.
func syncFolder(string) error { return unix.Sync() }
