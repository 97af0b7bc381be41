package handlers

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/gitrepo"
	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
)

// The lengths of the overview's lists.
const (
	overviewMergeRequests = 5
	overviewBranches      = 10
	overviewMembers       = 6
)

// readmeNames are the file names of a README, in order of preference.
var readmeNames = []string{"README.md", "readme.md", "README.markdown", "README", "README.txt"}

// overview shows a project's first page. Guests see only its head.
func (p *pages) overview(c echo.Context) error {
	project := request.Project(c)
	path := projectURL(c)
	v := views.Overview{
		Name: project.Name, Description: project.Description, DefaultBranch: project.DefaultBranch, Path: path,
		Visibility: views.Visibility{Value: project.Visibility.String()}, CloneURL: p.BaseURL + path + ".git",
		CanSeeCode: request.Can(c, auth.ReadCode), CanPush: request.Can(c, auth.PushCode), StatusChecks: -1,
		RequireChecks: project.OnlyAllowMergeIfAllStatusChecksPassed,
	}
	if v.CanSeeCode {
		if err := p.addMergeRequests(c, &v); err != nil {
			return err
		}
		p.addRepository(c, &v)
	}
	if request.Can(c, auth.ManageMembers) {
		if err := p.addMembers(c, &v); err != nil {
			return err
		}
	}
	page, err := p.page(c, project.Name, views.SectionOverview)
	if err != nil {
		return err
	}
	return render(c, http.StatusOK, views.OverviewPage(page, v))
}

// addMembers adds the first members, if the user may manage members.
func (p *pages) addMembers(c echo.Context, v *views.Overview) error {
	ctx, project := c.Request().Context(), request.Project(c)
	members, _, err := p.Store.Members(ctx, project.ID, "", models.RoleNone, models.Page{Number: 1, Size: overviewMembers})
	if err != nil {
		return err
	}
	counts, err := p.Store.CountMembers(ctx, project.ID)
	if err != nil {
		return err
	}
	v.Members = &views.OverviewMembers{URL: membersURL(c)}
	for _, member := range members {
		v.Members.People = append(v.Members.People, presentPerson(c, &member.User))
	}
	for i, role := range models.Roles {
		v.Members.ByRole[i] = counts[role]
	}
	return nil
}

// addMergeRequests adds the newest open merge requests and, if the user may see it, the number
// of services.
func (p *pages) addMergeRequests(c echo.Context, v *views.Overview) error {
	ctx, project := c.Request().Context(), request.Project(c)
	open, total, err := p.Store.MergeRequests(ctx,
		models.MergeRequestFilter{ProjectIDs: []int64{project.ID}, State: models.StateOpened}, models.Page{Number: 1, Size: overviewMergeRequests})
	if err != nil {
		return err
	}
	ids := make([]int64, 0, len(open))
	for _, mr := range open {
		ids = append(ids, mr.ID)
	}
	checks, err := p.Store.Checks(ctx, ids...)
	if err != nil {
		return err
	}
	v.Recent.Brief = true
	v.Recent.Now, v.OpenRequests = p.Store.Now(), int(total)
	for _, mr := range open {
		v.Recent.Rows = append(v.Recent.Rows, presentRow(c, request.Access(c), mr, checks[mr.ID], v.Recent.Now))
	}
	if request.Can(c, auth.ReadStatusChecks) {
		_, services, err := p.Store.ExternalStatusChecks(ctx, project.ID, models.Page{Number: 1, Size: 1})
		if err != nil {
			return err
		}
		if services > 0 {
			v.StatusChecks = int(services)
		}
	}
	if request.Can(c, auth.ManageStatusChecks) {
		v.SettingsURL, v.NewServiceURL = mergeRequestSettingsURL(c), newServiceURL(c)
	}
	return nil
}

// addRepository adds branches and README. If the repository cannot be read, the page says so.
func (p *pages) addRepository(c echo.Context, v *views.Overview) {
	ctx, project := c.Request().Context(), request.Project(c)
	list, err := p.branchList(c, "", 0, overviewBranches)
	if err != nil {
		v.Damaged = true
		p.Log.ErrorContext(c.Request().Context(), "reading repository failed", "project_id", project.ID, "error", err)
		return
	}
	v.Branches, v.Empty = list, list.Total == 0
	if list.Total > 1 && request.Can(c, auth.CreateMergeRequest) {
		v.NewMergeRequestURL = newMergeRequestURL(c)
	}
	readme, err := p.readme(ctx, project)
	if err != nil {
		p.Log.ErrorContext(c.Request().Context(), "reading README failed", "project_id", project.ID, "error", err)
	}
	v.Readme = readme
}

