package handlers

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views"
)

// servicePage shows a service with its delivery log.
func (p *pages) servicePage(c echo.Context) error {
	service, err := p.service(c)
	if err != nil {
		return err
	}
	page, err := p.settingsPage(c, views.KeyChecksStatusCheck, service.Name, serviceURL(c, service.ID))
	if err != nil {
		return err
	}
	page.Title = service.Name
	recent, err := p.Store.RecentDeliveries(c.Request().Context(), service.ProjectID, healthBars)
	if err != nil {
		return err
	}
	list, err := p.deliveryList(c, service)
	if err != nil {
		return err
	}
	deliveries := recent[service.ID]
	view := views.ServicePage{
		Page: page, Service: serviceRow(c, service, deliveries, returnToService), AddedAt: service.CreatedAt,
		TestURL: serviceURL(c, service.ID) + "/test", Deliveries: list, FailedInRow: failedInRow(deliveries),
	}
	for _, d := range slices.Backward(deliveries) {
		if failedSoFar(d) {
			view.LastFailure = answerOutcome(c, d.LastHTTPStatus, d.LastError).Text
			break
		}
	}
	return render(c, http.StatusOK, views.ServicePageView(view))
}

// deliveryList is one page of a service's log.
func (p *pages) deliveryList(c echo.Context, service models.ExternalStatusCheck) (views.DeliveryList, error) {
	number := pageNumber(c)
	deliveries, total, err := p.Store.Deliveries(c.Request().Context(), service.ProjectID, service.ID, models.Page{Number: number, Size: pageSize})
	if err != nil {
		return views.DeliveryList{}, err
	}
	list := views.DeliveryList{Now: p.Store.Now(), Pages: pageLinks(c, number, len(deliveries), total)}
	for _, d := range deliveries {
		list.Rows = append(list.Rows, p.deliveryRow(c, d))
	}
	return list, nil
}

// sendTest sends a service a test delivery, which changes no check.
func (p *pages) sendTest(c echo.Context) error {
	service, err := p.service(c)
	if err != nil {
		return err
	}
	if _, err := p.Store.SendTest(c.Request().Context(), request.MustUser(c), service.ProjectID, service.ID); err != nil {
		return err
	}
	if !isHTMX(c) {
		return p.redirect(c, serviceURL(c, service.ID), views.KeyChecksToastTest)
	}
	list, err := p.deliveryList(c, service)
	if err != nil {
		return err
	}
	list.Pages = views.PageLinks{} // they would lead to this address, which only takes forms
	triggerToast(c, text(c, views.KeyChecksToastTest), false)
	return render(c, http.StatusOK, views.DeliveryListView(list))
}

// deliveryPage shows one delivery: the request, and what came of each attempt.
func (p *pages) deliveryPage(c echo.Context) error {
	service, err := p.service(c)
	if err != nil {
		return err
	}
	id, err := idParam(c, "delivery")
	if err != nil {
		return err
	}
	d, attempts, err := p.Store.Delivery(c.Request().Context(), service.ProjectID, service.ID, id)
	if err != nil {
		return err
	}
	row := p.deliveryRow(c, d)
	page, err := p.settingsPage(c, views.KeyChecksDelivery, service.Name, serviceURL(c, service.ID), row.ShortID, row.URL)
	if err != nil {
		return err
	}
	view := views.DeliveryPage{
		Page: page, ID: d.UUID, ServiceName: service.Name, ServiceURL: serviceURL(c, service.ID), Event: row.Event,
		MergeRequest: row.MergeRequest, MergeRequestURL: row.MergeRequestURL, SHA: d.SHA, State: p.deliveryState(c, d),
		Explanation: deliveryExplained(c, d), CreatedAt: d.CreatedAt, Now: p.Store.Now(), AttemptsText: row.Attempts,
		RequestLine: requestLine(d.URL), Body: prettyJSON(d.Payload), RedeliverURL: row.URL + "/redeliver",
	}
	if d.State == models.DeliveryWaiting && !d.InFlightAt(view.Now) && d.NextAttemptAt.After(view.Now) {
		view.NextAt = d.NextAttemptAt
	}
	for _, a := range slices.Backward(attempts) {
		view.Attempts = append(view.Attempts, attemptView(c, a))
	}
	if len(attempts) > 0 {
		view.Headers = headerLines(attempts[len(attempts)-1].RequestHeader)
	}
	return render(c, http.StatusOK, views.DeliveryPageView(view))
}

// redeliver sends a delivery once more, with the same bytes and the same id.
func (p *pages) redeliver(c echo.Context) error {
	service, err := p.service(c)
	if err != nil {
		return err
	}
	id, err := idParam(c, "delivery")
	if err != nil {
		return err
	}
	d, err := p.Store.Redeliver(c.Request().Context(), service.ProjectID, service.ID, id)
	if err != nil {
		return err
	}
	if isHTMX(c) {
		triggerToast(c, text(c, views.KeyChecksToastRedelivered), false)
		return p.deliveryPage(c)
	}
	return p.redirect(c, p.deliveryRow(c, d).URL, views.KeyChecksToastRedelivered)
}

func attemptView(c echo.Context, a models.DeliveryAttempt) views.AttemptView {
	view := views.AttemptView{
		Number: a.Number, At: a.StartedAt, Duration: milliseconds(c, a.DurationMS),
		Outcome: answerOutcome(c, a.HTTPStatus, a.Error), Failure: a.ErrorDetail,
		Headers: headerLines(a.ResponseHeader), Truncated: a.ResponseTruncated,
		Body: strings.ToValidUTF8(string(a.ResponseBody), "\uFFFD"),
	}
	if a.HTTPStatus != 0 {
		view.ResponseLine = strings.TrimSpace(text(c, views.KeyChecksHTTPStatus, "Status", a.HTTPStatus) + " " + http.StatusText(a.HTTPStatus))
	}
	return view
}

// requestLine is the first line of the request to a service.
func requestLine(target string) string {
	u, err := url.Parse(target)
	if err != nil {
		return http.MethodPost
	}
	return http.MethodPost + " " + u.RequestURI() + " HTTP/1.1\nHost: " + u.Host
}

// maskedHeaders are header lines whose value could be used by who reads it.
var maskedHeaders = []string{"Authorization", "Cookie", "Set-Cookie", "X-Gitlab-Signature", "Webhook-Signature"}

// headerLines are the lines of a request or response by name.
func headerLines(h models.Header) []views.Header {
	var lines []views.Header
	for name, values := range h {
		for _, value := range values {
			if slices.ContainsFunc(maskedHeaders, func(masked string) bool { return strings.EqualFold(masked, name) }) {
				value = "••••••••"
			}
			lines = append(lines, views.Header{Name: name, Value: value})
		}
	}
	slices.SortStableFunc(lines, func(a, b views.Header) int { return strings.Compare(a.Name, b.Name) })
	return lines
}

// prettyJSON is a payload with one field per line, as it is where it is no
// JSON.
func prettyJSON(payload []byte) string {
	var out bytes.Buffer
	if err := json.Indent(&out, payload, "", "  "); err != nil {
		return strings.ToValidUTF8(string(payload), "\uFFFD")
	}
	return out.String()
}
