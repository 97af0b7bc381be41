package handlers

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
)

// listMergeRequests lists a project's merge requests by state.
func (p *pages) listMergeRequests(c echo.Context) error {
	project := request.Project(c)
	sees := request.Can(c, auth.ReadStatusChecks)
	v := views.MergeRequestList{URL: mergeRequestsURL(c), FiltersChecks: sees}
	filter := readListFilter(c, &v)
	filter.ProjectIDs = []int64{project.ID}
	err := p.fillList(c, &v, filter, func(context.Context, []models.MergeRequest) (map[int64]models.Access, error) {
		return map[int64]models.Access{project.ID: request.Access(c)}, nil
	})
	if err != nil {
		return err
	}
	page, err := p.page(c, translate(c, text.KeyMergeRequests), views.SectionMergeRequests)
	if err != nil {
		return err
	}
	addBreadcrumbs(&page, translate(c, text.KeyMergeRequests), mergeRequestsURL(c))
	if request.Can(c, auth.CreateMergeRequest) {
		v.NewURL = newMergeRequestURL(c)
	}
	return render(c, http.StatusOK, views.MergeRequests(page, v))
}

// listOwnMergeRequests lists the merge requests that the user has opened in any project.
func (p *pages) listOwnMergeRequests(c echo.Context) error {
	user := request.User(c)
	v := views.MergeRequestList{URL: ownMergeRequestsPath, FiltersChecks: true, Own: true}
	filter := readListFilter(c, &v)
	filter = ownFilter(user, filter)
	err := p.fillList(c, &v, filter, func(ctx context.Context, list []models.MergeRequest) (map[int64]models.Access, error) {
		ids := make([]int64, 0, len(list))
		for _, mr := range list {
			ids = append(ids, mr.ProjectID)
		}
		found, _, err := p.Store.Projects(ctx, user, models.ProjectFilter{IDs: ids}, models.Page{})
		accesses := make(map[int64]models.Access, len(found))
		for _, access := range found {
			accesses[access.Project.ID] = access
		}
		return accesses, err
	})
	if err != nil {
		return err
	}
	page, err := p.page(c, translate(c, text.KeyMRMine), "")
	if err != nil {
		return err
	}
	addBreadcrumbs(&page, translate(c, text.KeyMRMine), ownMergeRequestsPath)
	return render(c, http.StatusOK, views.MergeRequests(page, v))
}

// ownFilter restricts a filter to the user's own merge requests, in projects that they can
// read.
func ownFilter(user *models.User, filter models.MergeRequestFilter) models.MergeRequestFilter {
	filter.AuthorID, filter.ReadableBy = user.ID, user
	if filter.Checks != "" {
		filter.ChecksVisibleTo = user
	}
	return filter
}

// addOwnMergeRequests adds the number of the user's open merge requests to the start page,
// and of those on which a status check failed.
func (p *pages) addOwnMergeRequests(c echo.Context, list *views.ProjectList) error {
	ctx, user := c.Request().Context(), request.User(c)
	open := models.MergeRequestFilter{State: models.StateOpened}
	all, err := p.Store.CountMergeRequests(ctx, ownFilter(user, open))
	if err != nil {
		return err
	}
	list.OwnRequests = int(all[models.StateOpened])
	if list.OwnRequests == 0 {
		return nil
	}
	open.Checks = models.StatusFailed
	failed, err := p.Store.CountMergeRequests(ctx, ownFilter(user, open))
	list.OwnFailed = int(failed[models.StateOpened])
	return err
}

