package apiv4

import (
	"context"
	"net/http"
	"strings"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/models"
)

// authenticate loads the user by the access token of the request: the header
// PRIVATE-TOKEN, a bearer token, or private_token in the query. It refuses a
// token without the scope that the method needs. On routes below a project the
// same query loads the project. Anonymous routes need no token, but refuse an
// invalid one.
func (c *call) authenticate(r route) error {
	secret := accessToken(c.Request())
	if secret == "" && r.anonymous && c.Request().Header.Get("Authorization") == "" {
		return nil
	}
	if !auth.IsAccessToken(secret) {
		return errUnauthorized
	}
	err := c.findToken(auth.Digest(secret), r.preload >= preloadProject)
	if models.KindOf(err) == models.KindNotFound {
		return errUnauthorized
	}
	if err != nil {
		return err
	}
	request.SetUser(c, c.me)
	scope := models.ScopeAPI
	if r.method == http.MethodGet || r.method == http.MethodHead {
		scope = models.ScopeReadAPI
	}
	if !c.token.Has(scope) {
		return &failure{http.StatusForbidden, map[string]string{
			"error":             "insufficient_scope",
			"error_description": "The request requires higher privileges than provided by the access token.",
			"scope":             scope,
		}}
	}
	return nil
}

// findToken loads the token with a digest and its user and, on routes below a
// project, also the project, in one query. If that query finds nothing, a second
// one loads only the token, to tell an invalid token from a missing project.
func (c *call) findToken(digest string, belowProject bool) (err error) {
	if belowProject {
		name, _ := c.pathParam("id")
		if id, numeric := parseID(name); numeric {
			c.token, c.access, err = c.api.Store.TokenAccessByID(c.ctx(), digest, id)
		} else if namespace, path, ok := splitPath(name); ok {
			c.token, c.access, err = c.api.Store.TokenAccessByPath(c.ctx(), digest, namespace, path)
		}
		if c.me = c.token.User; err != nil && models.KindOf(err) != models.KindNotFound {
			return err
		}
		if err == nil && c.access.Project.ID != 0 {
			return nil
		}
		c.access = models.Access{}
	}
	c.token, c.me, err = c.api.Store.TokenUser(c.ctx(), digest)
	return err
}

// accessToken returns the access token of the request, or "".
func accessToken(r *http.Request) string {
	if secret := r.Header.Get("Private-Token"); secret != "" {
		return secret
	}
	if scheme, secret, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(secret)
	}
	return r.URL.Query().Get("private_token")
}

// ctx returns the request's context, which is cancelled when the client disconnects.
func (c *call) ctx() context.Context { return c.Request().Context() }

// asksForSudo reports whether a request asks to act as another user, by header or
// query. Such requests are refused, because to ignore it would act as the wrong user.
func asksForSudo(r *http.Request) bool {
	return len(r.Header.Values("Sudo")) > 0 || r.URL.Query().Has("sudo")
}

func (c *call) refuseSudo() error {
	if !c.signedIn() {
		return errUnauthorized
	}
	return errForbidden
}
