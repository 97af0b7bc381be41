package handlers

import (
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
)

// redeliverForm asks for confirmation to send the deliveries that match the filter of the
// log again, and shows how many there are. Without an outcome it selects those that failed,
// without any filter those of the last 24 hours.
func (p *pages) redeliverForm(c echo.Context) error {
	service, err := p.serviceInPath(c)
	if err != nil {
		return err
	}
	filter := readLogFilter(c)
	if len(filter.form.Values) == 0 {
		filter.form.Values.Set("since", p.Store.Now().Add(-24*time.Hour).Format(logTimeLayouts[0].layout))
	}
	if filter.State == "" || filter.State == models.DeliveryWaiting {
		filter.form.Values.Set("outcome", string(models.DeliveryFailed))
	}
	return p.renderRedeliver(c, http.StatusOK, service, newLogFilter(c, filter.form.Values))
}

// renderRedeliver renders the confirmation. With an invalid filter it has no number.
func (p *pages) renderRedeliver(c echo.Context, status int, service models.ExternalStatusCheck, filter logFilter) error {
	page, err := p.settingsPage(c, text.KeyLogRedeliverAll,
		service.Name, serviceURL(c, service.ID), translate(c, text.KeyLogRedeliverAll), redeliverURL(c, service.ID))
	if err != nil {
		return err
	}
	view := views.Redeliver{
		Page: page, URL: redeliverURL(c, service.ID), CloseURL: serviceURL(c, service.ID) + "#deliveries", ServiceName: service.Name,
		Filter: filter.fields(c), Counted: filter.query().Encode(), Limit: models.MaxRedelivered,
	}
	view.Filter.Outcomes = slices.DeleteFunc(view.Filter.Outcomes, func(o views.Option) bool {
		return !slices.Contains(models.RedeliverableStates, models.DeliveryState(o.Value))
	})
	if len(filter.form.Errors) > 0 {
		return render(c, status, views.RedeliverView(view))
	}
	total, err := p.Store.CountRedeliverable(c.Request().Context(), service.ProjectID, service.ID, filter.DeliveryFilter)
	if err != nil {
		return err
	}
	view.Count, view.More = int(min(total, models.MaxListed)), total > models.MaxListed
	return render(c, status, views.RedeliverView(view))
}

// redeliverAll sends the deliveries that match the filter again. If the filter differs from
// the one whose number was shown, it shows the number first.
func (p *pages) redeliverAll(c echo.Context) error {
	service, err := p.serviceInPath(c)
	if err != nil {
		return err
	}
	values, form := url.Values{}, formOf(c)
	for _, name := range logParams {
		if value := form.Value(name); value != "" {
			values.Set(name, value)
		}
	}
	filter := newLogFilter(c, values)
	if !slices.Contains(models.RedeliverableStates, filter.State) {
		filter.form.Errors["outcome"] = translate(c, logMessages["outcome"])
	}
	if len(filter.form.Errors) > 0 {
		return p.renderRedeliver(c, http.StatusUnprocessableEntity, service, filter)
	}
	if counted := filter.query().Encode(); c.Request().PostForm.Get("counted") != counted {
		return p.redirect(c, redeliverURL(c, service.ID)+"?"+counted, "")
	}
	queued, err := p.Store.RedeliverAll(c.Request().Context(), request.MustUser(c), service.ProjectID, service.ID, filter.DeliveryFilter)
	if err != nil {
		return err
	}
	p.keepToast(c, countedToast(text.KeyLogToastRedelivered, queued))
	return p.redirect(c, serviceURL(c, service.ID), "")
}
