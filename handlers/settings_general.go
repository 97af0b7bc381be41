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

// maxBranchOptions is the maximum number of branches in a menu.
const maxBranchOptions = 200

// generalForms are the forms of Settings › General. A nil form shows the stored values.
type generalForms struct{ basic, advanced, remove *views.Form }

func (p *pages) generalSettings(c echo.Context) error {
	return p.renderGeneral(c, http.StatusOK, generalForms{})
}

func (p *pages) renderGeneral(c echo.Context, status int, forms generalForms) error {
	project := request.Project(c)
	if forms.basic == nil {
		forms.basic = &views.Form{Values: map[string][]string{
			"description": {project.Description}, "default_branch": {project.DefaultBranch},
			"version": {project.BasicsVersion()},
		}}
	}
	if forms.advanced == nil {
		forms.advanced = &views.Form{Values: map[string][]string{
			"name": {project.Name}, "path": {project.Path}, "visibility": {project.Visibility.String()},
			"version": {project.IdentityVersion()},
		}}
	}
	if forms.remove == nil {
		forms.remove = &views.Form{}
	}
	v := views.GeneralSettings{
		Path: generalSettingsURL(c), Form: *forms.basic, Advanced: *forms.advanced, Delete: *forms.remove,
		CanOwn: request.Can(c, auth.AdminProject), FullPath: project.FullPath(),
		Branches: p.branchOptions(c, project),
	}
	page, err := p.page(c, translate(c, text.KeyGeneralSettings), views.SectionSettingsGeneral)
	if err != nil {
		return err
	}
	addBreadcrumbs(&page, translate(c, text.KeySettings), v.Path, translate(c, text.KeyGeneral), v.Path)
	return render(c, status, views.GeneralSettingsPage(page, v))
}

// branchOptions returns the branches that can become the default branch. It is empty if the
// repository is empty or cannot be read.
func (p *pages) branchOptions(c echo.Context, project models.Project) []views.Option {
	branches, _, err := p.Git.Reader(project.ID).Branches(c.Request().Context(), "", 0, maxBranchOptions)
	if err != nil {
		p.Log.ErrorContext(c.Request().Context(), "listing branches failed", "project_id", project.ID, "error", err)
		return nil
	}
	var options []views.Option
	listed := false
	for _, branch := range branches {
		listed = listed || branch.Name == project.DefaultBranch
		options = append(options, views.Option{Value: branch.Name, Text: branch.Name})
	}
	if len(options) > 0 && !listed {
		options = append(options, views.Option{Value: project.DefaultBranch, Text: project.DefaultBranch})
	}
	return options
}

func (p *pages) saveGeneralSettings(c echo.Context) error {
	form := formOf(c)
	description := keepLineEndings(request.Project(c).Description, c.FormValue("description"))
	in := models.ProjectUpdate{Description: &description, BasicsVersion: form.Value("version")}
	if branch := c.FormValue("default_branch"); branch != "" && branch != request.Project(c).DefaultBranch {
		in.DefaultBranch = &branch
	}
	_, err := p.Store.UpdateProject(c.Request().Context(), request.MustUser(c), request.Project(c).ID, in)
	if models.CodeOf(err) == models.CodeChangedMeanwhile {
		now, err := p.Store.Project(c.Request().Context(), request.Project(c).ID)
		if err != nil {
			return err
		}
		form.Values.Set("version", now.BasicsVersion())
		form.Changed = []views.CurrentValue{}
		if description != now.Description {
			form.Changed = append(form.Changed, views.CurrentValue{Label: text.KeyDescription, Text: now.Description})
		}
		if form.Value("default_branch") != now.DefaultBranch {
			form.Changed = append(form.Changed, views.CurrentValue{Label: text.KeyDefaultBranch, Text: now.DefaultBranch})
		}
		return p.renderGeneral(c, http.StatusConflict, generalForms{basic: &form})
	}
	if err != nil {
		if !addMessages(c, &form, err, projectMessages) {
			return err
		}
		if in.DefaultBranch != nil && form.Errors["default_branch"] == "" {
			known, err := p.branchExists(c, *in.DefaultBranch)
			if err != nil {
				return err
			}
			if !known {
				form.Errors["default_branch"] = translate(c, text.KeyFieldUnknownBranch)
			}
		}
		return p.renderGeneral(c, http.StatusUnprocessableEntity, generalForms{basic: &form})
	}
	return p.redirect(c, generalSettingsURL(c), text.KeyChangesSaved)
}

// branchExists reports whether the project has a branch, so that this error can be shown with
// those of other fields.
func (p *pages) branchExists(c echo.Context, branch string) (bool, error) {
	_, known, err := p.Git.Reader(request.Project(c).ID).BranchTip(c.Request().Context(), branch)
	return known, err
}

func (p *pages) saveAdvancedSettings(c echo.Context) error {
	form := formOf(c)
	name, path, visibility := c.FormValue("name"), c.FormValue("path"), visibilityValue(c)
	in := models.ProjectUpdate{Name: &name, Path: &path, Visibility: &visibility, IdentityVersion: form.Value("version")}
	saved, err := p.Store.UpdateProject(c.Request().Context(), request.MustUser(c), request.Project(c).ID, in)
	if models.CodeOf(err) == models.CodeChangedMeanwhile {
		now, err := p.Store.Project(c.Request().Context(), request.Project(c).ID)
		if err != nil {
			return err
		}
		form.Values.Set("version", now.IdentityVersion())
		form.Changed = []views.CurrentValue{}
		for _, field := range []struct {
			label       text.Key
			typed, text string
		}{{text.KeyProjectName, name, now.Name}, {text.KeyProjectPath, path, now.Path}} {
			if field.typed != field.text {
				form.Changed = append(form.Changed, views.CurrentValue{Label: field.label, Text: field.text})
			}
		}
		if visibility != now.Visibility {
			visibility := views.VisibilityText(c.Request().Context(), now.Visibility.String())
			form.Changed = append(form.Changed, views.CurrentValue{Label: text.KeyVisibility, Text: visibility})
		}
		return p.renderGeneral(c, http.StatusConflict, generalForms{advanced: &form})
	}
	if err != nil {
		if addMessages(c, &form, err, projectMessages) {
			return p.renderGeneral(c, http.StatusUnprocessableEntity, generalForms{advanced: &form})
		}
		return err
	}
	return p.redirect(c, urlOfProject(saved)+generalSettingsPath, text.KeyChangesSaved)
}

// deleteProject deletes the project if its path was typed as confirmation.
func (p *pages) deleteProject(c echo.Context) error {
	project := request.Project(c)
	if c.FormValue("confirm") != project.FullPath() {
		form := formOf(c)
		form.Errors["confirm"] = translate(c, text.KeyDeleteMismatch)
		return p.renderGeneral(c, http.StatusUnprocessableEntity, generalForms{remove: &form})
	}
	if err := p.Store.DeleteProject(c.Request().Context(), request.MustUser(c), project.ID); err != nil {
		return err
	}
	return p.redirect(c, "/", text.KeyProjectDeleted)
}
