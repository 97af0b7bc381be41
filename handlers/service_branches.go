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

// minSearch is the number of letters and digits that a branch search needs.
const minSearch = 3

// serviceBranches renders the list of the branch selector, filtered by a search. Selected
// branches stay in it.
func (p *pages) serviceBranches(c echo.Context) error {
	service, err := p.queriedService(c)
	if err != nil {
		return err
	}
	chosen := readServiceFields(c).ProtectedBranchIDs
	rules, err := p.allRules(c)
	if err != nil {
		p.logFailure(c, "listing branches failed", err)
		return render(c, http.StatusInternalServerError, views.BranchListView(views.BranchList{Failed: true}))
	}
	return render(c, http.StatusOK, views.BranchListView(branchList(c, rules, service, chosen, searchParam(c, "search"))))
}

// serviceAffected renders "Also apply to N open merge requests" for the current values of the
// form.
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

// queriedService returns the service that the query names, empty for a new one.
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

// allRules returns the project's protected branches.
func (p *pages) allRules(c echo.Context) ([]models.ProtectedBranch, error) {
	rules, _, err := p.Store.ProtectedBranches(c.Request().Context(), request.Project(c).ID, "", models.Page{})
	return rules, err
}

// affected counts the open merge requests that Also apply would change.
func (p *pages) affected(c echo.Context, rules []models.ProtectedBranch, service models.ExternalStatusCheck, fields serviceFields) (int, error) {
	// Validate normalizes the fields as saving does; its errors are not needed here.
	_ = fields.Validate()
	before := service.Branches
	service.ProjectID, service.Name, service.ExternalURL = request.Project(c).ID, fields.Name, fields.ExternalURL
	if fields.TimeoutSeconds != nil {
		service.TimeoutSeconds = int(*fields.TimeoutSeconds)
	}
	service.Informational, service.Branches = fields.Informational, nil
	same := len(before) == len(fields.ProtectedBranchIDs)
	for _, o := range branchList(c, rules, models.ExternalStatusCheck{Branches: before}, fields.ProtectedBranchIDs, "").Options {
		if o.Chosen {
			service.Branches = append(service.Branches, models.ExternalStatusCheckBranch{ProtectedBranchID: o.ID, Name: o.Name})
			same = same && slices.ContainsFunc(before, func(b models.ExternalStatusCheckBranch) bool { return b.Name == o.Name })
		}
	}
	if same {
		service.Branches = before // the order in which the copies were made
	}
	return p.Store.CountApply(c.Request().Context(), service)
}

// branchList returns the protected branches for the selector, with branches of the service's
// scope that are no longer protected. query filters the list but keeps selected branches.
func branchList(
	c echo.Context, rules []models.ProtectedBranch, service models.ExternalStatusCheck, chosen []int64, query string,
) views.BranchList {
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

// keepUnread adds selected branches whose names could not be read. Without them, the form
// would be saved for all branches.
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
