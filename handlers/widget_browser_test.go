package handlers

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/mergegate/mergegate/cmd/mergegate/browsertest"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// serveWithPollStatus starts a server that answers polls of the widget with the
// status in broken unless it is 0.
func (v visitor) serveWithPollStatus() (url string, broken *atomic.Int64) {
	broken = new(atomic.Int64)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if status := broken.Load(); status != 0 && strings.HasSuffix(r.URL.Path, "/status_checks") {
			http.Error(w, "out of order", int(status))
			return
		}
		r.Header.Add("Cookie", v.cookie)
		v.site.handler.ServeHTTP(w, r)
	}))
	v.t.Cleanup(server.Close)
	return server.URL, broken
}

// The widget updates in place from pending to merged. It keeps what the reader
// did and survives server errors.
func TestBrowserWidget_PendingToMerged_UpdatesInPlace(t *testing.T) {
	t.Parallel()
	s := newTestSite(t, modelstest.SQLite(t))
	licence, security := s.Service("licence"), s.Service("security")
	mr := s.openMergeRequest("topic")
	s.setGate(true)
	url, broken := s.as(s.Owner).serveWithPollStatus()
	p := browsertest.Open(t, url+s.mrPath(mr, ""))
	p.Allow("500")
	p.Allow("404")
	p.WaitText("#merge-h", "Merge blocked: 2 checks pending")
	p.Click("#merge-squash")
	browsertest.Eval[bool](p, `!!(document.querySelector(".check-row").dataset.kept = "yes")`)

	// A poll without changes replaces nothing.
	p.WaitFor("a poll", `performance.getEntriesByType("resource").some(e => e.name.includes("/status_checks?"))`)
	p.WaitFor("the rows to stay the same nodes", `document.querySelector(".check-row").dataset.kept === "yes"`)

	if err := s.Respond(mr, security, mr.HeadSHA, models.StatusFailed); err != nil {
		t.Fatal(err)
	}
	p.WaitText("#status-checks-summary", "1 failed, 1 pending")
	p.WaitText("#merge-h", "Merge blocked: 1 check failed, 1 pending")
	p.WaitText("#status-checks-live", "security failed. 1 failed, 1 pending.")
	p.WaitFor("the rows to keep their order", `[...document.querySelectorAll(".check-row__name > :first-child")].map(e => e.textContent.trim()).join() === "licence,security"`)
	p.WaitFor("the check box to stay checked", `document.querySelector("#merge-squash").checked`)

	// A server error keeps the rows and shows a notice until a poll succeeds.
	broken.Store(500)
	p.WaitText("#status-checks-failed", "Failed to load status checks")
	p.WaitText("#status-checks-body", "security")
	p.Press("Refresh") // fails again
	p.WaitText("#status-checks-failed", "Last checked")
	p.WaitText("#status-checks-failed", "Failed to load status checks")
	broken.Store(0)
	p.WaitGone("#status-checks-failed")

	p.Click("#status-checks-body .check-row__end form button")
	p.WaitText("#status-checks-summary", "2 pending")
	p.WaitGone("#status-checks-body .check-row__end form")
	for _, service := range []models.ExternalStatusCheck{licence, security} {
		if err := s.Respond(mr, service, mr.HeadSHA, models.StatusPassed); err != nil {
			t.Fatal(err)
		}
	}
	p.WaitText("#status-checks-summary", "Status checks all passed")
	p.WaitText("#merge-h", "Ready to merge!")
	p.WaitFor("polling to stop", `!document.querySelector("#status-checks-body").hasAttribute("hx-get")`)
	p.Click("#merge-button")
	p.WaitText("#mr-state", "Merged")
	if merged, _ := s.Reload(mr); merged.SquashCommitSHA == "" {
		t.Error("the check box was lost")
	}
}

func TestBrowserWidget_NotFound_StopsPolling(t *testing.T) {
	t.Parallel()
	s := newTestSite(t, modelstest.SQLite(t))
	s.Service("licence")
	mr := s.openMergeRequest("topic")
	url, broken := s.as(s.Owner).serveWithPollStatus()
	p := browsertest.Open(t, url+s.mrPath(mr, ""))
	p.Allow("404")
	broken.Store(404)
	p.WaitText("#status-checks-failed", "You can no longer view these status checks.")
	p.WaitText("#status-checks-body", "licence")
}
