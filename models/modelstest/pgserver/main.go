// Command pgserver runs a command with a throw-away PostgreSQL server, which
// it names in MERGEGATE_TEST_POSTGRES_DSN, and stops the server afterwards:
//
//	go run ./models/modelstest/pgserver -- go test ./...
//
// Its exit code is that of the command (`go run` makes 1 of any failure).
// Where the variable is set already, it starts no server of its own.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/mergegate/mergegate/models/modelstest"
)

func main() {
	args := os.Args[1:]
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		fmt.Fprintln(os.Stderr, "usage: pgserver -- command [argument...]")
		os.Exit(2)
	}
	code, err := run(args)
	if err != nil {
		fmt.Fprintln(os.Stderr, "pgserver:", err)
	}
	os.Exit(code)
}

// run gives the exit code of the command, or 1 and an error if it could not be
// run at all.
func run(args []string) (int, error) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)

	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = os.Environ()
	if os.Getenv(modelstest.DSNVariable) == "" {
		server, err := modelstest.StartServer()
		if err != nil {
			return 1, err
		}
		defer server.Stop()
		cmd.Env = append(cmd.Env, modelstest.DSNVariable+"="+server.DSN)
	}
	if err := cmd.Start(); err != nil {
		return 1, err
	}
	// The command decides what a signal means; the server outlives it.
	go func() {
		for s := range signals {
			_ = cmd.Process.Signal(s)
		}
	}()
	var failed *exec.ExitError
	err := cmd.Wait()
	if errors.As(err, &failed) && failed.ExitCode() >= 0 {
		return failed.ExitCode(), nil
	}
	if err != nil {
		return 1, err
	}
	return 0, nil
}
