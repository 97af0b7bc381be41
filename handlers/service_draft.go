package handlers

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
)

// testURL returns the address of Send test in the form of a service; save is the form's.
func testURL(save string, serviceID int64) string {
	if serviceID == 0 {
		return save + "/new/test"
	}
	return save + "/edit/test"
}

// testNewService sends a test to the service that is typed in the form. Nothing is stored.
func (p *pages) testNewService(c echo.Context) error {
	return p.testDraft(c, models.ExternalStatusCheck{})
}

func (p *pages) testEditedService(c echo.Context) error {
	service, err := p.serviceInPath(c)
	if err != nil {
		return err
	}
	return p.testDraft(c, service)
}

// testDraft sends a test to a service as typed. htmx gets the result, other clients the
// form with it.
func (p *pages) testDraft(c echo.Context, service models.ExternalStatusCheck) error {
	if p.Sender == nil {
		return request.ErrHidden
	}
	ctx, fields := c.Request().Context(), readServiceFields(c)
	test, err := p.Store.NewDraftTest(ctx, request.MustUser(c), request.Project(c).ID, service, fields.ExternalStatusCheckInput)
	if err != nil {
		return p.refuseDraftTest(c, service, fields, err)
	}
	allowed, err := p.Store.CountDraftTest(ctx, request.MustUser(c))
	if err != nil {
		return err
	}
	fields.test = &views.DraftTest{}
	status := http.StatusOK
	if allowed {
		*fields.test = p.sendDraft(c, test)
	} else {
		status = http.StatusTooManyRequests
		c.Response().Header().Set("Retry-After", strconv.Itoa(int(models.DraftTestWindow.Seconds())))
		fields.test.Problems = []string{translate(c, text.KeyChecksDraftTooMany)}
	}
	if isHTMX(c) {
		return render(c, status, views.DraftTestView(fields.test))
	}
	return p.serviceForm(c, status, service, fields, nil)
}

// refuseDraftTest shows the messages for what is typed.
func (p *pages) refuseDraftTest(c echo.Context, service models.ExternalStatusCheck, fields serviceFields, failure error) error {
	shown := views.Form{Errors: map[string]string{}}
	if !isHTMX(c) || !addMessages(c, &shown, failure, serviceMessages) {
		return p.serviceForm(c, 0, service, fields, failure)
	}
	result := &views.DraftTest{}
	for _, field := range []string{"external_url", "shared_secret", "custom_headers"} {
		if message := shown.Errors[field]; message != "" {
			result.Problems = append(result.Problems, message)
		}
	}
	return render(c, http.StatusUnprocessableEntity, views.DraftTestView(result))
}

// sendDraft sends the test and returns what the form shows of it.
func (p *pages) sendDraft(c echo.Context, test models.DraftTest) views.DraftTest {
	now, d := p.Store.Now(), test.Claimed.Delivery
	result := models.AttemptResult{StartedAt: now, Error: models.ErrorSecret, ErrorDetail: models.DetailSecret}
	if test.Claimed.SecretError != nil {
		p.logFailure(c, "signing a test failed", test.Claimed.SecretError)
	} else {
		result = p.Sender.Send(c.Request().Context(), test.Claimed, now)
	}
	header := models.Header(p.Sender.Preview(test.Claimed, now))
	if test.StoredSecret { // a weak secret of somebody else could be guessed from it
		for _, name := range []string{"X-Gitlab-Signature", "Webhook-Signature"} {
			if header[name] != nil {
				header[name] = []string{"••••••••"}
			}
		}
	}
	attempt := attemptView(c, models.DeliveryAttempt{
		Number: 1, StartedAt: now, DurationMS: result.Duration.Milliseconds(), HTTPStatus: result.HTTPStatus, Error: result.Error,
		ErrorDetail: result.ErrorDetail, ResponseHeader: result.ResponseHeader, ResponseBody: result.ResponseBody,
		ResponseTruncated: result.ResponseTruncated,
	})
	return views.DraftTest{
		Attempt: &attempt, Withheld: test.Withheld, RequestLine: requestLine(d.URL), Headers: allHeaderLines(header),
		Body: strings.ToValidUTF8(prettyJSON(d.Payload), "\uFFFD"), Signed: test.Claimed.Secret != "",
	}
}
