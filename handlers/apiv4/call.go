package apiv4

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/models"
)

// call is one request to the API.
type call struct {
	echo.Context
	*params
	api *api
	// me is the owner of token. Both are zero for a request without a token.
	me    models.User
	token models.AccessToken
	// access is the project in the path, mr the merge request. Routes of status
	// checks load only ids, state and HEAD of mr, and its checks.
	access models.Access
	mr     models.MergeRequest
	checks []models.MergeRequestCheck
	// callback is set on routes for callback tokens. me is zero then.
	callback *models.Callback
}

// handler returns the Echo handler of a route. It answers errors and panics.
func (a *api) handler(r route) echo.HandlerFunc {
	return func(ec echo.Context) error {
		c := &call{Context: ec, api: a}
		if err := request.WithoutPanic(func() error { return c.serve(r) }); err != nil {
			return c.fail(err)
		}
		return nil
	}
}

// serve runs the checks that all routes have in common and then the route. The
// order decides which error is reported: rate limit, token, project (404), merge
// request (404), ability (403), parameters (400).
func (c *call) serve(r route) error {
	c.Response().Header().Set("Cache-Control", "private, no-store")
	c.Response().Header().Set("X-Mergegate-Version", c.api.Version)
	if err := c.enforceLimit(c.api.addresses.take(c.RealIP(), c.now())); err != nil {
		return err
	}
	if r.callback {
		if err := c.authenticateCallback(); err != nil {
			return err
		}
	} else if err := c.authenticate(r); err != nil {
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
			return errUnauthorized // also for projects that do not exist
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

// fail answers an error: a refusal with GitLab's message, anything else with 500.
// The cause of a 500 is only logged.
func (c *call) fail(err error) error {
	if c.Response().Committed {
		return err
	}
	f := failureOf(err)
	if (f == nil || f.status >= http.StatusInternalServerError) && request.ClientGone(c, err) {
		return c.NoContent(request.StatusClientGone)
	}
	if f != nil {
		if f.status == http.StatusUnauthorized {
			c.Response().Header().Set("WWW-Authenticate", `Bearer realm="Mergegate"`)
		}
		if f.status == http.StatusServiceUnavailable {
			request.SetRetryAfter(c)
			c.api.Log.ErrorContext(c.ctx(), "API request unavailable", "route", c.Path(), "error", err)
		}
		return c.JSON(f.status, f.body)
	}
	c.api.Log.ErrorContext(c.ctx(), "API request failed",
		append(models.ErrorAttrs(err), "method", c.Request().Method, "route", c.Path())...)
	return c.internalError()
}

func (c *call) internalError() error {
	return c.JSON(http.StatusInternalServerError, map[string]string{"message": "500 Internal Server Error"})
}

// require checks that the user has the ability on the project. The empty ability
// needs only a token. It returns errNotFound if the user may not see the resource,
// else errForbidden.
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

// subject returns the user and their relation to the project, as auth.Decide takes it.
func (c *call) subject() auth.Subject {
	access := c.access // the zero value outside a project
	access.SignedIn, access.Admin = c.signedIn(), c.me.Admin
	return auth.SubjectOf(access)
}

// signedIn reports whether the request has a valid token.
func (c *call) signedIn() bool { return c.me.ID != 0 }

// user returns the owner of the token, or nil without a token.
func (c *call) user() *models.User {
	if !c.signedIn() {
		return nil
	}
	return &c.me
}

// role returns the user's effective role on the project. Administrators count as
// Owner.
func (c *call) role() models.Role { return request.Role(c) }

// findProject loads the project that :id names, unless authenticate has loaded it
// with the token. :id is a number or namespace/name, and may be a former path.
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

// accessInPath loads the project that :id names and the user's access to it.
func (c *call) accessInPath() (access models.Access, err error) {
	name, err := c.pathParam("id")
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

// findMergeRequest loads the merge request that :iid names. With checks it loads
// only ids, state, HEAD and the status checks, in one query, because services
// poll these routes often.
func (c *call) findMergeRequest(withChecks bool) error {
	if !c.can(auth.ReadCode) {
		return errNotFound
	}
	iid, err := c.pathID("iid")
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

// pathParam returns a path parameter, unescaped. It returns errNotFound if the
// value is empty or not valid text.
func (c *call) pathParam(name string) (string, error) {
	text := request.PathParam(c, name)
	if text == "" {
		return "", errNotFound
	}
	return text, nil
}

// pathID returns a path parameter that must be an id, else errNotFound.
func (c *call) pathID(name string) (int64, error) {
	text, err := c.pathParam(name)
	if err != nil {
		return 0, err
	}
	id, ok := parseID(text)
	if !ok {
		return 0, errNotFound
	}
	return id, nil
}

// checkUnmodifiedSince implements If-Unmodified-Since for DELETE. changed returns
// the time of the resource's last change; it is called only if the header is
// present and valid. HTTP dates are whole seconds, so the change is truncated too.
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

// parseID parses a positive decimal number.
func parseID(text string) (int64, bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil && n > 0
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// projectURL returns the public address of a path below the project.
func (c *call) projectURL(path string) string {
	return c.api.url("/" + c.access.Project.FullPath() + path)
}

// now returns the time of the store's clock.
func (c *call) now() time.Time { return c.api.Store.Now() }
