package models

import "time"

// UserLink is a link that lets somebody without a password choose one. It works once.
// Digest is the hash of the token in the link; the token itself is not stored.
type UserLink struct {
	ID     int64
	Digest string
	// UserID is the invited user, nil for the set-up link, which creates the first
	// administrator.
	UserID    *int64
	CreatedAt time.Time
	ExpiresAt time.Time
}

// How long links work.
const (
	InvitationLifetime = 7 * 24 * time.Hour
	SetupLinkLifetime  = 24 * time.Hour
)
