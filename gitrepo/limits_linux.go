package gitrepo

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// apply sets the limits of a process that has just started. Its child processes
// inherit them. RLIMIT_DATA counts only writable private memory; RLIMIT_AS would
// count the packs that git maps for reading, too.
func (l limits) apply(pid int) error {
	set := func(resource int, soft, hard uint64) error {
		err := unix.Prlimit(pid, resource, &unix.Rlimit{Cur: soft, Max: hard}, nil)
		if err == unix.ESRCH { // has ended already
			return nil
		}
		return err
	}
	if l.memory > 0 {
		if err := set(unix.RLIMIT_DATA, l.memory, l.memory); err != nil {
			return err
		}
	}
	if l.cpuSeconds > 0 {
		if err := set(unix.RLIMIT_CPU, l.cpuSeconds, l.cpuSeconds+1); err != nil {
			return err
		}
	}
	return set(unix.RLIMIT_CORE, 0, 0)
}

// endWithParent makes the kernel end a process with its parent. With SIGTERM, git removes
// its lock files and ends its own processes.
func endWithParent(attributes *syscall.SysProcAttr) { attributes.Pdeathsig = syscall.SIGTERM }

// syncFolder waits until all changes of the file system of a folder are on disk.
func syncFolder(folder string) error {
	f, err := os.Open(folder)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Syncfs(int(f.Fd()))
}
