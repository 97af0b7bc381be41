// Command mergegate is Mergegate: the server, the demo, and the tools of its
// operator.
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

	"github.com/mergegate/mergegate/gitrepo"
)

func main() {
	// A push starts the program twice under the name of a hook: nothing may
	// come before this.
	if name, ok := gitrepo.IsHook(os.Args[0]); ok {
		os.Exit(gitrepo.RunHook(name, os.Stdin, os.Stdout, os.Stderr, os.Environ()))
	}
	// Repositories, the database, sockets and whatever git makes hold what is
	// not for other users of this machine.
	syscall.Umask(0o077)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		if errors.Is(err, errUsage) {
			fmt.Fprint(os.Stderr, usage)
			os.Exit(2)
		}
		fmt.Fprintln(os.Stderr, "mergegate:", err)
		os.Exit(1)
	}
}

const usage = `Usage: mergegate COMMAND

  serve                       serve the pages, the API and git
  demo                        serve with a demo project, its users and services
  migrate                     bring the database to this version's schema
  user create [--admin] NAME  make a user and print a one-time password
  user password NAME          give a user a new one-time password
  demo-service                be one of the demo's external services
  gallery [ADDRESS]           serve every screen and state from fixtures
  version                     print the version

Settings are environment variables; README.md lists them.
`

var errUsage = errors.New("usage")

// run is the program without the process around it.
func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 {
		return errUsage
	}
	if slices.ContainsFunc(args, func(arg string) bool { return arg == "-h" || arg == "-help" || arg == "--help" }) {
		_, err := fmt.Fprint(out, usage)
		return err
	}
	switch command, rest := args[0], args[1:]; command {
	case "serve":
		return serveCommand(ctx, rest)
	case "demo":
		return demoCommand(ctx, rest, out)
	case "demo-service":
		return demoServiceCommand(ctx, rest)
	case "gallery":
		return galleryCommand(ctx, rest, out)
	case "migrate":
		return migrateCommand(ctx, rest, out)
	case "user":
		return userCommand(ctx, rest, out)
	case "version":
		if len(rest) != 0 {
			return errUsage
		}
		_, err := fmt.Fprintln(out, "mergegate", version())
		return err
	case "help":
		_, err := fmt.Fprint(out, usage)
		return err
	}
	return errUsage
}
