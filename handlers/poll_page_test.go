package handlers

import (
	"net/http"
	"net/url"
	"regexp"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"github.com/mergegate/mergegate/models"
)

// pollPage compares a page with its poll after each change of the state.
type pollPage struct {
	t    *testing.T
	v    visitor
	path string
	// polled is the element that polls.
	polled string
	// parts are the elements that an answer to the poll may replace.
	parts []string
	last  response
}

var pollRev = regexp.MustCompile(`\brev=[^&]*`)

// partHTML returns the HTML of an element, or only its content. It is empty if the response
// has no such element.
func partHTML(a response, selector string, content bool) string {
	found := a.Find(selector).First().Clone().RemoveAttr("hx-swap-oob")
	if content {
		html, _ := found.Html()
		return collapseSpace(html)
	}
	html, _ := goquery.OuterHtml(found)
	return collapseSpace(html)
}

// assertSamePart compares an element of an update with that of the page. It reports whether
// the update has the element.
func (p *pollPage) assertSamePart(after, part string, update, page response) bool {
	p.t.Helper()
	from, content := part, false
	if inner := `[hx-swap-oob="innerHTML:` + part + `"]`; update.has(inner) {
		from, content = inner, true
	}
	if !update.has(from) {
		return false
	}
	if got, want := partHTML(update, from, content), partHTML(page, part, content); got != want {
		p.t.Errorf("after %s: the poll brings another %s: %s", after, part, firstDifference(got, want))
	}
	return true
}

// firstDifference shows where two texts begin to differ.
func firstDifference(got, want string) string {
	i := 0
	for i < min(len(got), len(want)) && got[i] == want[i] {
		i++
	}
	cut := func(s string) string { return s[max(0, i-60):min(len(s), i+120)] }
	return "\n" + cut(got) + "\nwant\n" + cut(want)
}

// compare reads the page. A poll that must answer brings what the page shows, and a poll of
// the last page is answered with 204 only if the page shows the same.
func (p *pollPage) compare(after string) {
	p.t.Helper()
	page, poll := p.v.get(p.path).wantStatus(http.StatusOK), p.v.withHTMX()
	update := poll.get(pollRev.ReplaceAllString(p.address(page), "rev=x")).wantStatus(http.StatusOK)
	for _, part := range p.parts {
		if !p.assertSamePart(after, part, update, page) && part == p.polled {
			p.t.Errorf("after %s: the poll does not bring %s", after, part)
		}
	}
	poll.get(p.address(page)).wantStatus(http.StatusNoContent)
	if p.last.Document != nil && poll.get(p.address(p.last)).status == http.StatusNoContent {
		for _, part := range p.parts {
			if old, now := withoutTimes(p.last, part), withoutTimes(page, part); old != now {
				p.t.Errorf("after %s: the poll is answered with 204, but %s has changed: %s", after, part, firstDifference(old, now))
			}
		}
	}
	p.last = page
}

// withoutTimes returns the HTML of an element without the texts that the browser updates.
func withoutTimes(a response, part string) string {
	found := a.Find(part).First().Clone()
	found.Find("time").SetText("")
	html, _ := goquery.OuterHtml(found)
	return collapseSpace(html)
}

// address returns what the page polls, or fetches when its tab becomes visible.
func (p *pollPage) address(page response) string {
	p.t.Helper()
	if address := page.attr(p.polled, "hx-get"); address != "" {
		return address
	}
	return page.attr(p.polled, "data-url")
}

// pollStep is a change of the state.
type pollStep struct {
	name string
	do   func() error
}

// comparePolls compares the pages before and after each step.
func comparePolls(s *testSite, steps []pollStep, pages ...*pollPage) {
	s.T.Helper()
	for _, p := range pages {
		p.compare("the start")
	}
	for _, step := range steps {
		s.Clock.Advance(time.Millisecond) // the time of a change is part of the state
		if err := step.do(); err != nil {
			s.T.Fatalf("%s: %v", step.name, err)
		}
		for _, p := range pages {
			p.compare(step.name)
		}
	}
}

