// Package apiv4 is the front door for programs: GitLab's REST API as far as
// Mergegate has what it speaks of, so that GitLab's clients work unchanged,
// and a few routes of our own.
//
// routes.go says what there is and who may; each resource has a file. A
// handler reads its parameters, calls one operation of the domain and shows
// the result as an entity.
package apiv4

import (
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/models"
)

// Prefix begins the path of every route of the API.
const Prefix = "/api/v4"

// Deps is what the API needs of the rest of the program.
type Deps struct {
	Store *models.Store
	Git   Git
	Log   *slog.Logger
	// BaseURL is the address under which people reach this server, without a
	// slash at the end.
	BaseURL string
	// Version is Mergegate's own version, in the header X-Mergegate-Version.
	// Revision is what GET /version answers beside GitLabVersion.
	Version, Revision string
	// Limits bound how often the API may be asked; the defaults are generous.
	Limits Limits
	// Stylesheet is the address of the style sheet of the readable page.
	Stylesheet string
}

type api struct {
	Deps
	tokens    *limiter[int64]
	addresses *limiter[string]
}

// Register adds the API to a server. Everything below /api/ is answered here,
// unknown routes included, and always with JSON. Cookies mean nothing here.
func Register(e *echo.Echo, d Deps) {
	a := &api{
		Deps:      d,
		tokens:    newLimiter[int64](d.Limits.Token.orDefault(defaultTokenLimit)),
		addresses: newLimiter[string](d.Limits.Address.orDefault(defaultAddressLimit)),
	}
	e.Pre(keepEscapedPath)
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

// wrongMethod refuses what a path that is known does not take.
func methodNotAllowed(known []string) echo.HandlerFunc {
	allow := strings.Join(slices.Sorted(slices.Values(known)), ", ")
	return func(c echo.Context) error {
		c.Response().Header().Set("Allow", allow)
		return c.JSON(http.StatusMethodNotAllowed, map[string]string{"error": "405 Method Not Allowed"})
	}
}

// wholePath answers 404 for a path that has more segments than the route. Echo
// gives all that is left of a path to a parameter that ends a route.
func (a *api) exactPath(route string, next echo.HandlerFunc) echo.HandlerFunc {
	segments := strings.Count(Prefix+route, "/")
	return func(c echo.Context) error {
		if strings.Count(c.Request().URL.EscapedPath(), "/") != segments {
			return a.rateLimited(unknownRoute)(c)
		}
		return next(c)
	}
}

// keepEscapes makes the router match the path as it was sent. Without it some
// paths arrive unescaped and some do not, and owner%2Fname is two segments.
func keepEscapedPath(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if u := c.Request().URL; strings.HasPrefix(u.Path, "/api/") {
			u.RawPath = u.EscapedPath()
		}
		return next(c)
	}
}

// call is one request to the API.
type call struct {
	echo.Context
	*params
	api *api
	// me and token are empty for a request without a token.
	me    models.User
	token models.AccessToken
	// access is the project that the path names, mr the merge request. For
	// routes of status checks mr is only its ids, state and HEAD, with checks.
	access models.Access
	mr     models.MergeRequest
	checks []models.MergeRequestCheck
}

// handler runs what every route has in common, in the order in which faults
// are told: who asks, whether the project and merge request can be seen,
// whether this may be done, the parameters.
func (a *api) handler(r route) echo.HandlerFunc {
	return func(ec echo.Context) (err error) {
		c := &call{Context: ec, api: a}
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler {
					panic(p)
				}
				a.Log.Error("panic in the API", "request_id", request.ID(ec), "panic", p, "stack", string(debug.Stack()))
				err = c.internalError()
			}
		}()
		if err := c.serve(r); err != nil {
			return c.fail(err)
		}
		return nil
	}
}

func (c *call) serve(r route) error {
	c.Response().Header().Set("Cache-Control", "private, no-store")
	c.Response().Header().Set("X-Mergegate-Version", c.api.Version)
	if err := c.enforceLimit(c.api.addresses.take(c.RealIP(), c.now())); err != nil {
		return err
	}
	if err := c.authenticate(r); err != nil {
		return err
	}
	if c.signedIn() {
		if err := c.enforceLimit(c.api.tokens.take(c.token.ID, c.now())); err != nil {
			return err
		}
	}
	if asksForSudo(c.Request()) {
		return c.refuseSudo()
	}
	if r.preload >= preloadProject {
		err := c.findProject()
		var f *failure
		if !c.signedIn() && errors.As(err, &f) && f.status == http.StatusNotFound {
			return errUnauthorized // whatever there is
		}
		if err != nil {
			return err
		}
	}
	if r.preload >= preloadMergeRequest {
		if err := c.findMergeRequest(r.preload == preloadChecks); err != nil {
			return err
		}
	}
	if err := c.require(r.ability); err != nil {
		return err
	}
	var err error
	if c.params, err = readParams(c.Request()); err != nil {
		return err
	}
	if c.has("sudo") {
		return c.refuseSudo()
	}
	return r.handle(c)
}

// fail answers an error: a refusal in GitLab's words, anything else as an
// internal error whose cause only the log has.
func (c *call) fail(err error) error {
	if c.Response().Committed {
		return err
	}
	if f := refusal(err); f != nil {
		if f.status == http.StatusUnauthorized {
			c.Response().Header().Set("WWW-Authenticate", `Bearer realm="Mergegate"`)
		}
		if f.status == http.StatusServiceUnavailable {
			request.SetRetryAfter(c)
			c.api.Log.Error("the API is not available at the moment", "request_id", request.ID(c), "route", c.Path(), "error", err)
		}
		return c.JSON(f.status, f.body)
	}
	if c.ctx().Err() != nil {
		return nil // the client has gone
	}
	c.api.Log.Error("the API failed", "request_id", request.ID(c), "method", c.Request().Method, "route", c.Path(), "error", err)
	return c.internalError()
}

