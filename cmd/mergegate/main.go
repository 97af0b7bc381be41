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

	"github.com/mergegate/mergegate/gitrepo"
)

func main() {
	// git starts this program as its hooks, twice per push. Keep this first, so
	// that hooks start quickly and read no settings.
	if name, ok := gitrepo.IsHook(os.Args[0]); ok {
		os.Exit(gitrepo.RunHook(name, os.Stdin, os.Stdout, os.Stderr, os.Environ()))
	}
	// Repositories, the database and sockets are private: nothing that this
	// process or git creates is readable by other users of the machine.
	syscall.Umask(0o077)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		if errors.Is(err, errUsage) {
			fmt.Fprint(os.Stderr, usage)
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

const usage = `Usage: mergegate COMMAND

  serve                       run the server: pages, API and git over HTTP
  demo                        run the server with a demo project, users and services
  migrate                     migrate the database to the schema of this version
  user create [--admin] NAME  create a user and print a one-time password
  user password NAME          reset the password of a user and print a one-time password
  check-service --url URL     test a service under construction (--help lists its flags)
  demo-service                run one external service of the demo (started by demo)
  gallery [ADDRESS]           serve every page and state with sample data
  version                     print the version

Settings are environment variables. README.md lists them.
`

var errUsage = errors.New("usage")

// run executes the command in args and writes its output to out. It returns
// errUsage for an unknown command or wrong arguments.
func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 {
		return errUsage
	}
	if slices.Contains([]string{"-h", "-help", "--help"}, args[len(args)-1]) && args[0] == "check-service" {
		_, err := fmt.Fprint(out, checkServiceUsage)
		return err
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
	case "check-service":
		return checkServiceCommand(ctx, rest, out)
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
