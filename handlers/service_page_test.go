package handlers

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

func TestDeliveryPages_ShowAttemptsAndRedeliver(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		v, service := s.as(s.Owner), s.Service("licence")
		s.openMergeRequest("topic")
		if got := v.get(servicePath(service)).wantStatus(200).text("#deliveries tbody tr"); !strings.Contains(got, "Opened") || !strings.Contains(got, "Queued") {
			t.Errorf("log %q", got)
		}
		claimed, err := s.Store.Claim(t.Context(), models.ClaimOptions{Limit: 1})
		if err != nil || len(claimed) != 1 {
			t.Fatalf("%d claimed: %v", len(claimed), err)
		}
		s.Clock.Advance(time.Second)
		result := models.AttemptResult{
			StartedAt: s.Clock.Now(), Duration: 1187 * time.Millisecond, HTTPStatus: 503,
			RequestHeader:  models.Header{"X-Gitlab-Signature": {"deadbeef"}, "X-Gitlab-Event": {"Merge Request Hook"}},
			ResponseHeader: models.Header{"Set-Cookie": {"session=abc"}, "Content-Type": {"text/html"}},
			ResponseBody:   []byte("<script>alert(1)</script>\xff"), ResponseTruncated: true,
		}
		if err := s.Store.FinishDelivery(t.Context(), claimed[0].Delivery, result); err != nil {
			t.Fatal(err)
		}
		log := v.get(servicePath(service)).wantStatus(200)
		if got := log.text("#deliveries tbody tr"); !strings.Contains(got, "HTTP 503") || !strings.Contains(got, "1,187 ms") || !strings.Contains(got, "1 of 12") {
			t.Errorf("log %q", got)
		}
		page := v.get(log.attr("#deliveries tbody td:first-child a", "href")).wantStatus(200)
		for _, want := range []string{"Retrying", "POST /hook HTTP/1.1", "Host: licence.example.test", "X-Gitlab-Event: Merge Request Hook", `"action": "open"`,
			"HTTP 503 Service Unavailable", "<script>alert(1)</script>", "only its first 16 KiB"} {
			if !strings.Contains(page.text("main"), want) {
				t.Errorf("the page lacks %q: %s", want, page.text("main"))
			}
		}
		if strings.Contains(page.body, "deadbeef") || strings.Contains(page.body, "session=abc") || page.has("main script") {
			t.Error("the page shows a masked header or runs a script of the response")
		}
		a := v.withHTMX().post(page.attr("#delivery form", "action"), url.Values{}).wantStatus(200)
		if !strings.Contains(a.header.Get("HX-Trigger"), "Delivery queued again.") || a.text("#delivery .page-head .badge") != "Retrying" {
			t.Errorf("HX-Trigger %q, state %q", a.header.Get("HX-Trigger"), a.text("#delivery .page-head .badge"))
		}
		if got := v.get(log.attr("#deliveries tbody td:first-child a", "href")).text("#delivery .kv"); !strings.Contains(got, "1 of 12") {
			t.Errorf("summary %q", got)
		}
		v.post(page.attr("#delivery form", "action"), url.Values{}).wantStatus(http.StatusSeeOther)
		if n := len(s.Deliveries(service)); n != 1 {
			t.Errorf("%d deliveries, want the same one to be sent again", n)
		}

		mr := s.openMergeRequest("later")
		a = v.withHTMX().post(servicePath(service)+"/test", url.Values{}).wantStatus(200)
		if got := a.text("#deliveries tbody tr:first-child"); !strings.Contains(got, "Test") || !strings.Contains(a.header.Get("HX-Trigger"), "Test delivery sent.") {
			t.Errorf("log %q", got)
		}
		v.post(servicePath(service)+"/test", url.Values{}).wantStatus(http.StatusSeeOther)
		list := s.Deliveries(service)
		if payload := s.PayloadOf(list[len(list)-1]); !payload.Test || payload.Head != mr.HeadSHA {
			t.Errorf("test payload %+v", payload)
		}
		if got := s.Status(mr, service); got != models.StatusPending {
			t.Errorf("status %q, want pending", got)
		}
	})
}

func TestDeliveryLog_ManyDeliveries_HasPages(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	service := s.Service("licence")
	for range pageSize + 1 {
		if _, err := s.Store.SendTest(t.Context(), s.Owner, s.Project.ID, service.ID); err != nil {
			t.Fatal(err)
		}
	}
	first := s.as(s.Owner).get(servicePath(service)).wantStatus(200)
	second := s.as(s.Owner).get(first.attr("#deliveries .pagination a", "href")).wantStatus(200)
	if a, b := first.Find("#deliveries tbody tr").Length(), second.Find("#deliveries tbody tr").Length(); a != pageSize || b != 1 {
		t.Errorf("%d and %d rows", a, b)
	}
}

