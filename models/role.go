package models

import "fmt"

// Role is a member's role on a project. The numbers are GitLab's access levels, which
// the API returns as access_level.
type Role int

// The roles of members, weakest first. RoleNone means that a user is not a member and,
// on a protected branch, "no one".
const (
	RoleNone       Role = 0
	RoleGuest      Role = 10
	RoleReporter   Role = 20
	RoleDeveloper  Role = 30
	RoleMaintainer Role = 40
	RoleOwner      Role = 50
)

// Roles lists the roles of members, weakest first.
var Roles = []Role{RoleGuest, RoleReporter, RoleDeveloper, RoleMaintainer, RoleOwner}

// Valid reports whether r is a role that a member can have. RoleNone is not.
func (r Role) Valid() bool {
	for _, known := range Roles {
		if r == known {
			return true
		}
	}
	return false
}

// String returns the role's name in lower case.
func (r Role) String() string {
	switch r {
	case RoleNone:
		return "none"
	case RoleGuest:
		return "guest"
	case RoleReporter:
		return "reporter"
	case RoleDeveloper:
		return "developer"
	case RoleMaintainer:
		return "maintainer"
	case RoleOwner:
		return "owner"
	}
	return fmt.Sprintf("role(%d)", int(r))
}

// Visibility says who can see a project. The numbers are GitLab's visibility levels,
// which payloads contain as visibility_level.
type Visibility int

// The visibilities of a project.
const (
	VisibilityPrivate  Visibility = 0
	VisibilityInternal Visibility = 10
	VisibilityPublic   Visibility = 20
)

// known reports whether v is one of the constants.
func (v Visibility) known() bool {
	return v == VisibilityPrivate || v == VisibilityInternal || v == VisibilityPublic
}

// ParseVisibility parses GitLab's name of a visibility; ok is false for any other.
func ParseVisibility(word string) (Visibility, bool) {
	for _, v := range []Visibility{VisibilityPrivate, VisibilityInternal, VisibilityPublic} {
		if v.String() == word {
			return v, true
		}
	}
	return 0, false
}

// String returns GitLab's name of the visibility.
func (v Visibility) String() string {
	switch v {
	case VisibilityPrivate:
		return "private"
	case VisibilityInternal:
		return "internal"
	case VisibilityPublic:
		return "public"
	}
	return fmt.Sprintf("visibility(%d)", int(v))
}
