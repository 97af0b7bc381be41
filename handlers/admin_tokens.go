package handlers

import (
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
)

// revokeTokenOfUserForm asks for confirmation to revoke a personal token.
func (p *pages) revokeTokenOfUserForm(c echo.Context) error {
	return p.confirmRevocation(c, "/personal_access_tokens", func(user models.User, id int64) (models.AccessToken, error) {
		return p.Store.ActiveToken(c.Request().Context(), models.TokenList{UserID: user.ID}, id)
	})
}

// revokeTokenByUserForm asks for confirmation to revoke a project token that the user created.
func (p *pages) revokeTokenByUserForm(c echo.Context) error {
	return p.confirmRevocation(c, "/access_tokens", func(user models.User, id int64) (models.AccessToken, error) {
		return p.tokenByUser(c, user, id)
	})
}

func (p *pages) confirmRevocation(c echo.Context, below string, find func(models.User, int64) (models.AccessToken, error)) error {
	user, id, err := p.userAndIDInPath(c)
	if err != nil {
		return err
	}
	token, err := find(user, id)
	if err != nil {
		return err
	}
	path := adminUserURL(user)
	return p.confirmAdmin(c, http.StatusOK, views.SectionAdminUsers, views.Confirmation{
		Title: text.KeyRevokeTitle, Button: text.KeyRevokeToken, Text: views.RevocationText(token.Name),
		URL: withID(path+below, id) + "/revoke", CloseURL: path,
	}, translate(c, text.KeyAdminUsers), adminUsersPath, user.Username, path, translate(c, text.KeyRevokeToken), c.Request().URL.Path)
}

// tokenByUser finds an active project token that the user created.
func (p *pages) tokenByUser(c echo.Context, user models.User, id int64) (models.AccessToken, error) {
	tokens, err := p.Store.ProjectTokensBy(c.Request().Context(), user.ID, maxUserTokens)
	if err != nil {
		return models.AccessToken{}, err
	}
	i := slices.IndexFunc(tokens, func(t models.AccessToken) bool { return t.ID == id })
	if i < 0 {
		return models.AccessToken{}, request.ErrHidden
	}
	return tokens[i], nil
}

func (p *pages) revokeTokenOfUser(c echo.Context) error {
	user, id, err := p.userAndIDInPath(c)
	if err == nil {
		err = p.Store.RevokePersonalToken(c.Request().Context(), request.MustUser(c), user.ID, id)
	}
	if err != nil {
		return err
	}
	return p.redirect(c, adminUserURL(user), text.KeyTokenRevoked)
}

func (p *pages) revokeTokenByUser(c echo.Context) error {
	user, id, err := p.userAndIDInPath(c)
	if err != nil {
		return err
	}
	token, err := p.tokenByUser(c, user, id)
	if err == nil {
		err = p.Store.RevokeProjectToken(c.Request().Context(), request.MustUser(c), models.RoleOwner, *token.ProjectID, id)
	}
	if err != nil {
		return err
	}
	return p.redirect(c, adminUserURL(user), text.KeyTokenRevoked)
}
