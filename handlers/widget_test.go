package handlers

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// pollURL returns the address that the widget polls.
func (a response) pollURL() string { a.t.Helper(); return a.attr("#status-checks-body", "hx-get") }

// checkRows lists the names in the widget in their order, each with its status.
func (a response) checkRows() string {
	var rows []string
	for _, row := range a.Find(".check-row").EachIter() {
		rows = append(rows, collapseSpace(row.Find(".check-row__name").Text()))
	}
	return strings.Join(rows, ", ")
}

func TestPoll_StatusChange_IsSentOnce(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		licence, security := s.Service("licence"), s.Service("security")
		mr := s.openMergeRequest("topic")
		v := s.as(s.Owner).withHTMX()
		page := s.as(s.Owner).get(s.mrPath(mr, "")).wantStatus(200)
		if got := page.checkRows(); got != "licence Pending, security Pending" {
			t.Fatalf("rows = %q", got)
		}
		if got := page.attr("#status-checks-body", "hx-trigger"); got != "every 3s" {
			t.Errorf("hx-trigger = %q", got)
		}
		poll := page.pollURL()
		s.Clock.Advance(50 * time.Second)
		if a := v.get(poll).wantStatus(http.StatusNoContent); a.body != "" {
			t.Errorf("204 with a body: %q", a.body)
		}

		if err := s.Respond(mr, security, mr.HeadSHA, models.StatusFailed); err != nil {
			t.Fatal(err)
		}
		update := v.get(poll).wantStatus(200)
		if got := update.checkRows(); got != "licence Pending, security Failed" {
			t.Errorf("rows = %q, want the same order", got)
		}
		if got := update.text(`[hx-swap-oob="innerHTML:#status-checks-live"]`); got != "security failed. 1 failed, 1 pending." {
			t.Errorf("live region = %q", got)
		}
		if got := update.text(`[hx-swap-oob="innerHTML:#status-checks-summary"] .widget__sub`); got != "1 failed, 1 pending" {
			t.Errorf("summary = %q", got)
		}
		v.get(update.pollURL()).wantStatus(http.StatusNoContent)

		if err := s.Respond(mr, licence, mr.HeadSHA, models.StatusPassed); err != nil {
			t.Fatal(err)
		}
		final := v.get(update.pollURL()).wantStatus(200)
		if final.attr("#status-checks-body", "hx-get") != "" || final.attr("#status-checks-body", "hx-trigger") != "" {
			t.Error("the last update polls")
		}
		again := final.attr("#status-checks-body", "data-url")
		v.get(again).wantStatus(http.StatusNoContent)
		// A new page lists the failed check first.
		if got := s.as(s.Owner).get(s.mrPath(mr, "")).checkRows(); got != "security Failed, licence Passed" {
			t.Errorf("rows of a new page = %q", got)
		}
	})
}

// The live region names at most two checks; for more it gives the counts.
func TestPoll_LiveRegion_NamesAtMostTwoChecks(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	services := []models.ExternalStatusCheck{s.Service("a"), s.Service("b"), s.Service("c"), s.Service("d")}
	mr := s.openMergeRequest("topic")
	poll := s.as(s.Owner).get(s.mrPath(mr, "")).wantStatus(200).pollURL()
	announced := func(services ...models.ExternalStatusCheck) string {
		t.Helper()
		for _, service := range services {
			if err := s.Respond(mr, service, mr.HeadSHA, models.StatusPassed); err != nil {
				t.Fatal(err)
			}
		}
		return s.as(s.Owner).withHTMX().get(poll).wantStatus(200).text(`[hx-swap-oob="innerHTML:#status-checks-live"]`)
	}
	if got := announced(services[:2]...); got != "a passed. b passed. 2 pending." {
		t.Errorf("two: %q", got)
	}
	if got := announced(services[2]); got != "1 pending." {
		t.Errorf("three: %q", got)
	}
	if got := announced(services[3]); got != "All passed." {
		t.Errorf("four: %q", got)
	}
}

