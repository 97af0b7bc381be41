package handlers

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
)

// adminProjects lists all projects, the last active one first.
func (p *pages) adminProjects(c echo.Context) error {
	ctx, admin, number := c.Request().Context(), request.MustUser(c), pageNumber(c)
	search := searchParam(c, "search")
	found, total, err := p.Store.Projects(ctx, &admin, models.ProjectFilter{Search: search}, models.Page{Number: number, Size: pageSize})
	if err != nil {
		return err
	}
	list := views.AdminProjects{Search: search, Now: p.Store.Now(), Pages: boundedLinks(c, number, len(found), total)}
	for _, access := range found {
		project := access.Project
		size, err := p.repositorySize(c, project.ID)
		if err != nil {
			return err
		}
		list.Rows = append(list.Rows, views.AdminProjectRow{
			ID: project.ID, Path: project.FullPath(), Name: project.Name, Visibility: auditValue(c, "visibility", project.Visibility.String()), Size: size,
			LastActivity: project.LastActivityAt,
		})
	}
	page, err := p.adminPage(c, translate(c, text.KeyAdminProjects), views.SectionAdminProjects, translate(c, text.KeyProjects), adminProjectsPath)
	if err != nil {
		return err
	}
	return render(c, http.StatusOK, views.AdminProjectsPage(page, list))
}

// repositorySize returns the size of a repository as text, or "" if it cannot be read.
func (p *pages) repositorySize(c echo.Context, projectID int64) (string, error) {
	bytes, complete, err := p.Git.Reader(projectID).Size(c.Request().Context())
	switch {
	case c.Request().Context().Err() != nil:
		return "", c.Request().Context().Err()
	case err != nil:
		p.logFailure(c, "reading the size of a repository failed", err)
		return "", nil
	case !complete:
		return translate(c, text.KeyAdminAtLeast, "Size", views.ByteSize(bytes)), nil
	}
	return views.ByteSize(bytes), nil
}

func (p *pages) removeProjectForm(c echo.Context) error {
	project, err := p.projectByID(c)
	if err != nil {
		return err
	}
	return p.renderProjectRemoval(c, http.StatusOK, project, views.Form{})
}

// projectByID returns the project whose id the path has.
func (p *pages) projectByID(c echo.Context) (models.Project, error) {
	id, err := idParam(c, "id")
	if err != nil {
		return models.Project{}, err
	}
	return p.Store.Project(c.Request().Context(), id)
}

func (p *pages) renderProjectRemoval(c echo.Context, status int, project models.Project, form views.Form) error {
	path := withID(adminProjectsPath, project.ID) + "/remove"
	return p.confirmAdmin(c, status, views.SectionAdminProjects, views.Confirmation{
		Title: text.KeyAdminDeleteProjectTitle, Button: text.KeyDeleteProject, Text: views.UserActionText(text.KeyAdminDeleteProjectText, project.FullPath()),
		URL: path, CloseURL: adminProjectsPath, Typed: project.FullPath(), Form: form,
	}, translate(c, text.KeyProjects), adminProjectsPath, translate(c, text.KeyDeleteProject), path)
}

// removeProject deletes the project if its path was typed as confirmation.
func (p *pages) removeProject(c echo.Context) error {
	project, err := p.projectByID(c)
	if err != nil {
		return err
	}
	if c.FormValue("confirm") != project.FullPath() {
		form := formOf(c)
		form.Errors["confirm"] = translate(c, text.KeyDeleteMismatch)
		return p.renderProjectRemoval(c, http.StatusUnprocessableEntity, project, form)
	}
	if err := p.Store.DeleteProject(c.Request().Context(), request.MustUser(c), project.ID); err != nil {
		return err
	}
	return p.redirectPage(c, adminProjectsPath, text.KeyProjectDeleted)
}

// adminNamespaces lists the namespaces that belong to no user.
func (p *pages) adminNamespaces(c echo.Context) error {
	number, search := pageNumber(c), searchParam(c, "search")
	found, total, err := p.Store.FreeNamespaces(c.Request().Context(), search, models.Page{Number: number, Size: pageSize})
	if err != nil {
		return err
	}
	list := views.AdminNamespaces{Search: search, Pages: boundedLinks(c, number, len(found), total)}
	for _, ns := range found {
		list.Rows = append(list.Rows, views.AdminNamespaceRow{
			ID: ns.ID, Path: ns.Path, Projects: int(min(ns.Projects, models.MaxListed)), More: ns.Projects > models.MaxListed, CreatedAt: ns.CreatedAt,
		})
	}
	page, err := p.adminPage(c, translate(c, text.KeyAdminNamespaces), views.SectionAdminNamespaces, translate(c, text.KeyAdminNamespaces), adminNamespacesPath)
	if err != nil {
		return err
	}
	return render(c, http.StatusOK, views.AdminNamespacesPage(page, list))
}

func (p *pages) newNamespaceForm(c echo.Context) error {
	return p.renderNamespaceForm(c, http.StatusOK, views.Form{})
}

func (p *pages) renderNamespaceForm(c echo.Context, status int, form views.Form) error {
	title := translate(c, text.KeyAdminNewNamespace)
	page, err := p.adminPage(c, title, views.SectionAdminNamespaces, translate(c, text.KeyAdminNamespaces), adminNamespacesPath, title, adminNamespacesPath+"/new")
	if err != nil {
		return err
	}
	page.Narrow = true
	return render(c, status, views.AdminNamespaceForm(page, form))
}

// namespaceMessages are the messages of the form of a namespace.
var namespaceMessages = messages{"path.invalid": text.KeyProjectPathInvalid, "path.taken": text.KeyProjectPathTaken}

func (p *pages) createNamespace(c echo.Context) error {
	form := formOf(c)
	_, err := p.Store.CreateNamespace(c.Request().Context(), request.MustUser(c), c.FormValue("path"))
	if err != nil {
		if addMessages(c, &form, err, namespaceMessages) {
			return p.renderNamespaceForm(c, http.StatusUnprocessableEntity, form)
		}
		return err
	}
	return p.redirect(c, adminNamespacesPath, text.KeyAdminNamespaceCreated)
}

func (p *pages) removeNamespaceForm(c echo.Context) error {
	id, err := idParam(c, "id")
	if err != nil {
		return err
	}
	ns, err := p.Store.NamespaceByID(c.Request().Context(), id)
	if err != nil {
		return err
	}
	if ns.UserID != nil {
		return request.ErrHidden
	}
	path := withID(adminNamespacesPath, id) + "/remove"
	return p.confirmAdmin(c, http.StatusOK, views.SectionAdminNamespaces, views.Confirmation{
		Title: text.KeyAdminDeleteNamespaceTitle, Button: text.KeyAdminDeleteNamespace, Text: views.UserActionText(text.KeyAdminDeleteNamespaceText, ns.Path),
		URL: path, CloseURL: adminNamespacesPath,
	}, translate(c, text.KeyAdminNamespaces), adminNamespacesPath, translate(c, text.KeyAdminDeleteNamespace), path)
}

func (p *pages) removeNamespace(c echo.Context) error {
	id, err := idParam(c, "id")
	if err != nil {
		return err
	}
	if err := p.Store.DeleteNamespace(c.Request().Context(), request.MustUser(c), id); err != nil {
		return err
	}
	return p.redirect(c, adminNamespacesPath, text.KeyAdminNamespaceDeleted)
}
