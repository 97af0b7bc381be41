package handlers

import (
	"context"
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
)

// pollStatusChecks answers a poll of the widget. The query describes what the page shows: rev,
// a digest, and the fields of shownPage. The response is 204 if nothing changed, otherwise the
// widget's body and the parts of the page that depend on it.
func (p *pages) pollStatusChecks(c echo.Context) error {
	iid, err := idParam(c, "iid")
	if err != nil {
		return err
	}
	if !isHTMX(c) {
		return c.Redirect(http.StatusSeeOther, mergeRequestURL(c, iid)) // a fragment is no page
	}
	facts, err := p.widgetFacts(c, iid)
	if err != nil {
		return err
	}
	v := viewerOf(request.Access(c))
	if c.QueryParam("rev") == revision(v, facts, presentRows(v, facts)) {
		return c.NoContent(http.StatusNoContent)
	}
	return p.renderWidget(c, parseShownPage(c.QueryParams()))
}

// widgetFacts reads what the widget shows, and what decides whether the merge box changed.
func (p *pages) widgetFacts(c echo.Context, iid int64) (facts mergeFacts, err error) {
	ctx, projectID := c.Request().Context(), request.Project(c).ID
	facts.now = p.Store.Now()
	if facts.mr, facts.checks, err = p.Store.MergeRequestChecks(ctx, projectID, iid); err != nil {
		return facts, err
	}
	return facts, p.addWidgetFacts(ctx, &facts)
}

// addWidgetFacts adds the responses after a merge, or the stamp of the target branch.
func (p *pages) addWidgetFacts(ctx context.Context, facts *mergeFacts) (err error) {
	switch facts.mr.State {
	case models.StateOpened:
		facts.targetStamp = p.Git.Reader(facts.mr.ProjectID).BranchStamp(facts.mr.TargetBranch)
	case models.StateMerged:
		facts.late, err = p.Store.LateResponses(ctx, facts.mr.ID)
	}
	return err
}

// renderWidget renders the widget's body, and what depends on it, for the given page.
func (p *pages) renderWidget(c echo.Context, page shownPage) error {
	mr, err := p.mergeRequestInPath(c)
	if err != nil {
		return err
	}
	// Read after the merge request, so that the box and the body agree.
	facts, err := p.widgetFacts(c, mr.IID)
	if err != nil {
		return err
	}
	facts.mr = mr
	widget := p.presentWidget(c, facts, page)
	if err := p.addReasons(c, &facts); err != nil {
		return err
	}
	if facts.approvals, err = p.Store.Approvals(c.Request().Context(), mr.ID); err != nil {
		return err
	}
	p.addCounts(c, &facts)
	tab := views.Page{Title: mergeRequestTitle(c, mr), Project: &views.ProjectNav{Name: request.Project(c).Name}, Tab: widget.Tab()}
	head := p.presentHead(c, mr, views.TabOverview, facts.with)
	return render(c, http.StatusOK, views.StatusChecksUpdate(tab, widget, presentBox(c, facts, widget), head))
}

// retryStatusCheck sets a failed check back to pending and sends it again.
func (p *pages) retryStatusCheck(c echo.Context) error {
	serviceID, err := idParam(c, "id")
	if err != nil {
		return err
	}
	return p.retry(c, text.KeyMRToastRetried, func(iid int64) error {
		_, err := p.Store.RetryCheck(c.Request().Context(), request.MustUser(c), request.Project(c).ID, iid, serviceID)
		return err
	})
}

// retryFailedChecks sets all failed checks back to pending and sends them again.
func (p *pages) retryFailedChecks(c echo.Context) error {
	return p.retry(c, text.KeyMRToastRetriedAll, func(iid int64) error {
		_, err := p.Store.RetryFailedChecks(c.Request().Context(), request.MustUser(c), request.Project(c).ID, iid)
		return err
	})
}

// retry calls do for the merge request of the path. htmx gets the widget's body, which polls
// again; other clients are redirected to the page, with the toast done.
func (p *pages) retry(c echo.Context, done text.Key, do func(iid int64) error) error {
	if !isHTMX(c) {
		return p.changeMergeRequest(c, done, do)
	}
	iid, err := idParam(c, "iid")
	if err != nil {
		return err
	}
	err = do(iid)
	switch models.CodeOf(err) {
	case models.CodeNotFailed, models.CodeNotOpen:
		// The page was outdated. The response shows the current state.
		triggerToast(c, translate(c, refusals[models.CodeOf(err)]), false)
	default:
		if err != nil {
			return err
		}
	}
	form, err := c.FormParams()
	if err != nil {
		return err
	}
	return p.renderWidget(c, parseShownPage(form))
}

// presentWidget returns the widget. Rows keep their places on the user's page. On a new page,
// failed ones come first, then pending, then passed, each sorted by name.
func (p *pages) presentWidget(c echo.Context, f mergeFacts, page shownPage) views.StatusChecks {
	mr := f.mr
	widget := views.StatusChecks{
		Now: f.now, SHA: shortSHA(mr.HeadSHA), Final: mr.State != models.StateOpened, Merged: mr.State == models.StateMerged,
	}
	manages := request.Can(c, auth.ManageStatusChecks)
	switch {
	case !request.Can(c, auth.ReadStatusChecks):
		widget.Kind = views.WidgetForbidden
		if request.User(c) == nil {
			widget.SignInURL = signInURL(c)
		}
		return widget
	case len(f.checks) == 0 && len(page.rows) == 0 && !manages:
		widget.Kind = views.WidgetHidden
		return widget
	case len(f.checks) == 0 && len(page.rows) == 0:
		widget.Kind = views.WidgetNone
		widget.AddURL = newServiceURL(c)
		return widget
	}
	widget.Kind = views.WidgetRows
	v := viewerOf(request.Access(c))
	widget.Rows = presentRows(v, f)
	pending := slices.ContainsFunc(widget.Rows, func(row views.CheckRow) bool { return row.State == views.CheckPending })
	orderRows(widget.Rows, page.rows)
	foldRows(&widget, page.rows)
	widget.Rev = revision(v, f, widget.Rows)
	widget.URL = mergeRequestURL(c, mr.IID) + "/status_checks"
	widget.Shown = writeShownRows(widget.Rows)
	widget.ServicesURL = servicesURL(c)
	widget.Retries = request.Can(c, auth.RetryStatusCheck)
	if mr.State == models.StateOpened && request.Can(c, auth.SetStatus) {
		widget.AnswerURL, widget.HeadSHA = p.BaseURL+responsesPath(mr.ProjectID, mr.IID), mr.HeadSHA
	}
	widget.Polls = (pending || mr.HasAutoMerge()) && mr.State == models.StateOpened
	widget.Changes = changedRows(widget.Rows, page.rows)
	addShownPage(&widget, mr, page.ShownPage)
	return widget
}

// presentRows returns the checks that the user may see, in the order of the database.
func presentRows(v viewer, f mergeFacts) []views.CheckRow {
	rows := make([]views.CheckRow, 0, len(f.checks))
	for _, check := range f.checks {
		row := presentCheck(check, f.mr.State, f.now)
		row.Retryable = v.retries && check.CanRetry(f.mr.State, f.now)
		row.Linked = v.manages
		if answer, found := f.late[row.ID]; found {
			row.Late = &views.LateAnswer{
				State: views.CheckState(answer.Status), At: answer.CreatedAt, Description: answer.Description, TargetURL: answer.TargetURL,
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// shortSHA returns the first 8 digits of a commit's id.
func shortSHA(sha string) string { return sha[:min(len(sha), 8)] }
