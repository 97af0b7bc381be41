// Package request holds what middleware found out about a request: who asks,
// for which project, and what they may do there. Both front doors, pages and
// API, use it.
package request

import (
	"errors"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/models"
)

// The keys under which the values lie in Echo's context.
const (
	keyID      = "mergegate.request_id"
	keyUser    = "mergegate.user"
	keySession = "mergegate.session"
	keyAccess  = "mergegate.access"
)

// Refusals. Each front door turns them into its own status and words: a
// signed-out visitor is asked to sign in instead.
var (
	// ErrHidden is for what the user may not know of.
	ErrHidden = errors.New("not found, or not to be seen by this user")
	// ErrForbidden is for what the user may see but not do.
	ErrForbidden = errors.New("this user may not do that")
)

// SetRetryAfter tells clients when to come back while the database is away.
func SetRetryAfter(c echo.Context) { c.Response().Header().Set(echo.HeaderRetryAfter, "10") }

// SetID keeps the request's id, which finds it in the log.
func SetID(c echo.Context, id string) { c.Set(keyID, id) }

// ID is the request's id.
func ID(c echo.Context) string {
	id, _ := c.Get(keyID).(string)
	return id
}

// SetUser keeps who asks.
func SetUser(c echo.Context, user models.User) { c.Set(keyUser, &user) }

// User is who asks, nil for a signed-out visitor.
func User(c echo.Context) *models.User {
	user, _ := c.Get(keyUser).(*models.User)
	return user
}

// MustUser is User behind a route that requires one.
func MustUser(c echo.Context) models.User { return *User(c) }

// SetSession keeps the session that the cookie belongs to.
func SetSession(c echo.Context, session models.Session) { c.Set(keySession, session) }

// Session is the browser's session; its Digest is "" for a signed-out visitor.
func Session(c echo.Context) models.Session {
	session, _ := c.Get(keySession).(models.Session)
	return session
}

// SetAccess keeps the project that the path names and what the user has to do
// with it.
func SetAccess(c echo.Context, access models.Access) { c.Set(keyAccess, access) }

// Access is the project that the path names and what the user has to do with
// it; empty outside projects.
func Access(c echo.Context) models.Access {
	access, _ := c.Get(keyAccess).(models.Access)
	return access
}

// Project is the project that the path names.
func Project(c echo.Context) models.Project { return Access(c).Project }

// Role is the user's role on the project as rules count it: an administrator
// is as good as an Owner.
func Role(c echo.Context) models.Role {
	access := Access(c)
	if access.Admin {
		return models.RoleOwner
	}
	return access.Role
}

// Subject is the user as the table of abilities sees them.
func Subject(c echo.Context) auth.Subject {
	access := Access(c)
	user := User(c)
	return auth.Subject{
		SignedIn:   user != nil,
		Admin:      user != nil && user.Admin,
		Role:       access.Role,
		Visibility: access.Project.Visibility,
	}
}

// Can reports whether the user has the ability, on the project that the path
// names.
func Can(c echo.Context, ability auth.Ability) bool { return auth.Can(Subject(c), ability) }

// Require lets only those pass who have the ability. Errors: ErrHidden and
// ErrForbidden.
func Require(ability auth.Ability) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			switch auth.Decide(Subject(c), ability) {
			case auth.Allowed:
				return next(c)
			case auth.Forbidden:
				return ErrForbidden
			}
			return ErrHidden
		}
	}
}
