// Package hooktest ends a test binary that git started as a hook.
package hooktest

import "syscall"

// Exit ends the process at once. In a binary with the race detector, os.Exit waits a
// second for reports of other goroutines, and a push runs two hooks.
func Exit(code int) {
	syscall.RawSyscall(syscall.SYS_EXIT_GROUP, uintptr(code), 0, 0)
}
