package handlers

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
)

// admin leads to the first page of the admin area.
func (p *pages) admin(c echo.Context) error {
	return c.Redirect(http.StatusSeeOther, adminUsersPath)
}

// adminPage returns the frame of a page of the admin area. levels are breadcrumbs below the
// area: texts and addresses in turn.
func (p *pages) adminPage(c echo.Context, title, section string, levels ...string) (views.Page, error) {
	page, err := p.adminFrame(c, title, section)
	addBreadcrumbs(&page, levels...)
	return page, err
}

// adminFrame is adminPage without breadcrumbs below the area.
func (p *pages) adminFrame(c echo.Context, title, section string) (views.Page, error) {
	page, err := p.page(c, title, section)
	page.AdminArea = true
	page.Breadcrumbs = []views.Crumb{{Text: translate(c, text.KeyAdminArea), URL: adminPath}}
	return page, err
}

// userKindTexts are the options of the filter.
var userKindTexts = map[models.UserKind]text.Key{
	models.UserKindPeople: text.KeyAdminKindPeople, models.UserKindActive: text.KeyAdminKindActive,
	models.UserKindAdmins: text.KeyAdminKindAdmins, models.UserKindBlocked: text.KeyAdminKindBlocked,
	models.UserKindBots: text.KeyAdminKindBots,
}

// adminUsers lists users, newest first.
func (p *pages) adminUsers(c echo.Context) error {
	ctx, number := c.Request().Context(), pageNumber(c)
	filter := models.UserFilter{Kind: models.UserKind(searchParam(c, "filter")), Search: searchParam(c, "search")}
	users, total, err := p.Store.ListUsers(ctx, filter, models.Page{Number: number, Size: pageSize})
	if err != nil {
		return err
	}
	list := views.AdminUsers{Search: filter.Search, Kind: string(filter.Kind), Now: p.Store.Now(), Pages: boundedLinks(c, number, len(users), total)}
	for _, kind := range models.UserKinds {
		list.Kinds = append(list.Kinds, views.Option{Value: string(kind), Text: translate(c, userKindTexts[kind])})
	}
	if list.Rows, err = p.presentUsers(c, users); err != nil {
		return err
	}
	page, err := p.adminPage(c, translate(c, text.KeyAdminUsers), views.SectionAdminUsers, translate(c, text.KeyAdminUsers), adminUsersPath)
	if err != nil {
		return err
	}
	return render(c, http.StatusOK, views.AdminUsersPage(page, list))
}

// boundedLinks is pageLinks for a list that is counted to models.MaxListed + 1.
func boundedLinks(c echo.Context, number, shown int, total int64) views.PageLinks {
	links := pageLinks(c, number, shown, min(total, models.MaxListed))
	links.More = total > models.MaxListed
	return links
}

// presentUsers presents users with when they were last seen and their invitations.
func (p *pages) presentUsers(c echo.Context, users []models.User) ([]views.AdminUserRow, error) {
	ids := make([]int64, len(users))
	for i, user := range users {
		ids[i] = user.ID
	}
	seen, err := p.Store.LastSeen(c.Request().Context(), ids)
	if err != nil {
		return nil, err
	}
	invited, err := p.Store.InvitedUntil(c.Request().Context(), ids)
	if err != nil {
		return nil, err
	}
	rows := make([]views.AdminUserRow, len(users))
	for i, user := range users {
		rows[i] = presentUser(c, user)
		rows[i].LastSeen = seen[user.ID]
		if until, ok := invited[user.ID]; ok {
			rows[i].InvitedUntil = &until
		}
	}
	return rows, nil
}

func presentUser(c echo.Context, user models.User) views.AdminUserRow {
	return views.AdminUserRow{
		ID: user.ID, Username: user.Username, Name: user.Name, Email: user.Email, Admin: user.Admin, Bot: user.Bot, Blocked: user.Blocked,
		You: user.ID == request.MustUser(c).ID, NoPassword: user.PasswordDigest == "", OneTime: user.PasswordChangeRequired, CreatedAt: user.CreatedAt,
	}
}

// userMessages are the messages of the form of a user.
var userMessages = messages{"username.invalid": text.KeyAdminUsernameRule, "username.blank": text.KeyUsernameBlank}

// Values of the field access of a new user.
const (
	accessPassword = "password"
	accessLink     = "link"
)

func (p *pages) newUserForm(c echo.Context) error {
	return p.renderUserForm(c, http.StatusOK, views.AdminUserForm{Form: views.Form{Values: map[string][]string{"access": {accessPassword}}}})
}

func (p *pages) renderUserForm(c echo.Context, status int, v views.AdminUserForm) error {
	title, levels := translate(c, text.KeyAdminNewUser), []string{translate(c, text.KeyAdminUsers), adminUsersPath}
	if name := v.User.Username; name != "" {
		title = translate(c, text.KeyAdminEditUser)
		levels = append(levels, name, adminUsersPath+"/"+name, title, adminUsersPath+"/"+name+"/edit")
	} else {
		levels = append(levels, title, adminUsersPath+"/new")
	}
	page, err := p.adminPage(c, title, views.SectionAdminUsers, levels...)
	if err != nil {
		return err
	}
	page.Narrow = true
	return render(c, status, views.AdminUserFormPage(page, v))
}

