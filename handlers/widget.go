package handlers

import (
	"cmp"
	"hash/fnv"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views"
)

// pollStatusChecks answers the widget's question for news. The query carries
// what the reader's page shows: rev, a digest of it, and rows, the order of its
// rows with their states. Nothing new is 204; the answer to news is the body
// and the parts of the page that follow from it.
func (p *pages) pollStatusChecks(c echo.Context) error {
	iid, err := idParam(c, "iid")
	if err != nil {
		return err
	}
	mr, checks, err := p.Store.WidgetChecks(c.Request().Context(), request.Project(c).ID, iid)
	if err != nil {
		return err
	}
	query := c.QueryParams()
	shown := parseShownRows(query.Get("rows"))
	widget := presentWidget(c, mr, checks, shown, p.Store.Now())
	if query.Get("rev") == widget.Rev {
		return c.NoContent(http.StatusNoContent)
	}
	return p.renderWidget(c, shown)
}

// renderWidget answers with the widget's body and what follows from it, for a
// page that shows certain rows.
func (p *pages) renderWidget(c echo.Context, shown []shownRow) error {
	mr, err := p.loadMergeRequest(c)
	if err != nil {
		return err
	}
	// Read after the merge request, so that the box and the body agree.
	_, checks, err := p.Store.WidgetChecks(c.Request().Context(), mr.ProjectID, mr.IID)
	if err != nil {
		return err
	}
	widget := presentWidget(c, mr, checks, shown, p.Store.Now())
	facts, err := p.factsOf(c, mr, checks, widget.Now)
	if err != nil {
		return err
	}
	return render(c, http.StatusOK, views.StatusChecksUpdate(widget, presentBox(c, facts, widget)))
}

// retryStatusCheck sets a failed check back to pending and sends it again.
// htmx gets the widget's body in return, polling again; others get the page.
func (p *pages) retryStatusCheck(c echo.Context) error {
	serviceID, err := idParam(c, "id")
	if err != nil {
		return err
	}
	ctx, projectID := c.Request().Context(), request.Project(c).ID
	if !isHTMX(c) {
		return p.act(c, views.KeyMRToastRetried, func(iid int64) error {
			_, err := p.Store.RetryCheck(ctx, request.MustUser(c), projectID, iid, serviceID)
			return err
		})
	}
	iid, err := idParam(c, "iid")
	if err != nil {
		return err
	}
	_, err = p.Store.RetryCheck(ctx, request.MustUser(c), projectID, iid, serviceID)
	switch models.CodeOf(err) {
	case models.CodeNotFailed, models.CodeNotOpen:
		// The page was behind: what it gets shows how things stand.
		triggerToast(c, text(c, refusals[models.CodeOf(err)]), false)
	default:
		if err != nil {
			return err
		}
	}
	return p.renderWidget(c, parseShownRows(c.FormValue("rows")))
}

// shownRow is a row as the reader's page shows it.
type shownRow struct {
	id    int64
	state views.CheckState
}

// stateLetters are the states in the rows parameter.
var stateLetters = map[string]views.CheckState{"p": views.CheckPending, "s": views.CheckPassed, "f": views.CheckFailed}

// maxShownRows bounds what a request may make us read.
const maxShownRows = 10000

// parseShownRows reads the rows parameter: ids with a letter for the state,
// such as 34f.31p, in the order of the page. What cannot be read is left out.
func parseShownRows(rows string) []shownRow {
	var shown []shownRow
	for part := range strings.SplitSeq(rows, ".") {
		if len(part) < 2 || len(shown) == maxShownRows {
			continue
		}
		id, err := strconv.ParseInt(part[:len(part)-1], 10, 64)
		state, known := stateLetters[part[len(part)-1:]]
		if err == nil && known {
			shown = append(shown, shownRow{id: id, state: state})
		}
	}
	return shown
}

// writeShownRows is the rows parameter for the page that is being drawn.
func writeShownRows(rows []views.CheckRow) string {
	letters := map[views.CheckState]byte{views.CheckPending: 'p', views.CheckPassed: 's', views.CheckFailed: 'f'}
	out := make([]byte, 0, 8*len(rows))
	for i, row := range rows {
		if i > 0 {
			out = append(out, '.')
		}
		out = append(strconv.AppendInt(out, row.ID, 10), letters[row.State])
	}
	return string(out)
}

