package views

import (
	"context"
	"time"

	"github.com/a-h/templ"

	"github.com/mergegate/mergegate/views/text"
)

// MemberList is a project's members.
type MemberList struct {
	Rows   []MemberRow
	Pages  PageLinks
	Path   string
	Search string
	// Role is the role that the list is narrowed to, "" for all of Roles.
	Role  string
	Roles []Option
	// Problem is what stopped a change.
	Problem string
}

// filtered reports whether the list is narrowed to some members.
func (l MemberList) filtered() bool { return l.Search != "" || l.Role != "" }

// NewMember is the form that adds a member, in a drawer over the page or on a
// page of its own.
type NewMember struct {
	Path   string
	Form   Form
	Roles  []Option
	Drawer bool
}

// MemberRow is one member.
type MemberRow struct {
	UserID         int64
	Name, Username string
	// Role is its number as text, RoleName its word.
	Role, RoleName string
	You, Bot       bool
	// LastOwner marks the one who has to stay.
	LastOwner bool
	// Roles are what the reader may make of the member; empty where nothing.
	Roles []Option
	// Version is what the form of the role edits.
	Version string
	AddedAt time.Time
}

// Confirmation asks before something is done for good, in a dialog over the
// page or on a page of its own.
type Confirmation struct {
	// Title asks, Button says what is done; Text says to what.
	Title, Button text.Key
	Text          templ.Component
	// URL does it, CloseURL is the page that was left.
	URL, CloseURL string
}

// TokenList is a list of access tokens with the form for a new one.
type TokenList struct {
	// Intro says what the tokens are for, URL is the page.
	Intro text.Key
	URL   string
	Form  Form
	// Roles are a project token's choices; empty for personal tokens.
	Roles  []Option
	Scopes []Option
	// NewToken is the token just made, shown this once.
	NewToken string
	// Rows are a page of the tokens that still work, EndedRows the last of
	// Ended tokens that do not.
	Rows, EndedRows []TokenRow
	Ended           int
	Pages           PageLinks
	Now             time.Time
	// Presets are days that are often chosen as the expiry.
	Presets []Option
	// MinDate and MaxDate bound the expiry, as 2006-01-02.
	MinDate, MaxDate string
}

// TokenRow is one token.
type TokenRow struct {
	ID        int64
	Name      string
	Scopes    []string
	Role      string
	CreatedAt time.Time
	// LastUsedAt is nil for a token that was never used.
	LastUsedAt *time.Time
	ExpiresAt  time.Time
	// RevokedAt is nil for a token that works, or ended by expiring.
	RevokedAt *time.Time
	// NotRevocable means that the viewer may not revoke the token: its role is
	// above theirs.
	NotRevocable bool
}

// soonExpiring is how long before a token's expiry its row warns.
const soonExpiring = 14 * 24 * time.Hour

// expiresSoon reports whether the token has little time left.
func (t TokenRow) expiresSoon(now time.Time) bool { return t.ExpiresAt.Sub(now) <= soonExpiring }

// timeLeft is the time until at in words: "in 6 days".
func timeLeft(ctx context.Context, at, now time.Time) string {
	left := at.Sub(now)
	switch {
	case left < time.Hour:
		return text.T(ctx, text.KeyPeopleWithinHour)
	case left < 24*time.Hour:
		return text.N(ctx, text.KeyPeopleInHours, int(left/time.Hour))
	}
	return text.N(ctx, text.KeyPeopleInDays, int(left/(24*time.Hour)))
}
