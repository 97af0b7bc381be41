package handlers

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
)

func TestRedeliverFailed_ConfirmationWithNumber_QueuesDeliveries(t *testing.T) {
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
		page := b.get(log.attr("#redeliver-failed", "href")).wantStatus(200)
		if got := page.text("#failed-count"); !strings.Contains(got, "2 deliveries to licence have failed since then") {
			t.Errorf("count %q", got)
		}
		if got := page.text("#redeliver-failed .btn--confirm"); got != "Redeliver 2 deliveries" {
			t.Errorf("button %q", got)
		}
		since := page.attr("#redeliver-failed [name=since]", "value")
		changed := b.post(page.attr("#redeliver-failed", "action"), url.Values{"since": {"2020-01-01T00:00"}, "counted": {since}}).wantStatus(http.StatusSeeOther)
		if got := changed.header.Get("Location"); !strings.HasSuffix(got, "/deliveries/redeliver?since=2020-01-01T00%3A00") {
			t.Errorf("another time than the one counted redirects to %q", got)
		}
		after := b.postAndFollow(page.attr("#redeliver-failed", "action"), url.Values{"since": {since}, "counted": {page.attr("#redeliver-failed .btn--confirm", "value")}})
		if got := after.text(".toast"); !strings.Contains(got, "2 deliveries queued again.") {
			t.Errorf("toast %q", got)
		}
		for _, d := range s.Deliveries(service) {
			if d.State != models.DeliveryWaiting {
				t.Errorf("delivery %d is %s", d.ID, d.State)
			}
		}
		page = b.get(page.attr("#redeliver-failed", "action")).wantStatus(200)
		if got := page.text("#failed-count"); !strings.Contains(got, "0 deliveries") || page.has("#redeliver-failed .btn--confirm") {
			t.Errorf("count %q", got)
		}
		audit := b.get("/" + s.Project.FullPath() + "/-/audit_events").wantStatus(200)
		if got := audit.text("#audit tbody"); !strings.Contains(got, "Redelivered") || !strings.Contains(got, "2") {
			t.Errorf("audit events %q", got)
		}
	})
}