// presentWidget is the widget at an instant. Rows keep the places that the
// reader's page gave them; on a page that is drawn anew failed ones come first,
// then pending, then passed, each by name.
func presentWidget(c echo.Context, mr models.MergeRequest, checks []models.MergeRequestCheck, shown []shownRow, now time.Time) views.StatusChecks {
	widget := views.StatusChecks{Now: now, SHA: shortSHA(mr.HeadSHA), Final: mr.State != models.StateOpened}
	manages := request.Can(c, auth.ManageStatusChecks)
	switch {
	case !request.Can(c, auth.ReadStatusChecks):
		widget.Kind = views.WidgetForbidden
		return widget
	case len(checks) == 0 && len(shown) == 0 && !manages:
		widget.Kind = views.WidgetHidden
		return widget
	case len(checks) == 0 && len(shown) == 0:
		widget.Kind = views.WidgetNone
		widget.AddURL = "/" + request.Project(c).FullPath() + "/-/settings/merge_requests/status_checks/new"
		return widget
	}
	widget.Kind = views.WidgetRows
	retries := request.Can(c, auth.RetryStatusCheck)
	pending := false
	for _, check := range checks {
		row := presentCheck(check, mr.State, now)
		row.Retryable = retries && check.CanRetry(mr.State, now)
		row.Linked = manages
		pending = pending || row.State == views.CheckPending
		widget.Rows = append(widget.Rows, row)
	}
	orderRows(widget.Rows, shown)
	widget.Rev = revision(mr, widget.Rows)
	widget.URL = mergeRequestPath(c, mr.IID) + "/status_checks"
	widget.Shown = writeShownRows(widget.Rows)
	widget.ServicesURL = "/" + request.Project(c).FullPath() + "/-/settings/merge_requests/status_checks"
	widget.Polls = pending && mr.State == models.StateOpened
	widget.Changes = changedRows(widget.Rows, shown)
	return widget
}

// orderRows puts the rows where the page has them; those it has not come last.
func orderRows(rows []views.CheckRow, shown []shownRow) {
	places := make(map[int64]int, len(shown))
	for i, row := range shown {
		places[row.id] = i
	}
	rank := map[views.CheckState]int{views.CheckFailed: 0, views.CheckPending: 1, views.CheckPassed: 2}
	slices.SortStableFunc(rows, func(a, b views.CheckRow) int {
		placeA, shownA := places[a.ID]
		placeB, shownB := places[b.ID]
		switch {
		case shownA && shownB:
			return cmp.Compare(placeA, placeB)
		case shownA:
			return -1
		case shownB:
			return 1
		}
		return cmp.Or(cmp.Compare(rank[a.State], rank[b.State]), strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)))
	})
}

// changedRows are the checks whose state is not the one that the page shows.
func changedRows(rows []views.CheckRow, shown []shownRow) []views.CheckChange {
	before := make(map[int64]views.CheckState, len(shown))
	for _, row := range shown {
		before[row.id] = row.state
	}
	var changes []views.CheckChange
	for _, row := range rows {
		if state, known := before[row.ID]; known && state != row.State {
			changes = append(changes, views.CheckChange{Name: row.Name, State: row.State})
		}
	}
	return changes
}

// revision is a digest of what the widget's body shows, apart from ticking
// times and from the order of its rows.
func revision(mr models.MergeRequest, rows []views.CheckRow) string {
	ordered := slices.Clone(rows)
	slices.SortFunc(ordered, func(a, b views.CheckRow) int { return cmp.Compare(a.ID, b.ID) })
	buffer := make([]byte, 0, 256*len(rows)+64)
	number := func(n int64) { buffer = append(strconv.AppendInt(buffer, n, 36), 0) }
	word := func(s string) { buffer = append(append(buffer, s...), 0) }
	instant := func(t time.Time) { number(t.UnixMicro()) }
	flag := func(b bool) {
		if b {
			buffer = append(buffer, 1)
		} else {
			buffer = append(buffer, 2)
		}
	}
	word(string(mr.State))
	word(mr.HeadSHA)
	for _, row := range ordered {
		number(row.ID)
		word(row.Name)
		word(string(row.State))
		word(row.SHA)
		word(row.Description)
		word(row.TargetURL)
		flag(row.TimedOut)
		flag(row.Retryable)
		flag(row.Retried)
		instant(row.Since)
		instant(row.Deadline)
		number(int64(row.Delivery.State))
		number(int64(row.Delivery.HTTPStatus))
		number(int64(row.Delivery.Attempt))
		word(string(row.Delivery.Failure))
		instant(row.Delivery.At)
		instant(row.Delivery.NextAt)
	}
	digest := fnv.New64a()
	digest.Write(buffer)
	return strconv.FormatUint(digest.Sum64(), 36)
}

// shortSHA is how pages write a commit's id.
func shortSHA(sha string) string { return sha[:min(len(sha), 8)] }
