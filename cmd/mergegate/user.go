package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/models"
)

// userCommand makes users and gives them one-time passwords.
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
	do := map[string]func(context.Context, *core, string, bool) (string, error){"create": createUser, "password": resetPassword}[args[0]]
	if do == nil {
		return errUsage
	}
	o, err := openCore(ctx)
	if err != nil {
		return err
	}
	defer o.close()
	password, err := do(ctx, o, flags.Arg(0), admin)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "User %s has the one-time password:\n%s\nIt must be changed at the first sign-in at %s/users/sign_in\n", flags.Arg(0), password, o.config.BaseURL)
	return err
}

func createUser(ctx context.Context, o *core, name string, admin bool) (string, error) {
	password := auth.NewPassword()
	digest, err := auth.HashPassword(ctx, password)
	if err != nil {
		return "", err
	}
	_, err = o.store.CreateUser(ctx, models.User{}, models.UserInput{Username: name, PasswordDigest: digest, PasswordChangeRequired: true, Admin: admin})
	for _, f := range models.FieldErrorsOf(err) {
		switch f.Code {
		case models.CodeTaken:
			return "", fmt.Errorf("the name %q is taken by a user or a namespace", name)
		case models.CodeReserved:
			return "", fmt.Errorf("the name %q is one of Mergegate's own addresses; take another", name)
		default:
			return "", fmt.Errorf("the name %q cannot be used: letters, digits, _ - . are allowed, beginning with a letter, digit or _", name)
		}
	}
	return password, err
}

func resetPassword(ctx context.Context, o *core, name string, _ bool) (string, error) {
	user, err := o.store.UserByUsername(ctx, name)
	if models.KindOf(err) == models.KindNotFound {
		return "", fmt.Errorf("there is no user %q", name)
	}
	if err != nil {
		return "", err
	}
	if user.Bot {
		return "", errors.New("a bot has no password")
	}
	password := auth.NewPassword()
	digest, err := auth.HashPassword(ctx, password)
	if err != nil {
		return "", err
	}
	return password, o.store.SetPassword(ctx, user, digest, "", true)
}
