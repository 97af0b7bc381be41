package apiv4

import (
	"strings"

	"github.com/mergegate/mergegate/models"
)

// authenticateCallback checks the callback token of a request: it must be valid and for
// the check in the path. It loads the project and the merge request; the token is the
// only right that the request has.
func (c *call) authenticateCallback() error {
	token := c.Request().Header.Get(models.CallbackHeader)
	if bearer, ok := strings.CutPrefix(c.Request().Header.Get("Authorization"), "Bearer "); ok && token == "" {
		token = strings.TrimSpace(bearer)
	}
	callback, ok := c.api.Store.OpenCallback(token)
	if !ok {
		return errUnauthorized
	}
	for name, want := range map[string]int64{"id": callback.ProjectID, "iid": callback.MergeRequestIID, "check_id": callback.ServiceID} {
		if id, err := c.pathID(name); err != nil || id != want {
			return errUnauthorized
		}
	}
	c.callback = &callback
	if err := c.enforceLimit(c.api.tokens.take(-callback.ServiceID, c.now())); err != nil {
		return err
	}
	access, err := c.api.Store.AccessByID(c.ctx(), nil, callback.ProjectID)
	if models.KindOf(err) == models.KindNotFound {
		return notFound("Project")
	}
	if err != nil {
		return err
	}
	c.access = access
	c.mr, c.checks, err = c.api.Store.MergeRequestChecks(c.ctx(), callback.ProjectID, callback.MergeRequestIID)
	if models.KindOf(err) == models.KindNotFound {
		return notFound("Merge Request")
	}
	return err
}

// respondByCallback records the response of a service that has a callback token. The
// service and the SHA may be given, but must be those of the token.
func respondByCallback(c *call) error {
	id, sha := c.number("external_status_check_id"), c.text("sha")
	in, err := c.responseInput()
	if err != nil {
		return err
	}
	if id != nil && *id != c.callback.ServiceID {
		return errNotFound
	}
	in.ExternalStatusCheckID, in.SHA, in.Callback = c.callback.ServiceID, orEmpty(sha), c.callback
	return c.recordResponse(in)
}
