package handlers

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
)

// noBranch is used for a submitted branch id that is not a number. No branch has it.
const noBranch = -1

// serviceMessages are the messages of the service form.
var serviceMessages = messages{
	"name.blank":                          text.KeyChecksNameMissing,
	"name.taken":                          text.KeyChecksNameTaken,
	"name.too_long":                       text.KeyChecksNameTooLong,
	"name.control_character":              text.KeyChecksNameInvalid,
	"external_url.blank":                  text.KeyChecksURLInvalid,
	"external_url.invalid":                text.KeyChecksURLInvalid,
	"external_url.taken":                  text.KeyChecksURLTaken,
	"external_url.too_long":               text.KeyChecksURLTooLong,
	"protected_branch_ids.foreign_branch": text.KeyChecksBranchInvalid,
	"shared_secret.too_long":              text.KeyChecksSecretTooLong,
	"shared_secret.invalid":               text.KeyChecksSecretInvalid,
	"shared_secret.immutable":             text.KeyChecksSecretUnchangeable,
	"timeout_seconds.out_of_range":        text.KeyChecksTimeoutInvalid,
	"callback_only.not_encrypted":         text.KeyChecksCallbackOnlyHTTPS,
	"custom_headers.too_many":             text.KeyChecksHeadersTooMany,
	"custom_headers.invalid":              text.KeyChecksHeaderNameInvalid,
	"custom_headers.reserved":             text.KeyChecksHeaderReserved,
	"custom_headers.taken":                text.KeyChecksHeaderTwice,
	"custom_headers.invalid_value":        text.KeyChecksHeaderValueInvalid,
	"custom_headers.blank":                text.KeyChecksHeaderValueMissing,
	"custom_headers.given_again":          text.KeyChecksHeaderValueAgain,
}

// serviceFields are the values of the service form.
type serviceFields struct {
	models.ExternalStatusCheckInput
	timeout   string // as typed
	alsoApply bool
	returnTo  string
	version   string
	// test is the result of Send test, nil for none.
	test *views.DraftTest
}

// readServiceFields reads the form. Without script, "All branches" and single branches can
// both be ticked. Then the choice that is new counts.
func readServiceFields(c echo.Context) serviceFields {
	form := c.Request().PostForm
	if c.Request().Method == http.MethodGet {
		form = c.QueryParams()
	}
	fields := serviceFields{
		ExternalStatusCheckInput: models.ExternalStatusCheckInput{
			Name: form.Get("name"), ExternalURL: form.Get("external_url"), SharedSecret: form.Get("shared_secret"),
		},
		timeout:   form.Get("timeout"),
		alsoApply: form.Get("also_apply") == "1",
		returnTo:  form.Get("return_to"),
		version:   form.Get("version"),
	}
	if form.Has("timeout") {
		fields.TimeoutSeconds = parseTimeout(fields.timeout)
	}
	fields.Informational, fields.CallbackOnly = form.Get("informational") == "1", form.Get("callback_only") == "1"
	fields.CustomHeaders = readCustomHeaders(form)
	all := false
	for _, name := range []string{"protected_branch_ids[]", "protected_branch_ids"} {
		for _, value := range form[name] {
			if value == "" {
				all = true
				continue
			}
			id, err := strconv.ParseInt(value, 10, 64)
			if err != nil || id <= 0 {
				id = noBranch
			}
			if !slices.Contains(fields.ProtectedBranchIDs, id) {
				fields.ProtectedBranchIDs = append(fields.ProtectedBranchIDs, id)
			}
		}
	}
	if all && form.Get("all_branches_before") != "true" {
		fields.ProtectedBranchIDs = nil
	}
	return fields
}

// newServiceForm shows the form for a new service. The query can select a protected branch.
func (p *pages) newServiceForm(c echo.Context) error {
	fields := serviceFields{returnTo: c.QueryParam("return_to"), timeout: timeoutText(c, models.DefaultTimeout)}
	if id, err := strconv.ParseInt(c.QueryParam("branch"), 10, 64); err == nil && id > 0 {
		fields.ProtectedBranchIDs = []int64{id}
	}
	return p.serviceForm(c, http.StatusOK, models.ExternalStatusCheck{}, fields, nil)
}

