package handlers

import (
	"fmt"
	"hash/fnv"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
)

// servicePage shows a service with its delivery log. A poll by htmx gets 204 if nothing
// changed since rev.
func (p *pages) servicePage(c echo.Context) error {
	service, err := p.serviceInPath(c)
	if err != nil {
		return err
	}
	view, rev, err := p.presentService(c, service, pageNumber(c), readLogFilter(c))
	if err != nil {
		return err
	}
	if !isHTMX(c) {
		return render(c, http.StatusOK, views.ServicePageView(view))
	}
	if c.QueryParam("rev") == rev {
		return c.NoContent(http.StatusNoContent)
	}
	return render(c, http.StatusOK, views.ServiceView(view))
}

// presentService returns a service's page with one page of its log, and a digest of its
// content without relative times.
func (p *pages) presentService(
	c echo.Context, service models.ExternalStatusCheck, number int, filter logFilter,
) (views.ServicePage, string, error) {
	page, err := p.settingsPage(c, text.KeyChecksStatusCheck, service.Name, serviceURL(c, service.ID))
	if err != nil {
		return views.ServicePage{}, "", err
	}
	page.Title = service.Name
	recent, err := p.Store.RecentDeliveries(c.Request().Context(), service.ProjectID, healthBars)
	if err != nil {
		return views.ServicePage{}, "", err
	}
	deliveries := recent[service.ID]
	base := serviceURL(c, service.ID)
	view := views.ServicePage{
		Page: page, Service: serviceRow(c, service, deliveries, returnToService), AddedAt: service.CreatedAt, CallbackOnly: service.CallbackOnly,
		TestURL: base + "/test", FailedInRow: failedInRow(deliveries), MaxAttempts: models.MaxAttempts, Host: hostOf(service.ExternalURL),
		Deliveries: filter.present(c, base),
	}
	for _, header := range service.CustomHeaders {
		view.HeaderNames = append(view.HeaderNames, header.Name)
	}
	health, err := p.Store.ServiceHealth(c.Request().Context(), service.ProjectID, service.ID)
	if err != nil {
		return views.ServicePage{}, "", err
	}
	breaker, err := p.Store.Breaker(c.Request().Context(), service.ProjectID, service.ID)
	if err != nil {
		return views.ServicePage{}, "", err
	}
	view.Health, view.Service.Breaker = presentHealth(c, health), breakerView(c, breaker, p.Store.Now())
	for _, d := range slices.Backward(deliveries) {
		if d.FailedSoFar() {
			view.LastFailure, view.Answered = answerOutcome(c, d.LastHTTPStatus, d.LastError).Text, d.LastHTTPStatus != 0
			break
		}
	}
	list := &view.Deliveries
	list.Now = p.Store.Now()
	shown, total, err := p.Store.Deliveries(c.Request().Context(), service.ProjectID, service.ID, filter.DeliveryFilter,
		models.Page{Number: number, Size: pageSize})
	if err != nil {
		return views.ServicePage{}, "", err
	}
	query := filter.query()
	list.Pages = linksTo(base, query, number, len(shown), total)
	for _, d := range shown {
		list.Rows = append(list.Rows, p.deliveryRow(c, d))
	}
	digest := deliveryDigest{now: list.Now}
	digest.word(service.Name, service.ExternalURL, strconv.FormatInt(total, 10), strconv.FormatBool(service.HasSecret()))
	digest.word(service.Scope()...)
	digest.word(service.Timeout().String(), strconv.FormatBool(service.Informational), strconv.FormatBool(service.CallbackOnly))
	digest.word(view.HeaderNames...)
	digest.word(fmt.Sprint(view.Health))
	digest.word(view.Service.Breaker.State, strconv.FormatInt(view.Service.Breaker.NextAt.UnixMicro(), 10))
	digest.add(deliveries...)
	digest.add(shown...)
	if number > 1 {
		query.Set("page", strconv.Itoa(number))
	}
	view.Live = digest.live(base, query)
	return view, digest.sum(), nil
}

// deliveryDigest computes a digest of the deliveries on a page, and how often the page should
// poll.
type deliveryDigest struct {
	now   time.Time
	text  []byte
	every string
}

// soon is the time before the next attempt within which the page polls often.
const soon = 2 * time.Minute

func (g *deliveryDigest) word(words ...string) {
	for _, w := range words {
		g.text = append(append(g.text, w...), 0)
	}
}

func (g *deliveryDigest) add(deliveries ...models.Delivery) {
	for _, d := range deliveries {
		flies := d.InFlightAt(g.now)
		g.word(strconv.FormatInt(d.ID, 10), string(d.State), strconv.Itoa(d.Attempts), strconv.FormatBool(flies), strconv.Itoa(d.LastHTTPStatus),
			d.LastError, strconv.FormatInt(d.NextAttemptAt.UnixMicro(), 10))
		switch {
		case d.State != models.DeliveryWaiting && !flies:
		case flies || d.NextAttemptAt.Before(g.now.Add(soon)):
			g.every = "3s"
		case g.every == "":
			g.every = "60s"
		}
	}
}

func (g *deliveryDigest) sum() string {
	hash := fnv.New64a()
	hash.Write(g.text)
	return strconv.FormatUint(hash.Sum64(), 36)
}

// live returns the polling of path with query.
func (g *deliveryDigest) live(path string, query url.Values) views.Live {
	query.Set("rev", g.sum())
	return views.Live{URL: path + "?" + query.Encode(), Every: g.every}
}

// hostOf returns the host and port of a URL.
func hostOf(target string) string {
	u, err := url.Parse(target)
	if err != nil {
		return target
	}
	return u.Host
}

// sendTest sends a test delivery. It changes no check.
func (p *pages) sendTest(c echo.Context) error {
	service, err := p.serviceInPath(c)
	if err != nil {
		return err
	}
	if _, err := p.Store.SendTest(c.Request().Context(), request.MustUser(c), service.ProjectID, service.ID); err != nil {
		return err
	}
	if !isHTMX(c) {
		return p.redirect(c, serviceURL(c, service.ID), text.KeyChecksToastTest)
	}
	view, _, err := p.presentService(c, service, 1, logFilter{})
	if err != nil {
		return err
	}
	triggerToast(c, translate(c, text.KeyChecksToastTest), false)
	return render(c, http.StatusOK, views.ServiceView(view))
}
