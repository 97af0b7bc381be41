package apiv4

import (
	"context"
	"net/http"
	"strings"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/models"
)

// authenticate finds who asks by the access token of the request: in the
// header PRIVATE-TOKEN, as bearer, or as private_token in the query. Session
// cookies are never the proof here. A token without the scope that the method
// needs is refused.
func (c *call) authenticate(method string) error {
	secret := bearer(c.Request())
	if !auth.IsAccessToken(secret) {
		return errUnauthorized
	}
	var err error
	c.token, c.me, err = c.api.Store.TokenUser(c.ctx(), auth.Digest(secret))
	if models.KindOf(err) == models.KindNotFound {
		return errUnauthorized
	}
	if err != nil {
		return err
	}
	request.SetUser(c, c.me)
	scope := models.ScopeAPI
	if method == http.MethodGet || method == http.MethodHead {
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

func bearer(r *http.Request) string {
	if secret := r.Header.Get("Private-Token"); secret != "" {
		return secret
	}
	if scheme, secret, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(secret)
	}
	return r.URL.Query().Get("private_token")
}

// ctx is the request's context: it ends when the client goes away.
func (c *call) ctx() context.Context { return c.Request().Context() }
