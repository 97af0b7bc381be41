package handlers

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
)

// maxListedBranches is how many branches are matched with the rules and suggested in the form.
const maxListedBranches = 1000

// branchMessages are the messages of the protected branch form.
var branchMessages = messages{
	"name.blank":                 text.KeyChecksBranchNameMissing,
	"name.too_long":              text.KeyChecksBranchNameTooLong,
	"name.invalid":               text.KeyChecksBranchNameInvalid,
	"name.taken":                 text.KeyChecksBranchNameTaken,
	"push_access_level.invalid":  text.KeyChecksLevelInvalid,
	"merge_access_level.invalid": text.KeyChecksLevelInvalid,
}

// rulesPage returns the frame of a page under Settings › Branch rules.
func (p *pages) rulesPage(c echo.Context, title text.Key, more ...string) (views.Page, error) {
	page, err := p.page(c, translate(c, title), views.SectionBranchRules)
	addBreadcrumbs(&page, translate(c, text.KeySettings), generalSettingsURL(c), translate(c, text.KeyBranchRules), branchRulesURL(c))
	addBreadcrumbs(&page, more...)
	page.Narrow = true
	return page, err
}

// branchRules lists the protected branches with their services.
func (p *pages) branchRules(c echo.Context) error {
	page, err := p.rulesPage(c, text.KeyBranchRules)
	if err != nil {
		return err
	}
	list, err := p.branchRuleList(c)
	if err != nil {
		return err
	}
	return render(c, http.StatusOK, views.BranchRulesView(views.BranchRules{Page: page, AddURL: branchRulesURL(c) + "/new", Rules: list}))
}

// branchRuleList returns all rules with the services that apply to them. If the services
// cannot be read, the list says so.
func (p *pages) branchRuleList(c echo.Context) (views.BranchRuleList, error) {
	list := views.BranchRuleList{RefreshURL: branchRulesURL(c), Now: p.Store.Now()}
	rules, err := p.allRules(c)
	if err != nil {
		return list, err
	}
	services, err := p.serviceRows(c, returnToBranchRules)
	if err != nil {
		p.logFailure(c, "listing services failed", err)
		list.Failed = true
	}
	add := newServiceURL(c) + "?return_to=" + returnToBranchRules
	for _, s := range services {
		if len(s.Scope) == 0 {
			list.All.Services = append(list.All.Services, s)
		}
	}
	list.All.AddServiceURL = add
	list.Unprotected = unprotectedRules(c, services)
	names, all := p.branchNames(c)
	for _, rule := range rules {
		address := branchRuleURL(c, rule.ID)
		row := views.BranchRule{
			ID: rule.ID, Name: rule.Name, Default: rule.Name == request.Project(c).DefaultBranch, Matches: -1,
			Push: levelText(c, rule.PushAccessLevel), Merge: levelText(c, rule.MergeAccessLevel), AllowForcePush: rule.AllowForcePush,
			EditURL: address + "/edit", UnprotectURL: address + "/unprotect",
			AddServiceURL: add + "&branch=" + strconv.FormatInt(rule.ID, 10), Inherited: list.All.Services,
		}
		for _, s := range services {
			if slices.ContainsFunc(s.Scope, func(b views.ScopeBranch) bool { return b.Name == rule.Name }) {
				row.Services = append(row.Services, s)
			}
		}
		if all {
			row.Matches = 0
			for _, name := range names {
				if rule.Matches(name) {
					row.Matches++
				}
			}
		}
		list.Rules = append(list.Rules, row)
	}
	return list, nil
}

// unprotectedRules returns the branch names in scopes of services that are no longer
// protected, sorted by name.
func unprotectedRules(c echo.Context, services []views.ServiceRow) []views.UnprotectedRule {
	byName := map[string][]views.ServiceRow{}
	for _, s := range services {
		for _, b := range s.Scope {
			if b.Unprotected {
				byName[b.Name] = append(byName[b.Name], s)
			}
		}
	}
	var rules []views.UnprotectedRule
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		rules = append(rules, views.UnprotectedRule{Name: name, Services: byName[name],
			ProtectURL: branchRulesURL(c) + "/new?" + url.Values{"name": {name}}.Encode()})
	}
	return rules
}

