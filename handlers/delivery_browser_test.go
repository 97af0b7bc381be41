package handlers

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mergegate/mergegate/cmd/mergegate/browsertest"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// finishNextDelivery claims the next due delivery and finishes the attempt with
// an HTTP status.
func (s *testSite) finishNextDelivery(status int) {
	s.T.Helper()
	claimed, err := s.Store.Claim(s.T.Context(), models.ClaimOptions{Limit: 1})
	if err != nil || len(claimed) != 1 {
		s.T.Fatalf("%d claimed: %v", len(claimed), err)
	}
	err = s.Store.FinishDelivery(s.T.Context(), claimed[0].Delivery, models.AttemptResult{
		StartedAt: s.Clock.Now(), Duration: 184 * time.Millisecond, HTTPStatus: status, ResponseBody: []byte(`{"queued": true}`),
	})
	if err != nil {
		s.T.Fatal(err)
	}
}

// The pages of a service and of a delivery show new attempts without a reload.
// Polls keep the focus and unchanged elements, and stop once every delivery is
// finished.
func TestBrowserDelivery_NewAttempts_AppearWithoutReload(t *testing.T) {
	t.Parallel()
	s := newTestSite(t, modelstest.SQLite(t))
	service := s.Service("licence")
	p := browsertest.Open(t, s.as(s.Owner).serve()+servicePath(service))
	waitSettled := func() {
		t.Helper()
		p.WaitFor("polling to stop", `!document.querySelector("#service, #delivery").hasAttribute("hx-trigger")`)
	}
	waitSettled()

	p.Click("#send-test")
	p.WaitText(".toast", "Test delivery sent.")
	p.WaitText("#deliveries tbody tr", "Queued")
	p.WaitFor("the button to keep the focus", `document.activeElement.id === "send-test"`)
	browsertest.Eval[bool](p, `(document.querySelector("#send-test").marked = document.querySelector("#service").marked = true)`)
	s.finishNextDelivery(http.StatusAccepted)
	p.WaitText("#deliveries tbody tr", "HTTP 202")
	p.WaitText(".page-head .badge", "1 of the last 1 delivery succeeded")
	waitSettled()
	if !browsertest.Eval[bool](p, `document.querySelector("#send-test").marked && document.querySelector("#service").marked && document.activeElement.id === "send-test"`) {
		t.Error("an update replaced unchanged elements or moved the focus")
	}

	p.Click("#deliveries tbody a")
	p.WaitText("#delivery .page-head .badge", "Delivered")
	waitSettled()
	p.Click("#redeliver")
	p.WaitText("#delivery .page-head .badge", "Queued")
	browsertest.Eval[bool](p, `(document.querySelector("#request-body").marked = true)`)
	s.finishNextDelivery(http.StatusGone)
	p.WaitText("#delivery .page-head .badge", "Failed")
	p.WaitText("#attempt-2", "HTTP 410")
	p.WaitText("#attempt-1", "HTTP 202")
	waitSettled()
	if !browsertest.Eval[bool](p, `document.querySelector("#request-body").marked && document.activeElement.id === "redeliver"`) {
		t.Error("an update replaced the request or moved the focus")
	}
}

// A failed poll keeps the content and shows a notice until a poll succeeds. A
// poll that is in flight when a form is sent is cancelled, so its older response
// does not replace the form's.
func TestBrowserDelivery_FailedPoll_KeepsContentAndShowsNotice(t *testing.T) {
	t.Parallel()
	s := newTestSite(t, modelstest.SQLite(t))
	service := s.Service("licence")
	s.openMergeRequest("topic")
	v := s.as(s.Owner)
	var failPolls, holdPoll atomic.Bool
	held, released := make(chan struct{}, 1), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("rev") != "" && failPolls.Load() {
			http.Error(w, "no", http.StatusInternalServerError)
			return
		}
		r.Header.Add("Cookie", v.cookie)
		recorder := httptest.NewRecorder()
		v.site.handler.ServeHTTP(recorder, r)
		if r.FormValue("rev") != "" && holdPoll.CompareAndSwap(true, false) {
			held <- struct{}{}
			select {
			case <-released:
			case <-r.Context().Done():
			}
		}
		for name, values := range recorder.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(recorder.Code)
		_, _ = w.Write(recorder.Body.Bytes())
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(released) })
	p := browsertest.Open(t, server.URL+servicePath(service))
	p.Allow("500|abort|Abort")
	p.WaitText("#deliveries tbody tr", "Queued")

	failPolls.Store(true)
	p.WaitText("#status-checks-failed", "Failed to load deliveries")
	p.WaitText("#deliveries tbody tr", "Queued")
	p.Click("#status-checks-failed button")
	p.WaitFor("Refresh to fail as well", `!document.querySelector("#status-checks-failed .spinner")`)
	p.WaitText("#status-checks-failed", "Failed to load deliveries")
	failPolls.Store(false)
	p.WaitGone("#status-checks-failed")

	holdPoll.Store(true)
	<-held
	p.Click("#send-test")
	p.WaitText("#deliveries tbody tr:first-child", "Test")
	if p.Count("#status-checks-failed") != 0 || p.Count("#deliveries tbody tr") != 2 {
		t.Errorf("%d failure notices and %d deliveries, want 0 and 2", p.Count("#status-checks-failed"), p.Count("#deliveries tbody tr"))
	}
}