// The pages of a service and of a delivery poll while a delivery is unfinished.
// A poll without changes gets 204.
func TestDeliveryPolls_UntilDelivered_BringChanges(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		v, service := s.as(s.Owner), s.Service("licence")
		htmx := v.withHTMX()
		mr := s.openMergeRequest("topic")
		page := v.get(servicePath(service)).wantStatus(200)
		if page.attr("#service", "hx-trigger") != "every 3s" {
			t.Errorf("hx-trigger %q, want every 3s", page.attr("#service", "hx-trigger"))
		}
		poll := page.attr("#service", "hx-get")
		htmx.get(poll).wantStatus(http.StatusNoContent)
		one := page.attr("#deliveries tbody td:first-child a", "href")
		pollOne := v.get(one).wantStatus(200).attr("#delivery", "hx-get")
		htmx.get(pollOne).wantStatus(http.StatusNoContent)

		s.finishNextDelivery(503)
		for _, path := range []string{poll, pollOne} {
			if a := htmx.get(path).wantStatus(200); !strings.Contains(a.body, "HTTP 503") || a.has("html > head > title") || a.attr("#service, #delivery", "hx-trigger") != "every 3s" {
				t.Errorf("%s: %s", path, a.body)
			}
		}
		if got := v.get(one).wantStatus(200).text("#delivery .kv"); !strings.Contains(got, "Next attempt in ") {
			t.Errorf("summary %q", got)
		}
		for range 5 {
			s.Clock.Advance(90 * time.Second)
			s.finishNextDelivery(503)
		}
		if got := v.get(one).wantStatus(200).attr("#delivery", "hx-trigger"); got != "every 60s" {
			t.Errorf("before a later attempt: hx-trigger %q, want every 60s", got)
		}
		s.Clock.Advance(10 * time.Minute)
		s.finishNextDelivery(202)
		if err := s.Respond(mr, service, mr.HeadSHA, models.StatusPassed); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{poll, pollOne} {
			a := htmx.get(path).wantStatus(200)
			settled := a.attr("#service, #delivery", "data-url")
			if a.attr("#service, #delivery", "hx-trigger") != "" || !strings.Contains(a.body, "HTTP 202") {
				t.Errorf("%s: %s", path, a.body)
			}
			htmx.get(settled).wantStatus(http.StatusNoContent)
		}
		if got := v.get(one).wantStatus(200).text("#delivery .kv"); !strings.Contains(got, "Passed set by API") {
			t.Errorf("summary %q", got)
		}
		if got := htmx.post(one+"/redeliver", url.Values{}).wantStatus(200).text("#delivery .kv"); !strings.Contains(got, "Queued") || !strings.Contains(got, "7 of 8") {
			t.Errorf("summary after Redeliver: %q", got)
		}
	})
}

func TestServicePage_HTMXForms_UpdatePage(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		htmx, service := s.as(s.Owner).withHTMX(), s.Service("licence")
		s.openMergeRequest("topic")
		form := url.Values{"return_to": {"service"}, "name": {"Licence scan"}, "external_url": {"https://scan.example.test/"}, "also_apply": {"1"}}
		a := htmx.post(servicePath(service), form).wantStatus(200)
		if a.text("#service[hx-swap-oob] h1") != "Licence scan" || !strings.Contains(a.header.Get("HX-Trigger"), "Status check updated. Applied to 1 open merge request.") {
			t.Errorf("%q: %s", a.header.Get("HX-Trigger"), a.body)
		}
		a = htmx.post(servicePath(service)+"/remove", url.Values{"return_to": {"service"}}).wantStatus(204)
		if a.header.Get("HX-Redirect") != pearSettingsPath {
			t.Errorf("removing redirects to %q", a.header.Get("HX-Redirect"))
		}
	})
}

func TestAlsoApply_Toast_CountsMergeRequests(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		ola := s.userWithPassword("ola")
		if _, err := s.Store.AddMember(t.Context(), s.Owner, models.RoleOwner, s.Project.ID, ola.ID, models.RoleMaintainer); err != nil {
			t.Fatal(err)
		}
		b := s.signIn("ola")
		add := func(name string) response {
			return b.postAndFollow(pearServicesPath, url.Values{"name": {name}, "external_url": {"https://" + name + ".example.test/"}, "also_apply": {"1"}})
		}
		if got := add("none").text(".toast"); !strings.Contains(got, "Status check added. Applied to 0 open merge requests.") {
			t.Errorf("toast %q", got)
		}
		s.openMergeRequest("topic")
		if got := add("one").text(".toast"); !strings.Contains(got, "Applied to 1 open merge request.") {
			t.Errorf("toast %q", got)
		}
		s.openMergeRequest("later")
		b.header.Set("Accept-Language", "ja")
		if got := add("two").text(".toast"); !strings.Contains(got, "2件のオープンなマージリクエストに適用しました。") {
			t.Errorf("toast %q", got)
		}
		b.cookies[flashCookie] = "checks.toast_added_applied:-1"
		if page := b.get(pearSettingsPath).wantStatus(200); page.has(".toast") {
			t.Errorf("toast %q", page.text(".toast"))
		}
	})
}