// branchNames returns the project's branches. all is false if there are more than
// maxListedBranches or git fails.
func (p *pages) branchNames(c echo.Context) (names []string, all bool) {
	branches, total, err := p.Git.Reader(request.Project(c).ID).Branches(c.Request().Context(), "", 0, maxListedBranches)
	if err != nil {
		p.logFailure(c, "listing branches failed", err)
		return nil, false
	}
	for _, b := range branches {
		names = append(names, b.Name)
	}
	return names, total == len(names)
}

func levelText(c echo.Context, level models.Role) string {
	return translate(c, levelTexts[level.String()])
}

// readRule reads the form. A level that is not a number becomes one that models refuses.
func readRule(c echo.Context) models.ProtectedBranchInput {
	level := func(name string) models.Role {
		n, err := strconv.Atoi(c.Request().PostForm.Get(name))
		if err != nil {
			return models.Role(noBranch)
		}
		return models.Role(n)
	}
	return models.ProtectedBranchInput{
		Name: c.Request().PostForm.Get("name"), PushAccessLevel: level("push_access_level"), MergeAccessLevel: level("merge_access_level"),
		AllowForcePush: c.Request().PostForm.Get("allow_force_push") == "1", Version: c.Request().PostForm.Get("version"),
	}
}

// ruleInPath returns the protected branch that the path names.
func (p *pages) ruleInPath(c echo.Context) (models.ProtectedBranch, error) {
	id, err := idParam(c, "id")
	if err != nil {
		return models.ProtectedBranch{}, err
	}
	return p.Store.ProtectedBranch(c.Request().Context(), request.Project(c).ID, id)
}

// newRuleForm shows the form that protects a branch. The query can name it.
func (p *pages) newRuleForm(c echo.Context) error {
	in := models.ProtectedBranchInput{Name: searchParam(c, "name"), PushAccessLevel: models.RoleMaintainer, MergeAccessLevel: models.RoleMaintainer}
	return p.ruleForm(c, http.StatusOK, models.ProtectedBranch{}, in, nil)
}

// createRule protects a branch or wildcard.
func (p *pages) createRule(c echo.Context) error {
	in := readRule(c)
	_, err := p.Store.CreateProtectedBranch(c.Request().Context(), request.MustUser(c), request.Project(c).ID, in)
	if err != nil {
		return p.ruleForm(c, http.StatusUnprocessableEntity, models.ProtectedBranch{}, in, err)
	}
	return p.serviceSaved(c, branchRulesURL(c), string(text.KeyChecksToastProtected))
}

// editRuleForm shows the form of a protected branch.
func (p *pages) editRuleForm(c echo.Context) error {
	rule, err := p.ruleInPath(c)
	if err != nil {
		return err
	}
	in := models.ProtectedBranchInput{
		Name: rule.Name, PushAccessLevel: rule.PushAccessLevel, MergeAccessLevel: rule.MergeAccessLevel,
		AllowForcePush: rule.AllowForcePush, Version: rule.Version(),
	}
	return p.ruleForm(c, http.StatusOK, rule, in, nil)
}

// updateRule changes who may push and merge.
func (p *pages) updateRule(c echo.Context) error {
	rule, err := p.ruleInPath(c)
	if err != nil {
		return err
	}
	in := readRule(c)
	_, err = p.Store.UpdateProtectedBranch(c.Request().Context(), request.MustUser(c), rule.ProjectID, rule.ID, in)
	if models.CodeOf(err) == models.CodeChangedMeanwhile {
		changed := err
		if rule, err = p.ruleInPath(c); err != nil {
			return err
		}
		return p.ruleForm(c, http.StatusConflict, rule, in, changed)
	}
	if err != nil {
		return p.ruleForm(c, http.StatusUnprocessableEntity, rule, in, err)
	}
	return p.serviceSaved(c, branchRulesURL(c), string(text.KeyChecksToastSaved))
}

