package main

import (
	"context"
	"flag"
	"fmt"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/handlers"
	"github.com/mergegate/mergegate/models"
)

// createUser creates a user and prints a one-time password or an invitation link.
func (a administration) createUser(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("user create", flag.ContinueOnError)
	admin, invite := flags.Bool("admin", false, ""), flags.Bool("invite", false, "")
	name, email := flags.String("name", "", ""), flags.String("email", "", "")
	username, err := parseFlags(flags, args, true)
	if err != nil {
		return err
	}
	in := models.UserInput{Username: username, Name: *name, Email: *email, Admin: *admin}
	if *invite {
		token := auth.NewSessionID()
		if _, err := a.store.InviteUser(ctx, models.User{}, in, auth.Digest(token)); err != nil {
			return userError(username, err)
		}
		_, err := fmt.Fprintf(a.out, "Invitation link of user %s, for one use within %d days:\n%s\n",
			username, int(models.InvitationLifetime/(24*time.Hour)), a.baseURL+handlers.InvitationURL(token))
		return err
	}
	password := auth.NewPassword()
	if in.PasswordDigest, err = auth.HashPassword(ctx, password); err != nil {
		return err
	}
	in.PasswordChangeRequired = true
	if _, err := a.store.CreateUser(ctx, models.User{}, in); err != nil {
		return userError(username, err)
	}
	return a.printPassword(username, password)
}

func (a administration) printPassword(username, password string) error {
	_, err := fmt.Fprintf(a.out, "One-time password of user %s:\n%s\nSign in at %s/users/sign_in to change it.\n", username, password, a.baseURL)
	return err
}

// userError returns a sentence for an error about a user.
func userError(name string, err error) error {
	switch models.CodeOf(err) {
	case models.CodeLastAdmin:
		return fmt.Errorf("user %q is the last active administrator; make another user an administrator first", name)
	case models.CodeOnlyOwner:
		return fmt.Errorf("user %q is the only Owner of a project in another namespace; make somebody else an Owner first", name)
	case models.CodeBotUser:
		return fmt.Errorf("user %q is a bot: it has no password and ends with its token", name)
	case models.CodeNotFound:
		return fmt.Errorf("user %q does not exist", name)
	}
	for _, f := range models.FieldErrorsOf(err) {
		switch {
		case f.Field == "name":
			return fmt.Errorf("the display name is empty, too long or has control characters")
		case f.Field == "email":
			return fmt.Errorf("the e-mail address is too long or has control characters")
		case f.Code == models.CodeTaken:
			return fmt.Errorf("the name %q is taken by a user or namespace; choose another", name)
		case f.Code == models.CodeReserved:
			return fmt.Errorf("the name %q is reserved for pages of Mergegate; choose another", name)
		default:
			return fmt.Errorf("the name %q is invalid; use letters, digits, _ - and . only, and begin with a letter, digit or _", name)
		}
	}
	return err
}

// listUsers prints users, at most models.MaxListed.
func (a administration) listUsers(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("user list", flag.ContinueOnError)
	search, kind := flags.String("search", "", ""), flags.String("kind", "", "")
	if _, err := parseFlags(flags, args, false); err != nil {
		return err
	}
	filter := models.UserFilter{Kind: models.UserKind(*kind), Search: *search}
	if !filter.Kind.Known() {
		return fmt.Errorf("unknown kind %q; use active, admins, blocked or bots", *kind)
	}
	table := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tUSERNAME\tNAME\tE-MAIL\tADMIN\tSTATE\tCREATED")
	const size = 500
	for number := 1; ; number++ {
		users, total, err := a.store.ListUsers(ctx, filter, models.Page{Number: number, Size: size})
		if err != nil {
			return err
		}
		for _, u := range users {
			fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%t\t%s\t%s\n", u.ID, u.Username, u.Name, u.Email, u.Admin, userState(u), u.CreatedAt.Format(time.DateOnly))
		}
		if len(users) < size || number*size >= models.MaxListed {
			if err := table.Flush(); err != nil || total <= models.MaxListed {
				return err
			}
			_, err := fmt.Fprintf(a.out, "There are more. Use --search to narrow the list.\n")
			return err
		}
	}
}

func userState(u models.User) string {
	switch {
	case u.Bot:
		return "bot"
	case u.Blocked:
		return "blocked"
	case u.PasswordDigest == "":
		return "no password"
	case u.PasswordChangeRequired:
		return "one-time password"
	}
	return "active"
}

// editUser changes the fields that are given.
func (a administration) editUser(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("user edit", flag.ContinueOnError)
	var in models.UserUpdate
	flags.Func("username", "", func(s string) error { in.Username = &s; return nil })
	flags.Func("name", "", func(s string) error { in.Name = &s; return nil })
	flags.Func("email", "", func(s string) error { in.Email = &s; return nil })
	flags.Func("admin", "", func(s string) error {
		admin, err := strconv.ParseBool(s)
		in.Admin = &admin
		return err
	})
	username, err := parseFlags(flags, args, true)
	if err != nil || in.Username == nil && in.Name == nil && in.Email == nil && in.Admin == nil {
		return errUsage
	}
	return a.change(ctx, username, "changed", func(user models.User) error {
		_, err := a.store.UpdateUser(ctx, models.User{}, user.ID, in)
		return err
	})
}

// change calls do with the user that a name names, and prints what was done.
func (a administration) change(ctx context.Context, username, done string, do func(models.User) error) error {
	user, err := a.store.UserByUsername(ctx, username)
	if err == nil {
		err = do(user)
	}
	if err != nil {
		return userError(username, err)
	}
	_, err = fmt.Fprintf(a.out, "User %s %s.\n", user.Username, done)
	return err
}

func (a administration) blockUser(ctx context.Context, args []string) error {
	username, err := parseFlags(flag.NewFlagSet("user block", flag.ContinueOnError), args, true)
	if err != nil {
		return err
	}
	return a.change(ctx, username, "blocked", func(user models.User) error {
		_, err := a.store.BlockUser(ctx, models.User{}, user.ID)
		return err
	})
}

func (a administration) unblockUser(ctx context.Context, args []string) error {
	username, err := parseFlags(flag.NewFlagSet("user unblock", flag.ContinueOnError), args, true)
	if err != nil {
		return err
	}
	return a.change(ctx, username, "unblocked", func(user models.User) error {
		_, err := a.store.UnblockUser(ctx, models.User{}, user.ID)
		return err
	})
}

// deleteUser deletes a user and the projects in the user's namespace.
func (a administration) deleteUser(ctx context.Context, args []string) error {
	username, err := parseFlags(flag.NewFlagSet("user delete", flag.ContinueOnError), args, true)
	if err != nil {
		return err
	}
	return a.change(ctx, username, "deleted", func(user models.User) error {
		return a.store.DeleteUser(ctx, models.User{}, user.ID)
	})
}

// resetPassword prints a one-time password.
func (a administration) resetPassword(ctx context.Context, args []string) error {
	username, err := parseFlags(flag.NewFlagSet("user reset-password", flag.ContinueOnError), args, true)
	if err != nil {
		return err
	}
	user, err := a.store.UserByUsername(ctx, username)
	if err != nil {
		return userError(username, err)
	}
	password := auth.NewPassword()
	digest, err := auth.HashPassword(ctx, password)
	if err != nil {
		return err
	}
	if _, err := a.store.ResetPassword(ctx, models.User{}, user.ID, digest); err != nil {
		return userError(username, err)
	}
	return a.printPassword(user.Username, password)
}