func (p *pages) createService(c echo.Context) error {
	fields := readServiceFields(c)
	service, err := p.Store.CreateExternalStatusCheck(c.Request().Context(), request.MustUser(c), request.Project(c).ID,
		fields.ExternalStatusCheckInput, fields.alsoApply)
	if err != nil {
		return p.serviceForm(c, 0, models.ExternalStatusCheck{}, fields, err)
	}
	return p.applied(c, service, fields, text.KeyChecksToastAdded, text.KeyChecksToastAddedApplied)
}

// editServiceForm shows the form of an existing service.
func (p *pages) editServiceForm(c echo.Context) error {
	service, err := p.serviceInPath(c)
	if err != nil {
		return err
	}
	fields := serviceFields{returnTo: c.QueryParam("return_to"), version: service.Version(), timeout: timeoutText(c, service.Timeout())}
	fields.Name, fields.ExternalURL, fields.Informational = service.Name, service.ExternalURL, service.Informational
	fields.CallbackOnly = service.CallbackOnly
	for _, name := range service.CustomHeaderNames() {
		fields.CustomHeaders = append(fields.CustomHeaders, models.CustomHeaderInput{Name: name})
	}
	for _, b := range service.Branches {
		fields.ProtectedBranchIDs = append(fields.ProtectedBranchIDs, b.ProtectedBranchID)
	}
	return p.serviceForm(c, http.StatusOK, service, fields, nil)
}

func (p *pages) updateService(c echo.Context) error {
	if _, err := idParam(c, "id"); err != nil {
		return err
	}
	fields := readServiceFields(c)
	before, err := p.serviceInPath(c)
	if err != nil {
		return p.refuseService(c, before, fields, err)
	}
	update := models.ExternalStatusCheckUpdate{
		Name: &fields.Name, ExternalURL: &fields.ExternalURL, ProtectedBranchIDs: &fields.ProtectedBranchIDs,
		SharedSecret: &fields.SharedSecret, TimeoutSeconds: fields.TimeoutSeconds, Informational: &fields.Informational,
		CustomHeaders: &fields.CustomHeaders, CallbackOnly: &fields.CallbackOnly, Version: fields.version,
	}
	service, err := p.Store.UpdateExternalStatusCheck(c.Request().Context(), request.MustUser(c),
		before.ProjectID, before.ID, update, fields.alsoApply)
	if err != nil {
		return p.refuseService(c, before, fields, err)
	}
	return p.applied(c, service, fields, text.KeyChecksToastUpdated, text.KeyChecksToastUpdatedApplied)
}

// refuseService shows the form of an edit that failed. If the service was changed meanwhile,
// saving again overwrites that change. If it was removed, saving again creates it.
func (p *pages) refuseService(c echo.Context, before models.ExternalStatusCheck, fields serviceFields, failure error) error {
	if models.KindOf(failure) == models.KindNotFound {
		return p.serviceForm(c, http.StatusNotFound, models.ExternalStatusCheck{}, fields, failure)
	}
	if models.CodeOf(failure) == models.CodeChangedMeanwhile {
		var err error
		if before, err = p.serviceInPath(c); err != nil {
			return err
		}
		fields.version = before.Version()
	}
	return p.serviceForm(c, 0, before, fields, failure)
}

// changedService lists the fields whose stored value differs from the submitted one.
func changedService(
	c echo.Context, service models.ExternalStatusCheck, fields serviceFields, options []views.BranchOption,
) []views.CurrentValue {
	changed := []views.CurrentValue{}
	if name := strings.TrimSpace(fields.Name); name != service.Name {
		changed = append(changed, views.CurrentValue{Label: text.KeyChecksName, Text: service.Name})
	}
	if strings.TrimSpace(fields.ExternalURL) != service.ExternalURL {
		changed = append(changed, views.CurrentValue{Label: text.KeyChecksAPI, Text: service.ExternalURL})
	}
	var saved, typed []string
	for _, b := range service.Branches {
		saved = append(saved, b.Name)
	}
	for _, o := range options {
		if o.Chosen {
			typed = append(typed, o.Name)
		}
	}
	slices.Sort(saved)
	slices.Sort(typed)
	if !slices.Equal(saved, typed) {
		scope := translate(c, text.KeyChecksAllBranches)
		if len(saved) > 0 {
			scope = strings.Join(saved, translate(c, text.KeyMRListSeparator))
		}
		changed = append(changed, views.CurrentValue{Label: text.KeyChecksTargetBranchLabel, Text: scope})
	}
	return append(changed, changedOptions(c, service, fields)...)
}

