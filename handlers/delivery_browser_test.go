package handlers

import (
	"net/http"
	"testing"
	"time"

	"github.com/mergegate/mergegate/cmd/mergegate/browsertest"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// finishOne makes the next attempt at a delivery, which ends with an HTTP
// status.
func (s *mrSite) finishOne(status int) {
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

// TestDeliveriesComeInByThemselves: the pages of a service and of a delivery
// show what comes of Send test and Redeliver without a reload, leave focus,
// choice and unchanged parts alone, and stop asking once nothing is under way.
func TestDeliveriesComeInByThemselves(t *testing.T) {
	s := newMRSite(t, modelstest.SQLite(t))
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
	s.finishOne(http.StatusAccepted)
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
	s.finishOne(http.StatusGone)
	p.WaitText("#delivery .page-head .badge", "Failed")
	p.WaitText("#attempt-2", "HTTP 410")
	p.WaitText("#attempt-1", "HTTP 202")
	settled()
	if !browsertest.Eval[bool](p, `document.querySelector("#request-body").marked && document.activeElement.id === "redeliver"`) {
		t.Error("the news replaced the request, or took the focus")
	}
}

// TestServicePageDialogs: on the page of a service its forms are dialogs too,
// which renew the page behind them.
func TestServicePageDialogs(t *testing.T) {
	s := newMRSite(t, modelstest.SQLite(t))
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
