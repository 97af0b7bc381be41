package handlers

import (
	"net/http"
	"net/url"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
)

// redeliverFailedForm asks for confirmation to send the failed deliveries since a time
// again, and shows how many there are.
func (p *pages) redeliverFailedForm(c echo.Context) error {
	service, err := p.serviceInPath(c)
	if err != nil {
		return err
	}
	since := searchParam(c, "since")
	if since == "" {
		since = p.Store.Now().Add(-24 * time.Hour).Format(logTimeLayouts[0].layout)
	}
	return p.renderRedeliverFailed(c, http.StatusOK, service, since)
}

// renderRedeliverFailed renders the confirmation. Without a valid time it has no number.
func (p *pages) renderRedeliverFailed(c echo.Context, status int, service models.ExternalStatusCheck, since string) error {
	page, err := p.settingsPage(c, text.KeyLogRedeliverFailed,
		service.Name, serviceURL(c, service.ID), translate(c, text.KeyLogRedeliverFailed), redeliverFailedURL(c, service.ID))
	if err != nil {
		return err
	}
	view := views.RedeliverFailed{
		Page: page, URL: redeliverFailedURL(c, service.ID), CloseURL: serviceURL(c, service.ID) + "#deliveries", ServiceName: service.Name,
		Filter: views.Form{Values: url.Values{"since": {since}}, Errors: map[string]string{}}, Limit: models.MaxRedelivered,
	}
	from, _, ok := parseLogTime(since)
	if !ok {
		view.Filter.Errors["since"] = translate(c, text.KeyLogTimeInvalid)
		return render(c, status, views.RedeliverFailedView(view))
	}
	total, err := p.Store.CountFailed(c.Request().Context(), service.ProjectID, service.ID, from)
	if err != nil {
		return err
	}
	view.Count, view.More = int(min(total, models.MaxListed)), total > models.MaxListed
	return render(c, status, views.RedeliverFailedView(view))
}

// redeliverFailed sends the failed deliveries since a time again. If the time differs from
// the one whose number was shown, it shows the number first.
func (p *pages) redeliverFailed(c echo.Context) error {
	service, err := p.serviceInPath(c)
	if err != nil {
		return err
	}
	since := formOf(c).Value("since")
	from, _, ok := parseLogTime(since)
	if !ok {
		return p.renderRedeliverFailed(c, http.StatusUnprocessableEntity, service, since)
	}
	if c.Request().PostForm.Get("counted") != since {
		return p.redirect(c, redeliverFailedURL(c, service.ID)+"?since="+url.QueryEscape(since), "")
	}
	queued, err := p.Store.RedeliverFailed(c.Request().Context(), request.MustUser(c), service.ProjectID, service.ID, from)
	if err != nil {
		return err
	}
	p.keepToast(c, countedToast(text.KeyLogToastRedelivered, queued))
	return p.redirect(c, serviceURL(c, service.ID), "")
}
