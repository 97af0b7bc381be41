package handlers

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views"
)

// maxPickerBranches is the number of branches that a picker lists at once.
const maxPickerBranches = 50

// searchBranches renders the list of a branch picker for a search. The selected branch stays
// in it.
func (p *pages) searchBranches(c echo.Context) error {
	field := "source_branch"
	if c.QueryParam("field") == "target_branch" {
		field = "target_branch"
	}
	list, err := p.branchChoices(c, searchParam(c, "search"))
	if err != nil {
		return err
	}
	return render(c, http.StatusOK, views.BranchChoicesView(choicesForField(c, list, field, searchParam(c, field))))
}

// branchChoices lists the branches that match search: the default branch first, then by latest
// commit.
func (p *pages) branchChoices(c echo.Context, search string) (views.BranchChoices, error) {
	project := request.Project(c)
	list := views.BranchChoices{Search: search, Default: project.DefaultBranch}
	var err error
	list.Names, list.Total, err = p.Git.Reader(project.ID).RecentBranches(c.Request().Context(), search, project.DefaultBranch, maxPickerBranches)
	return list, err
}

// choicesForField returns the list for a field of the form. chosen stays selected,
// unless it is not text.
func choicesForField(c echo.Context, list views.BranchChoices, field, chosen string) views.BranchChoices {
	list.Field = field
	if request.IsText(chosen) {
		list.Value = chosen
	}
	list.URL = newMergeRequestURL(c) + "/branches?field=" + field
	return list
}

// listBranches fills the form's branch pickers. If git fails, the form says so.
func (p *pages) listBranches(c echo.Context, form *views.MergeRequestForm) {
	list, err := p.branchChoices(c, "")
	if err != nil {
		p.logFailure(c, "listing branches failed", err)
		list.Failed = true
	}
	form.SourceList = choicesForField(c, list, "source_branch", form.Source)
	form.TargetList = choicesForField(c, list, "target_branch", form.Target)
}

// suggestTitle sets the title and the draft mark from the newest commit of the
// source branch, if it exists.
func (p *pages) suggestTitle(c echo.Context, form *views.MergeRequestForm) error {
	ctx, git := c.Request().Context(), p.Git.Reader(request.Project(c).ID)
	tip, exists, err := git.BranchTip(ctx, form.Source)
	if err != nil || !exists {
		return err
	}
	commits, err := git.Log(ctx, "", tip, 0, 1)
	if err == nil && len(commits) == 1 {
		form.Title, form.Draft = models.Commit{Message: commits[0].Message}.SuggestedTitle()
	}
	return err
}

// sentBranch returns the submitted branch of a field. A typed name, which is only possible
// without script, takes precedence over the list.
func sentBranch(sent url.Values, field string) string {
	if typed := strings.TrimSpace(sent.Get(field + "_typed")); typed != "" {
		return typed
	}
	return sent.Get(field)
}
