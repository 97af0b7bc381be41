package handlers

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
)

// minSearch is how many letters and digits a search for branches needs.
const minSearch = 3

// serviceBranches is the list inside the branch selector: all of it, or what a
// search finds. The branches that are ticked stay in it.
func (p *pages) serviceBranches(c echo.Context) error {
	service, err := p.queriedService(c)
	if err != nil {
		return err
	}
	chosen := readServiceFields(c).ProtectedBranchIDs
	rules, err := p.allRules(c)
	if err != nil {
		p.logFailure(c, "branches cannot be listed", err)
		return render(c, http.StatusInternalServerError, views.BranchListView(views.BranchList{Failed: true}))
	}
	return render(c, http.StatusOK, views.BranchListView(branchList(c, rules, service, chosen, searchParam(c, "search"))))
}

// serviceAffected words "Also apply to N open merge requests" for the form as
// it is filled in now.
func (p *pages) serviceAffected(c echo.Context) error {
	service, err := p.queriedService(c)
	if err != nil {
		return err
	}
	rules, err := p.allRules(c)
	if err != nil {
		return err
	}
	n, err := p.affected(c, rules, service, readServiceFields(c))
	if err != nil {
		return err
	}
	return render(c, http.StatusOK, views.AlsoApplyLabel(n))
}

// queriedService is the service that ?service= names; empty for a new one.
func (p *pages) queriedService(c echo.Context) (models.ExternalStatusCheck, error) {
	id, err := strconv.ParseInt(cmp.Or(c.QueryParam("service"), "0"), 10, 64)
	switch {
	case err != nil || id < 0:
		return models.ExternalStatusCheck{}, request.ErrHidden
	case id == 0:
		return models.ExternalStatusCheck{}, nil
	}
	return p.Store.ExternalStatusCheck(c.Request().Context(), request.Project(c).ID, id)
}

// allRules lists the project's protected branches.
func (p *pages) allRules(c echo.Context) ([]models.ProtectedBranch, error) {
	rules, _, err := p.Store.ProtectedBranches(c.Request().Context(), request.Project(c).ID, "", models.Page{})
	return rules, err
}

// affected counts the open merge requests that saving the fields would touch.
func (p *pages) affected(c echo.Context, rules []models.ProtectedBranch, service models.ExternalStatusCheck, fields serviceFields) (int, error) {
	// Validate cleans the fields as saving would; faults do not matter here.
	_ = fields.Validate()
	before := service.Branches
	service.ProjectID, service.Name, service.ExternalURL = request.Project(c).ID, fields.Name, fields.ExternalURL
	service.Branches = nil
	same := len(before) == len(fields.ProtectedBranchIDs)
	for _, o := range branchList(c, rules, models.ExternalStatusCheck{Branches: before}, fields.ProtectedBranchIDs, "").Options {
		if o.Chosen {
			service.Branches = append(service.Branches, models.ExternalStatusCheckBranch{ProtectedBranchID: o.ID, Name: o.Name})
			same = same && slices.ContainsFunc(before, func(b models.ExternalStatusCheckBranch) bool { return b.Name == o.Name })
		}
	}
	if same {
		service.Branches = before // in the order that the copies were taken in
	}
	return p.Store.CountApply(c.Request().Context(), service)
}

// branchList is the project's protected branches as the selector lists them,
// and those of the service's scope that are protected no longer. A query leaves
// those that match it, and the chosen ones.
func branchList(c echo.Context, rules []models.ProtectedBranch, service models.ExternalStatusCheck, chosen []int64, query string) views.BranchList {
	list := views.BranchList{Query: query, WasAll: len(service.Branches) == 0, Total: len(rules), RulesURL: branchRulesURL(c)}
	list.TooShort = query != "" && countLettersAndDigits(query) < minSearch
	add := func(id int64, name string, unprotected bool) {
		o := views.BranchOption{ID: id, Name: name, Chosen: slices.Contains(chosen, id), Unprotected: unprotected}
		matches := query != "" && !list.TooShort && strings.Contains(strings.ToLower(name), strings.ToLower(query))
		if matches && !unprotected {
			list.Found++
		}
		switch {
		case name == request.Project(c).DefaultBranch:
			o.Note = translate(c, text.KeyChecksDefaultBranch)
		case models.IsWildcard(name):
			o.Note = translate(c, text.KeyChecksWildcard)
		}
		if query == "" || matches || o.Chosen {
			list.Options = append(list.Options, o)
		}
	}
	known := map[string]bool{}
	for _, rule := range rules {
		known[rule.Name] = true
		add(rule.ID, rule.Name, false)
	}
	for _, b := range service.Branches {
		if !known[b.Name] {
			add(b.ProtectedBranchID, b.Name, !b.Protected)
		}
	}
	return list
}

// keepUnread adds the chosen branches whose names could not be read, by their
// numbers: without them the form would be saved with "All branches".
func keepUnread(c echo.Context, options []views.BranchOption, chosen []int64) []views.BranchOption {
	for _, id := range chosen {
		listed := slices.ContainsFunc(options, func(o views.BranchOption) bool { return o.ID == id })
		if !listed && id != noBranch {
			options = append(options, views.BranchOption{ID: id, Name: translate(c, text.KeyChecksUnreadBranch, "ID", id), Chosen: true})
		}
	}
	return options
}

func countLettersAndDigits(s string) int {
	n := 0
	for _, r := range s {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			n++
		}
	}
	return n
}
