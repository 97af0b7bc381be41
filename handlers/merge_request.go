package handlers

import (
	"fmt"
	"net/http"
	"strings"
	"unicode"

	"github.com/labstack/echo/v4"

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