func (c *call) internalError() error {
	return c.JSON(http.StatusInternalServerError, map[string]string{"message": "500 Internal Server Error"})
}

// require asks the table of abilities. The empty ability is everybody's who
// has a token.
func (c *call) require(ability auth.Ability) error {
	if ability == "" {
		return nil
	}
	switch auth.Decide(c.subject(), ability) {
	case auth.Allowed:
		return nil
	case auth.Forbidden:
		return errForbidden
	}
	return errNotFound
}

func (c *call) can(ability auth.Ability) bool {
	return auth.Can(c.subject(), ability)
}

// subject returns the owner of the token, as seen from the project of c.access.
func (c *call) subject() auth.Subject {
	access := c.access // without a project it is empty
	access.SignedIn, access.Admin = c.signedIn(), c.me.Admin
	return auth.SubjectOf(access)
}

// signedIn reports whether the request has a token.
func (c *call) signedIn() bool { return c.me.ID != 0 }

// user is the owner of the token, nil without one.
func (c *call) user() *models.User {
	if !c.signedIn() {
		return nil
	}
	return &c.me
}

// role returns the effective role on the project of the path.
func (c *call) role() models.Role { return request.Role(c) }

// findProject finds the project that :id names, unless the token's query has:
// by number or namespace/name, a name that it had before a rename included.
func (c *call) findProject() error {
	if c.access.Project.ID == 0 {
		access, err := c.accessInPath()
		if models.KindOf(err) == models.KindNotFound {
			return notFound("Project")
		}
		if err != nil {
			return err
		}
		c.access = access
	}
	request.SetAccess(c, c.access)
	if !c.can(auth.ReadProject) {
		return notFound("Project")
	}
	return nil
}

func (c *call) accessInPath() (access models.Access, err error) {
	name, err := c.segment("id")
	if err != nil {
		return access, notFound("Project")
	}
	if id, numeric := parseID(name); numeric {
		return c.api.Store.AccessByID(c.ctx(), c.user(), id)
	}
	namespace, path, ok := splitPath(name)
	if !ok {
		return access, notFound("Project")
	}
	access, _, err = c.api.Store.AccessByPath(c.ctx(), c.user(), namespace, path)
	return access, err
}

// findMergeRequest finds the merge request that :iid names, with its checks or
// with its people: one query is enough for what services ask all the time.
func (c *call) findMergeRequest(withChecks bool) error {
	if !c.can(auth.ReadCode) {
		return errNotFound
	}
	iid, err := c.idSegment("iid")
	if err != nil {
		return err
	}
	if withChecks {
		c.mr, c.checks, err = c.api.Store.MergeRequestChecks(c.ctx(), c.access.Project.ID, iid)
	} else {
		c.mr, err = c.api.Store.MergeRequest(c.ctx(), c.access.Project.ID, iid)
	}
	if models.KindOf(err) == models.KindNotFound {
		return notFound("Merge Request")
	}
	return err
}

// segment returns a parameter of the path, unescaped; 404 if it is empty or not
// text.
func (c *call) segment(name string) (string, error) {
	text := request.PathParam(c, name)
	if text == "" {
		return "", errNotFound
	}
	return text, nil
}

// idSegment is a part of the path that must be an id; anything else is the id
// of nothing.
func (c *call) idSegment(name string) (int64, error) {
	text, err := c.segment(name)
	if err != nil {
		return 0, err
	}
	id, ok := parseID(text)
	if !ok {
		return 0, errNotFound
	}
	return id, nil
}

// unmodifiedSince obeys If-Unmodified-Since, for what is about to be removed.
// changed reads when that changed last; it is called only with the header. Times
// in the header are whole seconds; a date that cannot be read is ignored.
func (c *call) checkUnmodifiedSince(changed func() (time.Time, error)) error {
	since, err := http.ParseTime(c.Request().Header.Get("If-Unmodified-Since"))
	if err != nil {
		return nil
	}
	at, err := changed()
	if err == nil && at.Truncate(time.Second).After(since) {
		err = errModified
	}
	return err
}

func parseID(text string) (int64, bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil && n > 0
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// reply answers with an entity.
func (c *call) reply(status int, entity any) error { return c.JSON(status, entity) }

// accepted answers that something was begun or removed for good.
func (c *call) replyAccepted() error {
	return c.reply(http.StatusAccepted, map[string]string{"message": "202 Accepted"})
}

// list answers with one page of a list.
func replyList[T any](c *call, page listPage, entities []T, total int64) error {
	page.setHeaders(c.Response().Header(), c.api.url(c.Request().URL.EscapedPath()), c.QueryParams(), int(total))
	if entities == nil {
		entities = []T{}
	}
	return c.reply(http.StatusOK, entities)
}

// each shows the elements of a list.
func mapSlice[T, E any](elements []T, show func(T) E) []E {
	entities := make([]E, 0, len(elements))
	for _, element := range elements {
		entities = append(entities, show(element))
	}
	return entities
}

// rows is the page as the domain counts it.
func (p listPage) storePage() models.Page { return models.Page{Number: p.number, Size: p.size} }

// url is the address of a path of this server, as people see it.
func (a *api) url(path string) string { return a.BaseURL + path }

// projectURL is the address of a path below the project's.
func (c *call) projectURL(path string) string {
	return c.api.url("/" + c.access.Project.FullPath() + path)
}

// now is the store's clock: what an answer shows is how things stand then.
func (c *call) now() time.Time { return c.api.Store.Now() }
