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

// serveCountingPolls starts a server that counts the polls of the widget and
// answers them with the status in fail unless it is 0.
func (v visitor) serveCountingPolls(fail, polls *atomic.Int64) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Add("Cookie", v.cookie)
		if r.Header.Get("HX-Request") == "true" && r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/status_checks") {
			polls.Add(1)
			if status := fail.Load(); status != 0 {
				w.WriteHeader(int(status))
				_, _ = w.Write([]byte("<p>an error page</p>"))
				return
			}
		}
		v.site.handler.ServeHTTP(w, r)
	}))
	v.t.Cleanup(server.Close)
	return server.URL
}

// A failed poll keeps the rows and shows a notice above them until a poll
// succeeds.
func TestBrowserWidget_FailedPoll_KeepsRows(t *testing.T) {
	t.Parallel()
	s := newTestSite(t, modelstest.SQLite(t))
	service := s.Service("licence")
	mr := s.openMergeRequest("topic")
	var fail, polls atomic.Int64
	fail.Store(http.StatusServiceUnavailable)
	p := browsertest.Open(t, s.as(s.Owner).serveCountingPolls(&fail, &polls)+s.mrPath(mr, ""))
	p.Allow("503")
	p.Allow("404")

	p.WaitText("#status-checks-failed", "Failed to load status checks")
	p.WaitText(".check-row__name", "licence")
	if strings.Contains(p.Text("#status-checks"), "an error page") {
		t.Error("the error page replaced the content")
	}
	for before := polls.Load(); polls.Load() < before+3; {
		// The button polls at once, which is faster than waiting for three polls.
		p.Click("#status-checks-failed button")
		p.WaitFor("the request to end", `!document.querySelector("#status-checks-body").classList.contains("htmx-request")`)
	}
	p.WaitText("#status-checks-failed", "Last checked")
	if n := p.Count("#status-checks-failed"); n != 1 {
		t.Errorf("%d notices, want 1", n)
	}
	fail.Store(0)
	p.WaitGone("#status-checks-failed")

	if err := s.Respond(mr, service, mr.HeadSHA, models.StatusPassed); err != nil {
		t.Fatal(err)
	}
	p.WaitText("#status-checks-summary", "Status checks all passed")
}

func TestBrowserWidget_PollDenied_StopsPolling(t *testing.T) {
	t.Parallel()
	s := newTestSite(t, modelstest.SQLite(t))
	s.Service("licence")
	mr := s.openMergeRequest("topic")
	var fail, polls atomic.Int64
	fail.Store(http.StatusNotFound)
	p := browsertest.Open(t, s.as(s.Owner).serveCountingPolls(&fail, &polls)+s.mrPath(mr, ""))
	p.Allow("404")
	p.WaitText("#status-checks-failed", "You can no longer view these status checks.")
	p.WaitText(".check-row__name", "licence")
	seen := polls.Load()
	fail.Store(0)
	// Four seconds of the countdown are longer than the interval of the polls.
	left := browsertest.Eval[string](p, `document.querySelector("[data-deadline]").textContent`)
	p.WaitFor("some seconds to pass", `(() => {
		const seconds = (text) => { const [m, s] = text.match(/(\d+):(\d\d)/).slice(1).map(Number); return 60 * m + s; };
		return seconds(`+"`"+left+"`"+`) - seconds(document.querySelector("[data-deadline]").textContent) >= 4;
	})()`)
	if got := polls.Load(); got != seen {
		t.Errorf("%d polls after the response that denied them", got-seen)
	}
}

