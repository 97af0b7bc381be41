package handlers

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
)

// deliveryPage shows one delivery: the request, and what came of each attempt.
// To htmx, which asks while it is under way, it answers 204 where nothing is
// new since rev.
func (p *pages) deliveryPage(c echo.Context) error {
	view, rev, err := p.presentDeliveryPage(c)
	if err != nil {
		return err
	}
	if !isHTMX(c) {
		return render(c, http.StatusOK, views.DeliveryPageView(view))
	}
	if c.QueryParam("rev") == rev {
		return c.NoContent(http.StatusNoContent)
	}
	return render(c, http.StatusOK, views.DeliveryView(view))
}

// presentDeliveryPage returns the page of the delivery in the path, and a digest
// of its content without relative times.
func (p *pages) presentDeliveryPage(c echo.Context) (views.DeliveryPage, string, error) {
	service, err := p.service(c)
	if err != nil {
		return views.DeliveryPage{}, "", err
	}
	id, err := idParam(c, "delivery")
	if err != nil {
		return views.DeliveryPage{}, "", err
	}
	ctx := c.Request().Context()
	d, attempts, err := p.Store.Delivery(ctx, service.ProjectID, service.ID, id)
	if err != nil {
		return views.DeliveryPage{}, "", err
	}
	row := p.deliveryRow(c, d)
	page, err := p.settingsPage(c, text.KeyChecksDelivery, service.Name, serviceURL(c, service.ID), translate(c, text.KeyChecksDelivery)+" "+row.ShortID, row.URL)
	if err != nil {
		return views.DeliveryPage{}, "", err
	}
	view := views.DeliveryPage{
		Page: page, ID: d.UUID, ServiceName: service.Name, ServiceURL: serviceURL(c, service.ID), Event: row.Event,
		MergeRequest: row.MergeRequest, MergeRequestURL: row.MergeRequestURL, SHA: shortSHA(d.SHA), State: p.deliveryState(c, d),
		Explanation: deliveryExplained(c, d), CreatedAt: d.CreatedAt, Now: p.Store.Now(), AttemptsText: row.Attempts, Duration: row.Duration,
		RequestLine: requestLine(d.URL), Body: prettyJSON(d.Payload), Truncated: truncatedFields(d.Payload), RedeliverURL: row.URL + "/redeliver",
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
	answer, found, err := p.Store.ResponseAfter(ctx, d)
	if err != nil {
		return views.DeliveryPage{}, "", err
	}
	if found {
		view.Result, view.ResultAfter = string(answer.Status), answer.CreatedAt.Sub(d.CreatedAt)
	}
	digest := deliveryDigest{now: view.Now}
	digest.word(service.Name, view.Result, strconv.Itoa(len(attempts)))
	digest.add(d)
	view.Live = digest.live(row.URL, url.Values{})
	return view, digest.sum(), nil
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
	if !isHTMX(c) {
		return p.redirect(c, p.deliveryRow(c, d).URL, text.KeyChecksToastRedelivered)
	}
	view, _, err := p.presentDeliveryPage(c)
	if err != nil {
		return err
	}
	triggerToast(c, translate(c, text.KeyChecksToastRedelivered), false)
	return render(c, http.StatusOK, views.DeliveryView(view))
}

func attemptView(c echo.Context, a models.DeliveryAttempt) views.AttemptView {
	view := views.AttemptView{
		Number: a.Number, At: a.StartedAt, Duration: milliseconds(c, a.DurationMS),
		Outcome: answerOutcome(c, a.HTTPStatus, a.Error), Failure: failureDetail(c, a.ErrorDetail),
		Headers: headerLines(a.ResponseHeader), Truncated: a.ResponseTruncated,
	}
	if body, ok := textOf(a.ResponseBody, a.ResponseTruncated); ok {
		view.Body = body
	} else {
		view.BinaryBytes = len(a.ResponseBody)
	}
	if a.HTTPStatus != 0 {
		view.ResponseLine = strings.TrimSpace(translate(c, text.KeyChecksHTTPStatus, "Status", a.HTTPStatus) + " " + http.StatusText(a.HTTPStatus))
	}
	return view
}

// textOf is what a service answered, as text; false where it is none: where a
// character that no text holds is in it, or more than one in ten is not UTF-8.
// The end of a body that was cut short may be half a character.
func textOf(body []byte, cut bool) (string, bool) {
	bad, all := 0, 0
	for rest := body; len(rest) > 0; all++ {
		r, size := utf8.DecodeRune(rest)
		if cut && r == utf8.RuneError && !utf8.FullRune(rest) {
			body = body[:len(body)-len(rest)]
			break
		}
		if r == 0 {
			return "", false
		}
		if r == utf8.RuneError && size == 1 {
			bad++
		}
		rest = rest[size:]
	}
	return strings.ToValidUTF8(string(body), "\uFFFD"), bad*10 <= all
}

// truncatedFields are the texts that a payload says it cut.
func truncatedFields(payload []byte) []string {
	var body struct {
		Mergegate struct {
			Truncated []string `json:"truncated"`
		} `json:"mergegate"`
	}
	if json.Unmarshal(payload, &body) != nil {
		return nil
	}
	return body.Mergegate.Truncated
}

// requestLine is the first line of the request to a service, without the query
// string, which may hold a secret.
func requestLine(target string) string {
	sent, ok := models.URLAsSent(models.DisplayURL(target))
	u, err := url.Parse(sent)
	if !ok || err != nil {
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
