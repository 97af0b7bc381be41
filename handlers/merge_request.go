package handlers

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"unicode"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
)

// mergeRequestInPath returns the merge request that the path names.
func (p *pages) mergeRequestInPath(c echo.Context) (models.MergeRequest, error) {
	iid, err := idParam(c, "iid")
	if err != nil {
		return models.MergeRequest{}, err
	}
	return p.Store.MergeRequest(c.Request().Context(), request.Project(c).ID, iid)
}

// listMergeRequests lists a project's merge requests by state.
func (p *pages) listMergeRequests(c echo.Context) error {
	ctx, project := c.Request().Context(), request.Project(c)
	state, filter := listFilter(c)
	counts, err := p.Store.CountMergeRequests(ctx, project.ID)
	if err != nil {
		return err
	}
	number := pageNumber(c)
	list, total, err := p.Store.MergeRequests(ctx, filter, models.Page{Number: number, Size: pageSize})
	if err != nil {
		return err
	}
	var checks map[int64][]models.MergeRequestCheck
	if request.Can(c, auth.ReadStatusChecks) {
		ids := make([]int64, len(list))
		for i, mr := range list {
			ids[i] = mr.ID
		}
		if checks, err = p.Store.Checks(ctx, ids...); err != nil {
			return err
		}
	}
	page, err := p.page(c, translate(c, text.KeyMergeRequests), views.SectionMergeRequests)
	if err != nil {
		return err
	}
	addBreadcrumbs(&page, translate(c, text.KeyMergeRequests), mergeRequestsURL(c))
	v := views.MergeRequestList{
		Tabs: listTabs(c, counts, state), State: state, Search: searchParam(c, "search"), URL: mergeRequestsURL(c),
		Pages: pageLinks(c, number, len(list), total), Now: p.Store.Now(),
	}
	if request.Can(c, auth.CreateMergeRequest) {
		v.NewURL = newMergeRequestURL(c)
	}
	for _, mr := range list {
		v.Rows = append(v.Rows, presentRow(c, mr, checks[mr.ID], v.Now))
	}
	return render(c, http.StatusOK, views.MergeRequests(page, v))
}

// allStates is the value of the query's state for all merge requests.
const allStates = "all"

// listFilter reads the filter from the query. A search for "!12" selects by number.
func listFilter(c echo.Context) (state string, filter models.MergeRequestFilter) {
	filter.ProjectIDs = []int64{request.Project(c).ID}
	switch state = c.QueryParam("state"); models.MergeRequestState(state) {
	case models.StateMerged, models.StateClosed:
		filter.State = models.MergeRequestState(state)
	case allStates:
	default:
		state, filter.State = string(models.StateOpened), models.StateOpened
	}
	search := searchParam(c, "search")
	if number, found := strings.CutPrefix(search, "!"); found {
		if iid, err := strconv.ParseInt(number, 10, 64); err == nil {
			filter.IIDs = []int64{iid}
			return state, filter
		}
	}
	filter.Search = search
	return state, filter
}

func listTabs(c echo.Context, counts map[models.MergeRequestState]int64, state string) []views.ListTab {
	tab := func(key text.Key, name string, count int64) views.ListTab {
		return views.ListTab{Text: key, URL: mergeRequestsURL(c) + "?state=" + name, Count: int(count), Current: name == state}
	}
	opened, merged, closed := counts[models.StateOpened], counts[models.StateMerged], counts[models.StateClosed]
	return []views.ListTab{
		tab(text.KeyMRTabOpen, string(models.StateOpened), opened),
		tab(text.KeyMRTabMerged, string(models.StateMerged), merged),
		tab(text.KeyMRTabClosed, string(models.StateClosed), closed),
		tab(text.KeyMRTabAll, allStates, opened+merged+closed),
	}
}

// showMergeRequest shows the Overview tab.
func (p *pages) showMergeRequest(c echo.Context) error {
	mr, err := p.mergeRequestInPath(c)
	if err != nil {
		return err
	}
	return p.renderMergeRequest(c, http.StatusOK, mr, "")
}

// renderMergeRequest renders the Overview tab. refused explains why an action was refused, ""
// for none.
func (p *pages) renderMergeRequest(c echo.Context, status int, mr models.MergeRequest, refused string) error {
	facts, err := p.gatherFacts(c, mr)
	if err != nil {
		return err
	}
	p.addCounts(c, &facts)
	page, err := p.mergeRequestPage(c, mr)
	if err != nil {
		return err
	}
	description, err := p.markdown.render(c.Request().Context(), mr.Description)
	if err != nil {
		return err
	}
	widget := p.freshWidget(c, facts)
	page.Tab = widget.Tab()
	return render(c, status, views.MergeRequestOverview(page, views.MergeRequestPage{
		Head:        p.presentHead(c, mr, views.TabOverview, facts.with),
		Description: description,
		Box:         presentBox(c, facts, widget),
		Refused:     refused,
	}))
}

// isolate wraps a text in Unicode isolates, so that right-to-left text does not change the
// direction of its surroundings. It is for places without markup, such as a title.
func isolate(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return unicode.Is(unicode.Hebrew, r) || unicode.Is(unicode.Arabic, r) }) {
		return s
	}
	return "\u2068" + s + "\u2069"
}

// mergeRequestTitle returns the title of a merge request's pages.
func mergeRequestTitle(c echo.Context, mr models.MergeRequest) string {
	return translate(c, text.KeyMRPageTitle, "Title", isolate(mr.Title), "IID", mr.IID)
}

// mergeRequestPage returns the frame of a merge request's pages.
func (p *pages) mergeRequestPage(c echo.Context, mr models.MergeRequest) (views.Page, error) {
	page, err := p.page(c, mergeRequestTitle(c, mr), views.SectionMergeRequests)
	if err != nil {
		return page, err
	}
	addBreadcrumbs(&page, translate(c, text.KeyMergeRequests), mergeRequestsURL(c), fmt.Sprintf("!%d", mr.IID), mergeRequestURL(c, mr.IID))
	return page, nil
}
