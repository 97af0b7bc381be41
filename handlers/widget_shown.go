package handlers

import (
	"cmp"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views"
)

// shownPage is what the user's page shows. The zero value is for a page that is rendered for
// the first time.
type shownPage struct {
	views.ShownPage
	rows []shownRow
}

var objectID = regexp.MustCompile(`^[0-9a-f]{40}([0-9a-f]{24})?$`)

// parseShownPage reads the parameters state, auto, head, announced and rows. Invalid values
// are ignored.
func parseShownPage(params url.Values) shownPage {
	page := shownPage{rows: parseShownRows(params.Get("rows"))}
	page.State = views.MergeRequestState(params.Get("state"))
	page.AutoMerge = params.Get("auto") == "1"
	if head := params.Get("head"); objectID.MatchString(head) {
		page.Head = head
	}
	if announced := params.Get("announced"); objectID.MatchString(announced) {
		page.Announced = announced
	}
	return page
}

// shownRow is a row of the user's page. folded means that it is among the passed ones
// that are folded.
type shownRow struct {
	id     int64
	state  views.CheckState
	folded bool
}

// stateLetters are the states in the rows parameter. foldedLetter is for folded rows.
var stateLetters = map[string]views.CheckState{
	"p": views.CheckPending, "s": views.CheckPassed, "f": views.CheckFailed, foldedLetter: views.CheckPassed,
}

const foldedLetter = "S"

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
			shown = append(shown, shownRow{id: id, state: state, folded: part[len(part)-1:] == foldedLetter})
		}
	}
	return shown
}

// writeShownRows returns the rows parameter for the rendered page.
func writeShownRows(rows []views.CheckRow) string {
	letters := map[views.CheckState]string{views.CheckPending: "p", views.CheckPassed: "s", views.CheckFailed: "f"}
	out := make([]byte, 0, 8*len(rows))
	for i, row := range rows {
		if i > 0 {
			out = append(out, '.')
		}
		letter := letters[row.State]
		if row.Folded {
			letter = foldedLetter
		}
		out = append(strconv.AppendInt(out, row.ID, 10), letter...)
	}
	return string(out)
}

// addShownPage sets the parameters of the next poll, and whether to announce that HEAD moved
// since the page was loaded. Each move is announced once.
func addShownPage(widget *views.StatusChecks, mr models.MergeRequest, page views.ShownPage) {
	widget.PageHasForm = page.State == views.MergeRequestOpen && page.AutoMerge == mr.HasAutoMerge()
	widget.Page = views.ShownPage{State: views.MergeRequestState(mr.State), AutoMerge: mr.HasAutoMerge(), Head: cmp.Or(page.Head, mr.HeadSHA)}
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

// foldRows folds the passed rows of a new page with many checks. On the user's page, the
// rows that were folded stay folded as long as they have nothing to tell: they are passed,
// and no response came after the merge.
func foldRows(widget *views.StatusChecks, shown []shownRow) {
	folded := make(map[int64]bool, len(shown))
	for _, row := range shown {
		folded[row.id] = row.folded
	}
	for i := range widget.Rows {
		row := &widget.Rows[i]
		fold := folded[row.ID] || len(shown) == 0 && widget.Long()
		row.Folded = fold && row.State == views.CheckPassed && row.Late == nil
	}
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
