package handlers

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
)

// services adds n services named s00, s01 and so on.
func (s *testSite) services(n int) []models.ExternalStatusCheck {
	s.T.Helper()
	var list []models.ExternalStatusCheck
	for i := range n {
		list = append(list, s.Service(fmt.Sprintf("s%02d", i)))
	}
	return list
}

// respondAll records the same response of several services for HEAD.
func (s *testSite) respondAll(mr models.MergeRequest, status models.Status, services ...models.ExternalStatusCheck) {
	s.T.Helper()
	for _, service := range services {
		if err := s.Respond(mr, service, mr.HeadSHA, status); err != nil {
			s.T.Fatal(err)
		}
	}
}

// The passed rows of a page with more than eight checks are folded. Polls move no row into the
// fold, and take out those that are no longer passed.
func TestWidget_MoreThanEightChecks_FoldPassedRows(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		services := s.services(9)
		mr := s.openMergeRequest("topic")
		s.respondAll(mr, models.StatusPassed, services[2:]...)
		s.respondAll(mr, models.StatusFailed, services[0])
		shown := func(a response) string {
			var names []string
			for _, list := range a.Find("#status-checks-body > .check-rows, #status-checks-body > .check-fold").EachIter() {
				names = append(names, fmt.Sprintf("%d", list.Find(".check-row").Length()))
			}
			return strings.Join(names, "+") + " " + a.text(".check-fold summary")
		}
		page := s.as(s.Owner).get(s.mrPath(mr, "")).wantStatus(200)
		if got := shown(page); got != "2+7 7 passed" {
			t.Errorf("a new page shows %q", got)
		}
		if !page.has("#status-checks-filter") || page.has(".check-fold[open]") {
			t.Error("no filter, or the fold is open")
		}
		v := s.as(s.Owner).withHTMX()
		s.respondAll(mr, models.StatusPassed, services[1])
		s.respondAll(mr, models.StatusFailed, services[8])
		update := v.get(page.pollURL()).wantStatus(200)
		if got := shown(update); got != "3+6 6 passed" {
			t.Errorf("after a poll %q", got)
		}
		if got := update.checkRows(); !strings.HasPrefix(got, "s00 Failed, s01 Passed, s08 Failed, s02") {
			t.Errorf("rows after a poll: %q", got)
		}
		s.respondAll(mr, models.StatusPassed, services...)
		if got := shown(s.as(s.Owner).get(s.mrPath(mr, "")).wantStatus(200)); got != "9 9 passed" {
			t.Errorf("all passed: %q", got)
		}
		// A response after the merge is worth a whole row.
		if _, err := s.Store.Merge(t.Context(), s.Owner, s.Project.ID, mr.IID, models.MergeOptions{SHA: mr.HeadSHA, Role: models.RoleOwner}); err != nil {
			t.Fatal(err)
		}
		s.respondAll(mr, models.StatusFailed, services[4])
		if got := shown(s.as(s.Owner).get(s.mrPath(mr, "")).wantStatus(200)); got != "1+8 8 passed" {
			t.Errorf("after the merge: %q", got)
		}
	})
}

func TestWidget_EightChecks_FoldNothing(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		services := s.services(8)
		mr := s.openMergeRequest("topic")
		s.respondAll(mr, models.StatusPassed, services[1:]...)
		page := s.as(s.Owner).get(s.mrPath(mr, "")).wantStatus(200)
		if page.has(".check-fold") || page.has("#status-checks-filter") || page.Find(".check-row").Length() != 8 {
			t.Error("eight checks are folded")
		}
	})
}

func TestRetryFailedChecks_RetriesAllInOneEvent(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		services := s.services(4)
		mr := s.openMergeRequest("topic")
		s.respondAll(mr, models.StatusFailed, services[:2]...)
		s.respondAll(mr, models.StatusPassed, services[3])
		s.Clock.Advance(3 * time.Minute) // services[2] times out
		button, dev := "#status-checks-actions form", s.as(s.Member("dev", models.RoleDeveloper))
		page := dev.get(s.mrPath(mr, "")).wantStatus(200)
		if got := page.text("#status-checks-retry-all"); got != "Retry all failed" {
			t.Fatalf("button = %q", got)
		}
		action, form := page.fields(button)
		if got := dev.withHTMX().post(action, form).wantStatus(200).checkRows(); got != "s00 Pending, s01 Pending, s02 Pending, s03 Passed" {
			t.Errorf("rows = %q", got)
		}
		events := map[string]bool{}
		for _, service := range services[:3] {
			deliveries := s.Deliveries(service)
			last := deliveries[len(deliveries)-1]
			if last.Kind != models.DeliveryOfRetry {
				t.Errorf("newest delivery of %s: %+v", service.Name, last)
			}
			events[last.EventUUID] = true
		}
		if len(events) != 1 {
			t.Errorf("%d events, want 1", len(events))
		}
		if n := len(s.Deliveries(services[3])); n != 1 {
			t.Errorf("%d deliveries to the service that passed", n)
		}
		if got := dev.withHTMX().post(action, form).wantStatus(200); !strings.Contains(got.header.Get("HX-Trigger"), "Only a failed status check can be retried.") {
			t.Errorf("second press: %q", got.header.Get("HX-Trigger"))
		}
		s.respondAll(mr, models.StatusFailed, services[0])
		if dev.get(s.mrPath(mr, "")).has(button) {
			t.Error("the button is shown for one failed check")
		}
		// Without script the page follows.
		done := dev.post(action, nil).wantStatus(303)
		if done.header.Get("Location") != s.mrPath(mr, "") || s.Status(mr, services[0]) != models.StatusPending {
			t.Errorf("Location = %q", done.header.Get("Location"))
		}
		s.respondAll(mr, models.StatusFailed, services[:2]...)
		rex := s.as(s.Member("rex", models.RoleReporter))
		if rex.get(s.mrPath(mr, "")).wantStatus(200).has(button) {
			t.Error("a Reporter sees the button")
		}
		rex.post(action, url.Values{}).wantStatus(403)
	})
}

