package handlers

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
)

// mergeRequestMessages are the messages of the merge request form.
var mergeRequestMessages = messages{
	"title.blank":                  text.KeyMRFaultTitleBlank,
	"title.too_long":               text.KeyMRFaultTitleTooLong,
	"title.control_character":      text.KeyMRFaultTitleControl,
	"description.too_long":         text.KeyMRFaultDescription,
	"description.invalid":          text.KeyMRFaultDescriptionInvalid,
	"source_branch.blank":          text.KeyMRFaultBranchBlank,
	"source_branch.unknown_branch": text.KeyMRFaultBranchUnknown,
	"source_branch.no_commits":     text.KeyMRFaultNoCommits,
	"target_branch.blank":          text.KeyMRFaultBranchBlank,
	"target_branch.unknown_branch": text.KeyMRFaultBranchUnknown,
	"target_branch.same_branch":    text.KeyMRFaultSameBranch,
}

// newMergeRequest shows the form for a new merge request. The query can name its branches,
// also with GitLab's parameters; git push prints such an address.
func (p *pages) newMergeRequest(c echo.Context) error {
	form := views.MergeRequestForm{New: true, Source: branchParam(c, "source_branch"), Target: branchParam(c, "target_branch")}
	if form.Target == "" {
		form.Target = request.Project(c).DefaultBranch
	}
	return p.renderMergeRequestForm(c, http.StatusOK, form, nil)
}

func branchParam(c echo.Context, name string) string {
	if branch := searchParam(c, "merge_request["+name+"]"); branch != "" {
		return branch
	}
	return searchParam(c, name)
}

// createMergeRequest opens a merge request.
func (p *pages) createMergeRequest(c echo.Context) error {
	form := readMergeRequestForm(c)
	form.New = true
	mr, err := p.Store.CreateMergeRequest(c.Request().Context(), request.MustUser(c), request.Project(c).ID, models.MergeRequestInput{
		Title: form.fullTitle(), Description: form.Description, SourceBranch: form.Source, TargetBranch: form.Target,
		Squash: form.Squash, RemoveSourceBranch: form.RemoveSource,
	})
	if err != nil {
		return p.refuseMergeRequestForm(c, form.MergeRequestForm, nil, err)
	}
	return p.redirect(c, mergeRequestURL(c, mr.IID), text.KeyMRToastCreated)
}

// editMergeRequest shows the form for an existing merge request.
func (p *pages) editMergeRequest(c echo.Context) error {
	mr, err := p.mergeRequestInPath(c)
	if err != nil {
		return err
	}
	return p.renderMergeRequestForm(c, http.StatusOK, views.MergeRequestForm{
		Source: mr.SourceBranch, Target: mr.TargetBranch, Title: models.WithDraft(mr.Title, false), Description: mr.Description,
		Draft: mr.Draft, Squash: mr.Squash, RemoveSource: mr.RemoveSourceBranch,
		Version: mr.Version(),
	}, &mr)
}

// updateMergeRequest saves an edit. It records one event, or none if nothing changed.
func (p *pages) updateMergeRequest(c echo.Context) error {
	mr, err := p.mergeRequestInPath(c)
	if err != nil {
		return err
	}
	form := readMergeRequestForm(c)
	form.Description = keepLineEndings(mr.Description, form.Description)
	title := form.fullTitle()
	if form.Title == models.WithDraft(mr.Title, false) && form.Draft == mr.Draft {
		title = mr.Title // keep the stored spelling of the draft mark
	}
	update := models.MergeRequestUpdate{
		Title: &title, Description: &form.Description, Squash: &form.Squash, RemoveSourceBranch: &form.RemoveSource,
		Version: form.Version,
	}
	if mr.State != models.StateMerged {
		update.TargetBranch = &form.Target
	}
	_, err = p.Store.UpdateMergeRequest(c.Request().Context(), request.MustUser(c), mr.ProjectID, mr.IID, update)
	if models.CodeOf(err) == models.CodeChangedMeanwhile {
		if mr, err = p.mergeRequestInPath(c); err != nil {
			return err
		}
		form.Version, form.Changed = mr.Version(), changedMergeRequest(c, mr, form.MergeRequestForm)
		return p.renderMergeRequestForm(c, http.StatusConflict, form.MergeRequestForm, &mr)
	}
	if err != nil {
		return p.refuseMergeRequestForm(c, form.MergeRequestForm, &mr, err)
	}
	return p.redirect(c, mergeRequestURL(c, mr.IID), text.KeyMRToastUpdated)
}

// changedMergeRequest lists the fields whose stored value differs from the submitted one.
func changedMergeRequest(c echo.Context, mr models.MergeRequest, form views.MergeRequestForm) []views.CurrentValue {
	changed := []views.CurrentValue{}
	note := func(label text.Key, differs bool, saved string) {
		if differs {
			changed = append(changed, views.CurrentValue{Label: label, Text: saved})
		}
	}
	note(text.KeyMRTitle, form.Title != models.WithDraft(mr.Title, false) || form.Draft != mr.Draft, mr.Title)
	note(text.KeyMRDescriptionLabel, keepLineEndings(mr.Description, form.Description) != mr.Description, mr.Description)
	note(text.KeyMRTargetBranch, mr.State != models.StateMerged && form.Target != mr.TargetBranch, mr.TargetBranch)
	note(text.KeyMRRemoveSourceLong, form.RemoveSource != mr.RemoveSourceBranch, switchText(c, mr.RemoveSourceBranch))
	note(text.KeyMRSquashLong, form.Squash != mr.Squash, switchText(c, mr.Squash))
	return changed
}

