package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
)

// command is a command of the program. Help, shell completion and the manual
// page are made from the list of commands.
type command struct {
	name    string // one or two words, such as "user create"
	args    string // what follows the name in the help
	summary string // one line without a full stop
	about   string // sentences for the command's own help; may be empty
	options []option
	run     func(ctx context.Context, args []string, out io.Writer) error
}

// option is an option of a command.
type option struct {
	name  string // without the dashes
	value string // name of its value; empty for a switch
	text  string // lines without a full stop
}

// commands returns all commands in the order of the help.
func commands() []command {
	return []command{
		{name: "serve", summary: "run the server: pages, API and git over HTTP", run: withoutOutput(serveCommand)},
		{name: "demo", summary: "run the server with a demo project, users and services", run: demoCommand},
		{name: "migrate", summary: "migrate the database to the schema of this version", run: migrateCommand},
		{name: "user create", args: "[--admin] NAME", summary: "create a user and print a one-time password",
			options: []option{{name: "admin", text: "make the user an administrator"}, {name: "name", value: "TEXT", text: "the display name"},
				{name: "email", value: "ADDRESS", text: "the e-mail address"}, {name: "invite", text: "print an invitation link instead of a password"}},
			run: adminCommand("user create")},
		{name: "user list", args: "[--search TEXT]", summary: "list users, newest first",
			options: []option{{name: "search", value: "TEXT", text: "part of a user name or name"},
				{name: "kind", value: "KIND", text: "active, admins, blocked or bots"}}, run: adminCommand("user list")},
		{name: "user edit", args: "NAME", summary: "change a user",
			options: []option{{name: "username", value: "NAME", text: "the user name; old addresses of projects redirect"}, {name: "name", value: "TEXT", text: "the display name"}, {name: "email", value: "ADDRESS", text: "the e-mail address"},
				{name: "admin", value: "BOOL", text: "true makes the user an administrator, false ends that"}}, run: adminCommand("user edit")},
		{name: "user block", args: "NAME", summary: "end a user's sessions and stop all tokens and git access",
			run: adminCommand("user block")},
		{name: "user unblock", args: "NAME", summary: "let a blocked user sign in again", run: adminCommand("user unblock")},
		{name: "user delete", args: "NAME", summary: "delete a user with the projects in the user's namespace", run: adminCommand("user delete")},
		{name: "user reset-password", args: "NAME", summary: "reset the password of a user and print a one-time password",
			run: adminCommand("user reset-password")},
		{name: "user password", args: "NAME", summary: "the same as user reset-password", run: adminCommand("user reset-password")},
		{name: "namespace create", args: "PATH", summary: "create a namespace that belongs to no user", run: adminCommand("namespace create")},
		{name: "namespace list", summary: "list the namespaces that belong to no user", run: adminCommand("namespace list")},
		{name: "namespace delete", args: "PATH", summary: "delete a namespace without projects", run: adminCommand("namespace delete")},
		{name: "backup", args: "FILE", summary: "write database and repositories into a file, also while serving", run: backupCommand},
		{name: "restore", args: "[--without-key] FILE", summary: "restore a backup into an empty place", about: restoreAbout,
			options: []option{{name: "without-key", text: "restore although the secret key is lost: secrets of\nservices cannot be read any more"}}, run: restoreCommand},
		{name: "doctor", args: "[--json]", summary: "examine the installation and say what is wrong", about: doctorAbout,
			options: []option{{name: "json", text: "print the report as JSON"}}, run: doctorCommand},
		{name: "healthcheck", summary: "ask the server with the same settings whether it is ready", run: healthcheckCommand},
		{name: "check-service", args: "--url URL", summary: "test a service under construction",
			about: checkServiceAbout, options: checkServiceOptions, run: checkServiceCommand},
		{name: "seed", args: "--merge-requests N", summary: "fill the database with made-up merge requests, for measurements",
			options: []option{{name: "merge-requests", value: "N", text: "the number of merge requests, 20 or more"},
				{name: "beside-other-projects", text: "seed a database that has other projects"}}, run: seedCommand},
		{name: "demo-service", summary: "run one external service of the demo (started by demo)", run: withoutOutput(demoServiceCommand)},
		{name: "gallery", args: "[ADDRESS]", summary: "serve every page and state with sample data", run: galleryCommand},
		{name: "settings", summary: "list the settings, their defaults and meaning", run: withoutArguments(printSettings)},
		{name: "completion", args: "SHELL", summary: "print shell completion for bash, zsh or fish", run: completionCommand},
		{name: "manual", summary: "print the manual page, for man --local-file", run: withoutArguments(printManual)},
		{name: "version", summary: "print the version", run: withoutArguments(printVersion)},
	}
}

