package main

import (
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/mergegate/mergegate/cmd/mergegate/browsertest"
)

const (
	// asProgram makes the test binary run as the program.
	asProgram = "MERGEGATE_TEST_AS_PROGRAM"
	// dieAt names the point at which the program kills itself with SIGKILL.
	dieAt = "MERGEGATE_TEST_DIE_AT"
	// bodyTimeoutVariable shortens the time limit of request bodies.
	bodyTimeoutVariable = "MERGEGATE_TEST_BODY_TIMEOUT"
)

// TestMain lets the test binary also run as the program that tests start.
func TestMain(m *testing.M) {
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
