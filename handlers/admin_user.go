package handlers

import (
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
)

// maxUserTokens is how many tokens the page of a user lists, newest first.
const maxUserTokens = 100

// adminUser shows a user with sessions and tokens.
func (p *pages) adminUser(c echo.Context) error {
	user, err := p.userInPath(c)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	v := views.AdminUser{Now: p.Store.Now()}
	if v.Shown, err = p.takeUserSecret(c, user); err != nil {
		return err
	}
	rows, err := p.presentUsers(c, []models.User{user})
	if err != nil {
		return err
	}
	v.AdminUserRow = rows[0]
	sessions, err := p.Store.Sessions(ctx, user.ID)
	if err != nil {
		return err
	}
	for _, s := range sessions {
		v.Sessions = append(v.Sessions, views.SessionRow{
			ID: s.ID, Agent: s.UserAgent, IP: s.IP, SignedInAt: s.CreatedAt, LastSeen: s.LastSeenAt, This: s.Digest == request.Session(c).Digest,
		})
	}
	tokens, _, err := p.Store.Tokens(ctx, models.TokenList{UserID: user.ID}, models.Page{Number: 1, Size: maxUserTokens})
	if err != nil {
		return err
	}
	for _, token := range tokens {
		v.Tokens = append(v.Tokens, presentToken(token))
	}
	if v.ProjectTokens, err = p.tokensByUser(c, user); err != nil {
		return err
	}
	page, err := p.adminPage(c, user.Name, views.SectionAdminUsers, translate(c, text.KeyAdminUsers), adminUsersPath, user.Username, adminUserURL(user))
	if err != nil {
		return err
	}
	return render(c, http.StatusOK, views.AdminUserPage(page, v))
}

// tokensByUser lists the active project tokens that a user created.
func (p *pages) tokensByUser(c echo.Context, user models.User) ([]views.AdminTokenRow, error) {
	tokens, err := p.Store.ProjectTokensBy(c.Request().Context(), user.ID, maxUserTokens)
	if err != nil {
		return nil, err
	}
	paths := map[int64]string{}
	var rows []views.AdminTokenRow
	for _, token := range tokens {
		id := *token.ProjectID
		if paths[id] == "" {
			project, err := p.Store.Project(c.Request().Context(), id)
			if err != nil {
				return nil, err
			}
			paths[id] = project.FullPath()
		}
		rows = append(rows, views.AdminTokenRow{TokenRow: presentToken(token), ProjectPath: paths[id]})
	}
	return rows, nil
}

func presentToken(token models.AccessToken) views.TokenRow {
	return views.TokenRow{
		ID: token.ID, Name: token.Name, Scopes: token.Scopes, CreatedAt: token.CreatedAt, LastUsedAt: token.LastUsedAt, ExpiresAt: token.ExpiresAt,
	}
}

// takeUserSecret returns the password or link that showUserSecret stored.
func (p *pages) takeUserSecret(c echo.Context, user models.User) (views.ShownOnce, error) {
	shown, err := p.takeShownOnce(c, adminUserURL(user))
	access, secret, _ := strings.Cut(shown, " ")
	switch access {
	case accessPassword:
		return views.ShownOnce{Title: text.KeyAdminPasswordShown, Text: text.KeyAdminPasswordShownText, Name: user.Name, Value: secret}, err
	case accessLink:
		return views.ShownOnce{
			Title: text.KeyAdminLinkShown, Text: text.KeyAdminLinkShownText, Name: user.Name, Value: p.BaseURL + InvitationURL(secret),
		}, err
	}
	return views.ShownOnce{}, err
}

// confirmUser asks for confirmation of an action on the user that the path names.
func (p *pages) confirmUser(c echo.Context, title, button, sentence text.Key, action string) error {
	user, err := p.userInPath(c)
	if err != nil {
		return err
	}
	return p.renderUserConfirmation(c, http.StatusOK, user, sentence, views.Confirmation{Title: title, Button: button, URL: action})
}

// renderUserConfirmation renders a confirmation whose URL continues the address of the user.
func (p *pages) renderUserConfirmation(c echo.Context, status int, user models.User, sentence text.Key, v views.Confirmation) error {
	path := adminUserURL(user)
	v.Text, v.URL, v.CloseURL = views.UserActionText(sentence, user.Name), path+v.URL, path
	return p.confirmAdmin(c, status, views.SectionAdminUsers, v,
		translate(c, text.KeyAdminUsers), adminUsersPath, user.Username, path, translate(c, v.Button), v.URL)
}

// confirmAdmin is confirm for the admin area.
func (p *pages) confirmAdmin(c echo.Context, status int, section string, v views.Confirmation, levels ...string) error {
	if isHTMX(c) {
		return render(c, status, views.ConfirmationDialog(v))
	}
	page, err := p.adminPage(c, translate(c, v.Title), section, levels...)
	if err != nil {
		return err
	}
	page.Narrow = true
	return render(c, status, views.ConfirmationPage(page, v))
}

