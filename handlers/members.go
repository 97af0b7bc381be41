package handlers

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
)

func (p *pages) members(c echo.Context) error {
	return p.renderMembers(c, http.StatusOK, "", models.Member{})
}

// renderMembers renders the list of members. problem is why a change was refused, "" for none.
// chosen is the member with the role that was submitted, to show it again.
func (p *pages) renderMembers(c echo.Context, status int, problem string, chosen models.Member) error {
	number := pageNumber(c)
	list := views.MemberList{
		Path: membersURL(c), Search: searchParam(c, "search"), Problem: problem, Roles: roleOptions(c, models.Roles),
	}
	role := models.RoleNone
	if level, err := strconv.Atoi(c.QueryParam("role")); err == nil && models.Role(level).Valid() {
		role, list.Role = models.Role(level), c.QueryParam("role")
	}
	shown := models.Page{Number: number, Size: pageSize}
	found, total, err := p.Store.Members(c.Request().Context(), request.Project(c).ID, list.Search, role, shown)
	if err != nil {
		return err
	}
	last, isLast, err := p.Store.LastOwner(c.Request().Context(), request.Project(c).ID)
	if err != nil {
		return err
	}
	for _, member := range found {
		row := presentMember(c, member, isLast && member.UserID == last)
		if member.UserID == chosen.UserID {
			row.Role = roleValue(chosen.Role)
		}
		list.Rows = append(list.Rows, row)
	}
	list.Pages = pageLinks(c, number, len(found), total)
	page, err := p.page(c, translate(c, text.KeyProjectMembers), views.SectionMembers)
	if err != nil {
		return err
	}
	addBreadcrumbs(&page, translate(c, text.KeyManage), list.Path, translate(c, text.KeyMembers), list.Path)
	return render(c, status, views.MembersPage(page, list))
}

// presentMember returns a row of the list. last means that the member is the only Owner.
func presentMember(c echo.Context, member models.Member, last bool) views.MemberRow {
	row := views.MemberRow{
		UserID: member.UserID, Name: member.User.Name, Username: member.User.Username,
		Role: roleValue(member.Role), RoleName: views.RoleText(c.Request().Context(), int(member.Role)),
		You: member.UserID == request.MustUser(c).ID, Bot: member.User.Bot, LastOwner: last, AddedAt: member.CreatedAt,
		Version: member.Version(),
	}
	if !row.Bot && !last && member.Role <= request.Role(c) {
		row.Roles = roleOptions(c, assignableRoles(c))
	}
	return row
}

func (p *pages) newMemberForm(c echo.Context) error {
	return p.renderNewMember(c, http.StatusOK, views.Form{Values: map[string][]string{"access_level": {roleValue(models.RoleDeveloper)}}})
}

// renderNewMember renders the form that adds a member.
func (p *pages) renderNewMember(c echo.Context, status int, form views.Form) error {
	v := views.NewMember{Path: membersURL(c), Form: form, Roles: roleOptions(c, assignableRoles(c)), Drawer: isHTMX(c)}
	page, err := p.page(c, translate(c, text.KeyAddMember), views.SectionMembers)
	if err != nil {
		return err
	}
	page.Narrow = true
	addBreadcrumbs(&page, translate(c, text.KeyMembers), v.Path, translate(c, text.KeyAddMember), v.Path+"/new")
	return render(c, status, views.NewMemberView(page, v))
}

// assignableRoles returns the roles that the user may assign. Only Owners may assign Owner.
func assignableRoles(c echo.Context) []models.Role {
	if request.Role(c) >= models.RoleOwner {
		return models.Roles
	}
	return models.Roles[:len(models.Roles)-1]
}

func roleOptions(c echo.Context, roles []models.Role) []views.Option {
	options := make([]views.Option, 0, len(roles))
	for _, role := range roles {
		options = append(options, views.Option{Value: roleValue(role), Text: views.RoleText(c.Request().Context(), int(role))})
	}
	return options
}

// roleValue returns a role as forms send it, as GitLab's access level.
func roleValue(role models.Role) string { return strconv.Itoa(int(role)) }

// roleParam returns the submitted role. It is RoleNone if the value is invalid; models refuses
// that.
func roleParam(c echo.Context) models.Role {
	level, err := strconv.Atoi(c.FormValue("access_level"))
	if err != nil {
		return models.RoleNone
	}
	return models.Role(level)
}

// memberMessages are the messages of the form for a new member.
var memberMessages = messages{"access_level.invalid": text.KeyRoleInvalid}