// ruleForm renders the form, with the messages for failure if it is not nil. The ID of a new
// rule is 0.
func (p *pages) ruleForm(c echo.Context, status int, rule models.ProtectedBranch, in models.ProtectedBranchInput, failure error) error {
	shown := views.Form{Errors: map[string]string{}}
	meanwhile := models.CodeOf(failure) == models.CodeChangedMeanwhile
	if failure != nil && !meanwhile && !addMessages(c, &shown, failure, branchMessages) {
		return failure
	}
	title, save := text.KeyChecksProtectBranch, branchRulesURL(c)
	if rule.ID != 0 {
		title, save, in.Name = text.KeyChecksUpdateRule, branchRuleURL(c, rule.ID), rule.Name
	}
	page, err := p.rulesPage(c, title, translate(c, title), save)
	if err != nil {
		return err
	}
	form := views.ProtectedBranchForm{
		Page: page, ID: rule.ID, Drawer: isHTMX(c), SaveURL: save, CloseURL: branchRulesURL(c),
		Name: strings.ToValidUTF8(in.Name, "\uFFFD"),
		Push: int(in.PushAccessLevel), Merge: int(in.MergeAccessLevel), AllowForcePush: in.AllowForcePush,
		NameError: shown.Errors["name"], PushError: shown.Errors["push_access_level"], MergeError: shown.Errors["merge_access_level"],
	}
	form.Version = in.Version
	if meanwhile {
		form.Version, form.Changed = rule.Version(), changedRule(c, rule, in)
	}
	for _, level := range []models.Role{models.RoleMaintainer, models.RoleDeveloper, models.RoleNone} {
		form.Levels = append(form.Levels, views.LevelOption{Value: int(level), Label: levelText(c, level)})
	}
	if rule.ID == 0 {
		form.Suggestions, _ = p.branchNames(c)
	}
	return render(c, status, views.ProtectedBranchFormView(form))
}

// changedRule lists the fields whose stored value differs from the submitted one.
func changedRule(c echo.Context, rule models.ProtectedBranch, in models.ProtectedBranchInput) []views.CurrentValue {
	changed := []views.CurrentValue{}
	if in.MergeAccessLevel != rule.MergeAccessLevel {
		changed = append(changed, views.CurrentValue{Label: text.KeyChecksAllowedToMerge, Text: levelText(c, rule.MergeAccessLevel)})
	}
	if in.PushAccessLevel != rule.PushAccessLevel {
		changed = append(changed, views.CurrentValue{Label: text.KeyChecksAllowedToPush, Text: levelText(c, rule.PushAccessLevel)})
	}
	if in.AllowForcePush != rule.AllowForcePush {
		changed = append(changed, views.CurrentValue{Label: text.KeyChecksAllowForcePush, Text: switchText(c, rule.AllowForcePush)})
	}
	return changed
}

// unprotectionForm asks for confirmation to unprotect a branch.
func (p *pages) unprotectionForm(c echo.Context) error {
	rule, err := p.ruleInPath(c)
	if err != nil {
		return err
	}
	page, err := p.rulesPage(c, text.KeyChecksUnprotectTitle, rule.Name, branchRulesURL(c))
	if err != nil {
		return err
	}
	services, err := p.serviceRows(c, "")
	if err != nil {
		return err
	}
	view := views.Unprotection{
		Page: page, Dialog: isHTMX(c), Name: rule.Name, CloseURL: branchRulesURL(c),
		URL: branchRuleURL(c, rule.ID) + "/unprotect",
	}
	for _, s := range services {
		if slices.ContainsFunc(s.Scope, func(b views.ScopeBranch) bool { return b.Name == rule.Name }) {
			view.Services = append(view.Services, s.Name)
		}
	}
	return render(c, http.StatusOK, views.UnprotectionView(view))
}

func (p *pages) unprotect(c echo.Context) error {
	rule, err := p.ruleInPath(c)
	if err != nil {
		return err
	}
	if err := p.Store.DeleteProtectedBranch(c.Request().Context(), request.MustUser(c), rule.ProjectID, rule.ID); err != nil {
		return err
	}
	return p.serviceSaved(c, branchRulesURL(c), string(text.KeyChecksToastUnprotected))
}
