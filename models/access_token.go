package models

import (
	"slices"
	"time"
)

// AccessToken is a personal token, or a project's (ProjectID set; UserID is
// then its bot member).
type AccessToken struct {
	ID          int64
	UserID      int64
	User        User
	ProjectID   *int64
	CreatedByID *int64
	// MadeByTokenID is the token whose request made this one, nil for pages
	// and commands. Revoking that token revokes this one too.
	MadeByTokenID *int64
	Name          string
	Digest        string
	// FormID is of the form that made the token, nil for the API.
	FormID     *string
	Scopes     []string `gorm:"serializer:json"`
	ExpiresAt  time.Time
	RevokedAt  *time.Time
	LastUsedAt *time.Time
	CreatedAt  time.Time
}

// The scopes of an access token.
const (
	ScopeAPI     = "api"
	ScopeReadAPI = "read_api"
)

// MaxTokenLifetime is the furthest an access token's expiry may lie ahead.
const MaxTokenLifetime = 365 * 24 * time.Hour

// RotatedTokenLifetime is how long a token lasts that replaces another, unless
// a date is given.
const RotatedTokenLifetime = 7 * 24 * time.Hour

// lifetime is how long the token was made for, rounded up to whole days.
func (t AccessToken) lifetime() time.Duration {
	const day = 24 * time.Hour
	return (t.ExpiresAt.Sub(t.CreatedAt) + day - 1) / day * day
}

// ActiveAt reports whether the token still lets its owner in.
func (t AccessToken) ActiveAt(now time.Time) bool {
	return t.RevokedAt == nil && now.Before(t.ExpiresAt)
}

// Has reports whether the token has a scope; api includes read_api.
func (t AccessToken) Has(scope string) bool {
	for _, s := range t.Scopes {
		if s == scope || s == ScopeAPI {
			return true
		}
	}
	return false
}

// AccessTokenInput makes a token. Digest is the hash of the secret part, made
// by the caller, who alone knows the token and shows it once.
type AccessTokenInput struct {
	Name      string
	Scopes    []string
	ExpiresAt time.Time
	Digest    string
	// Role is the bot's role, for project tokens only.
	Role Role
	// MadeBy is the token whose request makes this one, nil for pages and
	// commands. The new token may not outlive it or have more scopes.
	MadeBy *AccessToken
	// FormID makes one token of a form, however often it is sent: the second is
	// KindConflict with CodeFormUsed. "" for no such promise.
	FormID string
	// Session is the digest of the session whose next page shows the token, and
	// Shown what it shows, sealed; "" for none.
	Session string
	Shown   []byte
}

// maxFormID is the longest id of a form, in bytes; ours are shorter.
const maxFormID = 64

// formID is the input's FormID as it is stored, nil for none.
func (in AccessTokenInput) formID() *string {
	if in.FormID == "" || len(in.FormID) > maxFormID || cleanText(in.FormID) != in.FormID {
		return nil
	}
	return &in.FormID
}

// Validate tells the faults of the input at a moment.
func (in *AccessTokenInput) Validate(now time.Time) error {
	f := in.faults(now)
	return f.err()
}

// validateForProject is Validate for a project token, whose role must not be
// above its maker's.
func (in *AccessTokenInput) validateForProject(now time.Time, byRole Role) error {
	f := in.faults(now)
	switch {
	case !in.Role.Valid():
		f.add("access_level", CodeInvalid)
	case in.Role > byRole:
		f.add("access_level", CodeRoleTooHigh)
	}
	return f.err()
}

func (in *AccessTokenInput) faults(now time.Time) fieldErrors {
	var f fieldErrors
	in.Name = cleanName(in.Name)
	checkName(&f, "name", in.Name)
	if len(in.Scopes) == 0 {
		f.add("scopes", CodeBlank)
	}
	for _, scope := range in.Scopes {
		if scope != ScopeAPI && scope != ScopeReadAPI {
			f.add("scopes", CodeInvalid)
			break
		}
	}
	switch {
	case !in.ExpiresAt.After(now):
		f.add("expires_at", CodeInPast)
	case in.ExpiresAt.After(now.Add(MaxTokenLifetime + 24*time.Hour)):
		f.add("expires_at", CodeTooFar)
	case in.MadeBy != nil && in.ExpiresAt.After(in.MadeBy.ExpiresAt):
		f.add("expires_at", CodeOutlivesToken)
	}
	if in.MadeBy != nil && !f.has("scopes") && slices.ContainsFunc(in.Scopes, func(s string) bool { return !in.MadeBy.Has(s) }) {
		f.add("scopes", CodeInvalid)
	}
	return f
}
