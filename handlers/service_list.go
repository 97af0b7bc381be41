package handlers

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
)

// The pages that the service and branch forms can come back to, as their
// hidden field return_to names them; anything else is the settings page.
const (
	returnToBranchRules = "branch_rules"
	returnToService     = "service"
)

// healthBars is how many deliveries of a service the settings sum up.
const healthBars = 10

// returnURL is the page that a form comes back to.
func returnURL(c echo.Context, returnTo string, serviceID int64) string {
	switch {
	case returnTo == returnToBranchRules:
		return branchRulesURL(c)
	case returnTo == returnToService && serviceID != 0:
		return serviceURL(c, serviceID)
	}
	return mergeRequestSettingsURL(c)
}

// settingsPage is the frame of a page under settings › Merge requests.
func (p *pages) settingsPage(c echo.Context, title text.Key, more ...string) (views.Page, error) {
	page, err := p.page(c, translate(c, title), views.SectionSettingsMergeRequests)
	crumbs(&page, translate(c, text.KeySettings), generalSettingsURL(c), translate(c, text.KeyMergeRequests), mergeRequestSettingsURL(c))
	crumbs(&page, more...)
	return page, err
}

// mergeRequestSettings shows the switch and the table of services.
func (p *pages) mergeRequestSettings(c echo.Context) error {
	page, err := p.settingsPage(c, text.KeyChecksSettingsTitle)
	if err != nil {
		return err
	}
	page.Title += " · " + translate(c, text.KeySettings) // the list has the same name
	return render(c, http.StatusOK, views.SettingsMergeRequests(views.MergeRequestSettings{
		Page: page, SaveURL: mergeRequestSettingsURL(c), ChecksMustSucceed: request.Project(c).OnlyAllowMergeIfAllStatusChecksPassed,
		Services: p.serviceCard(c),
	}))
}

// saveMergeChecks turns "Status checks must succeed" on or off.
func (p *pages) saveMergeChecks(c echo.Context) error {
	on, err := switchValue(c, "only_allow_merge_if_all_status_checks_passed")
	if err != nil {
		return err
	}
	project, err := p.Store.UpdateProject(c.Request().Context(), request.MustUser(c), request.Project(c).ID,
		models.ProjectUpdate{OnlyAllowMergeIfAllStatusChecksPassed: &on})
	if err != nil {
		return err
	}
	if isHTMX(c) {
		triggerToast(c, translate(c, text.KeyChecksToastSaved), false)
		_, services, err := p.Store.ExternalStatusChecks(c.Request().Context(), project.ID, models.Page{Number: 1, Size: 1})
		if err != nil {
			return err
		}
		return render(c, http.StatusOK, views.MergeChecksForm(mergeRequestSettingsURL(c), project.OnlyAllowMergeIfAllStatusChecksPassed, services == 0))
	}
	return p.redirect(c, mergeRequestSettingsURL(c), text.KeyChecksToastSaved)
}

// switchValue reads a checkbox, which browsers leave out when it is off.
// Errors: errBadForm for a value that no switch of ours sends.
func switchValue(c echo.Context, name string) (bool, error) {
	switch c.Request().PostForm.Get(name) {
	case "", "0", "false", "off":
		return false, nil
	case "1", "true", "on":
		return true, nil
	}
	return false, errBadForm
}

// serviceCard is the table of the project's services. Where it cannot be read
// the card says so; the page around it works.
func (p *pages) serviceCard(c echo.Context) views.ServiceCard {
	card := views.ServiceCard{RefreshURL: mergeRequestSettingsURL(c), AddURL: newServiceURL(c), Now: p.Store.Now()}
	rows, err := p.serviceRows(c, "")
	if err != nil {
		p.logFailure(c, "services cannot be listed", err)
		card.Failed = true
		return card
	}
	card.Rows = rows
	return card
}

