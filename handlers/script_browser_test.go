package handlers

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"github.com/mergegate/mergegate/cmd/mergegate/browsertest"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

func TestBrowserScript_MenuThemeCopyAndDialog_Work(t *testing.T) {
	t.Parallel()
	s := newTestSite(t, modelstest.SQLite(t))
	jonas := s.Member("jonas", models.RoleDeveloper)
	p := browsertest.Open(t, s.as(s.Owner).serve()+pearPath)

	p.Click("#user-menu summary")
	p.Wait("#user-menu[open]")
	p.Key(kb.Escape)
	p.WaitGone("#user-menu[open]")
	p.WaitFor("the focus to return", `document.activeElement.matches("#user-menu summary")`)
	p.Click("#user-menu summary")
	p.Wait("#user-menu[open]")
	p.Click("h1")
	p.WaitGone("#user-menu[open]")

	p.Click("#user-menu summary")
	p.Click("[data-theme-toggle]")
	p.Wait(`html[data-theme="dark"]`)
	p.WaitFor("the request for the theme", `performance.getEntriesByType("resource").some((r) => r.name.endsWith("/-/theme"))`)
	p.Reload()
	p.Wait(`html[data-theme="dark"]`)
	p.Click("#user-menu summary")
	p.Click("[data-theme-toggle]")
	p.Wait(`html[data-theme="light"]`)

	p.Click(`[data-copy="#clone-http"]`)
	p.WaitText(".toast", "Copied.")
	p.Click(".toast [data-dismiss]")
	p.WaitGone(".toast")

	remove := "#remove-" + itoa(jonas.ID)
	p.Go(strings.TrimSuffix(p.URL(), pearPath) + pearMembersPath)
	p.Click(remove)
	p.WaitText("dialog:modal", "You are about to remove jonas from pear.")
	p.WaitFor("Cancel to have the focus", `document.activeElement.textContent.trim() === "Cancel"`)
	p.Key(kb.Escape)
	p.WaitGone("dialog")
	p.WaitFor("the focus to return", `document.activeElement.matches("`+remove+`")`)
	p.Click(remove)
	p.WaitText("dialog:modal", "Remove member?")
	p.Click("dialog .btn--danger")
	p.WaitText(".toast", "Member removed.")
	if got := s.roleOf(jonas); got != models.RoleNone {
		t.Errorf("role %v after removal", got)
	}
}

// A control whose request takes longer than 300 ms shows that it is busy. It
// keeps its width and the focus and ignores further clicks.
func TestBrowserButtons_SlowRequest_ShowBusy(t *testing.T) {
	t.Parallel()
	s := newTestSite(t, modelstest.SQLite(t))
	licence := s.Service("licence")
	mr := s.openMergeRequest("topic")
	if err := s.Respond(mr, licence, mr.HeadSHA, models.StatusFailed); err != nil {
		t.Fatal(err)
	}
	v := s.as(s.Owner)
	posts, busy, release := make(chan string, 10), make(chan struct{}, 10), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery == "busy" {
			busy <- struct{}{}
			return
		}
		if r.Method == http.MethodPost {
			posts <- r.URL.Path
			select {
			case <-release:
			case <-r.Context().Done():
				return
			case <-t.Context().Done(): // the test has failed
				return
			}
		}
		r.Header.Add("Cookie", v.cookie)
		s.handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	p := browsertest.Open(t, server.URL+s.mrPath(mr, ""))
	width := func(css string) float64 {
		return browsertest.Eval[float64](p, `document.querySelector("`+css+`").getBoundingClientRect().width`)
	}
	retry := "#status-check-retry-" + itoa(licence.ID)
	before := width(retry)
	p.Click(retry)
	<-posts
	p.Wait(retry + "[aria-busy=true]")
	p.WaitFor("the focus to stay", focusIs(retry))
	p.Click(retry)
	if now := width(retry); now != before {
		t.Errorf("%s is %v px wide while busy, %v before", retry, now, before)
	}
	release <- struct{}{}
	p.WaitText("#status-checks-summary", "1 pending")

	// A form that the browser sends: the page tells the server when it is busy, as
	// the test cannot query it while it waits for the next page.
	browsertest.Eval[bool](p, `(new MutationObserver(() => fetch("/?busy")).observe(document.querySelector("#approve"), { attributes: true, attributeFilter: ["aria-busy"] }), true)`)
	p.ClickTwice("#approve")
	<-posts
	<-busy
	release <- struct{}{}
	p.WaitText("#approvals", "1 approval")
	if len(posts) != 0 {
		t.Errorf("the second click was sent: %s", <-posts)
	}
}

// Times are shown in the reader's time zone; the server writes UTC.
func TestBrowserTimes_ShowLocalTimeZone(t *testing.T) {
	t.Parallel()
	s := newTestSite(t, modelstest.SQLite(t))
	mr := s.openMergeRequest("topic")
	p := browsertest.Open(t, s.as(s.Owner).serve()+s.mrPath(mr, ""))
	p.WaitFor("the script to write the titles", `[...document.querySelectorAll("time[datetime]")].every((el) => !/^\d{4}-/.test(el.title))`)
	local := browsertest.Eval[bool](p, `[...document.querySelectorAll("time[datetime]")].every((el) => {
		const at = new Date(el.dateTime), two = (n) => String(n).padStart(2, "0");
		return el.title.includes(two(at.getHours()) + ":" + two(at.getMinutes()) + ":" + two(at.getSeconds()));
	})`)
	if !local {
		t.Error("the titles are not in the browser's time zone")
	}
}