// sentForm is the form as submitted.
type sentForm struct{ views.MergeRequestForm }

// fullTitle returns the title with the draft mark, which can be typed or ticked. It is "" if
// there is only a mark.
func (f sentForm) fullTitle() string {
	if !f.Draft || f.Title == "" {
		return f.Title
	}
	return models.WithDraft(f.Title, true)
}

// readMergeRequestForm reads the form unchanged; models refuses invalid text.
func readMergeRequestForm(c echo.Context) sentForm {
	sent := c.Request().PostForm
	return sentForm{views.MergeRequestForm{
		Source: sentBranch(sent, "source_branch"), Target: sentBranch(sent, "target_branch"),
		Title:       strings.TrimSpace(sent.Get("title")),
		Description: sent.Get("description"),
		Draft:       isChecked(c, "draft"), Squash: isChecked(c, "squash"), RemoveSource: isChecked(c, "remove_source_branch"),
		Version: sent.Get("version"),
	}}
}

// refuseMergeRequestForm shows the form again with all errors and everything that was typed.
func (p *pages) refuseMergeRequestForm(c echo.Context, form views.MergeRequestForm, mr *models.MergeRequest, err error) error {
	form.Errors = map[string]views.FormFault{}
	for _, field := range models.FieldErrorsOf(err) {
		if _, reported := form.Errors[field.Field]; !reported {
			form.Errors[field.Field] = views.FormFault{Text: fieldMessage(c, field, mergeRequestMessages)}
		}
	}
	if len(form.Errors) == 0 {
		fault, known := formFault(c, err)
		if !known {
			return err
		}
		form.Errors[""] = fault
	} else if err := p.findUnknownBranches(c, &form); err != nil {
		return err
	}
	for _, typed := range []*string{&form.Source, &form.Target, &form.Title, &form.Description} {
		*typed = strings.ToValidUTF8(*typed, "\uFFFD")
	}
	return p.renderMergeRequestForm(c, statusOf(err), form, mr)
}

// findUnknownBranches adds errors for branches that do not exist. models checks them only
// after all other fields.
func (p *pages) findUnknownBranches(c echo.Context, form *views.MergeRequestForm) error {
	for field, branch := range map[string]string{"source_branch": form.Source, "target_branch": form.Target} {
		if _, reported := form.Errors[field]; reported || branch == "" || !models.ValidBranchName(branch) {
			continue
		}
		known, err := p.branchExists(c, branch)
		if err != nil {
			return err
		}
		if !known {
			form.Errors[field] = views.FormFault{Text: translate(c, text.KeyMRFaultBranchUnknown)}
		}
	}
	return nil
}

// formFault returns an error that concerns no single field, with a link to the existing merge
// request if there is one.
func formFault(c echo.Context, err error) (fault views.FormFault, known bool) {
	switch models.CodeOf(err) {
	case models.CodeAlreadyOpen:
		fault = views.FormFault{Text: translate(c, text.KeyMRFaultAlreadyOpen)}
		var domain *models.Error
		if errors.As(err, &domain) {
			if iid, parseErr := strconv.ParseInt(domain.Params["iid"], 10, 64); parseErr == nil {
				fault.URL, fault.LinkText = mergeRequestURL(c, iid), fmt.Sprintf("!%d", iid)
			}
		}
		return fault, true
	case models.CodeNotOpen:
		return views.FormFault{Text: translate(c, text.KeyMRRefusedNotOpen)}, true
	}
	return views.FormFault{}, false
}

// renderMergeRequestForm renders the form. mr is nil for a new merge request.
func (p *pages) renderMergeRequestForm(c echo.Context, status int, form views.MergeRequestForm, mr *models.MergeRequest) error {
	title, list := translate(c, text.KeyMRNewMergeRequest), mergeRequestsURL(c)
	form.New, form.Action, form.CancelURL = mr == nil, list, list
	if form.New && form.Title == "" && form.Errors == nil && form.Source != "" {
		if err := p.suggestTitle(c, &form); err != nil {
			return err
		}
	}
	p.listBranches(c, &form)
	page, err := p.page(c, title, views.SectionMergeRequests)
	if err != nil {
		return err
	}
	addBreadcrumbs(&page, translate(c, text.KeyMergeRequests), list)
	if mr == nil {
		addBreadcrumbs(&page, title, list+"/new")
		if err := p.previewChecks(c, &form); err != nil {
			return err
		}
	} else {
		page.Title = translate(c, text.KeyMREditMergeRequest)
		path := mergeRequestURL(c, mr.IID)
		form.Retargets = mr.State != models.StateMerged
		form.Action, form.CancelURL = path, path
		addBreadcrumbs(&page, fmt.Sprintf("!%d", mr.IID), path, page.Title, path+"/edit")
	}
	page.Narrow = true
	return render(c, status, views.MergeRequestFormPage(page, form))
}

// previewChecks adds the services that apply to the target branch, if the user may see status
// checks.
func (p *pages) previewChecks(c echo.Context, form *views.MergeRequestForm) error {
	if !request.Can(c, auth.ReadStatusChecks) {
		return nil
	}
	project := request.Project(c)
	services, _, err := p.Store.ExternalStatusChecks(c.Request().Context(), project.ID, models.Page{})
	if err != nil {
		return err
	}
	form.PreviewURL, form.ChecksMustPass = newMergeRequestURL(c), project.OnlyAllowMergeIfAllStatusChecksPassed
	for _, service := range services {
		if form.Target != "" && service.AppliesTo(form.Target) {
			form.Checks = append(form.Checks, service.Name)
		}
	}
	return nil
}
