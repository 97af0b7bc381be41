package handlers

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mergegate/mergegate/cmd/mergegate/browsertest"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// finishNextDelivery makes the next attempt at a delivery, which ends with an HTTP
// status.
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

// TestBrowserDelivery_NewAttempts_AppearWithoutReload: the pages of a service and of a delivery
// show what comes of Send test and Redeliver without a reload, leave focus,
// choice and unchanged parts alone, and stop asking once nothing is under way.
func TestBrowserDelivery_NewAttempts_AppearWithoutReload(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	service := s.Service("licence")
	p := browsertest.Open(t, s.as(s.Owner).serve()+servicePath(service))
	settled := func() {
		t.Helper()
		p.WaitFor("the page to stop asking", `!document.querySelector("#service, #delivery").hasAttribute("hx-trigger")`)
	}
	settled()

	p.Click("#send-test")
	p.WaitText(".toast", "Test delivery sent.")
	p.WaitText("#deliveries tbody tr", "Queued")
	p.WaitFor("the button to keep the focus", `document.activeElement.id === "send-test"`)
	browsertest.Eval[bool](p, `(document.querySelector("#send-test").marked = document.querySelector("#service").marked = true)`)
	s.finishNextDelivery(http.StatusAccepted)
	p.WaitText("#deliveries tbody tr", "HTTP 202")
	p.WaitText(".page-head .badge", "1 of the last 1 delivery succeeded")
	settled()
	if !browsertest.Eval[bool](p, `document.querySelector("#send-test").marked && document.querySelector("#service").marked && document.activeElement.id === "send-test"`) {
		t.Error("the news replaced what had not changed, or took the focus")
	}

	p.Click("#deliveries tbody a")
	p.WaitText("#delivery .page-head .badge", "Delivered")
	settled()
	p.Click("#redeliver")
	p.WaitText("#delivery .page-head .badge", "Queued")
	browsertest.Eval[bool](p, `(document.querySelector("#request-body").marked = true)`)
	s.finishNextDelivery(http.StatusGone)
	p.WaitText("#delivery .page-head .badge", "Failed")
	p.WaitText("#attempt-2", "HTTP 410")
	p.WaitText("#attempt-1", "HTTP 202")
	settled()
	if !browsertest.Eval[bool](p, `document.querySelector("#request-body").marked && document.activeElement.id === "redeliver"`) {
		t.Error("the news replaced the request, or took the focus")
	}
}

// TestBrowserDelivery_FailedPoll_KeepsContentAndShowsNotice: a poll that fails keeps what is shown and says so
// until one succeeds; one that is under way when a form is sent is given up, so
// that its older answer never covers the form's.
func TestBrowserDelivery_FailedPoll_KeepsContentAndShowsNotice(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	service := s.Service("licence")
	s.openMergeRequest("topic")
	v := s.as(s.Owner)
	var fails, holds atomic.Bool
	held, released := make(chan struct{}, 1), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("rev") != "" && fails.Load() {
			http.Error(w, "no", http.StatusInternalServerError)
			return
		}
		r.Header.Add("Cookie", v.cookie)
		answer := httptest.NewRecorder()
		v.site.handler.ServeHTTP(answer, r)
		if r.FormValue("rev") != "" && holds.CompareAndSwap(true, false) {
			held <- struct{}{}
			select {
			case <-released:
			case <-r.Context().Done():
			}
		}
		for name, values := range answer.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(released) })
	p := browsertest.Open(t, server.URL+servicePath(service))
	p.Allow("500|abort|Abort")
	p.WaitText("#deliveries tbody tr", "Queued")

	fails.Store(true)
	p.WaitText("#status-checks-failed", "Failed to load deliveries")
	p.WaitText("#deliveries tbody tr", "Queued")
	p.Click("#status-checks-failed button")
	p.WaitFor("Refresh to fail, too", `!document.querySelector("#status-checks-failed .spinner")`)
	p.WaitText("#status-checks-failed", "Failed to load deliveries")
	fails.Store(false)
	p.WaitGone("#status-checks-failed")

	holds.Store(true)
	<-held
	p.Click("#send-test")
	p.WaitText("#deliveries tbody tr:first-child", "Test")
	if p.Count("#status-checks-failed") != 0 || p.Count("#deliveries tbody tr") != 2 {
		t.Errorf("%d lines of failure, %d deliveries", p.Count("#status-checks-failed"), p.Count("#deliveries tbody tr"))
	}
}

// TestBrowserDelivery_ServiceRemoved_PageKeepsContent: who looks at a service that somebody
// else removes is told, and keeps what is shown.
func TestBrowserDelivery_ServiceRemoved_PageKeepsContent(t *testing.T) {
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

// TestBrowserServicePage_DialogForms_UpdatePage: on the page of a service its forms are dialogs too,
// which renew the page behind them.
func TestBrowserServicePage_DialogForms_UpdatePage(t *testing.T) {
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
	p.WaitFor("the title to follow", `document.title.startsWith("Licence scan")`)
	p.WaitFor("the focus to be back", `document.activeElement.id === "edit-service"`)
	p.Click("#remove-service")
	p.WaitText("dialog[open]", "You are about to remove the Licence scan status check.")
	p.Click("#confirm-removal")
	p.WaitText(".toast", "Status check removed.")
	p.WaitText("#status-checks", "No status checks are defined yet.")
}
