package handlers

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
)

// SetupURL returns the path of the page that creates the first administrator.
func SetupURL(token string) string { return setupPath + "?token=" + token }

// setupForm shows the form that creates the first administrator. The token is in the query,
// which is not logged.
func (p *pages) setupForm(c echo.Context) error {
	usable, err := p.Store.HasSetupLink(c.Request().Context(), auth.Digest(c.QueryParam("token")))
	if err != nil {
		return err
	}
	if !usable {
		return p.renderInvalidLink(c, text.KeyAdminSetupInvalidText)
	}
	return p.renderSetup(c, http.StatusOK, views.Form{})
}

func (p *pages) renderSetup(c echo.Context, status int, form views.Form) error {
	page := p.barePage(c, translate(c, text.KeyAdminSetupTitle))
	return render(c, status, views.SetupPage(page, views.Welcome{Form: form, Token: c.QueryParam("token")}))
}

// acceptSetup creates the first administrator and signs them in.
func (p *pages) acceptSetup(c echo.Context) error {
	ctx, digest, form := c.Request().Context(), auth.Digest(c.QueryParam("token")), formOf(c)
	usable, err := p.Store.HasSetupLink(ctx, digest)
	if err != nil {
		return err
	}
	if !usable {
		return p.renderInvalidLink(c, text.KeyAdminSetupInvalidText)
	}
	form.Values.Del("password")
	form.Values.Del("password_confirmation")
	in := models.UserInput{Username: c.FormValue("username"), Name: c.FormValue("name")}
	if err := in.Validate(); err != nil {
		addMessages(c, &form, err, userMessages)
	}
	checkChosenPassword(c, &form, models.User{Username: in.Username, Name: in.Name})
	if len(form.Errors) > 0 {
		return p.renderSetup(c, http.StatusUnprocessableEntity, form)
	}
	if in.PasswordDigest, err = auth.HashPassword(ctx, c.FormValue("password")); err != nil {
		return err
	}
	user, err := p.Store.AcceptSetup(ctx, digest, in)
	switch {
	case models.KindOf(err) == models.KindNotFound:
		return p.renderInvalidLink(c, text.KeyAdminSetupInvalidText)
	case err != nil && addMessages(c, &form, err, userMessages):
		return p.renderSetup(c, http.StatusUnprocessableEntity, form)
	case err != nil:
		return err
	}
	if err := p.startSession(c, user, false); err != nil {
		return err
	}
	return p.redirect(c, "/", "")
}
