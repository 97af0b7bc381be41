package handlers

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
)

func TestRedeliver_ConfirmationWithNumber_QueuesDeliveries(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		service := s.Service("licence")
		ola := s.userWithPassword("ola")
		if _, err := s.Store.AddMember(t.Context(), s.Owner, models.RoleOwner, s.Project.ID, ola.ID, models.RoleMaintainer); err != nil {
			t.Fatal(err)
		}
		b := s.signIn("ola")
		s.openMergeRequest("topic")
		s.finishNextDelivery(410)
		s.openMergeRequest("later")
		s.finishNextDelivery(410)
		s.Clock.Advance(3 * time.Hour)
		failed := s.Deliveries(service)

		log := b.get(servicePath(service) + "?since=" + failed[0].CreatedAt.Format("2006-01-02T15:04")).wantStatus(200)
		page := b.get(log.attr("#redeliver-all", "href")).wantStatus(200)
		if got := page.text("#redeliver-count"); !strings.Contains(got, "2 deliveries to licence match") {
			t.Errorf("count %q", got)
		}
		if got := page.text("#redeliver-all .btn--confirm"); got != "Redeliver 2 deliveries" {
			t.Errorf("button %q", got)
		}
		counted := page.attr("#redeliver-all .btn--confirm", "value")
		form := url.Values{"outcome": {"failed"}, "since": {page.attr("#redeliver-all [name=since]", "value")}, "counted": {counted}}
		form.Set("event", "update")
		changed := b.post(page.attr("#redeliver-all", "action"), form).wantStatus(http.StatusSeeOther)
		if got := changed.header.Get("Location"); !strings.Contains(got, "/deliveries/redeliver?event=update&outcome=failed&since=") {
			t.Errorf("another filter than the one counted redirects to %q", got)
		}
		form.Set("event", "")
		after := b.postAndFollow(page.attr("#redeliver-all", "action"), form)
		if got := after.text(".toast"); !strings.Contains(got, "2 deliveries queued again.") {
			t.Errorf("toast %q", got)
		}
		for _, d := range s.Deliveries(service) {
			if d.State != models.DeliveryWaiting {
				t.Errorf("delivery %d is %s", d.ID, d.State)
			}
		}
		page = b.get(page.attr("#redeliver-all", "action")).wantStatus(200)
		if got := page.text("#redeliver-count"); !strings.Contains(got, "0 deliveries") || page.has("#redeliver-all .btn--confirm") {
			t.Errorf("count %q", got)
		}
		audit := b.get("/" + s.Project.FullPath() + "/-/audit_events").wantStatus(200)
		if got := audit.text("#audit tbody"); !strings.Contains(got, "Redelivered") || !strings.Contains(got, "2") {
			t.Errorf("audit events %q", got)
		}
	})
}

// The page takes the filter of the log, without an outcome that cannot be sent again.
func TestRedeliver_FilterOfTheLog_IsKept(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		v, service := s.as(s.Owner), s.Service("licence")
		loggedDeliveries(t, s, service)
		for query, want := range map[string]struct{ filter, count string }{
			"outcome=delivered&mr=%211":             {"mr=%211&outcome=delivered", "1 delivery to licence matches"},
			"outcome=waiting&event=open":            {"event=open&outcome=failed", "1 delivery to licence matches"},
			"outcome=superseded":                    {"outcome=superseded", "0 deliveries to licence match"},
			"until=2020-01-01&status=410":           {"outcome=failed&status=410&until=2020-01-01T23%3A59", "0 deliveries to licence match"},
			"since=2020-01-01T00%3A00%3A00%2B02:00": {"outcome=failed&since=2019-12-31T22%3A00%3A00", "1 delivery to licence matches"},
		} {
			log := v.get(servicePath(service) + "?" + query).wantStatus(200)
			page := v.get(log.attr("#redeliver-all", "href")).wantStatus(200)
			if got := page.text("#redeliver-count"); got != want.count {
				t.Errorf("%s: count %q, want %q", query, got, want.count)
			}
			if page.has("#redeliver-all .btn--confirm") && page.attr("#redeliver-all .btn--confirm", "value") != want.filter {
				t.Errorf("%s: counted %q, want %q", query, page.attr("#redeliver-all .btn--confirm", "value"), want.filter)
			}
			for name, values := range mustParseQuery(t, want.filter) {
				field := page.Find("#redeliver-all input[name=" + name + "], #redeliver-all [name=" + name + "] option[selected]")
				if got, _ := field.Attr("value"); got != values[0] {
					t.Errorf("%s: %s is %q, want %q", query, name, got, values[0])
				}
			}
		}
		if got := v.get(servicePath(service) + "/deliveries/redeliver?mr=x").wantStatus(200); got.has("#redeliver-count") || got.text("#redeliver-all .error") == "" {
			t.Error("an invalid filter is counted")
		}
	})
}

func mustParseQuery(t *testing.T, query string) url.Values {
	t.Helper()
	values, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	return values
}
