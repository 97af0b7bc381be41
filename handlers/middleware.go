package handlers

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/static"
	"github.com/mergegate/mergegate/views/text"
)

// The largest form bodies, in bytes. maxForm has room for the longest description of a merge
// request, percent-encoded.
const (
	maxVisitorForm = 1 << 20
	maxForm        = 4*3*models.MaxMergeRequestDescription + 1<<20
)

// contentPolicy is the Content-Security-Policy of every response. It forbids inline code and
// other origins. Images in style.css are data: URLs.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"worker-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// Errors of the middleware; handleError has their texts.
var (
	errCrossOrigin = errors.New("form sent from another site")
	errFormTooBig  = errors.New("form too large")
	errBadForm     = errors.New("form cannot be read")
)

// ipExtractor returns the client's address: that of the connection, or X-Forwarded-For if the
// connection is from a trusted proxy.
func ipExtractor(trusted []string) (echo.IPExtractor, error) {
	if len(trusted) == 0 {
		return echo.ExtractIPDirect(), nil
	}
	options := []echo.TrustOption{echo.TrustLoopback(false), echo.TrustLinkLocal(false), echo.TrustPrivateNet(false)}
	for _, cidr := range trusted {
		_, network, err := net.ParseCIDR(cidr)
		if err != nil {
			return nil, fmt.Errorf("trusted proxy %q is not a network such as 10.0.0.0/8", cidr)
		}
		options = append(options, echo.TrustIPRange(network))
	}
	return echo.ExtractIPFromXFFHeader(options...), nil
}

// rememberAddress puts the client's address into the context for audit events.
func rememberAddress(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		c.SetRequest(c.Request().WithContext(models.WithAddress(c.Request().Context(), c.RealIP())))
		return next(c)
	}
}

// removeTrailingSlash redirects pages to the address without a trailing slash. For the API it
// removes the slash, because clients may not follow redirects. An escaped slash (%2F) is part
// of a name and stays.
func removeTrailingSlash(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		path := r.URL.EscapedPath()
		short := strings.TrimRight(path, "/")
		switch {
		case short == path, short == "", strings.HasPrefix(short, "//"), strings.HasPrefix(path, static.Prefix):
			return next(c)
		case strings.HasPrefix(path, "/api/"):
			slashes := len(path) - len(short)
			r.URL.Path = r.URL.Path[:len(r.URL.Path)-slashes]
			if r.URL.RawPath != "" {
				r.URL.RawPath = short
			}
			return next(c)
		}
		if r.URL.RawQuery != "" {
			short += "?" + r.URL.RawQuery
		}
		// The client repeats the method and body.
		return c.Redirect(http.StatusPermanentRedirect, short)
	}
}

// requestID gives every request a random id. An id sent by the client is ignored.
func requestID(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		id := "req_" + rand.Text()
		request.SetID(c, id)
		c.Response().Header().Set(echo.HeaderXRequestID, id)
		return next(c)
	}
}

// accessLog logs every request, without the query, which may contain a token.
func (p *pages) accessLog(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		start := time.Now()
		if err := next(c); err != nil {
			c.Error(err)
		}
		attrs := []any{
			"method", c.Request().Method, "path", c.Request().URL.Path, "route", c.Path(),
			"status", c.Response().Status, "bytes", c.Response().Size, "duration", time.Since(start), "ip", c.RealIP(),
		}
		if user := request.User(c); user != nil {
			attrs = append(attrs, "user_id", user.ID)
		}
		level := slog.LevelInfo
		if isRoutine(c.Request(), c.Response().Status) {
			level = slog.LevelDebug
		}
		p.Log.Log(c.Request().Context(), level, "request", attrs...)
		return nil
	}
}

// isRoutine reports whether a request is logged at debug level only: unchanged
// polls, health probes, and assets. They are frequent and tell an operator little.
func isRoutine(r *http.Request, status int) bool {
	path := r.URL.Path
	return status == http.StatusNoContent && r.Method == http.MethodGet ||
		status < 400 && (path == "/healthz" || path == "/readyz" || path == static.WorkerPath || strings.HasPrefix(path, static.Prefix))
}

