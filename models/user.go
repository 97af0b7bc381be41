package models

import (
	"slices"
	"time"
)

// User is a person, or the bot user of a project access token.
type User struct {
	ID                     int64
	Username               string
	UsernameKey            string
	Name                   string
	Email                  string
	PasswordDigest         string
	PasswordChangeRequired bool
	Admin                  bool
	Bot                    bool
	Blocked                bool
	Theme                  string
	Language               string
	CreatedAt              time.Time
	UpdatedAt              time.Time
}

// Namespace is the first part of a project's path: a user's name or, if UserID is nil,
// a free namespace that an administrator created. Both must be unique together.
type Namespace struct {
	ID        int64
	Path      string
	PathKey   string
	UserID    *int64
	CreatedAt time.Time
}

// Session is a signed-in browser. Digest is the hash of the random id in the cookie;
// the id itself is not stored.
type Session struct {
	ID         int64
	Digest     string
	UserID     int64
	UserAgent  string
	IP         string
	CreatedAt  time.Time
	LastSeenAt time.Time
	ExpiresAt  time.Time
	// ShownOnce is sealed text for the session's next page; nil if there is none.
	ShownOnce []byte
}

// RateCounter counts attempts in a time window.
type RateCounter struct {
	ID           int64
	Name         string
	Count        int64
	WindowEndsAt time.Time
}

// SessionLifetime is how long an unused session lasts.
const SessionLifetime = 14 * 24 * time.Hour

// reservedPaths are the first segments of routes. No namespace can have these names.
var reservedPaths = map[string]bool{
	"-": true, "admin": true, "api": true, "assets": true, "dashboard": true, "explore": true, "groups": true,
	"healthz": true, "readyz": true, "metrics": true, "help": true, "login": true, "logout": true, "new": true, "oauth": true,
	"profile": true, "projects": true, "public": true, "robots.txt": true, "favicon.ico": true, "search": true,
	"sign_in": true, "sign_out": true, "static": true, "user_settings": true, "users": true, "v2": true, "offline": true,
}

// themes are the themes that a user can choose. "" follows the system.
var themes = []string{"", "light", "dark"}

// CheckTheme returns a KindInvalid error with field "theme" if theme is unknown.
func CheckTheme(theme string) error {
	var f fieldErrors
	if !slices.Contains(themes, theme) {
		f.add("theme", CodeInvalid)
	}
	return f.err()
}

// UserInput creates a user.
type UserInput struct {
	Username               string
	Name                   string
	Email                  string
	PasswordDigest         string
	PasswordChangeRequired bool
	Admin                  bool
	Bot                    bool
}

// Validate normalises the input and returns its field errors: username, name, email.
func (in *UserInput) Validate() error {
	var f fieldErrors
	in.Name = cleanName(in.Name)
	if in.Name == "" {
		in.Name = in.Username
	}
	in.Email = cleanName(in.Email)
	checkUsername(&f, in.Username)
	if !f.has("username") {
		checkName(&f, "name", in.Name)
	}
	checkEmail(&f, in.Email)
	return f.err()
}

// checkUsername adds the errors of a user name.
func checkUsername(f *fieldErrors, username string) {
	checkPath(f, "username", username)
	if reservedPaths[foldKey(username)] {
		f.add("username", CodeReserved)
	}
}