func (p *pages) addMember(c echo.Context) error {
	ctx, form := c.Request().Context(), formOf(c)
	username := strings.TrimPrefix(strings.TrimSpace(c.FormValue("username")), "@")
	role := roleParam(c)
	if !role.Valid() {
		form.Errors["access_level"] = translate(c, text.KeyRoleInvalid)
	}
	user, err := p.findLogin(c, username)
	if err != nil {
		return err
	}
	switch {
	case username == "":
		form.Errors["username"] = translate(c, text.KeyUsernameBlank)
	case user.ID == 0 || user.Bot:
		form.Errors["username"] = translate(c, text.KeyNoSuchUser)
	}
	if len(form.Errors) > 0 {
		return p.renderNewMember(c, http.StatusUnprocessableEntity, form)
	}
	_, err = p.Store.AddMember(ctx, request.MustUser(c), request.Role(c), request.Project(c).ID, user.ID, role)
	switch {
	case models.CodeOf(err) == models.CodeMemberExists:
		form.Errors["username"] = translate(c, text.KeyMemberExists)
		return p.renderNewMember(c, http.StatusUnprocessableEntity, form)
	case models.KindOf(err) == models.KindInvalid && addMessages(c, &form, err, memberMessages):
		return p.renderNewMember(c, http.StatusUnprocessableEntity, form)
	case err != nil:
		return err
	}
	return p.redirectPage(c, membersURL(c), text.KeyMemberAdded)
}

// memberInPath returns the member that the path names. Bots of tokens are not found, because they
// are removed with their token.
func (p *pages) memberInPath(c echo.Context) (models.Member, error) {
	id, err := idParam(c, "id")
	if err != nil {
		return models.Member{}, err
	}
	member, err := p.Store.Member(c.Request().Context(), request.Project(c).ID, id)
	if err == nil && member.User.Bot {
		return member, request.ErrForbidden
	}
	return member, err
}

func (p *pages) changeMember(c echo.Context) error {
	member, err := p.memberInPath(c)
	if err != nil {
		return err
	}
	role := roleParam(c)
	if !role.Valid() {
		return p.renderMembers(c, http.StatusUnprocessableEntity, translate(c, text.KeyRoleInvalid), models.Member{})
	}
	_, err = p.Store.ChangeMember(c.Request().Context(), request.MustUser(c), request.Role(c),
		member.ProjectID, member.UserID, role, c.FormValue("version"))
	if models.CodeOf(err) == models.CodeChangedMeanwhile {
		if member, err = p.memberInPath(c); err != nil {
			return err
		}
		problem := translate(c, text.KeyRoleChangedMeanwhile, "Name", member.User.Name,
			"Role", views.RoleText(c.Request().Context(), int(member.Role)))
		member.Role = role
		return p.renderMembers(c, http.StatusConflict, problem, member)
	}
	if models.CodeOf(err) == models.CodeLastOwner {
		return p.renderMembers(c, http.StatusUnprocessableEntity, translate(c, text.KeyLastOwner), models.Member{})
	}
	if err != nil {
		return err
	}
	return p.afterMemberChange(c, member, role, text.KeyMemberChanged)
}

// afterMemberChange redirects to the list of members, or to the projects if the user may no
// longer see the list.
func (p *pages) afterMemberChange(c echo.Context, member models.Member, role models.Role, toast text.Key) error {
	if user := request.MustUser(c); member.UserID == user.ID && role < models.RoleMaintainer && !user.Admin {
		return p.redirect(c, "/", toast)
	}
	return p.redirect(c, membersURL(c), toast)
}

func (p *pages) removeMemberForm(c echo.Context) error {
	member, err := p.memberInPath(c)
	if err != nil {
		return err
	}
	path := membersURL(c)
	return p.confirm(c, views.SectionMembers, views.Confirmation{
		Title: text.KeyRemoveMemberTitle, Button: text.KeyRemoveMember, Text: views.RemovalText(member.User.Name, request.Project(c).Name),
		URL: memberURL(c, member.UserID) + "/remove", CloseURL: path,
	}, translate(c, text.KeyMembers), path, translate(c, text.KeyRemoveMember), c.Request().URL.Path)
}

func (p *pages) removeMember(c echo.Context) error {
	member, err := p.memberInPath(c)
	if err != nil {
		return err
	}
	err = p.Store.RemoveMember(c.Request().Context(), request.MustUser(c), request.Role(c), member.ProjectID, member.UserID)
	if models.CodeOf(err) == models.CodeLastOwner {
		return p.renderMembers(c, http.StatusUnprocessableEntity, translate(c, text.KeyLastOwner), models.Member{})
	}
	if err != nil {
		return err
	}
	return p.afterMemberChange(c, member, models.RoleNone, text.KeyMemberRemoved)
}
