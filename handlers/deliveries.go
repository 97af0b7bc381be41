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

	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
)

// deliveryPage shows a delivery: the request, and the result of each attempt. A poll by htmx
// gets 204 if nothing changed since rev.
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
	service, err := p.serviceInPath(c)
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
	page, err := p.settingsPage(c, text.KeyChecksDelivery,
		service.Name, serviceURL(c, service.ID), translate(c, text.KeyChecksDelivery)+" "+row.ShortID, row.URL)
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
	header := curlHeader(d)
	if len(attempts) > 0 {
		header = attempts[len(attempts)-1].RequestHeader
		view.Headers = headerLines(header)
	}
	view.Curl, view.CurlVariables = curlCommand(d.URL, header, d.Payload)
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

// redeliver sends a delivery again, with the same bytes and the same Idempotency-Key.
func (p *pages) redeliver(c echo.Context) error {
	service, err := p.serviceInPath(c)
	if err != nil {
		return err
	}
	id, err := idParam(c, "delivery")
	if err != nil {
		return err
	}
	d, err := p.Store.Redeliver(c.Request().Context(), request.MustUser(c), service.ProjectID, service.ID, id)
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
		Headers: headerLines(a.ResponseHeader), Truncated: a.ResponseTruncated, Timing: timingParts(c, a),
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

// textOf returns a response body as text. It is false for binary data: if the body has control
// characters, or if more than a tenth of it is not UTF-8. cut means that the body was
// truncated, possibly inside a character.
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

// truncatedFields returns the names of the fields that the payload marks as truncated.
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

// requestLine returns the request line without the query string, which may contain a secret.
func requestLine(target string) string {
	sent, ok := models.URLAsSent(models.DisplayURL(target))
	u, err := url.Parse(sent)
	if !ok || err != nil {
		return http.MethodPost
	}
	return http.MethodPost + " " + u.RequestURI() + " HTTP/1.1\nHost: " + u.Host
}

// maskedHeaders are the headers whose values are not shown because they are credentials or
// signatures.
var maskedHeaders = []string{"Authorization", "Cookie", "Set-Cookie", "X-Gitlab-Signature", "Webhook-Signature"}

// headerLines returns the headers sorted by name, without credentials and signatures.
func headerLines(h models.Header) []views.Header {
	lines := allHeaderLines(h)
	for i := range lines {
		if isMasked(lines[i].Name, lines[i].Value) {
			lines[i].Value = "••••••••"
		}
	}
	return lines
}

// allHeaderLines returns the headers sorted by name.
func allHeaderLines(h models.Header) []views.Header {
	var lines []views.Header
	for name, values := range h {
		for _, value := range values {
			lines = append(lines, views.Header{Name: name, Value: value})
		}
	}
	slices.SortStableFunc(lines, func(a, b views.Header) int { return strings.Compare(a.Name, b.Name) })
	return lines
}

// prettyJSON returns the payload indented, or unchanged if it is not JSON.
func prettyJSON(payload []byte) string {
	var out bytes.Buffer
	if err := json.Indent(&out, payload, "", "  "); err != nil {
		return strings.ToValidUTF8(string(payload), "\uFFFD")
	}
	return out.String()
}