// applied answers a form whose service was saved. The toast says to how many open merge
// requests it was applied, or that this is not complete yet.
func (p *pages) applied(c echo.Context, service models.ExternalStatusCheck, fields serviceFields, toast, counted text.Key) error {
	back, kept := returnURL(c, fields.returnTo, service.ID), string(toast)
	switch {
	case service.Incomplete != nil:
		p.logFailure(c, "service not yet applied to all open merge requests", service.Incomplete)
		kept = string(text.KeyChecksToastNotYetApplied)
	case fields.alsoApply:
		kept = countedToast(counted, service.Applied)
	}
	return p.serviceSaved(c, back, kept)
}

// serviceForm renders the form, with the messages for failure if it is not nil. The secret is
// never shown again. The ID of a new service is 0. status is used if failure is nil.
func (p *pages) serviceForm(c echo.Context, status int, service models.ExternalStatusCheck, fields serviceFields, failure error) error {
	title, save := text.KeyChecksAdd, servicesURL(c)
	if service.ID != 0 {
		title, save = text.KeyChecksUpdate, serviceURL(c, service.ID)
	}
	page, err := p.settingsPage(c, title, translate(c, title), save)
	if err != nil {
		return err
	}
	form := views.ServiceForm{
		Page: page, ID: service.ID, Drawer: isHTMX(c), SaveURL: save, CloseURL: returnURL(c, fields.returnTo, service.ID),
		BranchesURL: servicesURL(c) + "/branches?service=" + strconv.FormatInt(service.ID, 10),
		CountURL:    servicesURL(c) + "/affected?service=" + strconv.FormatInt(service.ID, 10),
		TestURL:     testURL(save, service.ID), Test: fields.test, Receivers: p.receivers(c),
		Return: fields.returnTo, Name: strings.ToValidUTF8(fields.Name, "\uFFFD"), API: strings.ToValidUTF8(fields.ExternalURL, "\uFFFD"),
		Timeout: strings.ToValidUTF8(fields.timeout, "\uFFFD"), Informational: fields.Informational, CallbackOnly: fields.CallbackOnly, Headers: headerRows(service, fields),
		HasSecret: service.HasSecret(), AlsoApply: fields.alsoApply, Version: fields.version,
	}
	switch {
	case models.KindOf(failure) == models.KindNotFound:
		form.Removed = true
		if isHTMX(c) {
			status = http.StatusConflict // dialogs do not show the content of a 404
		}
	case models.CodeOf(failure) == models.CodeChangedMeanwhile:
		status = http.StatusConflict
	case failure != nil:
		shown := views.Form{Errors: map[string]string{}}
		if addMessages(c, &shown, failure, serviceMessages) {
			status = http.StatusUnprocessableEntity
			form.NameError, form.APIError = shown.Errors["name"], shown.Errors["external_url"]
			form.BranchError, form.SecretError = shown.Errors["protected_branch_ids"], shown.Errors["shared_secret"]
			form.CallbackOnlyError = shown.Errors["callback_only"]
			form.TimeoutError, form.HeadersError = shown.Errors["timeout_seconds"], shown.Errors["custom_headers"]
		} else if models.KindOf(failure) != models.KindInternal || isHTMX(c) {
			return failure // the script shows the error in the dialog
		} else {
			p.logFailure(c, "saving service failed", failure)
			status, form.SaveFailed = http.StatusInternalServerError, true
		}
	}
	rules, err := p.allRules(c)
	if err != nil {
		p.logFailure(c, "listing branches failed", err)
		form.BranchesFailed = true
	}
	form.Branches = branchList(c, rules, service, fields.ProtectedBranchIDs, "")
	if models.CodeOf(failure) == models.CodeChangedMeanwhile {
		form.Changed = changedService(c, service, fields, form.Branches.Options)
	}
	if form.BranchesFailed {
		form.Branches.Options = keepUnread(c, form.Branches.Options, fields.ProtectedBranchIDs)
	}
	if form.Drawer {
		// The browser loads the list by a request of its own. Until then only selected
		// branches are shown.
		form.Branches.Options = slices.DeleteFunc(form.Branches.Options, func(o views.BranchOption) bool { return !o.Chosen })
		form.Branches.LoadURL = form.BranchesURL
	}
	form.Affected, err = p.affected(c, rules, service, fields)
	if err != nil {
		p.logFailure(c, "counting open merge requests failed", err)
	}
	if err != nil || form.BranchesFailed {
		form.Affected = -1
	}
	return render(c, status, views.ServiceFormView(form))
}