// A widget whose reader signed out elsewhere stops polling and links to the
// sign-in form, which returns to the page. The sign-in page does not replace the
// widget's content.
func TestBrowserWidget_SessionEnded_LinksToSignIn(t *testing.T) {
	t.Parallel()
	s := newTestSite(t, modelstest.SQLite(t))
	s.Service("licence")
	mr := s.openMergeRequest("topic")
	var fail, polls atomic.Int64
	p := browsertest.Open(t, s.as(s.Owner).serveCountingPolls(&fail, &polls)+s.mrPath(mr, ""))
	p.Allow("401")
	p.WaitText(".check-row__name", "licence")
	if _, err := s.DB.SQL(t).Exec("DELETE FROM sessions"); err != nil {
		t.Fatal(err)
	}
	p.WaitText("#status-checks-failed", "You are no longer signed in")
	if polls.Load() != 1 {
		t.Errorf("%d polls, want 1", polls.Load())
	}
	p.Click("#status-checks-failed a")
	p.WaitURL("/users/sign_in[?]")
	p.Wait("input[name=password]")
	if p.Count("#status-checks-body") != 0 || p.Count("main") != 1 {
		t.Error("the page is not only the sign-in form")
	}
	if back := browsertest.Eval[string](p, `new URLSearchParams(location.search).get("return_to")`); back != s.mrPath(mr, "") {
		t.Errorf("signing in returns to %q", back)
	}
}

func TestBrowserWidget_Collapsed_IsRemembered(t *testing.T) {
	t.Parallel()
	s := newTestSite(t, modelstest.SQLite(t))
	s.Service("licence")
	mr := s.openMergeRequest("topic")
	p := browsertest.Open(t, s.as(s.Owner).serve()+s.mrPath(mr, ""))
	p.Wait("#status-checks-details[open]")
	p.Click("#status-checks-summary")
	p.WaitGone("#status-checks-details[open]")
	p.Reload()
	p.Wait("#status-checks-details:not([open])")
	p.Click("#status-checks-summary")
	p.Reload()
	p.Wait("#status-checks-details[open]")
}

// A hidden tab polls every 30 s, so that its title shows the state, and shows a
// notification if the reader asked for it. A tab that becomes visible polls at once, even
// if all its checks are finished.
func TestBrowserWidget_HiddenTab_PollsSlowlyAndNotifies(t *testing.T) {
	t.Parallel()
	s := newTestSite(t, modelstest.SQLite(t))
	service := s.Service("licence")
	mr := s.openMergeRequest("topic")
	var fail, polls atomic.Int64
	p := browsertest.Open(t, s.as(s.Owner).serveCountingPolls(&fail, &polls)+s.mrPath(mr, ""))
	hide := func(hidden string) {
		browsertest.Eval[bool](p, `Object.defineProperty(document, "hidden", { value: `+hidden+`, configurable: true })
			&& document.dispatchEvent(new Event("visibilitychange"))`)
	}
	p.Wait("#status-checks-body[hx-get]")
	browsertest.Eval[bool](p, `(window.Notification = class {
		static permission = "default";
		static async requestPermission() { return Notification.permission = "granted"; }
		constructor(title) { window.notified = title; }
	}, true)`)
	p.Click("#status-checks-notify")
	p.Wait("#status-checks-notify[aria-pressed=true]")
	hide("true")
	browsertest.Eval[bool](p, `(window.fired = 0, document.addEventListener("every", () => window.fired++, true), true)`)
	seen := polls.Load()
	p.WaitFor("two intervals to pass", `window.fired >= 2`)
	if got := polls.Load(); got != seen {
		t.Errorf("%d polls of a hidden tab", got-seen)
	}
	if err := s.Respond(mr, service, mr.HeadSHA, models.StatusPassed); err != nil {
		t.Fatal(err)
	}
	browsertest.Eval[bool](p, `(() => { const real = Date.now; Date.now = () => real() + 30000; return true; })()`)
	p.WaitFor("the title to show the state", `document.title.startsWith("✓ Trim topic")`)
	p.WaitFor("a notification", `window.notified === document.title`)
	p.Wait("#status-checks-body:not([hx-get])")
	hide("false")
	p.WaitText("#status-checks-summary", "Status checks all passed")
	hide("true")
	if err := s.Respond(mr, service, mr.HeadSHA, models.StatusFailed); err != nil {
		t.Fatal(err)
	}
	hide("false")
	p.WaitText("#status-checks-summary", "1 failed")
}
