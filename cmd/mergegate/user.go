package main

import (
	"context"
	"flag"
	"fmt"
	"io"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/models"
)

// userCommand returns the command that creates a user or resets a password. Both
// print a one-time password.
func userCommand(action string) func(ctx context.Context, args []string, out io.Writer) error {
	do := map[string]func(context.Context, *app, string, bool) (string, error){"create": createUser, "password": resetPassword}[action]
	return func(ctx context.Context, args []string, out io.Writer) error {
		flags := flag.NewFlagSet("user "+action, flag.ContinueOnError)
		flags.SetOutput(io.Discard)
		admin := false
		if action == "create" {
			flags.BoolVar(&admin, "admin", false, "")
		}
		if err := flags.Parse(args); err != nil || flags.NArg() != 1 {
			return errUsage
		}
		return giveOneTimePassword(ctx, out, flags.Arg(0), func(a *app, name string) (string, error) { return do(ctx, a, name, admin) })
	}
}

// giveOneTimePassword prints the password that change sets for a user.
func giveOneTimePassword(ctx context.Context, out io.Writer, name string, change func(a *app, name string) (string, error)) error {
	a, err := openApp(ctx)
	if err != nil {
		return err
	}
	defer a.close()
	password, err := change(a, name)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "One-time password of user %s:\n%s\nSign in at %s/users/sign_in to change it.\n", name, password, a.config.BaseURL)
	return err
}

func createUser(ctx context.Context, a *app, name string, admin bool) (string, error) {
	password := auth.NewPassword()
	digest, err := auth.HashPassword(ctx, password)
	if err != nil {
		return "", err
	}
	_, err = a.store.CreateUser(ctx, models.User{}, models.UserInput{Username: name, PasswordDigest: digest, PasswordChangeRequired: true, Admin: admin})
	for _, f := range models.FieldErrorsOf(err) {
		switch f.Code {
		case models.CodeTaken:
			return "", fmt.Errorf("the name %q is taken by a user or namespace; choose another", name)
		case models.CodeReserved:
			return "", fmt.Errorf("the name %q is reserved for pages of Mergegate; choose another", name)
		default:
			return "", fmt.Errorf("the name %q is invalid; use letters, digits, _ - and . only, and begin with a letter, digit or _", name)
		}
	}
	return password, err
}

func resetPassword(ctx context.Context, a *app, name string, _ bool) (string, error) {
	user, err := a.store.UserByUsername(ctx, name)
	if models.KindOf(err) == models.KindNotFound {
		return "", fmt.Errorf("user %q does not exist", name)
	}
	if err != nil {
		return "", err
	}
	if user.Bot {
		return "", fmt.Errorf("user %q is a bot and has no password", name)
	}
	password := auth.NewPassword()
	digest, err := auth.HashPassword(ctx, password)
	if err != nil {
		return "", err
	}
	return password, a.store.SetPassword(ctx, user, digest, "", true)
}