// withoutOutput adapts a command that prints nothing.
func withoutOutput(run func(context.Context, []string) error) func(context.Context, []string, io.Writer) error {
	return func(ctx context.Context, args []string, _ io.Writer) error { return run(ctx, args) }
}

// withoutArguments adapts a command that only prints.
func withoutArguments(print func(io.Writer) error) func(context.Context, []string, io.Writer) error {
	return func(_ context.Context, args []string, out io.Writer) error {
		if len(args) != 0 {
			return errUsage
		}
		return print(out)
	}
}

func printVersion(out io.Writer) error {
	_, err := fmt.Fprintln(out, "mergegate", version())
	return err
}

// findCommand returns the command that args begin with, and the arguments after
// its name.
func findCommand(args []string) (c command, rest []string, ok bool) {
	for _, c := range commands() {
		words := strings.Fields(c.name)
		if len(args) >= len(words) && strings.Join(args[:len(words)], " ") == c.name {
			return c, args[len(words):], true
		}
	}
	return command{}, nil, false
}

// usage returns the help of the program.
func usage() string {
	var b strings.Builder
	b.WriteString("Usage: mergegate COMMAND\n\n")
	for _, c := range commands() {
		fmt.Fprintf(&b, "  %-27s %s\n", c.synopsis(), c.summary)
	}
	b.WriteString("\nmergegate COMMAND --help lists the options of a command.\n" +
		"Settings are environment variables. mergegate settings lists them.\n")
	return b.String()
}

// synopsis returns the name and the arguments of a command.
func (c command) synopsis() string { return strings.TrimSpace(c.name + " " + c.args) }

// help returns the help of a command with options, or else that of the program.
func (c command) help() string {
	if len(c.options) == 0 {
		return usage()
	}
	var b strings.Builder
	more := ""
	if !strings.Contains(c.args, "[--") {
		more = " [options]"
	}
	fmt.Fprintf(&b, "Usage: mergegate %s%s\n\n", c.synopsis(), more)
	first, rest, _ := strings.Cut(c.about, "\n\n")
	if first == "" {
		first = strings.ToUpper(c.summary[:1]) + c.summary[1:] + "."
	}
	fmt.Fprintf(&b, "%s\n\n", first)
	for _, o := range c.options {
		lines := strings.ReplaceAll(o.text, "\n", "\n"+strings.Repeat(" ", 24))
		fmt.Fprintf(&b, "  %-21s %s\n", o.synopsis(), lines)
	}
	if rest != "" {
		fmt.Fprintf(&b, "\n%s\n", rest)
	}
	return b.String()
}

// synopsis returns the name of an option with its dashes and its value.
func (o option) synopsis() string { return strings.TrimSpace("--" + o.name + " " + o.value) }

// knowsOptions reports whether the command has all options among args, so that a wrong
// one is refused before a data folder is made.
func (c command) knowsOptions(args []string) bool {
	for i := 0; i < len(args) && args[i] != "--"; i++ {
		if len(args[i]) < 2 || args[i][0] != '-' {
			continue
		}
		name, _, hasValue := strings.Cut(strings.TrimLeft(args[i], "-"), "=")
		at := slices.IndexFunc(c.options, func(o option) bool { return o.name == name })
		if at < 0 {
			return false
		}
		if c.options[at].value != "" && !hasValue {
			i++
		}
	}
	return true
}
