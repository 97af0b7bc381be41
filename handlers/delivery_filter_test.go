package handlers

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// loggedDeliveries makes a log of a service: an opened and a pushed merge request whose
// deliveries failed with 410 and succeeded with 202, a test without response an hour
// later, and a merge request opened a day later, whose delivery waits.
func loggedDeliveries(t *testing.T, s *testSite, service models.ExternalStatusCheck) {
	t.Helper()
	s.openMergeRequest("topic")
	s.finishNextDelivery(410)
	s.Clock.Advance(time.Hour)
	s.Push("topic")
	s.finishNextDelivery(202)
	s.Clock.Advance(time.Hour)
	if _, err := s.Store.SendTest(t.Context(), s.Owner, s.Project.ID, service.ID); err != nil {
		t.Fatal(err)
	}
	s.failNextDelivery("timeout")
	s.Clock.Advance(24 * time.Hour)
	s.openMergeRequest("later")
}

// failNextDelivery finishes the next due delivery without a response.
func (s *testSite) failNextDelivery(reason string) {
	s.T.Helper()
	claimed, err := s.Store.Claim(s.T.Context(), models.ClaimOptions{Limit: 1})
	if err != nil || len(claimed) != 1 {
		s.T.Fatalf("%d claimed: %v", len(claimed), err)
	}
	if err := s.Store.FinishDelivery(s.T.Context(), claimed[0].Delivery, models.AttemptResult{StartedAt: s.Clock.Now(), Error: reason}); err != nil {
		s.T.Fatal(err)
	}
}

func TestDeliveryLog_Filters_SelectRows(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		v, service := s.as(s.Owner), s.Service("licence")
		other := s.Service("security")
		for range 2 {
			if _, err := s.Store.SendTest(t.Context(), s.Owner, s.Project.ID, other.ID); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Store.DeleteExternalStatusCheck(t.Context(), s.Owner, s.Project.ID, other.ID); err != nil {
			t.Fatal(err)
		}
		loggedDeliveries(t, s, service)
		all := s.Deliveries(service)
		open, push, test, later := all[0], all[1], all[2], all[3]
		at := func(d models.Delivery) string { return d.CreatedAt.Format("2006-01-02T15:04") }
		for _, tt := range []struct {
			query string
			want  []models.Delivery
		}{
			{"", []models.Delivery{later, test, push, open}},
			{"outcome=failed", []models.Delivery{test, open}},
			{"outcome=delivered", []models.Delivery{push}},
			{"outcome=waiting", []models.Delivery{later}},
			{"outcome=superseded", nil},
			{"event=open", []models.Delivery{later, open}},
			{"event=update", []models.Delivery{push}},
			{"event=test", []models.Delivery{test}},
			{"event=retry", nil},
			{"status=410", []models.Delivery{open}},
			{"status=4XX", []models.Delivery{open}},
			{"status=2xx", []models.Delivery{push}},
			{"status=5xx", nil},
			{"status=none", []models.Delivery{test}},
			{"mr=%211", []models.Delivery{test, push, open}},
			{"mr=2", []models.Delivery{later}},
			{"since=" + at(push), []models.Delivery{later, test, push}},
			{"until=" + at(push), []models.Delivery{push, open}},
			{"since=" + at(push) + "&until=" + test.CreatedAt.Format(time.DateOnly), []models.Delivery{test, push}},
			{"search=" + itoa(push.ID), []models.Delivery{push}},
			{"search=" + strings.ToUpper(test.UUID), []models.Delivery{test}},
			{"search=" + test.UUID[:8], []models.Delivery{test}},
			{"search=" + open.EventUUID, []models.Delivery{open}},
			{"event=open&outcome=failed&status=4xx&mr=1", []models.Delivery{open}},
			{"event=open&outcome=delivered", nil},
		} {
			page := v.get(servicePath(service) + "?" + tt.query).wantStatus(200)
			var got, want []string
			for _, row := range page.Find("#deliveries tbody tr").EachIter() {
				got = append(got, row.AttrOr("id", ""))
			}
			for _, d := range tt.want {
				want = append(want, "delivery-"+itoa(d.ID))
			}
			if strings.Join(got, " ") != strings.Join(want, " ") {
				t.Errorf("%q: %v, want %v", tt.query, got, want)
			}
			if len(want) == 0 && !strings.Contains(page.text("#deliveries"), "No deliveries match the filter") {
				t.Errorf("%q: %q", tt.query, page.text("#deliveries"))
			}
			if page.has("#delivery-filter .error") {
				t.Errorf("%q: error %q", tt.query, page.text("#delivery-filter .error"))
			}
		}
		page := v.get(servicePath(service) + "?outcome=failed&status=4xx&mr=1&since=2026-11-22T09:00").wantStatus(200)
		for name, want := range map[string]string{"status": "4xx", "mr": "1", "since": "2026-11-22T09:00"} {
			if got := page.attr("#delivery-filter [name="+name+"]", "value"); got != want {
				t.Errorf("the form shows %s %q, want %q", name, got, want)
			}
		}
		if got := page.attr("#outcome option[selected]", "value"); got != "failed" {
			t.Errorf("the form shows outcome %q", got)
		}
		if got, err := url.Parse(page.attr("#service", "data-url") + page.attr("#service", "hx-get")); err != nil || got.Query().Get("status") != "4xx" {
			t.Errorf("polls lose the filter: %v, %v", got, err)
		}
	})
}

func TestDeliveryLog_InvalidFilter_SaysSoAndSelectsAll(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	v, service := s.as(s.Owner), s.Service("licence")
	s.openMergeRequest("topic")
	for query, want := range map[string]string{
		"outcome=lost": "Not valid", "event=comment": "Not valid", "status=20": "Use a status such as 503", "status=0xx": "Use a status such as 503",
		"mr=x": "Use a number such as 142", "mr=-1": "Use a number such as 142", "since=yesterday": "Please provide a time such as", "until=2026-13-01": "Please provide a time such as",
		"search=d7": "at least 8 characters", "search=not-hexadecimal": "at least 8 characters",
	} {
		page := v.get(servicePath(service) + "?" + query).wantStatus(200)
		if got := page.text("#delivery-filter .error"); !strings.Contains(got, want) || page.Find("#deliveries tbody tr").Length() != 1 {
			t.Errorf("%s: error %q, %d rows", query, got, page.Find("#deliveries tbody tr").Length())
		}
	}
}

func TestDeliveryLog_FilteredPages_KeepFilter(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	v, service := s.as(s.Owner), s.Service("licence")
	for range pageSize + 1 {
		if _, err := s.Store.SendTest(t.Context(), s.Owner, s.Project.ID, service.ID); err != nil {
			t.Fatal(err)
		}
		s.finishNextDelivery(500)
	}
	s.openMergeRequest("topic")
	first := v.get(servicePath(service) + "?outcome=failed&event=&mr=").wantStatus(200)
	second := v.get(first.attr("#deliveries .pagination a", "href")).wantStatus(200)
	if a, b := first.Find("#deliveries tbody tr").Length(), second.Find("#deliveries tbody tr").Length(); a != pageSize || b != 1 {
		t.Errorf("%d and %d rows", a, b)
	}
}
