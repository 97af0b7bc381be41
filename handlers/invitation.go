package handlers

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
)

// invitationForm shows the form that chooses the password of an invited user. The token is in
// the query, which is not logged.
func (p *pages) invitationForm(c echo.Context) error {
	token := c.QueryParam("token")
	_, user, err := p.Store.Invitation(c.Request().Context(), auth.Digest(token))
	if err != nil {
		return p.invalidLink(c, err, text.KeyAdminLinkInvalidText)
	}
	return p.renderInvitation(c, http.StatusOK, user, token, views.Form{})
}

func (p *pages) renderInvitation(c echo.Context, status int, user models.User, token string, form views.Form) error {
	return render(c, status, views.InvitationPage(p.barePage(c, translate(c, text.KeyAdminInvitationTitle, "Name", user.Name)), views.Welcome{
		Form: form, Token: token, Username: user.Username, Name: user.Name,
	}))
}

// invalidLink answers a link that does not work. Other errors are returned.
func (p *pages) invalidLink(c echo.Context, err error, why text.Key) error {
	if models.KindOf(err) != models.KindNotFound {
		return err
	}
	return p.renderInvalidLink(c, why)
}

func (p *pages) renderInvalidLink(c echo.Context, why text.Key) error {
	return render(c, http.StatusNotFound, views.InvalidLinkPage(p.barePage(c, translate(c, text.KeyAdminLinkInvalid)), why))
}

// acceptInvitation saves the password and signs the user in.
func (p *pages) acceptInvitation(c echo.Context) error {
	ctx, token := c.Request().Context(), c.QueryParam("token")
	_, user, err := p.Store.Invitation(ctx, auth.Digest(token))
	if err != nil {
		return p.invalidLink(c, err, text.KeyAdminLinkInvalidText)
	}
	form := views.Form{Errors: map[string]string{}}
	checkChosenPassword(c, &form, user)
	if len(form.Errors) > 0 {
		return p.renderInvitation(c, http.StatusUnprocessableEntity, user, token, form)
	}
	digest, err := auth.HashPassword(ctx, c.FormValue("password"))
	if err != nil {
		return err
	}
	if user, err = p.Store.AcceptInvitation(ctx, auth.Digest(token), digest); err != nil {
		return p.invalidLink(c, err, text.KeyAdminLinkInvalidText)
	}
	if err := p.startSession(c, user, false); err != nil {
		return err
	}
	return p.redirect(c, "/", "")
}

// InvitationURL returns the path of the page that accepts an invitation.
func InvitationURL(token string) string { return invitationPath + "?token=" + token }

// checkChosenPassword adds the errors of the fields password and password_confirmation.
func checkChosenPassword(c echo.Context, form *views.Form, user models.User) {
	chosen := c.FormValue("password")
	if err := auth.ValidatePassword(chosen, user.Username, user.Name, user.Email); err != nil {
		form.Errors["password"] = translate(c, passwordMessage(err))
	}
	if c.FormValue("password_confirmation") != chosen {
		form.Errors["password_confirmation"] = translate(c, text.KeyPasswordMismatch)
	}
}

// passwordMessage returns the message for an error of auth.ValidatePassword.
func passwordMessage(err error) text.Key {
	switch err {
	case auth.ErrPasswordTooShort:
		return text.KeyPasswordTooShort
	case auth.ErrPasswordCommon:
		return text.KeyPasswordCommon
	case auth.ErrPasswordTooLong:
		return text.KeyPasswordTooLong
	}
	return text.KeyPasswordNotText
}
