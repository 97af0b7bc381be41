package models

import "time"

// Member is a user's membership of a project.
type Member struct {
	ID        int64
	ProjectID int64
	UserID    int64
	User      User
	Role      Role
	// CreatedBy is the user who added the member; nil if unknown.
	CreatedByID *int64
	CreatedBy   *User
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// Access is a project with a user's rights on it. Package auth decides from it
// what the user may do.
type Access struct {
	Project  Project
	SignedIn bool
	Admin    bool
	// Role is the user's membership, RoleNone without one.
	Role Role
}

// EffectiveRole returns the role that rules compare: RoleOwner for
// administrators, otherwise the membership.
func (a Access) EffectiveRole() Role {
	if a.Admin {
		return RoleOwner
	}
	return a.Role
}
