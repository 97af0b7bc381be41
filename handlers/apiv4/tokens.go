package apiv4

import (
	"net/http"
	"time"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/models"
)

// tokenInput reads the parameters of a new token and generates its secret. The
// expiry defaults to the latest date that is allowed.
func (c *call) tokenInput() (in models.AccessTokenInput, secret string, err error) {
	c.requireParams("name", "scopes")
	name, scopes, expires := c.text("name"), c.texts("scopes"), c.date("expires_at")
	if err := c.paramError(); err != nil {
		return in, "", err
	}
	if expires == nil {
		last := c.now().Add(models.MaxTokenLifetime)
		if c.token.ExpiresAt.Before(last) {
			last = c.token.ExpiresAt
		}
		expires = &last
	}
	secret = auth.NewAccessToken()
	in = models.AccessTokenInput{
		Name: *name, Scopes: scopes, ExpiresAt: *expires, Digest: auth.Digest(secret), MadeBy: &c.token,
	}
	return in, secret, nil
}

// date reads a date (midnight UTC) or an RFC 3339 time. It returns nil if the
// parameter is missing or empty.
func (p *params) date(name string) *time.Time {
	text := p.text(name)
	if text == nil || *text == "" {
		return nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, *text); err == nil && t.Year() < 10000 {
			return &t
		}
	}
	p.addFault(name, "is invalid")
	return nil
}

// refuseBots returns a 403 for bots: project access tokens cannot create tokens.
func (c *call) refuseBots() error {
	if c.me.Bot {
		return errForbidden
	}
	return nil
}

func listPersonalTokens(c *call) error {
	tokens, err := c.api.Store.PersonalTokens(c.ctx(), c.me.ID)
	if err != nil {
		return err
	}
	return c.listTokens(tokens, nil)
}

// listTokens answers with the tokens that match the parameters state and revoked.
// roles are the roles of bots by user id, nil for personal tokens.
func (c *call) listTokens(tokens []models.AccessToken, roles map[int64]models.Role) error {
	state, revoked, page := c.enum("state", "active", "inactive"), c.boolean("revoked"), c.page()
	if err := c.paramError(); err != nil {
		return err
	}
	now := c.now()
	var kept []models.AccessToken
	for _, t := range tokens {
		if state != nil && (*state == "active") != t.ActiveAt(now) || revoked != nil && *revoked != (t.RevokedAt != nil) {
			continue
		}
		kept = append(kept, t)
	}
	show := func(t models.AccessToken) tokenEntity { return newTokenEntityWithRole(t, roles, now) }
	return replyList(c, page, mapSlice(pageOf(kept, page), show), int64(len(kept)))
}

func newTokenEntityWithRole(t models.AccessToken, roles map[int64]models.Role, now time.Time) tokenEntity {
	entity := newTokenEntity(t, now)
	if t.ProjectID != nil {
		role := roles[t.UserID]
		entity.AccessLevel = &role
	}
	return entity
}

func getOwnToken(c *call) error { return c.reply(http.StatusOK, newTokenEntity(c.token, c.now())) }

// revokeOwnToken revokes the token of the request.
func revokeOwnToken(c *call) error {
	err := c.checkTokenUnmodified(c.token)
	switch {
	case err != nil:
	case c.token.ProjectID != nil:
		err = c.api.Store.RevokeProjectToken(c.ctx(), c.me, models.RoleOwner, *c.token.ProjectID, c.token.ID)
	default:
		err = c.api.Store.RevokePersonalToken(c.ctx(), c.me, c.me.ID, c.token.ID)
	}
	if err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// personalTokenInPath loads the token that :token_id names. Only administrators can
// load tokens of other users.
func (c *call) personalTokenInPath() (models.AccessToken, error) {
	id, err := c.pathID("token_id")
	if err != nil {
		return models.AccessToken{}, err
	}
	found, err := c.api.Store.PersonalToken(c.ctx(), id)
	if err == nil && found.UserID != c.me.ID && !c.me.Admin {
		err = errNotFound
	}
	return found, err
}

// checkTokenUnmodified is checkUnmodifiedSince for a token. A token changes only
// when it is revoked.
func (c *call) checkTokenUnmodified(t models.AccessToken) error {
	return c.checkUnmodifiedSince(func() (time.Time, error) {
		if t.RevokedAt != nil {
			return *t.RevokedAt, nil
		}
		return t.CreatedAt, nil
	})
}

func getPersonalToken(c *call) error {
	found, err := c.personalTokenInPath()
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, newTokenEntity(found, c.now()))
}