func TestWidget_Roles_SeeDeliveryCommandAndHint(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		licence := s.Service("licence")
		mr := s.openMergeRequest("topic")
		s.respondAll(mr, models.StatusFailed, licence)
		delivery := s.Deliveries(licence)[0]
		command := fmt.Sprintf(`curl --request POST --header "PRIVATE-TOKEN: $MERGEGATE_TOKEN" \ --data sha=%s \ --data external_status_check_id=%d \ --data status=passed \ 'http://mergegate.test/api/v4/projects/%d/merge_requests/%d/status_check_responses'`,
			mr.HeadSHA, licence.ID, s.Project.ID, mr.IID)
		for role, want := range map[models.Role]struct {
			link, command string
			hint          bool
		}{
			models.RoleReporter:   {hint: true},
			models.RoleDeveloper:  {command: command},
			models.RoleMaintainer: {link: fmt.Sprintf("%s/%d/deliveries/%d", pearServicesPath, licence.ID, delivery.ID), command: command},
		} {
			page := s.as(s.Member("user"+itoa(int64(role)), role)).get(s.mrPath(mr, "")).wantStatus(200)
			if got := page.Find(".check-row__delivery").AttrOr("href", ""); got != want.link {
				t.Errorf("role %d: link to the delivery %q, want %q", role, got, want.link)
			}
			if got := page.text(".check-row code[hidden]"); got != want.command {
				t.Errorf("role %d: command %q, want %q", role, got, want.command)
			}
			if got := strings.Contains(page.text(".check-row__meta"), "Developers and above can retry"); got != want.hint {
				t.Errorf("role %d: the hint is shown: %t", role, got)
			}
			if !strings.Contains(page.text(".check-row__meta"), "Queued") {
				t.Errorf("role %d: no outcome of the delivery", role)
			}
		}
		// Nobody can answer by hand for a service that accepts only callback tokens.
		if _, err := s.Store.DB().ExecContext(t.Context(), fmt.Sprintf("UPDATE external_status_checks SET callback_only = TRUE WHERE id = %d", licence.ID)); err != nil {
			t.Fatal(err)
		}
		if s.as(s.Owner).get(s.mrPath(mr, "")).wantStatus(200).has(".check-row code[hidden]") {
			t.Error("the command is offered although only callback tokens are accepted")
		}
		if _, err := s.Store.CloseMergeRequest(t.Context(), s.Owner, s.Project.ID, mr.IID); err != nil {
			t.Fatal(err)
		}
		if s.as(s.Owner).get(s.mrPath(mr, "")).wantStatus(200).has(".check-row code[hidden]") {
			t.Error("a closed merge request shows the command")
		}
	})
}

// The title and the icon of the browser's tab show the state to those who may see it.
func TestWidget_State_IsInTheTab(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		services := s.services(2)
		mr := s.openMergeRequest("topic")
		s.setVisibility(models.VisibilityPublic)
		const title = "Trim topic (!1) · pear · Mergegate"
		v := s.as(s.Owner)
		page := v.get(s.mrPath(mr, "")).wantStatus(200)
		tab := func(a response) string {
			name, _, _ := strings.Cut(a.Find("#tab-icon").AttrOr("href", ""), ".svg")
			return name[:strings.LastIndexByte(name, '-')] + " " + a.text("title")
		}
		if got := tab(page); got != "/assets/mark-pending … 2 pending · "+title {
			t.Errorf("pending: %q", got)
		}
		s.respondAll(mr, models.StatusFailed, services[0])
		update := v.withHTMX().get(page.pollURL()).wantStatus(200)
		if got := tab(update); got != "/assets/mark-failed ✗ 1 failed · "+title || update.attr("#tab-icon", "hx-swap-oob") == "" {
			t.Errorf("failed: %q", got)
		}
		s.respondAll(mr, models.StatusPassed, services...)
		if got := tab(v.get(s.mrPath(mr, ""))); got != "/assets/mark-passed ✓ "+title {
			t.Errorf("passed: %q", got)
		}
		for _, page := range []response{s.signedOut().get(s.mrPath(mr, "")), v.get(s.mrPath(mr, "/commits"))} {
			if got := tab(page.wantStatus(200)); !strings.HasPrefix(got, "/assets/mark ") || !slices.Contains(strings.Fields(got), "·") || strings.ContainsAny(got, "✓✗…") {
				t.Errorf("without checks: %q", got)
			}
		}
	})
}
