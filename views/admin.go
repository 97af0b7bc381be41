package views

import (
	"time"

	"github.com/mergegate/mergegate/views/text"
)

// adminEntries are the entries of the admin area's navigation.
var adminEntries = []struct {
	section, url, icon string
	title              text.Key
}{
	{SectionAdminUsers, "/admin/users", "users", text.KeyAdminUsers},
	{SectionAdminNamespaces, "/admin/namespaces", "earth", text.KeyAdminNamespaces},
	{SectionAdminProjects, "/admin/projects", "code", text.KeyProjects},
	{SectionAdminWork, "/admin/background_work", "retry", text.KeyAdminWork},
	{SectionAdminAuditEvents, "/admin/audit_events", "history", text.KeyChecksAuditEvents},
	{SectionAdminSettings, "/admin/settings", "settings", text.KeyAdminSettings},
}

// ShownOnce is a secret that a page shows once. An empty Value shows nothing.
type ShownOnce struct {
	Title, Text text.Key
	// Name is the user concerned.
	Name  string
	Value string
}

// AdminUsers is the list of users.
type AdminUsers struct {
	Rows   []AdminUserRow
	Pages  PageLinks
	Search string
	// Kind is the chosen one of Kinds.
	Kind  string
	Kinds []Option
	Now   time.Time
}

// filtered reports whether a search or filter is active.
func (l AdminUsers) filtered() bool { return l.Search != "" || l.Kind != "" }

// AdminUserRow is a user as administrators see it.
type AdminUserRow struct {
	ID                    int64
	Username, Name, Email string
	Admin, Bot, Blocked   bool
	You                   bool
	// NoPassword marks users who have not chosen a password, OneTime those whose password
	// must be changed.
	NoPassword, OneTime bool
	// InvitedUntil is the end of an invitation, nil without one.
	InvitedUntil *time.Time
	CreatedAt    time.Time
	// LastSeen is zero if it is not known.
	LastSeen time.Time
}

func (r AdminUserRow) url() string { return "/admin/users/" + r.Username }

// AdminUser is the page of one user.
type AdminUser struct {
	AdminUserRow
	Shown         ShownOnce
	Sessions      []SessionRow
	Tokens        []TokenRow
	ProjectTokens []AdminTokenRow
	Now           time.Time
}

// AdminTokenRow is a token of a project, at the path ProjectPath.
type AdminTokenRow struct {
	TokenRow
	ProjectPath string
}

// AdminUserForm is the form for a new user, or for User.
type AdminUserForm struct {
	Form Form
	// User is empty for a new user.
	User AdminUserRow
}

func (v AdminUserForm) isNew() bool { return v.User.Username == "" }

// saveURL is the address that the form posts to, cancelURL the page before.
func (v AdminUserForm) saveURL() string {
	if v.isNew() {
		return "/admin/users"
	}
	return v.User.url()
}

func (v AdminUserForm) cancelURL() string { return v.saveURL() }

// Welcome is the page of an invitation, or of the first set-up.
type Welcome struct {
	Form Form
	// Token is the token of the link.
	Token string
	// Username and Name are those of the invited user.
	Username, Name string
}

// nameHint returns the hint of the field for the name.
func usernameHint(v AdminUserForm) text.Key {
	if v.isNew() {
		return text.KeyAdminUsernameHint
	}
	return text.KeyAdminRenameHint
}

func nameHint(v AdminUserForm) text.Key {
	if v.isNew() {
		return text.KeyAdminNameHint
	}
	return ""
}

// unlessEmpty returns url, or "" if value is empty.
func unlessEmpty(value, url string) string {
	if value == "" {
		return ""
	}
	return url
}