// fillList adds rows, tabs and page links to a list. accessOf returns the user's access to
// the projects of the rows, by id.
func (p *pages) fillList(c echo.Context, v *views.MergeRequestList, filter models.MergeRequestFilter,
	accessOf func(context.Context, []models.MergeRequest) (map[int64]models.Access, error)) error {
	ctx, number := c.Request().Context(), pageNumber(c)
	list, counts, err := p.Store.MergeRequestsAndCounts(ctx, filter, models.Page{Number: number, Size: pageSize})
	if err != nil {
		return err
	}
	accesses, err := accessOf(ctx, list)
	if err != nil {
		return err
	}
	var ids []int64
	for _, mr := range list {
		if auth.Can(auth.SubjectOf(accesses[mr.ProjectID]), auth.ReadStatusChecks) {
			ids = append(ids, mr.ID)
		}
	}
	var checks map[int64][]models.MergeRequestCheck
	if len(ids) > 0 {
		if checks, err = p.Store.Checks(ctx, ids...); err != nil {
			return err
		}
	}
	v.Now = p.Store.Now()
	for _, mr := range list {
		row := presentRow(c, accesses[mr.ProjectID], mr, checks[mr.ID], v.Now)
		if v.Own {
			row.Project = accesses[mr.ProjectID].Project.FullPath()
		}
		v.Rows = append(v.Rows, row)
	}
	v.Tabs = listTabs(c, v.URL, counts, v.State)
	for _, tab := range v.Tabs {
		if tab.Current {
			v.Pages = pageLinks(c, number, len(list), int64(tab.Count))
		}
	}
	return nil
}

// allStates is the value of the query's state for all merge requests.
const allStates = "all"

// readListFilter reads the filter from the query, with GitLab's names of parameters, and
// shows it in the form of v. Unknown values select all. A search for "!12" selects by number.
func readListFilter(c echo.Context, v *views.MergeRequestList) (filter models.MergeRequestFilter) {
	switch v.State = c.QueryParam("state"); models.MergeRequestState(v.State) {
	case models.StateMerged, models.StateClosed:
		filter.State = models.MergeRequestState(v.State)
	default:
		if v.State != allStates {
			v.State, filter.State = string(models.StateOpened), models.StateOpened
		}
	}
	v.Search = searchParam(c, "search")
	if iid, err := strconv.ParseInt(strings.TrimPrefix(v.Search, "!"), 10, 64); err == nil && strings.HasPrefix(v.Search, "!") {
		filter.IIDs = []int64{iid}
	} else {
		filter.Search = v.Search
	}
	if v.FiltersChecks {
		if status, known := models.ParseStatus(c.QueryParam("checks")); known {
			v.Checks, filter.Checks = string(status), status
		}
	}
	if !v.Own {
		v.Author = searchParam(c, "author_username")
		filter.AuthorUsername = v.Author
	}
	v.Target = searchParam(c, "target_branch")
	filter.TargetBranch = v.Target
	draft := c.QueryParam("draft")
	if draft == "" {
		draft = c.QueryParam("wip")
	}
	switch draft {
	case "yes", "true":
		yes := true
		v.Draft, filter.Draft = "yes", &yes
	case "no", "false":
		no := false
		v.Draft, filter.Draft = "no", &no
	}
	v.Sort, filter.OrderBy, filter.Ascending = mergeRequestOrder(c.QueryParam("sort"))
	return filter
}

// mergeRequestOrder maps the query's sort, GitLab's words, to the order of the list.
func mergeRequestOrder(sort string) (chosen, by string, ascending bool) {
	switch sort {
	case "created_asc":
		return sort, "created_at", true
	case "updated_desc":
		return sort, "updated_at", false
	case "updated_asc":
		return sort, "updated_at", true
	case "title_asc":
		return sort, "title", true
	case "title_desc":
		return sort, "title", false
	}
	return views.SortCreated, "created_at", false
}

// listTabs returns the tabs by state, which keep the filter.
func listTabs(c echo.Context, address string, counts map[models.MergeRequestState]int64, state string) []views.ListTab {
	kept := url.Values{}
	for _, name := range []string{"search", "checks", "author_username", "target_branch", "draft", "wip", "sort"} {
		if value := searchParam(c, name); value != "" {
			kept.Set(name, value)
		}
	}
	tab := func(key text.Key, name string, count int64) views.ListTab {
		kept.Set("state", name)
		return views.ListTab{Text: key, URL: address + "?" + kept.Encode(), Count: int(count), Current: name == state}
	}
	opened, merged, closed := counts[models.StateOpened], counts[models.StateMerged], counts[models.StateClosed]
	return []views.ListTab{
		tab(text.KeyMRTabOpen, string(models.StateOpened), opened),
		tab(text.KeyMRTabMerged, string(models.StateMerged), merged),
		tab(text.KeyMRTabClosed, string(models.StateClosed), closed),
		tab(text.KeyMRTabAll, allStates, min(opened+merged+closed, models.MaxListed+1)),
	}
}