func TestMergeRequestPage_Poll_ShowsSameState(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		licence, security := s.Service("licence"), s.Service("security")
		mr := s.openMergeRequest("topic")
		parts := []string{
			"title", "#tab-icon", "#status-checks-body", "#status-checks-summary", "#status-checks-actions", "#mr-head", "#approvals", "#merge-state",
			"#merge-checks", "#merge-form", "#merge-action", "#merge-adds",
		}
		page := func(user models.User) *pollPage {
			return &pollPage{t: t, v: s.as(user), path: s.mrPath(mr, ""), polled: "#status-checks-body", parts: parts}
		}
		ctx, owner := t.Context(), s.as(s.Owner)
		post := func(path string, form url.Values) error {
			owner.post(s.mrPath(mr, path), form).wantStatus(http.StatusSeeOther)
			return nil
		}
		respond := func(service models.ExternalStatusCheck, status models.Status) func() error {
			return func() error { return s.Respond(mr, service, s.Git.Tip(s.Project.ID, "topic"), status) }
		}
		head := func() url.Values { return url.Values{"sha": {s.Git.Tip(s.Project.ID, "topic")}} }
		draft, ready, title := true, false, "Trim the cache"
		update := func(u models.MergeRequestUpdate) func() error {
			return func() error {
				_, err := s.Store.UpdateMergeRequest(ctx, s.Owner, mr.ProjectID, mr.IID, u)
				return err
			}
		}
		comparePolls(s, []pollStep{
			{"a failed delivery", func() error { s.finishNextDelivery(503); return nil }},
			{"a delivery", func() error { s.finishNextDelivery(202); return nil }},
			{"a failed check", respond(licence, models.StatusFailed)},
			{"the rule", func() error { s.setGate(true); return nil }},
			{"a retry", func() error {
				_, err := s.Store.RetryCheck(ctx, s.Owner, mr.ProjectID, mr.IID, licence.ID)
				return err
			}},
			{"a push", func() error { s.Push("topic"); return nil }},
			{"a push to the target", func() error { s.Git.Conflicts = []string{"leaf.txt"}; s.Push("main"); return nil }},
			{"another push to the target", func() error { s.Git.Conflicts = nil; s.Push("main"); return nil }},
			{"an approval", func() error { return s.Store.ApproveMergeRequest(ctx, s.Owner, mr.ProjectID, mr.IID, "") }},
			{"a new title", update(models.MergeRequestUpdate{Title: &title})},
			{"a draft", update(models.MergeRequestUpdate{Draft: &draft})},
			{"no draft", update(models.MergeRequestUpdate{Draft: &ready})},
			{"another name of a service", func() error {
				name := "Licence scan"
				_, err := s.Store.UpdateExternalStatusCheck(ctx, s.Owner, s.Project.ID, licence.ID, models.ExternalStatusCheckUpdate{Name: &name}, true)
				return err
			}},
			{"auto-merge", func() error {
				form := head()
				form.Set("auto_merge", "true")
				return post("/merge", form)
			}},
			{"no auto-merge", func() error { return post("/cancel_auto_merge", head()) }},
			{"closing", func() error { return post("/close", nil) }},
			{"reopening", func() error { return post("/reopen", nil) }},
			{"a time-out", func() error { s.Clock.Advance(time.Hour); return nil }},
			{"one passed check", respond(licence, models.StatusPassed)},
			{"all checks passed", respond(security, models.StatusPassed)},
			{"the merge", func() error { return post("/merge", head()) }},
			{"a late response", respond(licence, models.StatusFailed)},
		}, page(s.Owner), page(s.Member("rea", models.RoleReporter)))
	})
}

func TestServicePages_Poll_ShowSameState(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		licence := s.Service("licence")
		mr := s.openMergeRequest("topic")
		service := &pollPage{t: t, v: s.as(s.Owner), path: servicePath(licence), polled: "#service", parts: []string{"#service"}}
		delivery := &pollPage{t: t, v: s.as(s.Owner), path: deliveryPath(licence, s.Deliveries(licence)[0]), polled: "#delivery", parts: []string{"#delivery"}}
		finish := func(status int) func() error {
			return func() error { s.Clock.Advance(10 * time.Minute); s.finishNextDelivery(status); return nil }
		}
		change := func(u models.ExternalStatusCheckUpdate) func() error {
			return func() error {
				_, err := s.Store.UpdateExternalStatusCheck(t.Context(), s.Owner, s.Project.ID, licence.ID, u, false)
				return err
			}
		}
		name, address := "Licence scan", "https://scan.example.test/"
		comparePolls(s, []pollStep{
			{"a failed attempt", finish(503)},
			{"a second failed attempt", finish(500)},
			{"a claim", func() error {
				s.Clock.Advance(10 * time.Minute)
				_, err := s.Store.Claim(t.Context(), models.ClaimOptions{Limit: 1})
				return err
			}},
			{"the end of the lease", func() error { s.Clock.Advance(models.LeaseDuration); return nil }},
			{"a delivery", finish(202)},
			{"a response", func() error { return s.Respond(mr, licence, mr.HeadSHA, models.StatusFailed) }},
			{"another response", func() error { return s.Respond(mr, licence, mr.HeadSHA, models.StatusPassed) }},
			{"a push", func() error { s.Push("topic"); return nil }},
			{"a test", func() error {
				_, err := s.Store.SendTest(t.Context(), s.Owner, s.Project.ID, licence.ID)
				return err
			}},
			{"another name", change(models.ExternalStatusCheckUpdate{Name: &name})},
			{"another URL", change(models.ExternalStatusCheckUpdate{ExternalURL: &address})},
			{"an open circuit breaker", func() error {
				now := s.Store.Now()
				_, err := s.DB.SQL(t).Exec(`UPDATE service_queues SET failures = 5, opened_at = $1, open_until = $2, open_times = 1, probe_at = $2,
					last_http_status = 503`, now.Add(-3*time.Minute), now.Add(40*time.Second))
				return err
			}},
			{"the time of the probe", func() error { s.Clock.Advance(time.Minute); return nil }},
		}, service, delivery)
	})
}
