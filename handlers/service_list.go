package handlers

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
)

// Values of the form field return_to: the page that a form returns to. Anything else is the
// settings page.
const (
	returnToBranchRules = "branch_rules"
	returnToService     = "service"
)

// healthBars is the number of deliveries that the list summarizes per service.
const healthBars = 10

// returnURL returns the address of the page that a form returns to.
func returnURL(c echo.Context, returnTo string, serviceID int64) string {
	switch {
	case returnTo == returnToBranchRules:
		return branchRulesURL(c)
	case returnTo == returnToService && serviceID != 0:
		return serviceURL(c, serviceID)
	}
	return mergeRequestSettingsURL(c)
}

// settingsPage returns the frame of a page under Settings › Merge requests.
func (p *pages) settingsPage(c echo.Context, title text.Key, more ...string) (views.Page, error) {
	page, err := p.page(c, translate(c, title), views.SectionSettingsMergeRequests)
	addBreadcrumbs(&page, translate(c, text.KeySettings), generalSettingsURL(c), translate(c, text.KeyMergeRequests), mergeRequestSettingsURL(c))
	addBreadcrumbs(&page, more...)
	return page, err
}

// mergeRequestSettings shows "Status checks must succeed" and the services.
func (p *pages) mergeRequestSettings(c echo.Context) error {
	page, err := p.settingsPage(c, text.KeyChecksSettingsTitle)
	if err != nil {
		return err
	}
	page.Title += " · " + translate(c, text.KeySettings) // distinguishes it from the list of merge requests
	return render(c, http.StatusOK, views.SettingsMergeRequests(views.MergeRequestSettings{
		Page: page, SaveURL: mergeRequestSettingsURL(c), ChecksMustSucceed: request.Project(c).OnlyAllowMergeIfAllStatusChecksPassed,
		Services: p.serviceCard(c),
	}))
}

// saveMergeChecks saves "Status checks must succeed".
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
		on := project.OnlyAllowMergeIfAllStatusChecksPassed
		return render(c, http.StatusOK, views.MergeChecksForm(mergeRequestSettingsURL(c), on, p.serviceCard(c).NoBlocker()))
	}
	return p.redirect(c, mergeRequestSettingsURL(c), text.KeyChecksToastSaved)
}

// switchValue reads a check box, which browsers omit when it is off. It returns errBadForm for
// an unexpected value.
func switchValue(c echo.Context, name string) (bool, error) {
	switch c.Request().PostForm.Get(name) {
	case "", "0", "false", "off":
		return false, nil
	case "1", "true", "on":
		return true, nil
	}
	return false, errBadForm
}

// serviceCard returns the table of services. If they cannot be read, the card says so.
func (p *pages) serviceCard(c echo.Context) views.ServiceCard {
	card := views.ServiceCard{RefreshURL: mergeRequestSettingsURL(c), AddURL: newServiceURL(c), Now: p.Store.Now()}
	rows, err := p.serviceRows(c, "")
	if err != nil {
		p.logFailure(c, "listing services failed", err)
		card.Failed = true
		return card
	}
	card.Rows = rows
	return card
}

// serviceRows returns the project's services with the state of their deliveries. returnTo
// names the page that their forms return to.
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
	breakers, err := p.Store.Breakers(ctx, projectID)
	if err != nil {
		return nil, err
	}
	rows := make([]views.ServiceRow, 0, len(services))
	for _, service := range services {
		row := serviceRow(c, service, deliveries[service.ID], returnTo)
		row.Breaker = breakerView(c, breakers[service.ID], p.Store.Now())
		rows = append(rows, row)
	}
	sortServices(rows)
	return rows, nil
}

// logFailure logs an error that the page can be shown in spite of, unless its client has
// gone away.
func (p *pages) logFailure(c echo.Context, message string, err error) {
	if request.ClientGone(c, err) {
		return
	}
	p.Log.ErrorContext(c.Request().Context(), message, "route", c.Path(), "error", err)
}

// serviceRemovalForm asks for confirmation to remove a service.
func (p *pages) serviceRemovalForm(c echo.Context) error {
	service, err := p.serviceInPath(c)
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
		// The page behind the dialog belongs to the removed service.
		return p.redirectPage(c, mergeRequestSettingsURL(c), text.KeyChecksToastRemoved)
	}
	return p.serviceSaved(c, returnURL(c, returnTo, 0), string(text.KeyChecksToastRemoved))
}

// serviceInPath returns the service that the path names. KindNotFound if the project has none with
// that id.
func (p *pages) serviceInPath(c echo.Context) (models.ExternalStatusCheck, error) {
	id, err := idParam(c, "id")
	if err != nil {
		return models.ExternalStatusCheck{}, err
	}
	return p.Store.ExternalStatusCheck(c.Request().Context(), request.Project(c).ID, id)
}

// serviceSaved answers a form about services or branch rules. htmx gets the updated parts of
// the page behind the dialog, other clients a redirect to back.
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
	service, err := p.serviceInPath(c)
	if err != nil {
		return err
	}
	view, _, err := p.presentService(c, service, 1, logFilter{})
	if err != nil {
		return err
	}
	view.OutOfBand = true
	triggerToast(c, toastText(c, toast), true)
	return render(c, http.StatusOK, views.ServiceSavedView(view))
}