func revokePersonalToken(c *call) error {
	found, err := c.personalTokenInPath()
	if err != nil {
		return err
	}
	if err := c.checkTokenUnmodified(found); err != nil {
		return err
	}
	if err := c.api.Store.RevokePersonalToken(c.ctx(), c.me, found.UserID, found.ID); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

func createPersonalToken(c *call) error { return c.createTokenFor(c.me) }

func createTokenOfUser(c *call) error {
	user, err := c.userInPath()
	if err != nil {
		return err
	}
	if user.Bot {
		return notFound("User")
	}
	return c.createTokenFor(user)
}

func (c *call) createTokenFor(user models.User) error {
	if err := c.refuseBots(); err != nil {
		return err
	}
	in, secret, err := c.tokenInput()
	if err != nil {
		return err
	}
	created, err := c.api.Store.CreatePersonalToken(c.ctx(), user, in)
	if err != nil {
		return err
	}
	return c.replyNewToken(http.StatusCreated, created, nil, secret)
}

func listProjectTokens(c *call) error {
	tokens, err := c.api.Store.ProjectTokens(c.ctx(), c.access.Project.ID)
	if err != nil {
		return err
	}
	roles, err := c.api.Store.TokenRoles(c.ctx(), c.access.Project.ID)
	if err != nil {
		return err
	}
	return c.listTokens(tokens, roles)
}

func getProjectToken(c *call) error {
	found, err := c.projectTokenInPath()
	if err != nil {
		return err
	}
	roles, err := c.api.Store.TokenRoles(c.ctx(), c.access.Project.ID)
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, newTokenEntityWithRole(found, roles, c.now()))
}

// projectTokenInPath returns the token of the project that the path names, also if it has
// expired or was revoked.
func (c *call) projectTokenInPath() (models.AccessToken, error) {
	id, err := c.pathID("token_id")
	if err != nil {
		return models.AccessToken{}, err
	}
	tokens, err := c.api.Store.ProjectTokens(c.ctx(), c.access.Project.ID)
	if err != nil {
		return models.AccessToken{}, err
	}
	for _, token := range tokens {
		if token.ID == id {
			return token, nil
		}
	}
	return models.AccessToken{}, errNotFound
}

// createProjectToken creates a project access token. Its role defaults to
// Maintainer.
func createProjectToken(c *call) error {
	if err := c.refuseBots(); err != nil {
		return err
	}
	level := c.number("access_level")
	in, secret, err := c.tokenInput()
	if err != nil {
		return err
	}
	in.Role = models.RoleMaintainer
	if level != nil {
		in.Role = models.Role(*level)
	}
	created, err := c.api.Store.CreateProjectToken(c.ctx(), c.me, c.role(), c.access.Project.ID, in)
	if err != nil {
		return err
	}
	return c.replyNewToken(http.StatusCreated, created, map[int64]models.Role{created.UserID: in.Role}, secret)
}

func revokeProjectToken(c *call) error {
	found, err := c.projectTokenInPath()
	if err != nil {
		return err
	}
	if err := c.checkTokenUnmodified(found); err != nil {
		return err
	}
	if err := c.api.Store.RevokeProjectToken(c.ctx(), c.me, c.role(), c.access.Project.ID, found.ID); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// rotationInput reads the parameters of a rotation and generates the new secret.
func (c *call) rotationInput() (in models.TokenRotation, secret string, err error) {
	in = models.TokenRotation{ExpiresAt: c.date("expires_at"), MadeBy: c.token}
	if err := c.paramError(); err != nil {
		return in, "", err
	}
	secret = auth.NewAccessToken()
	in.Digest = auth.Digest(secret)
	return in, secret, nil
}

// replyNewToken answers with a new token and its secret, which is never shown again.
func (c *call) replyNewToken(status int, made models.AccessToken, roles map[int64]models.Role, secret string) error {
	entity := newTokenEntityWithRole(made, roles, c.now())
	entity.Token = secret
	return c.reply(status, entity)
}

func rotatePersonalToken(c *call) error {
	found, err := c.personalTokenInPath()
	if err != nil {
		return err
	}
	return c.rotateTokenOfUser(found)
}

func (c *call) rotateTokenOfUser(old models.AccessToken) error {
	in, secret, err := c.rotationInput()
	if err != nil {
		return err
	}
	made, err := c.api.Store.RotatePersonalToken(c.ctx(), c.me, old.UserID, old.ID, in)
	if err != nil {
		return err
	}
	return c.replyNewToken(http.StatusOK, made, nil, secret)
}

// rotateOwnToken replaces the token of the request by a new one.
func rotateOwnToken(c *call) error {
	if c.token.ProjectID == nil {
		return c.rotateTokenOfUser(c.token)
	}
	return c.rotateTokenOfProject(*c.token.ProjectID, c.token.ID, models.RoleOwner)
}

func rotateProjectToken(c *call) error {
	id, err := c.pathID("token_id")
	if err != nil {
		return err
	}
	return c.rotateTokenOfProject(c.access.Project.ID, id, c.role())
}

// rotateOwnProjectToken is rotateOwnToken for a token of the project in the path.
// The role of the token's bot does not matter.
func rotateOwnProjectToken(c *call) error {
	if c.token.ProjectID == nil || *c.token.ProjectID != c.access.Project.ID {
		return errNotFound
	}
	return c.rotateTokenOfProject(c.access.Project.ID, c.token.ID, models.RoleOwner)
}

func (c *call) rotateTokenOfProject(projectID, tokenID int64, byRole models.Role) error {
	in, secret, err := c.rotationInput()
	if err != nil {
		return err
	}
	made, err := c.api.Store.RotateProjectToken(c.ctx(), c.me, byRole, projectID, tokenID, in)
	if err != nil {
		return err
	}
	roles, err := c.api.Store.TokenRoles(c.ctx(), projectID)
	if err != nil {
		return err
	}
	return c.replyNewToken(http.StatusOK, made, roles, secret)
}
