package handlers

import (
	"context"
	"net/http"
	"slices"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
)

// projects lists the user's projects, or with all=1 every project that they may see. The
// number of queries does not depend on the number of rows.
func (p *pages) projects(c echo.Context) error {
	ctx, user := c.Request().Context(), request.User(c)
	list := views.ProjectList{
		Search: searchParam(c, "search"), SignedIn: user != nil, Mine: user != nil && c.QueryParam("all") != "1", Now: p.Store.Now(),
	}
	filter := models.ProjectFilter{Search: list.Search, Membership: list.Mine}
	list.Sort, filter.OrderBy, filter.Ascending = projectOrder(c.QueryParam("sort"))
	number := pageNumber(c)
	found, total, err := p.Store.Projects(ctx, user, filter, models.Page{Number: number, Size: pageSize})
	if err != nil {
		return err
	}
	if list.Rows, err = p.presentProjects(ctx, found); err != nil {
		return err
	}
	if list.SignedIn {
		mine, all, err := p.Store.CountProjects(ctx, user)
		if err != nil {
			return err
		}
		list.MineCount, list.AllCount = int(mine), int(all)
		if err := p.addOwnMergeRequests(c, &list); err != nil {
			return err
		}
	}
	list.Pages = pageLinks(c, number, len(found), total)
	page, err := p.page(c, translate(c, text.KeyProjects), "")
	if err != nil {
		return err
	}
	return render(c, http.StatusOK, views.ProjectsPage(page, list))
}

// projectOrder maps the query's sort to the order of the list.
func projectOrder(sort string) (chosen, by string, ascending bool) {
	switch sort {
	case views.SortName:
		return sort, "name", true
	case views.SortFailed:
		return sort, models.OrderByFailed, false
	}
	return views.SortUpdated, "last_activity_at", false
}

// presentProjects returns the rows of the list. Merge requests and status checks are only
// queried for projects where the user may see them.
func (p *pages) presentProjects(ctx context.Context, found []models.Access) ([]views.ProjectRow, error) {
	var readable, checked []int64
	for _, access := range found {
		subject := auth.SubjectOf(access)
		if auth.Can(subject, auth.ReadCode) {
			readable = append(readable, access.Project.ID)
		}
		if auth.Can(subject, auth.ReadStatusChecks) {
			checked = append(checked, access.Project.ID)
		}
	}
	open, err := p.Store.CountOpenMergeRequests(ctx, readable...)
	if err != nil {
		return nil, err
	}
	checks, err := p.Store.CountOpenChecks(ctx, checked...)
	if err != nil {
		return nil, err
	}
	rows := make([]views.ProjectRow, 0, len(found))
	for _, access := range found {
		project := access.Project
		row := views.ProjectRow{
			Namespace: project.Namespace.Path, Name: project.Name, Description: project.Description,
			URL: urlOfProject(project), Visibility: views.Visibility{Value: project.Visibility.String()},
			OpenMergeRequests: -1, UpdatedAt: project.LastActivityAt,
		}
		if slices.Contains(readable, project.ID) {
			row.OpenMergeRequests = open[project.ID]
		}
		if slices.Contains(checked, project.ID) {
			counts := checks[project.ID]
			row.ShowChecks, row.Passed, row.Pending, row.Failed = true, counts.Passed, counts.Pending, counts.Failed
		}
		rows = append(rows, row)
	}
	return rows, nil
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
	page, err := p.page(c, translate(c, text.KeyNewProject), "")
	if err != nil {
		return err
	}
	page.Narrow = true
	addBreadcrumbs(&page, translate(c, text.KeyNewProject), newProjectPath)
	return render(c, status, views.NewProjectPage(page, v))
}

// projectMessages are the messages of the forms about a project.
var projectMessages = messages{
	"name.blank":   text.KeyProjectNameBlank,
	"path.taken":   text.KeyProjectPathTaken,
	"path.invalid": text.KeyProjectPathInvalid,
	"path.blank":   text.KeyProjectPathInvalid,
	// An invalid name is not the name of a branch.
	"default_branch.invalid": text.KeyFieldUnknownBranch,
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
		form.Errors["namespace_id"] = translate(c, text.KeyNamespaceUnknown)
		if err := in.Validate(); err != nil {
			addMessages(c, &form, err, projectMessages)
		}
		return p.renderNewProject(c, http.StatusUnprocessableEntity, form)
	}
	created, err := p.Store.CreateProject(ctx, user, in, c.FormValue("readme") == "1")
	if err != nil {
		if addMessages(c, &form, err, projectMessages) {
			return p.renderNewProject(c, http.StatusUnprocessableEntity, form)
		}
		return err
	}
	return p.redirect(c, urlOfProject(created), text.KeyProjectCreated)
}

// namespaceOf sets the submitted namespace. It is false if the user may not create projects
// there.
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

// visibilityValue returns the submitted visibility. It is invalid, and models refuses it, if
// the word is unknown.
func visibilityValue(c echo.Context) models.Visibility {
	visibility, ok := models.ParseVisibility(c.FormValue("visibility"))
	if !ok {
		return -1
	}
	return visibility
}