// readme returns the README of the default branch, empty if there is none.
func (p *pages) readme(ctx context.Context, project models.Project) (views.Prose, error) {
	git := p.Git.Reader(project.ID)
	tip, exists, err := git.BranchTip(ctx, project.DefaultBranch)
	if err != nil || !exists {
		return views.Prose{}, err
	}
	for _, name := range readmeNames {
		content, _, err := git.Blob(ctx, tip, name, maxMarkdown+1)
		if errors.Is(err, gitrepo.ErrNotFound) {
			continue
		}
		if err != nil {
			return views.Prose{}, err
		}
		return p.markdown.render(ctx, strings.ToValidUTF8(string(content), "\uFFFD"))
	}
	return views.Prose{}, nil
}

// branches lists a project's branches.
func (p *pages) branches(c echo.Context) error {
	number := pageNumber(c)
	list, err := p.branchList(c, searchParam(c, "search"), (number-1)*pageSize, pageSize)
	if err != nil {
		return err
	}
	list.Pages = pageLinks(c, number, len(list.Rows), int64(list.Total))
	page, err := p.page(c, translate(c, text.KeyBranches), views.SectionBranches)
	if err != nil {
		return err
	}
	addBreadcrumbs(&page, translate(c, text.KeyBranches), list.AllURL)
	return render(c, http.StatusOK, views.BranchesPage(page, list))
}

// branchList returns a part of a project's branches, compared with the default branch.
func (p *pages) branchList(c echo.Context, search string, offset, limit int) (views.ProjectBranches, error) {
	ctx, project := c.Request().Context(), request.Project(c)
	list := views.ProjectBranches{Search: search, AllURL: branchesURL(c), Now: p.Store.Now()}
	if request.Can(c, auth.ManageProtectedBranches) {
		list.RulesURL = branchRulesURL(c)
	}
	git := p.Git.Reader(project.ID)
	branches, total, err := git.Branches(ctx, search, offset, limit, project.DefaultBranch)
	if err != nil {
		return list, err
	}
	list.Total = total
	rules, _, err := p.Store.ProtectedBranches(ctx, project.ID, "", models.Page{})
	if err != nil {
		return list, err
	}
	main, _, err := git.BranchTip(ctx, project.DefaultBranch)
	if err != nil {
		return list, err
	}
	names, tips := make([]string, 0, len(branches)), make([]string, 0, len(branches))
	for _, branch := range branches {
		names, tips = append(names, branch.Name), append(tips, branch.Commit.SHA)
	}
	open, err := p.Store.OpenMergeRequestsFrom(ctx, project.ID, names...)
	if err != nil {
		return list, err
	}
	distances := map[string]gitrepo.Divergence{}
	if main != "" {
		if distances, err = git.Divergences(ctx, main, tips...); err != nil {
			return list, err
		}
	}
	for _, branch := range branches {
		distance := distances[branch.Commit.SHA]
		row := views.ProjectBranch{
			Name: branch.Name, SHA: shortSHA(branch.Commit.SHA), CommitURL: commitURL(c, branch.Commit.SHA),
			Title: branch.Commit.Title, CommittedAt: branch.Commit.CommittedAt,
			Default: branch.Name == project.DefaultBranch, Protected: isProtected(rules, branch.Name),
			Ahead: distance.Ahead, Behind: distance.Behind,
		}
		switch iid, isOpen := open[branch.Name]; {
		case isOpen:
			row.OpenIID, row.OpenURL = iid, mergeRequestURL(c, iid)
		case !row.Default && row.Ahead > 0 && request.Can(c, auth.CreateMergeRequest):
			row.NewURL = newMergeRequestURL(c) + "?" + url.Values{"source_branch": {branch.Name}}.Encode()
		}
		list.Rows = append(list.Rows, row)
	}
	return list, nil
}

func isProtected(rules []models.ProtectedBranch, branch string) bool {
	for _, rule := range rules {
		if rule.Matches(branch) {
			return true
		}
	}
	return false
}