// recoverPanic turns a panic of a handler into an error.
func (p *pages) recoverPanic(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error { return request.WithoutPanic(func() error { return next(c) }) }
}

// securityHeaders sets the headers that restrict what browsers do with a response.
func (p *pages) securityHeaders(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Response().Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		if p.secure {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		return next(c)
	}
}

// noStore forbids caches to store pages, because their content depends on the user.
func noStore(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		c.Response().Header().Set("Cache-Control", "private, no-store")
		c.Response().Header().Add("Vary", "HX-Request")
		return next(c)
	}
}

// detectLanguage sets the language of the response from Accept-Language.
// loadSession replaces it by the user's own choice, if there is one.
func detectLanguage(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		c.Response().Header().Add("Vary", "Accept-Language")
		setLanguage(c, text.AcceptedLanguage(strings.Join(c.Request().Header.Values("Accept-Language"), ",")))
		return next(c)
	}
}

// setLanguage sets the language of the response, such as "ja".
func setLanguage(c echo.Context, lang string) {
	c.SetRequest(c.Request().WithContext(text.WithLanguage(c.Request().Context(), lang)))
}

// sameOrigin refuses forms that were submitted from another site.
func sameOrigin(base *url.URL) (echo.MiddlewareFunc, error) {
	protection := http.NewCrossOriginProtection()
	if err := protection.AddTrustedOrigin(base.Scheme + "://" + base.Host); err != nil {
		return nil, fmt.Errorf("base URL: %w", err)
	}
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if err := protection.Check(c.Request()); err != nil {
				return errCrossOrigin
			}
			return next(c)
		}
	}, nil
}

// readForm parses the form before the handler runs, so that a malformed form does not look
// like empty fields. It replaces CR LF, which browsers send, by LF.
func readForm(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			return next(c)
		}
		limit := int64(maxVisitorForm)
		if request.User(c) != nil {
			limit = maxForm
		}
		r.Body = http.MaxBytesReader(c.Response(), r.Body, limit)
		// ParseMultipartForm alone would not report errors of a form that is not multipart.
		err := r.ParseForm()
		if err == nil {
			if err = r.ParseMultipartForm(limit); errors.Is(err, http.ErrNotMultipart) {
				err = nil
			}
		}
		var tooBig *http.MaxBytesError
		switch {
		case errors.As(err, &tooBig):
			return errFormTooBig
		case err != nil:
			return fmt.Errorf("%w: %w", errBadForm, err)
		}
		for _, form := range []url.Values{r.Form, r.PostForm} {
			for _, values := range form {
				for i, value := range values {
					values[i] = strings.ReplaceAll(value, "\r\n", "\n")
				}
			}
		}
		return next(c)
	}
}

// loadProject loads the project that the path names and the user's access to it. A former path
// of a renamed project redirects to the new one.
func (p *pages) loadProject(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		// The path may be a clone URL that was opened in a browser.
		namespace, name := request.PathParam(c, "namespace"), strings.TrimSuffix(request.PathParam(c, "project"), ".git")
		access, moved, err := p.Store.AccessByPath(c.Request().Context(), request.User(c), namespace, name)
		if models.KindOf(err) == models.KindNotFound {
			return request.ErrHidden
		}
		if err != nil {
			return err
		}
		request.SetAccess(c, access)
		if moved {
			if !request.Can(c, auth.ReadProject) {
				return request.ErrHidden
			}
			return redirectToNewPath(c, access.Project)
		}
		return next(c)
	}
}

// redirectToNewPath redirects from a former path of a project to the same page under its
// current path. A POST keeps its form (307). The redirect is temporary, because another
// project may take the former path.
func redirectToNewPath(c echo.Context, project models.Project) error {
	u := *c.Request().URL
	rest := strings.SplitN(strings.TrimPrefix(u.EscapedPath(), "/"), "/", 3)
	target := urlOfProject(project)
	if len(rest) == 3 {
		target += "/" + rest[2]
	}
	if u.RawQuery != "" {
		target += "?" + u.RawQuery
	}
	status := http.StatusFound
	if c.Request().Method != http.MethodGet && c.Request().Method != http.MethodHead {
		status = http.StatusTemporaryRedirect
	}
	return c.Redirect(status, target)
}
