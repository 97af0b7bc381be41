package handlers

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views/text"
)

// Names of the cookies and their values.
const (
	sessionCookie = "mergegate_session"
	flashCookie   = "mergegate_flash"
	themeCookie   = "mergegate_theme"

	sessionValue = "id"
)

// sessionCookieName returns the name of the session cookie. With https, its prefix makes
// browsers reject cookies set by sibling domains or over http.
func sessionCookieName(secure bool) string {
	if secure {
		return "__Host-" + sessionCookie
	}
	return sessionCookie
}

// loadSession loads the session and its user by the id in the cookie.
func (p *pages) loadSession(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		digest := p.sessionDigest(c)
		if digest == "" {
			return next(c)
		}
		session, user, err := p.Store.SessionUser(c.Request().Context(), digest)
		if models.KindOf(err) == models.KindNotFound {
			return next(c) // ended or expired: continue as a visitor
		}
		if err != nil {
			return err
		}
		if text.IsLanguage(user.Language) {
			setLanguage(c, user.Language)
		}
		request.SetUser(c, user)
		request.SetSession(c, session)
		return next(c)
	}
}

// sessionDigest returns the digest that identifies the browser's session in the database, ""
// without a valid cookie.
func (p *pages) sessionDigest(c echo.Context) string {
	id := p.sessionID(c)
	if id == "" {
		return ""
	}
	return auth.Digest(id)
}

// sessionID returns the random id in the browser's cookie, "" without a valid one. The
// database only has its digest.
func (p *pages) sessionID(c echo.Context) string {
	cookie, err := p.sessions.Get(c.Request(), sessionCookieName(p.secure))
	if err != nil {
		return "" // another key, or a forged cookie
	}
	id, _ := cookie.Values[sessionValue].(string)
	return id
}

// startSession signs the user in with a new session id. With remember, the cookie outlives the
// browser.
func (p *pages) startSession(c echo.Context, user models.User, remember bool) error {
	ctx := c.Request().Context()
	if old := request.Session(c); old.Digest != "" {
		if err := p.Store.DeleteSession(ctx, *request.User(c), old.Digest); err != nil {
			return err
		}
	}
	id := auth.NewSessionID()
	if _, err := p.Store.CreateSession(ctx, user, auth.Digest(id), c.Request().UserAgent(), c.RealIP()); err != nil {
		return err
	}
	maxAge := 0
	if remember {
		maxAge = int(models.SessionLifetime.Seconds())
	}
	p.rememberUser(c, user, remember)
	return p.writeCookie(c, sessionCookieName(p.secure), sessionValue, id, maxAge)
}

// endSession signs the browser out.
func (p *pages) endSession(c echo.Context) error {
	if user := request.User(c); user != nil {
		if err := p.Store.DeleteSession(c.Request().Context(), *user, request.Session(c).Digest); err != nil {
			return err
		}
	}
	return p.writeCookie(c, sessionCookieName(p.secure), sessionValue, "", -1)
}

// writeCookie sets a signed and encrypted cookie. maxAge is in seconds; 0 makes a session
// cookie, a negative one deletes it.
func (p *pages) writeCookie(c echo.Context, name, key, value string, maxAge int) error {
	// Get returns an empty session together with an error for an unreadable cookie, which is
	// overwritten.
	cookie, err := p.sessions.Get(c.Request(), name)
	if cookie == nil {
		return err
	}
	cookie.Values[key] = value
	cookie.Options.MaxAge = maxAge
	return cookie.Save(c.Request(), c.Response())
}

// mustChangePassword redirects users with a one-time password to the form for a new one.
func mustChangePassword(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		user := request.User(c)
		if user == nil || !user.PasswordChangeRequired || c.Path() == newPasswordPath || c.Path() == signOutPath {
			return next(c)
		}
		if isHTMX(c) {
			return signedOutFragment(c)
		}
		return c.Redirect(http.StatusSeeOther, newPasswordPath)
	}
}

// signInURL returns the sign-in page with a way back to the current page.
func signInURL(c echo.Context) string {
	back := returnPath(c)
	if back == "/" {
		return signInPath
	}
	return signInPath + "?return_to=" + url.QueryEscape(back)
}

// returnPath returns the page to return to: the current one or, for a form, the page that has
// it.
func returnPath(c echo.Context) string {
	r := c.Request()
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return safePath(r.URL.RequestURI())
	}
	from, err := url.Parse(r.Referer())
	if err != nil || from.Host != r.Host {
		return "/"
	}
	return safePath(from.RequestURI())
}

// maxReturnPath is the maximum length of a return path, in bytes.
const maxReturnPath = 2048

// safePath returns path if it is a page of this server, otherwise "/". It prevents redirects
// to other hosts and loops through sign-in.
func safePath(path string) string {
	u, err := url.Parse(path)
	switch {
	case err != nil, len(path) > maxReturnPath, u.Scheme != "", u.Host != "", u.User != nil, u.Opaque != "":
		return "/"
	case !strings.HasPrefix(path, "/"), strings.HasPrefix(path, "//"), strings.HasPrefix(u.Path, "//"):
		return "/"
	case strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r == '\\' || r == 0x7f }), strings.Contains(u.Path, `\`):
		return "/"
	case strings.HasPrefix(u.Path, "/users/"):
		return "/"
	}
	return path
}
