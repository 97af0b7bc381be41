package models

import "time"

// Member is a user's role on a project.
type Member struct {
	ID        int64
	ProjectID int64
	UserID    int64
	User      User
	Role      Role
	// CreatedBy added the member, nil where that is not known.
	CreatedByID *int64
	CreatedBy   *User
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// Access is what a user has to do with a project: everything that the table
// of abilities needs.
type Access struct {
	Project  Project
	SignedIn bool
	Admin    bool
	Role     Role
}
