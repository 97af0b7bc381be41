// Command mergegate runs the Mergegate server. It also has the demo and the
// commands that an operator needs. Start with run and serveCommand.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
)

func main() {
	// Repositories, the database and sockets are private: nothing that this
	// process or git creates is readable by other users of the machine.
	syscall.Umask(0o077)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		if errors.Is(err, errUsage) {
			fmt.Fprint(os.Stderr, usage())
			os.Exit(2)
		}
		code := 1
		if exit := (exitError{}); errors.As(err, &exit) {
			code = exit.code
		}
		if err.Error() != "" {
			fmt.Fprintln(os.Stderr, "mergegate:", err)
		}
		os.Exit(code)
	}
}

var errUsage = errors.New("usage")

// run executes the command in args and writes its output to out. It returns
// errUsage for an unknown command or wrong arguments.
func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 {
		return errUsage
	}
	c, rest, ok := findCommand(args)
	switch {
	case slices.ContainsFunc(args, func(arg string) bool { return arg == "-h" || arg == "-help" || arg == "--help" }):
		_, err := fmt.Fprint(out, c.help())
		return err
	case ok:
		return c.run(ctx, rest, out)
	case args[0] == "help":
		_, err := fmt.Fprint(out, usage())
		return err
	}
	return errUsage
}