func (p *pages) blockUserForm(c echo.Context) error {
	return p.confirmUser(c, text.KeyAdminBlockTitle, text.KeyAdminBlock, text.KeyAdminBlockText, "/block")
}

func (p *pages) blockUser(c echo.Context) error {
	user, err := p.userInPath(c)
	if err == nil {
		_, err = p.Store.BlockUser(c.Request().Context(), request.MustUser(c), user.ID)
	}
	if err != nil {
		return err
	}
	return p.redirect(c, adminUserURL(user), text.KeyAdminUserBlocked)
}

func (p *pages) unblockUser(c echo.Context) error {
	user, err := p.userInPath(c)
	if err == nil {
		_, err = p.Store.UnblockUser(c.Request().Context(), request.MustUser(c), user.ID)
	}
	if err != nil {
		return err
	}
	return p.redirect(c, adminUserURL(user), text.KeyAdminUserUnblocked)
}

func (p *pages) deleteUserForm(c echo.Context) error {
	user, err := p.userInPath(c)
	if err != nil {
		return err
	}
	return p.renderUserDeletion(c, http.StatusOK, user, views.Form{})
}

func (p *pages) renderUserDeletion(c echo.Context, status int, user models.User, form views.Form) error {
	return p.renderUserConfirmation(c, status, user, text.KeyAdminDeleteUserText, views.Confirmation{
		Title: text.KeyAdminDeleteUserTitle, Button: text.KeyAdminDeleteUser, URL: "/delete", Typed: user.Username, Form: form,
	})
}

// deleteUser deletes the user if the username was typed as confirmation.
func (p *pages) deleteUser(c echo.Context) error {
	user, err := p.userInPath(c)
	if err != nil {
		return err
	}
	form := formOf(c)
	if c.FormValue("confirm") != user.Username {
		form.Errors["confirm"] = translate(c, text.KeyAdminDeleteUserMismatch)
		return p.renderUserDeletion(c, http.StatusUnprocessableEntity, user, form)
	}
	if err := p.Store.DeleteUser(c.Request().Context(), request.MustUser(c), user.ID); err != nil {
		if addMessages(c, &form, err, nil) {
			return p.renderUserDeletion(c, http.StatusUnprocessableEntity, user, form)
		}
		return err
	}
	return p.redirectPage(c, adminUsersPath, text.KeyAdminUserDeleted)
}

func (p *pages) resetPasswordForm(c echo.Context) error {
	return p.confirmUser(c, text.KeyAdminResetTitle, text.KeyAdminResetPassword, text.KeyAdminResetText, "/password")
}

// resetPassword gives the user a one-time password, which the user's page shows once.
func (p *pages) resetPassword(c echo.Context) error {
	ctx := c.Request().Context()
	user, err := p.userInPath(c)
	if err != nil {
		return err
	}
	if user.ID == request.MustUser(c).ID {
		// It would end this session, which alone could show the password.
		return c.Redirect(http.StatusSeeOther, newPasswordPath)
	}
	password := auth.NewPassword()
	digest, err := auth.HashPassword(ctx, password)
	if err != nil {
		return err
	}
	if _, err := p.Store.ResetPassword(ctx, request.MustUser(c), user.ID, digest); err != nil {
		return err
	}
	return p.showUserSecret(c, user, accessPassword, password, "")
}

// inviteUser makes a new invitation link, which the user's page shows once.
func (p *pages) inviteUser(c echo.Context) error {
	user, err := p.userInPath(c)
	if err != nil {
		return err
	}
	secret := auth.NewSessionID()
	if _, err := p.Store.CreateInvitation(c.Request().Context(), request.MustUser(c), user.ID, auth.Digest(secret)); err != nil {
		return err
	}
	return p.showUserSecret(c, user, accessLink, secret, "")
}

func (p *pages) endSessionOfUser(c echo.Context) error {
	user, id, err := p.userAndIDInPath(c)
	if err != nil {
		return err
	}
	ended, err := p.Store.EndSessions(c.Request().Context(), request.MustUser(c), user, id, "")
	if err != nil {
		return err
	}
	if ended == 0 {
		return request.ErrHidden
	}
	return p.redirect(c, adminUserURL(user), text.KeyToastSessionEnded)
}

func (p *pages) endSessionsOfUser(c echo.Context) error {
	user, err := p.userInPath(c)
	if err == nil {
		_, err = p.Store.EndSessions(c.Request().Context(), request.MustUser(c), user, 0, "")
	}
	if err != nil {
		return err
	}
	return p.redirect(c, adminUserURL(user), text.KeyAdminAllSessionsEnded)
}
