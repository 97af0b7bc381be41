// Command pgserver starts a temporary PostgreSQL server, runs a command with its URL in
// MERGEGATE_TEST_POSTGRES_DSN, and stops the server afterwards:
//
//	go run ./models/modelstest/pgserver -- go test ./...
//
// With -durable before the dashes, its commits wait for the disk, as in production.
//
// Its exit code is that of the command (`go run` turns any failure into 1). If the
// variable is already set, it does not start a server.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/mergegate/mergegate/models/modelstest"
)

func main() {
	start := modelstest.StartServer
	durable := flag.Bool("durable", false, "commits wait for the disk")
	flag.Parse()
	if flag.NArg() == 0 {
		fmt.Fprintln(os.Stderr, "usage: pgserver [-durable] -- command [argument...]")
		os.Exit(2)
	}
	if *durable {
		start = modelstest.StartDurableServer
	}
	code, err := run(start, flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "pgserver:", err)
	}
	os.Exit(code)
}

// run returns the exit code of the command, or 1 and an error if the command could not
// be run.
func run(start func() (*modelstest.Server, error), args []string) (int, error) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)

	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = os.Environ()
	if os.Getenv(modelstest.DSNVariable) == "" {
		server, err := start()
		if err != nil {
			return 1, err
		}
		defer server.Stop()
		cmd.Env = append(cmd.Env, modelstest.DSNVariable+"="+server.DSN)
	}
	if err := cmd.Start(); err != nil {
		return 1, err
	}
	// Forward signals to the command; the server must outlive it.
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
