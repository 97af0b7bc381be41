package gitrepo

import (
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// starter runs functions on one thread, which exists as long as this process.
var starter = sync.OnceValue(func() chan<- func() {
	calls := make(chan func())
	go func() {
		runtime.LockOSThread()
		for call := range calls {
			call()
		}
	}()
	return calls
})

// startProcess starts a process that ends when this process ends, even if this one is
// killed. All processes of git are started here. The kernel ends a process when the
// thread that started it ends, hence starter.
func startProcess(cmd *exec.Cmd) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	endWithParent(cmd.SysProcAttr)
	result := make(chan error, 1)
	starter() <- func() { result <- cmd.Start() }
	return <-result
}
