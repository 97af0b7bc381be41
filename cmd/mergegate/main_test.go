package main

import (
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/mergegate/mergegate/cmd/mergegate/browsertest"
	"github.com/mergegate/mergegate/gitrepo"
	"github.com/mergegate/mergegate/gitrepo/hooktest"
)

const (
	// asProgram makes the test binary run as the program.
	asProgram = "MERGEGATE_TEST_AS_PROGRAM"
	// dieAt names the point at which the program kills itself with SIGKILL.
	dieAt = "MERGEGATE_TEST_DIE_AT"
	// bodyTimeoutVariable shortens the time limit of request bodies.
	bodyTimeoutVariable = "MERGEGATE_TEST_BODY_TIMEOUT"
)

// TestMain lets the test binary also run as a hook of git and as the program that
// tests start.
func TestMain(m *testing.M) {
	if name, ok := gitrepo.IsHook(os.Args[0]); ok {
		hooktest.Exit(gitrepo.RunHook(name, os.Stdin, os.Stdout, os.Stderr, os.Environ()))
	}
	if os.Getenv(asProgram) != "" {
		die := func() error { return syscall.Kill(os.Getpid(), syscall.SIGKILL) }
		bodyTimeout, _ = time.ParseDuration(os.Getenv(bodyTimeoutVariable))
		switch os.Getenv(dieAt) {
		case "push":
			storeHooks.BeforePushCommit = die
		case "merge":
			storeHooks.AfterMergeMoved = die
		}
		main()
		return
	}
	code := browsertest.Main(m)
	removeShipped()
	os.Exit(code)
}