func TestBrowserDelivery_ServiceRemoved_PageKeepsContent(t *testing.T) {
	t.Parallel()
	s := newTestSite(t, modelstest.SQLite(t))
	service := s.Service("licence")
	s.openMergeRequest("topic")
	p := browsertest.Open(t, s.as(s.Owner).serve()+servicePath(service))
	p.Allow("404")
	p.WaitText("#deliveries tbody tr", "Queued")
	s.as(s.Owner).post(servicePath(service)+"/remove", nil).wantStatus(http.StatusSeeOther)
	p.WaitText("#status-checks-failed", "You can no longer view these deliveries.")
	p.WaitText("#deliveries tbody tr", "Queued")
}

func TestBrowserServicePage_DialogForms_UpdatePage(t *testing.T) {
	t.Parallel()
	s := newTestSite(t, modelstest.SQLite(t))
	service := s.Service("licence")
	p := browsertest.Open(t, s.as(s.Owner).serve()+servicePath(service))
	p.Click("#edit-service")
	p.Wait("dialog[open] #status-check-name")
	p.Fill("#status-check-name", "Licence scan")
	p.Click("#submit-status-check")
	p.WaitText(".toast", "Status check updated.")
	p.WaitGone("dialog")
	p.WaitText("h1", "Licence scan")
	p.WaitText(".breadcrumbs [aria-current]", "Licence scan")
	p.WaitFor("the new title", `document.title.startsWith("Licence scan")`)
	p.WaitFor("the focus to be back", `document.activeElement.id === "edit-service"`)
	p.Click("#remove-service")
	p.WaitText("dialog[open]", "You are about to remove the Licence scan status check.")
	p.Click("#confirm-removal")
	p.WaitText(".toast", "Status check removed.")
	p.WaitText("#status-checks", "No status checks are defined yet.")
}

// The filter shows and takes times in the reader's time zone, as the rest of the page does.
// The address has them in UTC, so that it can be shared.
func TestBrowserDeliveryLog_Times_AreLocal(t *testing.T) {
	t.Parallel()
	s := newTestSite(t, modelstest.SQLite(t))
	service := s.Service("licence")
	s.openMergeRequest("topic") // the page polls while its delivery waits
	p := browsertest.New(t)
	p.TimeZone("Asia/Tokyo")
	p.Go(s.as(s.Owner).serve() + servicePath(service) + "?since=2026-11-20T20:15")
	shows := func(since, until string) {
		t.Helper()
		p.WaitText("label[for=until]", "Until (Japan Time)")
		p.WaitFor(since+" and "+until, fmt.Sprintf(`document.querySelector("#since").value === %q && document.querySelector("#until").value === %q`, since, until))
	}
	shows("2026-11-21T05:15", "")
	browsertest.Eval[bool](p, `!!(document.querySelector("#until").value = "2026-11-30T08:30")`)
	p.WaitFor("a poll", `performance.getEntriesByType("resource").some((e) => e.name.includes("rev="))`)
	shows("2026-11-21T05:15", "2026-11-30T08:30")
	p.Click("#apply-delivery-filter")
	p.WaitURL("since=2026-11-20T20%3A15&until=2026-11-29T23%3A30")
	shows("2026-11-21T05:15", "2026-11-30T08:30")
	p.Click("#redeliver-all")
	p.WaitURL("redeliver")
	shows("2026-11-21T05:15", "2026-11-30T08:30")
	p.Press("Count")
	p.WaitURL("redeliver.*status=&.*since=2026-11-20T20%3A15&until=2026-11-29T23%3A30")
	shows("2026-11-21T05:15", "2026-11-30T08:30")
}