func TestPoll_TimeOut_ShowsAtExactTime(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		s.Service("licence")
		mr := s.openMergeRequest("topic")
		v := s.as(s.Owner).withHTMX()
		page := s.as(s.Owner).get(s.mrPath(mr, "")).wantStatus(200)
		if got := page.text("[data-deadline]"); got != "2:00" {
			t.Errorf("countdown = %q", got)
		}
		s.Clock.Advance(119999 * time.Millisecond)
		v.get(page.pollURL()).wantStatus(204)
		if got := s.as(s.Owner).get(s.mrPath(mr, "")); got.text("[data-deadline]") != "0:01" || !got.has(".countdown--low") {
			t.Errorf("countdown at 119.999 s = %q", got.text("[data-deadline]"))
		}
		s.Clock.Advance(time.Millisecond)
		v.get(page.pollURL()).wantStatus(204)
		s.Clock.Advance(time.Millisecond)
		late := v.get(page.pollURL()).wantStatus(200)
		if got := late.checkRows(); got != "licence Failed" {
			t.Errorf("rows = %q", got)
		}
		if got := late.text(".check-row__desc"); got != "No response within 2 minutes" {
			t.Errorf("reason = %q", got)
		}
		if late.attr("#status-checks-body", "hx-get") != "" {
			t.Error("the widget polls although nothing is pending")
		}
		// A late response for HEAD still counts.
		_, checks := s.Reload(mr)
		service := models.ExternalStatusCheck{ID: checks[0].ExternalStatusCheckID}
		if err := s.Respond(mr, service, mr.HeadSHA, models.StatusPassed); err != nil {
			t.Fatal(err)
		}
		if got := v.get(late.attr("#status-checks-body", "data-url")).wantStatus(200).checkRows(); got != "licence Passed" {
			t.Errorf("rows after a late response = %q", got)
		}
	})
}

func TestRetry_FailedCheck_BecomesPending(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		licence := s.Service("licence")
		s.Service("security")
		mr := s.openMergeRequest("topic")
		if err := s.Respond(mr, licence, mr.HeadSHA, models.StatusFailed); err != nil {
			t.Fatal(err)
		}
		s.Clock.Advance(3 * time.Minute)
		page := s.as(s.Owner).get(s.mrPath(mr, "")).wantStatus(200)
		if page.attr("#status-checks-body", "hx-get") != "" {
			t.Fatal("the widget polls although nothing is pending")
		}
		if n := page.Find(".check-row form").Length(); n != 2 {
			t.Fatalf("%d Retry buttons, want 2", n)
		}
		action, form := page.fields(fmt.Sprintf("#status-check-%d form", licence.ID))
		got := s.as(s.Owner).withHTMX().post(action, form).wantStatus(200)
		if got.checkRows() != "licence Pending, security Failed" {
			t.Errorf("rows = %q", got.checkRows())
		}
		if got.attr("#status-checks-body", "hx-get") == "" {
			t.Error("the widget does not poll again")
		}
		if !strings.Contains(got.text(fmt.Sprintf("#status-check-%d .check-row__meta", licence.ID)), "retried now") {
			t.Errorf("meta = %q", got.text(".check-row__meta"))
		}
		// A second retry is rejected; with htmx the row shows the current status.
		got = s.as(s.Owner).withHTMX().post(action, form).wantStatus(200)
		if !strings.Contains(got.header.Get("HX-Trigger"), "Only a failed status check can be retried.") {
			t.Errorf("HX-Trigger = %q", got.header.Get("HX-Trigger"))
		}
		rejected := s.as(s.Owner).post(action, form).wantStatus(422)
		if rejected.text("#refused") != "Only a failed status check can be retried." {
			t.Errorf("message = %q", rejected.text("#refused"))
		}
		s.Clock.Advance(3 * time.Minute)
		done := s.as(s.Owner).post(action, nil).wantStatus(303)
		if done.header.Get("Location") != s.mrPath(mr, "") {
			t.Errorf("Location = %q", done.header.Get("Location"))
		}
		if got := s.Status(mr, licence); got != models.StatusPending {
			t.Errorf("status = %s", got)
		}
		s.as(s.Owner).post(s.mrPath(mr, "/status_checks/999/retry"), nil).wantStatus(404)
	})
}

// finishOnlyDelivery claims the only due delivery and finishes the attempt with
// a status or an error.
func (s *testSite) finishOnlyDelivery(status int, failure string) {
	s.T.Helper()
	claimed, err := s.Store.Claim(s.T.Context(), models.ClaimOptions{Limit: 10})
	if err != nil || len(claimed) != 1 {
		s.T.Fatalf("claimed %d: %v", len(claimed), err)
	}
	err = s.Store.FinishDelivery(s.T.Context(), claimed[0].Delivery, models.AttemptResult{StartedAt: s.Store.Now(), Duration: time.Millisecond, HTTPStatus: status, Error: failure})
	if err != nil {
		s.T.Fatal(err)
	}
}