// createUser creates a user with a one-time password or an invitation, which the user's page
// shows once.
func (p *pages) createUser(c echo.Context) error {
	ctx, form := c.Request().Context(), formOf(c)
	in := models.UserInput{
		Username: c.FormValue("username"), Name: c.FormValue("name"), Email: c.FormValue("email"), Admin: c.FormValue("admin") == "1",
	}
	access := c.FormValue("access")
	if access != accessPassword && access != accessLink {
		form.Errors["access"] = translate(c, text.KeyAdminAccessInvalid)
		if err := in.Validate(); err != nil {
			addMessages(c, &form, err, userMessages)
		}
		return p.renderUserForm(c, http.StatusUnprocessableEntity, views.AdminUserForm{Form: form})
	}
	secret := auth.NewPassword()
	var user models.User
	var err error
	if access == accessLink {
		secret = auth.NewSessionID()
		user, err = p.Store.InviteUser(ctx, request.MustUser(c), in, auth.Digest(secret))
	} else {
		if err = in.Validate(); err == nil { // before the slow digest
			in.PasswordDigest, err = auth.HashPassword(ctx, secret)
		}
		in.PasswordChangeRequired = true
		if err == nil {
			user, err = p.Store.CreateUser(ctx, request.MustUser(c), in)
		}
	}
	if err != nil {
		if addMessages(c, &form, err, userMessages) {
			return p.renderUserForm(c, http.StatusUnprocessableEntity, views.AdminUserForm{Form: form})
		}
		return err
	}
	return p.showUserSecret(c, user, access, secret, text.KeyAdminUserCreated)
}

// showUserSecret redirects to the page of a user, which shows a password or the link of an
// invitation once.
func (p *pages) showUserSecret(c echo.Context, user models.User, access, secret string, toast text.Key) error {
	path := adminUserURL(user)
	sealed, err := p.sealShownOnce(c, path, access+" "+secret)
	if err != nil {
		return err
	}
	if err := p.Store.SetShownOnce(c.Request().Context(), request.Session(c).Digest, sealed); err != nil {
		return err
	}
	return p.redirectPage(c, path, toast)
}

func (p *pages) editUserForm(c echo.Context) error {
	user, err := p.userInPath(c)
	if err != nil {
		return err
	}
	form := views.Form{Values: map[string][]string{"username": {user.Username}, "name": {user.Name}, "email": {user.Email}, "version": {user.Version()}}}
	if user.Admin {
		form.Values.Set("admin", "1")
	}
	return p.renderUserForm(c, http.StatusOK, views.AdminUserForm{Form: form, User: presentUser(c, user)})
}

func (p *pages) updateUser(c echo.Context) error {
	user, err := p.userInPath(c)
	if err != nil {
		return err
	}
	form := formOf(c)
	name, email, admin := c.FormValue("name"), c.FormValue("email"), c.FormValue("admin") == "1"
	in := models.UserUpdate{Name: &name, Email: &email, Admin: &admin, Version: c.FormValue("version")}
	if form.Values.Has("username") {
		username := c.FormValue("username")
		in.Username = &username
	}
	saved, err := p.Store.UpdateUser(c.Request().Context(), request.MustUser(c), user.ID, in)
	if models.CodeOf(err) == models.CodeChangedMeanwhile {
		form.Values.Set("version", user.Version())
		form.Changed = []views.CurrentValue{
			{Label: text.KeyUsername, Text: user.Username}, {Label: text.KeyAdminName, Text: user.Name}, {Label: text.KeyAdminEmail, Text: user.Email},
			{Label: text.KeyAdminAdminFlag, Text: switchText(c, user.Admin)},
		}
		return p.renderUserForm(c, http.StatusConflict, views.AdminUserForm{Form: form, User: presentUser(c, user)})
	}
	if err != nil {
		if addMessages(c, &form, err, userMessages) {
			return p.renderUserForm(c, http.StatusUnprocessableEntity, views.AdminUserForm{Form: form, User: presentUser(c, user)})
		}
		return err
	}
	return p.redirect(c, adminUserURL(saved), text.KeyChangesSaved)
}

// userInPath returns the user that the path names.
func (p *pages) userInPath(c echo.Context) (models.User, error) {
	name := request.PathParam(c, "username")
	if name == "" {
		return models.User{}, request.ErrHidden
	}
	return p.Store.UserByUsername(c.Request().Context(), name)
}

// userAndIDInPath returns the user that the path names, and the id of their token or session.
func (p *pages) userAndIDInPath(c echo.Context) (user models.User, id int64, err error) {
	if id, err = idParam(c, "id"); err != nil {
		return user, 0, err
	}
	user, err = p.userInPath(c)
	return user, id, err
}
