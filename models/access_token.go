package models

import (
	"slices"
	"time"
)

// AccessToken is a personal access token or, if ProjectID is set, a project access
// token. UserID is the token's owner; for a project token it is the bot user.
type AccessToken struct {
	ID          int64
	UserID      int64
	User        User
	ProjectID   *int64
	CreatedByID *int64
	// MadeByTokenID is the token whose API request created this one; nil if it was
	// created on a page or by a command. Revoking that token also revokes this one.
	MadeByTokenID *int64
	Name          string
	Digest        string
	// FormID identifies the form that created the token; nil for the API.
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

// MaxTokenLifetime is the longest time from now until an access token expires.
const MaxTokenLifetime = 365 * 24 * time.Hour

// RotatedTokenLifetime is the lifetime of a rotated token if the request gives no
// expiry date.
const RotatedTokenLifetime = 7 * 24 * time.Hour

// lifetime returns the time between creation and expiry, rounded up to whole days.
func (t AccessToken) lifetime() time.Duration {
	const day = 24 * time.Hour
	return (t.ExpiresAt.Sub(t.CreatedAt) + day - 1) / day * day
}

// ActiveAt reports whether the token is neither revoked nor expired at now.
func (t AccessToken) ActiveAt(now time.Time) bool {
	return t.RevokedAt == nil && now.Before(t.ExpiresAt)
}

// Has reports whether the token has a scope. The scope api includes read_api.
func (t AccessToken) Has(scope string) bool {
	for _, s := range t.Scopes {
		if s == scope || s == ScopeAPI {
			return true
		}
	}
	return false
}

// AccessTokenInput creates an access token. Digest is the hash of the secret part; only
// the caller knows the secret itself.
type AccessTokenInput struct {
	Name      string
	Scopes    []string
	ExpiresAt time.Time
	Digest    string
	// Role is the role of the bot user; only project tokens use it.
	Role Role
	// MadeBy is the token whose API request creates this one, nil for pages and
	// commands. The new token must not expire later or have more scopes.
	MadeBy *AccessToken
	// FormID makes a form idempotent: a second token with the same FormID is refused as
	// KindConflict with CodeFormUsed. "" disables the check.
	FormID string
	// Session is the digest of the session that shows the new token once, and Shown the
	// sealed text to show. "" means that no session shows it.
	Session string
	Shown   []byte
}

// maxFormID is the longest accepted FormID, in bytes.
const maxFormID = 64

// formID returns the FormID as it is stored; nil if it is empty or malformed.
func (in AccessTokenInput) formID() *string {
	if in.FormID == "" || len(in.FormID) > maxFormID || cleanText(in.FormID) != in.FormID {
		return nil
	}
	return &in.FormID
}

// Validate normalises the input and returns its field errors: name, scopes, expires_at.
func (in *AccessTokenInput) Validate(now time.Time) error {
	f := in.fieldErrors(now)
	return f.err()
}

// validateForProject is Validate for a project token. It also checks access_level: the
// role must not be higher than byRole, the role of the user who creates the token.
func (in *AccessTokenInput) validateForProject(now time.Time, byRole Role) error {
	f := in.fieldErrors(now)
	switch {
	case !in.Role.Valid():
		f.add("access_level", CodeInvalid)
	case in.Role > byRole:
		f.add("access_level", CodeRoleTooHigh)
	}
	return f.err()
}

func (in *AccessTokenInput) fieldErrors(now time.Time) fieldErrors {
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
	if in.MadeBy != nil && !f.has("scopes") {
		missing := func(scope string) bool { return !in.MadeBy.Has(scope) }
		if slices.ContainsFunc(in.Scopes, missing) {
			f.add("scopes", CodeInvalid)
		}
	}
	return f
}