// A binary body is not shown. A text that was cut inside a character is.
func TestTextOf_BinaryBody_IsNotText(t *testing.T) {
	for _, tt := range []struct {
		body string
		cut  bool
		text string
		ok   bool
	}{
		{"", false, "", true},
		{"fine \xe2\x9c", true, "fine ", true},
		{"fine, mostly fine \xe2\x9c", false, "fine, mostly fine \uFFFD", true},
		{"\x89PNG\r\n\x1a\n\x00\x00", false, "", false},
		{"\xff\xfe\xfd\xfc", true, "", false},
	} {
		text, ok := textOf([]byte(tt.body), tt.cut)
		if ok != tt.ok || ok && text != tt.text {
			t.Errorf("%q: %q, %t", tt.body, text, ok)
		}
	}
}

func TestServicePage_ShowsHealthAsChartAndTable(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		v, service := s.as(s.Owner), s.Service("licence")
		if page := v.get(servicePath(service)).wantStatus(200); page.has("#health") {
			t.Error("the page has a chart without deliveries")
		}
		mr := s.openMergeRequest("topic")
		s.finishNextDelivery(202)
		s.Clock.Advance(41 * time.Second)
		if err := s.Respond(mr, service, mr.HeadSHA, models.StatusPassed); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := s.Store.SendTest(t.Context(), s.Owner, s.Project.ID, service.ID); err != nil {
				t.Fatal(err)
			}
			s.finishNextDelivery(503)
		}
		page := v.get(servicePath(service)).wantStatus(200)
		for selector, want := range map[string]string{
			"#health-rate": "33.3 % 1 of 3 deliveries", "#health-delivery": "p50 184 ms, p95 184 ms", "#health-answer": "p50 41 s, p95 41 s",
			"#health svg g title": "22 Nov 2026: 1 delivered, 2 failed",
			"#health tbody tr":    "22 Nov 20261233.3 %p50 184 ms, p95 184 msp50 41 s, p95 41 s",
		} {
			if got := page.text(selector); got != want {
				t.Errorf("%s: %q, want %q", selector, got, want)
			}
		}
		if page.Find("#health rect.ok").Length() != 1 || page.Find("#health rect.bad").Length() != 1 || page.has("#health-cut") {
			t.Error("the chart does not have one column")
		}
	})
}

func TestServicePages_OpenBreaker_SayPausedUntil(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		v, service := s.as(s.Owner), s.Service("licence")
		set := `UPDATE service_queues SET failures = 5, opened_at = $1, open_until = $2, open_times = 1, probe_at = $2, last_http_status = 503`
		now := s.Store.Now()
		if _, err := s.DB.SQL(t).Exec(set, now.Add(-3*time.Minute), now.Add(40*time.Second)); err != nil {
			t.Fatal(err)
		}
		if got := v.get(pearSettingsPath).wantStatus(200).text("#status-checks tbody tr"); !strings.Contains(got, "Paused, next try in 40 s") {
			t.Errorf("settings %q", got)
		}
		got := v.get(servicePath(service)).wantStatus(200).text("#service-paused")
		for _, want := range []string{"are paused", "3 minutes ago after 5 failures in a row", "licence.example.test: HTTP 503", "Next try in 40 s", "Send test tries at once"} {
			if !strings.Contains(got, want) {
				t.Errorf("%q lacks %q", got, want)
			}
		}
		s.Clock.Advance(time.Minute)
		if got := v.get(servicePath(service)).wantStatus(200).text("#service-paused"); !strings.Contains(got, "The next delivery is tried now") {
			t.Errorf("at the time of the next try: %q", got)
		}
	})
}

func TestDeliveryPage_ShowsPartsOfDuration(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		v, service := s.as(s.Owner), s.Service("licence")
		s.openMergeRequest("topic")
		claimed, err := s.Store.Claim(t.Context(), models.ClaimOptions{Limit: 1})
		if err != nil || len(claimed) != 1 {
			t.Fatalf("%d claimed: %v", len(claimed), err)
		}
		err = s.Store.FinishDelivery(t.Context(), claimed[0].Delivery, models.AttemptResult{
			StartedAt: s.Clock.Now(), Duration: 200 * time.Millisecond, HTTPStatus: 202,
			Timing: models.Timing{DNSUS: 20_000, ConnectUS: 10_000, TLSUS: 50_000, FirstByteUS: 100_000},
		})
		if err != nil {
			t.Fatal(err)
		}
		page := v.get(deliveryPath(service, claimed[0].Delivery)).wantStatus(200)
		if got, want := page.text("#attempt-1 .timing ul"), "DNS 20 ms Connect 10 ms TLS 50 ms First byte 100 ms Rest 20 ms"; got != want {
			t.Errorf("legend %q, want %q", got, want)
		}
		if got := page.attr("#attempt-1 .timing > svg .timing-wait", "width"); got != "50.00%" {
			t.Errorf("width of the first byte %q", got)
		}
		if got := page.text("#request-curl"); !strings.Contains(got, "curl --request POST 'https://licence.example.test/hook'") || !strings.Contains(got, `"action":"open"`) {
			t.Errorf("curl command %q", got)
		}
	})
}

func deliveryPath(service models.ExternalStatusCheck, d models.Delivery) string {
	return servicePath(service) + "/deliveries/" + itoa(d.ID)
}
