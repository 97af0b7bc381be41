package handlers

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"github.com/mergegate/mergegate/cmd/mergegate/browsertest"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// focusIs returns a JavaScript condition: the element has the focus.
func focusIs(css string) string {
	return `document.activeElement.matches("` + css + `")`
}

// A focused control can disappear by the reader's click or by a poll. The focus
// then moves to the name of its row.
func TestBrowserWidget_ControlRemoved_FocusMovesToItsRow(t *testing.T) {
	t.Parallel()
	for name, role := range map[string]models.Role{"linked name": models.RoleMaintainer, "plain name": models.RoleDeveloper} {
		t.Run(name, func(t *testing.T) {
			s := newTestSite(t, modelstest.SQLite(t))
			licence, security := s.Service("licence"), s.Service("security")
			mr := s.openMergeRequest("topic")
			for _, service := range []models.ExternalStatusCheck{licence, security} {
				if err := s.Respond(mr, service, mr.HeadSHA, models.StatusFailed); err != nil {
					t.Fatal(err)
				}
			}
			p := browsertest.Open(t, s.as(s.Member("mona", role)).serve()+s.mrPath(mr, ""))
			retry := func(service models.ExternalStatusCheck) string { return "#status-check-retry-" + itoa(service.ID) }
			rowName := func(service models.ExternalStatusCheck) string { return "#status-check-name-" + itoa(service.ID) }

			browsertest.Eval[bool](p, `(document.querySelector("`+retry(licence)+`").focus(), true)`)
			p.Key(kb.Enter)
			p.WaitText("#status-checks-summary", "1 failed, 1 pending")
			p.WaitFor("the name of the row to have the focus", focusIs(rowName(licence)))

			// An update of another row keeps the focus, and so does an update of the
			// row as long as the control exists.
			browsertest.Eval[bool](p, `(document.querySelector("`+retry(security)+`").focus(), true)`)
			if err := s.Respond(mr, licence, mr.HeadSHA, models.StatusPassed); err != nil {
				t.Fatal(err)
			}
			s.Clock.Advance(time.Second)
			p.WaitText("#status-checks-summary", "1 failed")
			p.WaitText("#status-check-"+itoa(licence.ID), "Passed")
			p.WaitFor("Retry to keep the focus", focusIs(retry(security)))

			// Somebody else retries the check: Retry disappears without a click.
			if _, err := s.Store.RetryCheck(t.Context(), s.Owner, mr.ProjectID, mr.IID, security.ID); err != nil {
				t.Fatal(err)
			}
			browsertest.Eval[bool](p, `document.dispatchEvent(new Event("visibilitychange"))`)
			p.WaitText("#status-checks-summary", "1 pending")
			p.WaitFor("the name of the row to have the focus", focusIs(rowName(security)))
		})
	}
}

// A change in one tab reaches the other by a poll and is announced once.
func TestBrowserWidget_TwoTabs_ShowSameStatus(t *testing.T) {
	t.Parallel()
	s := newTestSite(t, modelstest.SQLite(t))
	licence, security := s.Service("licence"), s.Service("security")
	mr := s.openMergeRequest("topic")
	if err := s.Respond(mr, security, mr.HeadSHA, models.StatusFailed); err != nil {
		t.Fatal(err)
	}
	url := s.as(s.Owner).serve() + s.mrPath(mr, "")
	one, other := browsertest.Open(t, url), browsertest.Open(t, url)
	browsertest.Eval[bool](other, `(window.announced = [], new MutationObserver(() => {
		const text = document.querySelector("#status-checks-live").textContent.trim();
		if (text) window.announced.push(text);
	}).observe(document.querySelector("#status-checks-live"), { childList: true, characterData: true, subtree: true }), true)`)

	one.Click("#status-check-retry-" + itoa(security.ID))
	for _, p := range []*browsertest.Page{one, other} {
		p.WaitText("#status-checks-summary", "2 pending")
	}
	for _, service := range []models.ExternalStatusCheck{licence, security} {
		if err := s.Respond(mr, service, mr.HeadSHA, models.StatusPassed); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range []*browsertest.Page{one, other} {
		p.WaitText("#status-checks-summary", "Status checks all passed")
		p.WaitText("#merge-h", "Ready to merge!")
	}
	announced := browsertest.Eval[[]string](other, "window.announced")
	want := []string{"security is pending. 2 pending.", "security passed. licence passed. All passed."}
	if strings.Join(announced, "|") != strings.Join(want, "|") {
		t.Errorf("announced %q, want %q", announced, want)
	}
}

// Neither the countdown, which is highlighted below 30 seconds, nor polls
// without changes move anything. With a time-out of two hours "1 hour ago" is
// shown beside the countdown throughout.
func TestBrowserWidget_Countdown_CausesNoLayoutShift(t *testing.T) {
	t.Parallel()
	s := newTestSite(t, modelstest.SQLite(t))
	s.Service("licence")
	mr := s.openMergeRequest("topic")
	if _, err := s.DB.SQL(t).Exec("UPDATE merge_request_checks SET timeout_seconds = 7200"); err != nil {
		t.Fatal(err)
	}
	s.Clock.Advance(2*time.Hour - 100*time.Second) // 100 seconds are left
	p := browsertest.Open(t, s.as(s.Owner).serve()+s.mrPath(mr, ""))
	p.Wait("progress.countdown:not(.countdown--low)")
	p.WaitText("[data-deadline]", "1:")
	polls := `performance.getEntriesByType("resource").filter((e) => e.name.includes("/status_checks?rev=")).length`
	browsertest.Eval[bool](p, `(window.polled = `+polls+`, window.shifts = [], new PerformanceObserver((list) => {
		for (const e of list.getEntries()) if (!e.hadRecentInput) window.shifts.push(...e.sources.map((s) => s.node?.parentElement?.outerHTML ?? "?"));
	}).observe({ type: "layout-shift" }), true)`)
	shown := browsertest.Eval[string](p, `document.querySelector("[data-deadline]").textContent`)
	p.WaitFor("the countdown to change", `document.querySelector("[data-deadline]").textContent !== "`+shown+`"`)
	// The browser's clock jumps instead of the test waiting.
	browsertest.Eval[bool](p, `((real) => { Date.now = () => real() + 75000; return true; })(Date.now)`)
	p.WaitText("[data-deadline]", "0:")
	p.Wait("progress.countdown--low")
	p.WaitFor("a poll", polls+" > window.polled")
	if shifts := browsertest.Eval[[]string](p, "window.shifts"); len(shifts) > 0 {
		t.Errorf("layout shifts: %q", shifts)
	}
	if announced := browsertest.Eval[string](p, `document.querySelector("#status-checks-live").textContent`); announced != "" {
		t.Errorf("the countdown was announced: %q", announced)
	}
}

func TestBrowserWidget_ServerUnreachable_ShowsNoticeUntilItReturns(t *testing.T) {
	t.Parallel()
	s := newTestSite(t, modelstest.SQLite(t))
	s.Service("licence")
	mr := s.openMergeRequest("topic")
	v := s.as(s.Owner)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Add("Cookie", v.cookie)
		s.handler.ServeHTTP(w, r)
	})
	server := httptest.NewServer(handler)
	p := browsertest.Open(t, server.URL+s.mrPath(mr, ""))
	p.Allow("ERR_CONNECTION|ERR_SOCKET|ERR_EMPTY|Failed to fetch")
	p.Wait("#status-checks-body[hx-get]")
	address := server.Listener.Addr().String()
	server.CloseClientConnections()
	server.Close()
	p.WaitText("#status-checks-failed", "Failed to load status checks")
	p.WaitText("#status-checks-body", "licence")

	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	again := &httptest.Server{Listener: listener, Config: &http.Server{Handler: handler}}
	again.Start()
	t.Cleanup(again.Close)
	p.WaitGone("#status-checks-failed")
}

