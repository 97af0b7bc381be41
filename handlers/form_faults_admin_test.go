package handlers

import (
	"net/http"
	"net/url"
	"strings"
)

const (
	usernameRule  = "Use letters, digits, _ - and . only; begin with a letter, digit or _"
	notUsername   = "This is not the username of the user"
	lastAdminRule = "This is the last active administrator. Make somebody else an administrator first."
)

// adminCases returns the forms of the admin area and of invitations.
func (s *testSite) adminCases() []formCase {
	s.T.Helper()
	admin := s.as(s.Admin("root"))
	s.User("mona")
	const username, name, email, access = "username", "name", "email", "access"
	const tooLong, unreadable = "Cannot be longer than 255 characters", "Contains characters that cannot be read"
	faults := append(choiceFaults(access, "Choose one of the two", "mail"),
		fault{name: "no username", change: url.Values{username: nil}, want: oneMessage(username, "Please provide a username")},
		fault{name: "invalid username", change: url.Values{username: {"mona weiss"}}, want: oneMessage(username, usernameRule)},
		fault{name: "reserved username", change: url.Values{username: {"Admin"}}, want: oneMessage(username, "This name is reserved")},
		fault{name: "username taken in another case", change: url.Values{username: {"MONA"}}, want: oneMessage(username, "Already taken")},
		fault{name: "username too long", change: url.Values{username: {strings.Repeat("x", 256)}}, want: oneMessage(username, tooLong)},
		fault{name: "name too long", change: url.Values{name: {long256}}, want: oneMessage(name, tooLong)},
		fault{name: "everything at once", change: url.Values{username: {"-"}, email: {"a\nb"}, access: {"x"}}, want: map[string]string{
			username: usernameRule, email: "Not valid", access: "Choose one of the two"}},
	)
	token := s.invite("ines")
	const next, again = "password", "password_confirmation"
	chosen := func(name, password, message string) fault {
		return fault{name: name, change: url.Values{next: {password}, again: {password}}, want: oneMessage(next, message)}
	}
	passwords := []fault{
		chosen("too long", strings.Repeat("x", 1025), "The password cannot be longer than 1024 bytes"),
		chosen("easy to guess", "password1", "This password is easy to guess"),
		{name: "everything at once", change: url.Values{next: {"short"}, again: {"other"}}, want: map[string]string{
			next: "The password needs at least 8 characters", again: "The two passwords are not the same"}},
	}
	return []formCase{
		{name: "new user", action: adminUsersPath, as: admin,
			good: url.Values{username: {"priscilla"}, name: {"Priscilla"}, email: {"p@example.test"}, "admin": {"1"}, access: {"link"}}, faults: faults},
		{name: "edit user", action: adminUsersPath + "/mona", as: admin, good: url.Values{name: {"Mona"}, email: {"m@example.test"}},
			faults: append(nameFaults(name, "Please fill in this field", tooLong, unreadable),
				fault{name: "e-mail address with a line break", change: url.Values{email: {lineBreak}}, want: oneMessage(email, "Not valid")})},
		{name: "delete user", action: adminUsersPath + "/mona/delete", as: admin, dialog: true, good: url.Values{"confirm": {"mona"}}, faults: []fault{
			{name: "blank", change: url.Values{"confirm": nil}, want: oneMessage("confirm", notUsername)},
			{name: "another user", change: url.Values{"confirm": {"root"}}, want: oneMessage("confirm", notUsername)},
			{name: "in another case", change: url.Values{"confirm": {"Mona"}}, want: oneMessage("confirm", notUsername)},
			{name: "not UTF-8", change: url.Values{"confirm": {notUTF8}}, want: oneMessage("confirm", notUsername)},
		}},
		{name: "delete yourself", action: adminUsersPath + "/root/delete", as: admin, dialog: true, good: url.Values{"confirm": {"root"}}, faults: []fault{
			{name: "confirmed", want: oneMessage("", "You cannot block or delete yourself."), status: http.StatusUnprocessableEntity},
		}},
		{name: "delete project as administrator", action: adminProjectsPath + "/" + itoa(s.Project.ID) + "/remove", as: admin, dialog: true,
			good: url.Values{"confirm": {"olga/pear"}}, faults: notThePath},
		{name: "last administrator", action: adminUsersPath + "/root", as: admin, good: url.Values{name: {"root"}, email: {""}},
			faults: []fault{{name: "no longer one", want: oneMessage("", lastAdminRule), status: http.StatusUnprocessableEntity}}},
		{name: "new namespace", action: adminNamespacesPath, as: admin, good: url.Values{"path": {"tools"}}, faults: []fault{
			{name: "no path", change: url.Values{"path": nil}, want: oneMessage("path", "Please fill in this field")},
			{name: "invalid", change: url.Values{"path": {"a b"}}, want: oneMessage("path", pathRule)},
			{name: "taken by a user", change: url.Values{"path": {"MONA"}}, want: oneMessage("path", "This path is already taken")},
			{name: "reserved", change: url.Values{"path": {"api"}}, want: oneMessage("path", "This name is reserved")},
			{name: "too long", change: url.Values{"path": {strings.Repeat("x", 256)}}, want: oneMessage("path", tooLong)},
		}},
		{name: "invitation", action: invitationPath + "?token=" + token, as: s.signedOut(), good: url.Values{next: {goodPassword}, again: {goodPassword}},
			hidden: []string{next, again}, faults: passwords},
	}
}
