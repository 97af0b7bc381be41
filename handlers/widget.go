package handlers

import (
	"cmp"
	"context"
	"hash/fnv"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

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
	facts, err := p.widgetFacts(c, iid)
	if err != nil {
		return err
	}
	// Most polls end here. They need only the digest.
	if c.QueryParam("rev") == revision(c, facts, presentRows(c, facts)) {
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
	widget := presentWidget(c, facts, page)
	if err := p.addReasons(c, &facts); err != nil {
		return err
	}
	if facts.approvals, err = p.Store.Approvals(c.Request().Context(), mr.ID); err != nil {
		return err
	}
	p.addCounts(c, &facts)
	head := p.presentHead(c, mr, views.TabOverview, facts.with)
	return render(c, http.StatusOK, views.StatusChecksUpdate(widget, presentBox(c, facts, widget), head))
}

// retryStatusCheck sets a failed check back to pending and sends it again. htmx gets the
// widget's body, which polls again; other clients get the page.
func (p *pages) retryStatusCheck(c echo.Context) error {
	serviceID, err := idParam(c, "id")
	if err != nil {
		return err
	}
	ctx, projectID := c.Request().Context(), request.Project(c).ID
	if !isHTMX(c) {
		return p.changeMergeRequest(c, text.KeyMRToastRetried, func(iid int64) error {
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

// shownPage is what the user's page shows. The zero value is for a page that is rendered for
// the first time.
type shownPage struct {
	views.ShownPage
	rows []shownRow
}

var objectID = regexp.MustCompile(`^[0-9a-f]{40}([0-9a-f]{24})?$`)

// parseShownPage reads the parameters state, head, announced and rows. Invalid values are
// ignored.
func parseShownPage(params url.Values) shownPage {
	page := shownPage{rows: parseShownRows(params.Get("rows"))}
	page.State = views.MergeRequestState(params.Get("state"))
	if head := params.Get("head"); objectID.MatchString(head) {
		page.Head = head
	}
	if announced := params.Get("announced"); objectID.MatchString(announced) {
		page.Announced = announced
	}
	return page
}

// shownRow is a row of the user's page.
type shownRow struct {
	id    int64
	state views.CheckState
}

// stateLetters are the states in the rows parameter.
var stateLetters = map[string]views.CheckState{"p": views.CheckPending, "s": views.CheckPassed, "f": views.CheckFailed}

// maxShownRows limits the rows parameter of a request.
const maxShownRows = 10000

// parseShownRows reads the rows parameter: ids with a letter for the state, such as 34f.31p,
// in the order of the page. Invalid values are ignored.
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

// writeShownRows returns the rows parameter for the rendered page.
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

// presentWidget returns the widget. Rows keep their places on the user's page. On a new page,
// failed ones come first, then pending, then passed, each sorted by name.
func presentWidget(c echo.Context, f mergeFacts, page shownPage) views.StatusChecks {
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
	widget.Rows = presentRows(c, f)
	pending := slices.ContainsFunc(widget.Rows, func(row views.CheckRow) bool { return row.State == views.CheckPending })
	orderRows(widget.Rows, page.rows)
	widget.Rev = revision(c, f, widget.Rows)
	widget.URL = mergeRequestURL(c, mr.IID) + "/status_checks"
	widget.Shown = writeShownRows(widget.Rows)
	widget.ServicesURL = servicesURL(c)
	widget.Polls = pending && mr.State == models.StateOpened
	widget.Changes = changedRows(widget.Rows, page.rows)
	addShownPage(&widget, mr, page.ShownPage)
	return widget
}

// presentRows returns the checks that the user may see, in the order of the database.
func presentRows(c echo.Context, f mergeFacts) []views.CheckRow {
	retries, manages := request.Can(c, auth.RetryStatusCheck), request.Can(c, auth.ManageStatusChecks)
	rows := make([]views.CheckRow, 0, len(f.checks))
	for _, check := range f.checks {
		row := presentCheck(check, f.mr.State, f.now)
		row.Retryable = retries && check.CanRetry(f.mr.State, f.now)
		row.Linked = manages
		if answer, found := f.late[row.ID]; found {
			row.Late = &views.LateAnswer{
				State: views.CheckState(answer.Status), At: answer.CreatedAt, Description: answer.Description, TargetURL: answer.TargetURL,
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// addShownPage sets the parameters of the next poll, and whether to announce that HEAD moved
// since the page was loaded. Each move is announced once.
func addShownPage(widget *views.StatusChecks, mr models.MergeRequest, page views.ShownPage) {
	widget.PageHasForm = page.State == views.MergeRequestOpen
	widget.Page = views.ShownPage{State: views.MergeRequestState(mr.State), Head: cmp.Or(page.Head, mr.HeadSHA)}
	switch {
	case mr.State != models.StateOpened, mr.HeadSHA == widget.Page.Head:
		widget.Reloaded = page.Announced != ""
	default:
		widget.Page.Announced = mr.HeadSHA
		widget.NewCommits = page.Announced != mr.HeadSHA
	}
}

// orderRows sorts the rows by their place on the page; new ones come last.
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
		return cmp.Or(cmp.Compare(rank[a.State], rank[b.State]), compareNames(a.Name, b.Name))
	})
}

// changedRows returns the checks whose state differs from the page.
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

// revision returns a digest of what the widget and the merge box show, without relative times
// and the order of rows. Of the merge box it covers when the merge request changed, whether
// the target branch moved, the rule and the user's role.
func revision(c echo.Context, f mergeFacts, rows []views.CheckRow) string {
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
	word(string(f.mr.State))
	word(f.mr.HeadSHA)
	instant(f.mr.UpdatedAt)
	word(f.targetStamp)
	flag(request.Project(c).OnlyAllowMergeIfAllStatusChecksPassed)
	number(int64(request.Role(c)))
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
		if row.Late != nil {
			word(string(row.Late.State))
			instant(row.Late.At)
		}
	}
	digest := fnv.New64a()
	digest.Write(buffer)
	return strconv.FormatUint(digest.Sum64(), 36)
}

// shortSHA returns the first 8 digits of a commit's id.
func shortSHA(sha string) string { return sha[:min(len(sha), 8)] }
