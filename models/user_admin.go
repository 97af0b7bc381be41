package models

import (
	"slices"
	"unicode/utf8"
)

// UserKind selects users of a list.
type UserKind string

// The kinds of users. UserKindPeople, the default, are all but bots.
const (
	UserKindPeople  UserKind = ""
	UserKindActive  UserKind = "active"
	UserKindAdmins  UserKind = "admins"
	UserKindBlocked UserKind = "blocked"
	UserKindBots    UserKind = "bots"
)

// UserKinds lists the kinds in the order of the filter.
var UserKinds = []UserKind{UserKindPeople, UserKindActive, UserKindAdmins, UserKindBlocked, UserKindBots}

// UserFilter selects users of a list. An unknown kind matches nobody.
type UserFilter struct {
	Kind UserKind
	// Also are more kinds that a user must be of.
	Also []UserKind
	// Search matches parts of user names and names, and whole e-mail addresses.
	Search string
	// Username, unless empty, must match exactly, ignoring case.
	Username string
}

// Known reports whether the kind exists.
func (k UserKind) Known() bool { return slices.Contains(UserKinds, k) }

// UserUpdate changes a user; nil leaves a field as it is.
type UserUpdate struct {
	Username, Name, Email *string
	Admin                 *bool
	// Version, unless empty, must be that of the user as the form showed it.
	Version string
}

// Validate normalises the input and returns its field errors: username, name, email.
func (in *UserUpdate) Validate() error {
	var f fieldErrors
	if in.Username != nil {
		checkUsername(&f, *in.Username)
	}
	if in.Name != nil {
		*in.Name = cleanName(*in.Name)
		checkName(&f, "name", *in.Name)
	}
	if in.Email != nil {
		*in.Email = cleanName(*in.Email)
		checkEmail(&f, *in.Email)
	}
	return f.err()
}

// checkEmail adds the errors of an e-mail address, which is only shown and sent to
// services.
func checkEmail(f *fieldErrors, email string) {
	if hasControl(email) || utf8.RuneCountInString(email) > MaxNameLength {
		f.add("email", CodeInvalid)
	}
}

// edited returns the user after the update.
func (in UserUpdate) edited(user User) User {
	if in.Username != nil {
		user.Username = *in.Username
	}
	if in.Name != nil {
		user.Name = *in.Name
	}
	if in.Email != nil {
		user.Email = *in.Email
	}
	if in.Admin != nil {
		user.Admin = *in.Admin
	}
	return user
}

// Version returns the version of the fields that administrators edit.
func (u User) Version() string {
	return version(u.Username, u.Name, u.Email, formatSwitch(u.Admin))
}

// CanSignIn reports whether the user has a password and is neither blocked nor a bot.
func (u User) CanSignIn() bool { return !u.Blocked && !u.Bot && u.PasswordDigest != "" }
