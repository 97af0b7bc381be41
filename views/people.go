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
	// Role is the selected role of the filter, empty for all Roles.
	Role  string
	Roles []Option
	// Problem explains why a change failed, empty for none.
	Problem string
}

// filtered reports whether a search or filter is active.
func (l MemberList) filtered() bool { return l.Search != "" || l.Role != "" }

// NewMember is the form that adds a member, as a drawer or as a page.
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
	// Role is the access level as text, RoleName its name.
	Role, RoleName string
	You, Bot       bool
	// LastOwner marks the only Owner, who cannot be removed.
	LastOwner bool
	// Roles are those that the reader may give the member, empty for none.
	Roles []Option
	// Version is the version that the form of the role edits.
	Version string
	AddedAt time.Time
}

// Confirmation asks before an irreversible action, as a dialog or as a page.
type Confirmation struct {
	// Title is the question, Button names the action, Text its object.
	Title, Button text.Key
	Text          templ.Component
	// URL is the address of the action, CloseURL the previous page.
	URL, CloseURL string
	// Typed must be typed into the field confirm of Form. If it is empty, pressing the
	// button is enough.
	Typed string
	Form  Form
}

// TokenList is a list of access tokens with the form for a new one.
type TokenList struct {
	// Intro describes the tokens, URL is the address of the page.
	Intro text.Key
	URL   string
	Form  Form
	// Roles are the options for a project token, empty for personal tokens.
	Roles  []Option
	Scopes []Option
	// NewToken is the token just created. It is shown once.
	NewToken string
	// Rows are one page of active tokens. EndedRows are the last of Ended expired
	// or revoked tokens.
	Rows, EndedRows []TokenRow
	Ended           int
	Pages           PageLinks
	Now             time.Time
	// Presets are common expiry dates.
	Presets []Option
	// MinDate and MaxDate are the limits of the expiry, as 2006-01-02.
	MinDate, MaxDate string
}

// TokenRow is one token.
type TokenRow struct {
	ID        int64
	Name      string
	Scopes    []string
	Role      string
	CreatedAt time.Time
	// LastUsedAt is nil if the token was never used.
	LastUsedAt *time.Time
	ExpiresAt  time.Time
	// RevokedAt is nil if the token was not revoked.
	RevokedAt *time.Time
	// NotRevocable reports whether the reader may not revoke the token because
	// its role is above theirs.
	NotRevocable bool
}

// soonExpiring is how long before its expiry a token has a warning.
const soonExpiring = 14 * 24 * time.Hour

// expiresSoon reports whether the token expires within soonExpiring.
func (t TokenRow) expiresSoon(now time.Time) bool { return t.ExpiresAt.Sub(now) <= soonExpiring }

// timeLeft formats the time until at, such as "in 6 days".
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
