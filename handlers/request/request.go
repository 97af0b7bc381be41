// Package request stores what middleware learned about a request in Echo's
// context: the request id, the user, the session, and the project with the
// user's access to it. Pages, API and git handlers read it with User, Access and
// Can; Require is the middleware that checks an ability.
package request

import (
	"context"
	"errors"
	"net"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/models"
)

// Keys of the values in Echo's context.
const (
	keyUser    = "mergegate.user"
	keySession = "mergegate.session"
	keyAccess  = "mergegate.access"
)

// Errors of Require. Each entry point answers them with its own status and text;
// pages ask a signed-out user to sign in.
var (
	// ErrHidden means that the user may not know that the resource exists.
	ErrHidden = errors.New("not found, or not visible to this user")
	// ErrForbidden means that the user may see the resource but not do this.
	ErrForbidden = errors.New("this user may not do that")
)

// StatusClientGone is the status in logs and metrics of a request whose client has gone
// away, as in nginx. Nobody receives it.
const StatusClientGone = 499

// ClientGone reports whether a request failed with err because its client has gone away:
// the work was cancelled, or the client's connection is broken. It is false for a panic.
func ClientGone(c echo.Context, err error) bool {
	var panicked *models.PanicError
	if errors.As(err, &panicked) {
		return false
	}
	var connection *net.OpError // may also be that of the database
	return errors.Is(c.Request().Context().Err(), context.Canceled) ||
		errors.As(err, &connection) && connection.Addr != nil && connection.Addr.String() == c.Request().RemoteAddr
}

// WithoutPanic calls f and returns a panic as a *models.PanicError, except for
// http.ErrAbortHandler, which ends the connection on purpose.
func WithoutPanic(f func() error) error {
	err := models.WithoutPanic(f)
	if panicked, ok := err.(*models.PanicError); ok && panicked.Value == http.ErrAbortHandler {
		panic(http.ErrAbortHandler)
	}
	return err
}

// SetRetryAfter sets Retry-After to 10 seconds, for answers with status 503.
func SetRetryAfter(c echo.Context) { c.Response().Header().Set(echo.HeaderRetryAfter, "10") }

// SetID stores the request id, which log lines carry as request_id.
func SetID(c echo.Context, id string) {
	c.SetRequest(c.Request().WithContext(models.WithRequestID(c.Request().Context(), id)))
}

// ID returns the request id, or "" if none was set.
func ID(c echo.Context) string { return models.RequestID(c.Request().Context()) }

// SetUser stores the user who makes the request.
func SetUser(c echo.Context, user models.User) { c.Set(keyUser, &user) }

// User returns the user who makes the request, or nil for a signed-out visitor.
func User(c echo.Context) *models.User {
	user, _ := c.Get(keyUser).(*models.User)
	return user
}

// MustUser returns the user who makes the request. It panics if there is none, so
// it is only for routes that require one.
func MustUser(c echo.Context) models.User { return *User(c) }

// SetSession stores the browser session of the request.
func SetSession(c echo.Context, session models.Session) { c.Set(keySession, session) }

// Session returns the browser session. Its Digest is "" for a signed-out visitor.
func Session(c echo.Context) models.Session {
	session, _ := c.Get(keySession).(models.Session)
	return session
}

// SetAccess stores the project that the path names and the user's access to it.
func SetAccess(c echo.Context, access models.Access) { c.Set(keyAccess, access) }

// Access returns the project that the path names and the user's access to it. It
// is the zero value on routes outside a project.
func Access(c echo.Context) models.Access {
	access, _ := c.Get(keyAccess).(models.Access)
	return access
}

// Project returns the project that the path names.
func Project(c echo.Context) models.Project { return Access(c).Project }

// Role returns the user's effective role on the project. Administrators count as
// Owner.
func Role(c echo.Context) models.Role { return Access(c).EffectiveRole() }

// Subject returns the user and their relation to the project, as auth.Decide
// takes it.
func Subject(c echo.Context) auth.Subject {
	access, user := Access(c), User(c) // access has no user outside projects
	access.SignedIn, access.Admin = user != nil, user != nil && user.Admin
	return auth.SubjectOf(access)
}

// Can reports whether the user has the ability on the project that the path names.
func Can(c echo.Context, ability auth.Ability) bool { return auth.Can(Subject(c), ability) }

// Require returns middleware that lets a request pass only if the user has the
// ability. Otherwise it returns ErrHidden or ErrForbidden.
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
