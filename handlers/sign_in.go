package handlers

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
)

func (p *pages) signInForm(c echo.Context) error {
	back := safePath(c.QueryParam("return_to"))
	if request.User(c) != nil && back == "/" {
		return c.Redirect(http.StatusSeeOther, "/")
	}
	return p.renderSignIn(c, http.StatusOK, views.Form{}, back)
}

func (p *pages) renderSignIn(c echo.Context, status int, form views.Form, back string) error {
	host := p.BaseURL
	if base, err := url.Parse(p.BaseURL); err == nil {
		host = base.Host
	}
	hasUsers, err := p.Store.HasUsers(c.Request().Context())
	if err != nil {
		return err
	}
	page := p.barePage(c, translate(c, text.KeySignIn))
	v := views.SignIn{Form: form, Host: host, ReturnTo: back, Kept: carriedForm(c), NoUsers: !hasUsers}
	return render(c, status, views.SignInPage(page, v))
}

// signIn starts a session. The response and its timing are the same for an unknown name and a
// wrong password.
func (p *pages) signIn(c echo.Context) error {
	ctx := c.Request().Context()
	form := formOf(c)
	form.Values.Del("password")
	login, password := strings.TrimSpace(c.FormValue("login")), c.FormValue("password")
	back := safePath(c.FormValue("return_to"))

	user, err := p.findLogin(c, login)
	if err != nil {
		return err
	}
	account := cmp.Or(user.UsernameKey, login)
	allowed, err := p.Store.CountSignInAttempt(ctx, account, c.RealIP())
	if err != nil {
		return err
	}
	if !allowed {
		form.Problem = translate(c, text.KeySignInLimited)
		return p.renderSignIn(c, http.StatusTooManyRequests, form, back)
	}
	match, err := auth.CheckPassword(ctx, password, user.PasswordDigest)
	if err != nil {
		return err
	}
	if !match || user.Blocked || user.Bot {
		if err := p.Store.RecordFailedSignIn(ctx, login, c.RealIP()); err != nil {
			return err
		}
		form.Problem = translate(c, text.KeySignInRejected)
		return p.renderSignIn(c, http.StatusUnprocessableEntity, form, back)
	}
	if err := p.Store.ResetSignInAttempts(ctx, account, c.RealIP()); err != nil {
		return err
	}
	if err := p.startSession(c, user, form.Value("remember_me") == "1"); err != nil {
		return err
	}
	p.writeTheme(c, user.Theme)
	if back, err = p.pageAfterSignIn(c, user, back); err != nil {
		return err
	}
	return p.redirect(c, back, "")
}

// findLogin returns the user with a username, an empty one if there is none.
func (p *pages) findLogin(c echo.Context, login string) (models.User, error) {
	if !request.IsText(login) {
		return models.User{}, nil
	}
	user, err := p.Store.UserByUsername(c.Request().Context(), login)
	if models.KindOf(err) == models.KindNotFound {
		return models.User{}, nil
	}
	return user, err
}

func (p *pages) signOut(c echo.Context) error {
	if err := p.endSession(c); err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, signInPath)
}

func (p *pages) newPasswordForm(c echo.Context) error {
	return p.renderNewPassword(c, http.StatusOK, views.Form{})
}

func (p *pages) renderNewPassword(c echo.Context, status int, form views.Form) error {
	return render(c, status, views.NewPasswordPage(
		p.barePage(c, translate(c, text.KeyNewPasswordTitle)), form, request.MustUser(c).PasswordChangeRequired))
}

// changePassword saves a new password and ends the user's other sessions.
func (p *pages) changePassword(c echo.Context) error {
	ctx, user := c.Request().Context(), request.MustUser(c)
	current, chosen := c.FormValue("current_password"), c.FormValue("password")
	form := views.Form{Errors: map[string]string{}}

	allowed, err := p.Store.CountSignInAttempt(ctx, user.UsernameKey, c.RealIP())
	if err != nil {
		return err
	}
	if !allowed {
		form.Errors["current_password"] = translate(c, text.KeySignInLimited)
		return p.renderNewPassword(c, http.StatusTooManyRequests, form)
	}
	match, err := auth.CheckPassword(ctx, current, user.PasswordDigest)
	if err != nil {
		return err
	}
	if match {
		err = p.Store.ResetSignInAttempts(ctx, user.UsernameKey, c.RealIP())
	} else {
		form.Errors["current_password"] = translate(c, text.KeyPasswordWrong)
	}
	if err != nil {
		return err
	}
	checkChosenPassword(c, &form, user)
	if form.Errors["password"] == "" && chosen == current {
		form.Errors["password"] = translate(c, text.KeyPasswordSame)
	}
	if len(form.Errors) > 0 {
		return p.renderNewPassword(c, http.StatusUnprocessableEntity, form)
	}
	digest, err := auth.HashPassword(ctx, chosen)
	if err != nil {
		return err
	}
	if err := p.Store.SetPassword(ctx, user, digest, request.Session(c).Digest, false); err != nil {
		return err
	}
	if user.PasswordChangeRequired {
		return p.redirect(c, "/", text.KeyPasswordChanged)
	}
	return p.redirect(c, userSettingsPath, text.KeyPasswordChanged)
}