// Without script the widget does not say that it updates automatically.
func TestBrowserWidget_WithoutScript_PromisesNoUpdates(t *testing.T) {
	t.Parallel()
	s := newTestSite(t, modelstest.SQLite(t))
	s.Service("licence")
	mr := s.openMergeRequest("topic")
	const shown = `document.querySelector("#status-checks .polling").checkVisibility()`
	for _, script := range []bool{true, false} {
		p := browsertest.New(t)
		if !script {
			p.NoScript()
		}
		p.Go(s.as(s.Owner).serve() + s.mrPath(mr, ""))
		p.WaitText("#status-checks-body", "licence")
		if got := browsertest.Eval[bool](p, shown); got != script {
			t.Errorf("script %t: the widget says that it updates automatically: %t", script, got)
		}
	}
}

// The page and its unsent input stay when the session ends.
func TestBrowserWidget_SessionEnded_KeepsPageAndOffersSignIn(t *testing.T) {
	t.Parallel()
	s := newTestSite(t, modelstest.SQLite(t))
	s.Service("licence")
	mr := s.openMergeRequest("topic")
	p := browsertest.Open(t, s.as(s.Owner).serve()+s.mrPath(mr, ""))
	p.Allow("401")
	p.Wait("#status-checks-body[hx-get]")
	p.Click("#merge-squash")
	browsertest.Eval[bool](p, `window.kept = true`)
	if _, err := s.DB.SQL(t).Exec("DELETE FROM sessions"); err != nil {
		t.Fatal(err)
	}
	p.WaitText("#status-checks-failed", "You are no longer signed in")
	href := browsertest.Eval[string](p, `document.querySelector("#status-checks-failed a").getAttribute("href")`)
	if want := "/users/sign_in?return_to=" + strings.ReplaceAll(s.mrPath(mr, ""), "/", "%2F"); href != want {
		t.Errorf("sign-in link %q, want %q", href, want)
	}
	if !browsertest.Eval[bool](p, `window.kept && document.querySelector("#merge-squash").checked`) {
		t.Error("the page was reloaded")
	}
}

func TestBrowserWidget_StatusChange_KeepsTextSelection(t *testing.T) {
	t.Parallel()
	s := newTestSite(t, modelstest.SQLite(t))
	licence, security := s.Service("licence"), s.Service("security")
	mr := s.openMergeRequest("topic")
	p := browsertest.Open(t, s.as(s.Owner).serve()+s.mrPath(mr, ""))
	name := "#status-check-name-" + itoa(security.ID)
	browsertest.Eval[bool](p, `(getSelection().selectAllChildren(document.querySelector("`+name+`")), true)`)
	if err := s.Respond(mr, licence, mr.HeadSHA, models.StatusPassed); err != nil {
		t.Fatal(err)
	}
	p.WaitText("#status-checks-summary", "1 pending")
	p.WaitFor("the selection to stay", `getSelection().toString() === "security"`)
}