func TestWidget_PendingCheck_ShowsDeliveryState(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		s.Service("licence")
		mr := s.openMergeRequest("topic")
		v, meta := s.as(s.Owner).withHTMX(), ".check-row__meta"
		page := s.as(s.Owner).get(s.mrPath(mr, "")).wantStatus(200)
		if got := page.text(meta); !strings.Contains(got, "Queued") || !strings.Contains(got, "fails in 2:00") {
			t.Errorf("before the first attempt: %q", got)
		}
		s.finishOnlyDelivery(0, "connection_refused")
		page = v.get(page.pollURL()).wantStatus(200)
		if got := page.text(meta); !strings.Contains(got, "Retry 2 of 12 in 1 s, last answer connection refused") && !strings.Contains(got, "Retry 2 of 12 in 2 s, last answer connection refused") {
			t.Errorf("after a refused connection: %q", got)
		}
		s.Clock.Advance(3 * time.Second)
		s.finishOnlyDelivery(503, "")
		page = v.get(page.pollURL()).wantStatus(200)
		if got := page.text(meta); !strings.Contains(got, "Retry 3 of 12 in") || !strings.Contains(got, "last answer HTTP 503") {
			t.Errorf("after a 503: %q", got)
		}
		s.Clock.Advance(10 * time.Second)
		s.finishOnlyDelivery(202, "")
		s.Clock.Advance(36 * time.Second)
		page = v.get(page.pollURL()).wantStatus(200)
		if got := page.text(meta); !strings.Contains(got, "Delivered, HTTP 202, 36 s ago") || !strings.Contains(got, "fails in 1:11") {
			t.Errorf("after a 202: %q", got)
		}
		v.get(page.pollURL()).wantStatus(204)
	})
}

// Each open page polls every three seconds.
func TestPoll_NothingChanged_TakesOneQuery(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		for i := range 30 {
			s.Service(fmt.Sprintf("service-%02d", i))
		}
		mr := s.openMergeRequest("topic")
		v := s.as(s.Member("reporter", models.RoleReporter))
		poll := v.get(s.mrPath(mr, "")).wantStatus(200).pollURL()
		var statements []string
		s.Store.SetHooks(models.Hooks{Query: func(sql string) { statements = append(statements, sql) }})
		a := v.withHTMX().get(poll).wantStatus(204)
		s.Store.SetHooks(models.Hooks{})
		if got := a.header.Get("Cache-Control"); got != "private, no-store" {
			t.Errorf("Cache-Control = %q", got)
		}
		if len(statements) != 1 {
			t.Errorf("%d queries:\n%s", len(statements), strings.Join(statements, "\n"))
		}
	})
}

func TestPoll_InvalidParameters_ShowAllRows(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	s.Service("licence")
	mr := s.openMergeRequest("topic")
	v := s.as(s.Owner).withHTMX()
	// htmx does not swap a response with status 500, so the page keeps its rows.
	s.git.fails = errors.New("repository damaged")
	v.get(s.mrPath(mr, "/status_checks?rev=x")).wantStatus(500)
	s.git.fails = nil
	for _, query := range []string{"", "?rev=%00", "?rows=...", "?rows=x.1.p.-1p.99999999999999999999p.1q", "?rows=" + strings.Repeat("1p.", 20000)} {
		if got := v.get(s.mrPath(mr, "/status_checks"+query)).wantStatus(200).checkRows(); got != "licence Pending" {
			t.Errorf("rows for %.40q = %q", query, got)
		}
	}
	v.get(pearMergeRequestsPath + "/999/status_checks").wantStatus(404)
	v.get(pearMergeRequestsPath + "/x/status_checks").wantStatus(404)
}

// If the checks cannot be loaded, the widget says so and merging is blocked.
// Readers who may not see checks get the usual text.
func TestMergeRequest_ChecksFailToLoad_BlocksMerge(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		s.Service("licence")
		mr := s.openMergeRequest("topic")
		s.setVisibility(models.VisibilityPublic)
		if _, err := s.DB.SQL(t).Exec("ALTER TABLE merge_request_checks RENAME TO away"); err != nil {
			t.Fatal(err)
		}
		page := s.as(s.Owner).get(s.mrPath(mr, "")).wantStatus(200)
		if got := page.text("#status-checks"); got != "Failed to load status checks If this keeps happening, tell your administrator.Refresh" {
			t.Errorf("widget = %q", got)
		}
		if page.text("#merge-h") != "Merging is blocked" || page.attr("#merge-button", "aria-disabled") != "true" {
			t.Errorf("merge box = %q", page.text("#merge-h"))
		}
		if got := page.attr("#status-checks-refresh", "href"); got != s.mrPath(mr, "") {
			t.Errorf("Refresh links to %s", got)
		}
		if got := s.signedOut().get(s.mrPath(mr, "")).wantStatus(200).text("#status-checks"); strings.Contains(got, "Failed") || !strings.Contains(got, "You cannot view") {
			t.Errorf("a visitor sees %q", got)
		}
		s.as(s.Owner).withHTMX().get(s.mrPath(mr, "/status_checks?rev=x")).wantStatus(500)
	})
}