// serviceRows lists the project's services with the state of their deliveries.
// returnTo is where their forms come back to.
func (p *pages) serviceRows(c echo.Context, returnTo string) ([]views.ServiceRow, error) {
	ctx, projectID := c.Request().Context(), request.Project(c).ID
	services, _, err := p.Store.ExternalStatusChecks(ctx, projectID, models.Page{})
	if err != nil {
		return nil, err
	}
	deliveries, err := p.Store.RecentDeliveries(ctx, projectID, healthBars)
	if err != nil {
		return nil, err
	}
	rows := make([]views.ServiceRow, 0, len(services))
	for _, service := range services {
		rows = append(rows, serviceRow(c, service, deliveries[service.ID], returnTo))
	}
	sortServices(rows)
	return rows, nil
}

// logFailure writes down a failure that the page itself survives.
func (p *pages) logFailure(c echo.Context, message string, err error) {
	p.Log.Error(message, "request_id", request.ID(c), "route", c.Path(), "error", err)
}

// serviceRemovalForm asks before a service is removed.
func (p *pages) serviceRemovalForm(c echo.Context) error {
	service, err := p.service(c)
	if err != nil {
		return err
	}
	page, err := p.settingsPage(c, text.KeyChecksRemoveTitle, service.Name, serviceURL(c, service.ID))
	if err != nil {
		return err
	}
	shown, err := p.Store.CountOpenWithCheck(c.Request().Context(), service.ProjectID, service.ID)
	if err != nil {
		return err
	}
	returnTo := c.QueryParam("return_to")
	return render(c, http.StatusOK, views.ServiceRemovalView(views.ServiceRemoval{
		Page: page, Dialog: isHTMX(c), Name: service.Name, URL: serviceURL(c, service.ID) + "/remove",
		CloseURL: returnURL(c, returnTo, service.ID), Return: returnTo, OpenMergeRequests: shown,
	}))
}

// removeService removes a service for good.
func (p *pages) removeService(c echo.Context) error {
	id, err := idParam(c, "id")
	if err != nil {
		return err
	}
	if err := p.Store.DeleteExternalStatusCheck(c.Request().Context(), request.MustUser(c), request.Project(c).ID, id); err != nil {
		return err
	}
	returnTo := c.Request().PostForm.Get("return_to")
	if isHTMX(c) && returnTo == returnToService {
		// The page behind the dialog is gone with the service.
		return p.done(c, mergeRequestSettingsURL(c), text.KeyChecksToastRemoved)
	}
	return p.serviceSaved(c, returnURL(c, returnTo, 0), string(text.KeyChecksToastRemoved))
}

// service is the service that the path names. KindNotFound where the project
// has none of that id.
func (p *pages) service(c echo.Context) (models.ExternalStatusCheck, error) {
	id, err := idParam(c, "id")
	if err != nil {
		return models.ExternalStatusCheck{}, err
	}
	return p.Store.ExternalStatusCheck(c.Request().Context(), request.Project(c).ID, id)
}

// serviceSaved answers a form that changed services or branch rules: htmx gets
// what is new on the page behind the dialog, others are sent there.
func (p *pages) serviceSaved(c echo.Context, back, toast string) error {
	if !isHTMX(c) {
		p.keepToast(c, toast)
		return p.redirect(c, back, "")
	}
	switch back {
	case branchRulesURL(c):
		list, err := p.branchRuleList(c)
		if err != nil {
			return err
		}
		list.OutOfBand = true
		triggerToast(c, toastText(c, toast), true)
		return render(c, http.StatusOK, views.BranchRuleListView(list))
	case mergeRequestSettingsURL(c):
		card := p.serviceCard(c)
		card.OutOfBand = true
		triggerToast(c, toastText(c, toast), true)
		return render(c, http.StatusOK, views.ServiceCardView(card))
	}
	service, err := p.service(c)
	if err != nil {
		return err
	}
	view, _, err := p.presentService(c, service, 1, "")
	if err != nil {
		return err
	}
	view.OutOfBand = true
	triggerToast(c, toastText(c, toast), true)
	return render(c, http.StatusOK, views.ServiceSavedView(view))
}
