// Package apiv4 implements the part of GitLab's REST API that Mergegate supports,
// so that GitLab's clients work unchanged, and some routes that only Mergegate
// has.
//
// Start with routes.go, which lists all routes with the ability that each needs.
// Each resource has a file. A handler reads its parameters, calls one method of
// models.Store and answers with an entity, the JSON form of the result.
// openapi.yaml describes all routes.
package apiv4

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/gitrepo"
	"github.com/mergegate/mergegate/models"
)

// Prefix begins the path of every route of the API.
const Prefix = "/api/v4"

// Deps holds what the API needs from the rest of the program.
type Deps struct {
	Store *models.Store
	Git   gitrepo.Readers
	Log   *slog.Logger
	// BaseURL is the public address of this server, without a trailing slash.
	BaseURL string
	// Version is Mergegate's version, sent as X-Mergegate-Version. Revision is
	// returned by GET /version together with GitLabVersion.
	Version, Revision string
	// Limits are the rate limits. The zero value means the defaults.
	Limits Limits
	// Stylesheet is the address of the style sheet of /api/docs.
	Stylesheet string
	// Answered is called after a response was recorded; nil disables it.
	Answered func(context.Context, models.RecordedResponse)
}

// api holds what all routes share.
type api struct {
	Deps
	tokens    *limiter[int64]
	addresses *limiter[string]
}

// Register adds the API to e. It answers all paths below /api/, also unknown
// ones, with JSON. The API ignores cookies.
func Register(e *echo.Echo, d Deps) {
	a := &api{
		Deps:      d,
		tokens:    newLimiter[int64](d.Limits.Token.orDefault(defaultTokenLimit)),
		addresses: newLimiter[string](d.Limits.Address.orDefault(defaultAddressLimit)),
	}
	e.Pre(keepEscapedPath, drainBody)
	methods := map[string][]string{}
	for _, r := range a.routes() {
		handle := a.exactPath(r.path, a.handler(r))
		e.Add(r.method, Prefix+r.path, handle)
		if r.method == http.MethodGet {
			e.Add(http.MethodHead, Prefix+r.path, handle)
			methods[r.path] = append(methods[r.path], http.MethodHead)
		}
		methods[r.path] = append(methods[r.path], r.method)
	}
	for path, known := range methods {
		for _, method := range []string{get, http.MethodHead, post, put, patch, remove, http.MethodOptions} {
			if !slices.Contains(known, method) {
				e.Add(method, Prefix+path, a.exactPath(path, a.rateLimited(methodNotAllowed(known))))
			}
		}
	}
	e.GET("/api/openapi.yaml", getOpenAPI)
	e.GET("/api/docs", a.getDocs)
	e.Any("/api", a.rateLimited(unknownRoute))
	e.Any("/api/*", a.rateLimited(unknownRoute))
}

func unknownRoute(c echo.Context) error {
	return c.JSON(http.StatusNotFound, map[string]string{"error": "404 Not Found"})
}

// methodNotAllowed answers 405 for a path that has only the known methods.
func methodNotAllowed(known []string) echo.HandlerFunc {
	allow := strings.Join(slices.Sorted(slices.Values(known)), ", ")
	return func(c echo.Context) error {
		c.Response().Header().Set("Allow", allow)
		return c.JSON(http.StatusMethodNotAllowed, map[string]string{"error": "405 Method Not Allowed"})
	}
}

// exactPath answers 404 for a path with more segments than the route. Echo would
// otherwise put the rest of the path into the last parameter.
func (a *api) exactPath(template string, next echo.HandlerFunc) echo.HandlerFunc {
	segments := strings.Count(Prefix+template, "/")
	return func(c echo.Context) error {
		if strings.Count(c.Request().URL.EscapedPath(), "/") != segments {
			return a.rateLimited(unknownRoute)(c)
		}
		return next(c)
	}
}

// keepEscapedPath makes the router match the path as sent, so that owner%2Fname
// is one segment. Echo matches the unescaped path unless RawPath is set.
func keepEscapedPath(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if u := c.Request().URL; strings.HasPrefix(u.Path, "/api/") {
			u.RawPath = u.EscapedPath()
		}
		return next(c)
	}
}

// drainBody reads what a refused request has not been read of, up to maxBody. Many clients
// read the answer only after they have sent the body; closing the connection before that
// would lose it. A client that announces more, or that waits for "100 Continue", gets the
// answer at once.
func drainBody(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		err := next(c)
		r := c.Request()
		if r.Body != nil && strings.HasPrefix(r.URL.Path, "/api/") && r.ContentLength <= maxBody && r.Header.Get("Expect") == "" {
			_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, maxBody+1))
		}
		return err
	}
}

// url returns the public address of a path on this server.
func (a *api) url(path string) string { return a.BaseURL + path }
