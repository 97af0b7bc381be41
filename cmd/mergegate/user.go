package main

import (
	"context"
	"flag"
	"fmt"
	"io"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/models"
)

// userCommand creates a user or resets a password. Both print a one-time
// password.
func userCommand(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 {
		return errUsage
	}
	flags := flag.NewFlagSet("user "+args[0], flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	admin := false
	if args[0] == "create" {
		flags.BoolVar(&admin, "admin", false, "")
	}
	if err := flags.Parse(args[1:]); err != nil || flags.NArg() != 1 {
		return errUsage
	}
	do := map[string]func(context.Context, *app, string, bool) (string, error){"create": createUser, "password": resetPassword}[args[0]]
	if do == nil {
		return errUsage
	}
	a, err := openApp(ctx)
	if err != nil {
		return err
	}
	defer a.close()
	password, err := do(ctx, a, flags.Arg(0), admin)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "One-time password of user %s:\n%s\nSign in at %s/users/sign_in to change it.\n", flags.Arg(0), password, a.config.BaseURL)
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
