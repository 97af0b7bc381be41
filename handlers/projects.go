package handlers

import (
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views"
)

// projects lists the projects of the reader, or with all=1 every project that
// they may see.
func (p *pages) projects(c echo.Context) error {
	ctx, user := c.Request().Context(), request.User(c)
	list := views.ProjectList{
		Search: searchParam(c, "search"), SignedIn: user != nil, Mine: user != nil && c.QueryParam("all") != "1", Now: p.Store.Now(),
	}
	number := pageNumber(c)
	found, total, err := p.Store.Projects(ctx, user,
		models.ProjectFilter{Search: list.Search, Membership: list.Mine}, models.Page{Number: number, Size: pageSize})
	if err != nil {
		return err
	}
	for _, access := range found {
		row, err := p.presentProject(c, access)
		if err != nil {
			return err
		}
		list.Rows = append(list.Rows, row)
	}
	list.Pages = pageLinks(c, number, len(found), total)
	page, err := p.page(c, text(c, views.KeyProjects), "")
	if err != nil {
		return err
	}
	return render(c, http.StatusOK, views.ProjectsPage(page, list))
}

// presentProject is one project in the list.
func (p *pages) presentProject(c echo.Context, access models.Access) (views.ProjectRow, error) {
	project := access.Project
	row := views.ProjectRow{
		Namespace: project.Namespace.Path, Name: project.Name, Description: project.Description,
		URL: "/" + project.FullPath(), Visibility: views.Visibility{Value: project.Visibility.String()},
		OpenMergeRequests: -1, UpdatedAt: project.LastActivityAt,
	}
	subject := auth.Subject{SignedIn: access.SignedIn, Admin: access.Admin, Role: access.Role, Visibility: project.Visibility}
	if !auth.Can(subject, auth.ReadCode) {
		return row, nil
	}
	open, err := p.openMergeRequests(c, project.ID)
	row.OpenMergeRequests = open
	return row, err
}

func (p *pages) newProjectForm(c echo.Context) error {
	form := views.Form{Values: map[string][]string{"visibility": {models.VisibilityPrivate.String()}, "readme": {"1"}}}
	return p.renderNewProject(c, http.StatusOK, form)
}

func (p *pages) renderNewProject(c echo.Context, status int, form views.Form) error {
	namespaces, err := p.Store.NamespacesFor(c.Request().Context(), request.MustUser(c))
	if err != nil {
		return err
	}
	v := views.NewProject{Form: form}
	for _, ns := range namespaces {
		v.Namespaces = append(v.Namespaces, views.Option{Value: strconv.FormatInt(ns.ID, 10), Text: ns.Path})
	}
	page, err := p.page(c, text(c, views.KeyNewProject), "")
	if err != nil {
		return err
	}
	page.Narrow = true
	crumbs(&page, text(c, views.KeyNewProject), "/projects/new")
	return render(c, status, views.NewProjectPage(page, v))
}

// projectWords are the messages of the forms about a project.
var projectWords = words{
	"name.blank":   views.KeyProjectNameBlank,
	"path.taken":   views.KeyProjectPathTaken,
	"path.invalid": views.KeyProjectPathInvalid,
	"path.blank":   views.KeyProjectPathInvalid,
	// A name that no branch can have is not the name of one.
	"default_branch.invalid": views.KeyFieldUnknownBranch,
}

func (p *pages) createProject(c echo.Context) error {
	ctx, user, form := c.Request().Context(), request.MustUser(c), formOf(c)
	in := models.ProjectInput{
		Name: c.FormValue("name"), Path: c.FormValue("path"), Description: c.FormValue("description"),
		Visibility: visibilityValue(c),
	}
	allowed, err := p.namespaceOf(c, &in)
	if err != nil {
		return err
	}
	if !allowed {
		form.Errors["namespace_id"] = text(c, views.KeyNamespaceUnknown)
		if err := in.Validate(); err != nil {
			explain(c, &form, err, projectWords)
		}
		return p.renderNewProject(c, http.StatusUnprocessableEntity, form)
	}
	created, err := p.Store.CreateProject(ctx, user, in, c.FormValue("readme") == "1")
	if err != nil {
		if explain(c, &form, err, projectWords) {
			return p.renderNewProject(c, http.StatusUnprocessableEntity, form)
		}
		return err
	}
	return p.redirect(c, "/"+created.FullPath(), views.KeyProjectCreated)
}

// namespaceOf puts the chosen namespace into the input, and reports whether
// the user may create projects in it.
func (p *pages) namespaceOf(c echo.Context, in *models.ProjectInput) (bool, error) {
	namespaces, err := p.Store.NamespacesFor(c.Request().Context(), request.MustUser(c))
	if err != nil {
		return false, err
	}
	for _, ns := range namespaces {
		if strconv.FormatInt(ns.ID, 10) == c.FormValue("namespace_id") {
			in.NamespaceID = ns.ID
			return true, nil
		}
	}
	return false, nil
}

// visibilityValue is the visibility that a form names; one that is none is
// refused by the domain.
func visibilityValue(c echo.Context) models.Visibility {
	visibility, ok := models.ParseVisibility(c.FormValue("visibility"))
	if !ok {
		return -1
	}
	return visibility
}
