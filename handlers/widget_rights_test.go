package handlers

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
)

func TestWidget_Roles_SeeWhatTheyMay(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		service := s.Service("licence")
		mr := s.openMergeRequest("topic")
		if err := s.Respond(mr, service, mr.HeadSHA, models.StatusFailed); err != nil {
			t.Fatal(err)
		}
		s.setGate(true)
		guest, reporter := s.Member("guest", models.RoleGuest), s.Member("reporter", models.RoleReporter)
		developer, maintainer := s.Member("dev", models.RoleDeveloper), s.Member("maint", models.RoleMaintainer)
		stranger, signedOut := s.User("stranger"), models.User{}
		const page, widget, retry, link = "page", "widget", "retry", "link" // each adds to the one before
		tests := []struct {
			visibility models.Visibility
			who        models.User
			sees       []string
		}{
			{models.VisibilityPrivate, signedOut, nil},
			{models.VisibilityPrivate, stranger, nil},
			{models.VisibilityPrivate, guest, nil},
			{models.VisibilityPrivate, reporter, []string{page, widget}},
			{models.VisibilityPrivate, developer, []string{page, widget, retry}},
			{models.VisibilityPrivate, maintainer, []string{page, widget, retry, link}},
			{models.VisibilityInternal, signedOut, nil},
			{models.VisibilityInternal, stranger, []string{page, widget}},
			{models.VisibilityInternal, guest, []string{page, widget}},
			{models.VisibilityPublic, signedOut, []string{page}},
			{models.VisibilityPublic, stranger, []string{page}},
			{models.VisibilityPublic, guest, []string{page}},
			{models.VisibilityPublic, reporter, []string{page, widget}},
		}
		for _, test := range tests {
			s.setVisibility(test.visibility)
			t.Run(fmt.Sprintf("%s %s", test.visibility, test.who.Username), func(t *testing.T) {
				v := s.as(test.who)
				a := v.get(s.mrPath(mr, ""))
				fragment := v.withHTMX().get(s.mrPath(mr, "/status_checks?rev=x"))
				list := v.get(pearMergeRequestsPath)
				sees := map[string]bool{}
				for _, what := range test.sees {
					sees[what] = true
				}
				if !sees[page] {
					if a.status != 404 && a.status != 303 {
						t.Fatalf("status %d for the page", a.status)
					}
					if fragment.status != 404 && fragment.status != 401 {
						t.Errorf("status %d for the fragment", fragment.status)
					}
					return
				}
				a.wantStatus(200)
				if got := a.has(".check-row"); got != sees[widget] {
					t.Errorf("rows shown: %v", got)
				}
				if got := a.has(".check-row form"); got != sees[retry] {
					t.Errorf("Retry shown: %v", got)
				}
				if got := a.has(".check-row__name a"); got != sees[link] {
					t.Errorf("link to the service shown: %v", got)
				}
				if got := strings.Contains(list.text("#mr-list"), "1 failed"); got != sees[widget] {
					t.Errorf("summary in the list: %v", got)
				}
				if sees[widget] {
					if fragment.status != 200 {
						t.Errorf("status %d for the fragment", fragment.status)
					}
					return
				}
				if fragment.status == 200 || strings.Contains(fragment.body, "licence") {
					t.Errorf("status %d for the fragment", fragment.status)
				}
				if got := a.text("#status-checks .widget__title"); got != "You cannot view status check responses" {
					t.Errorf("widget = %q", got)
				}
				if got := a.text("#merge-state"); got != "Merging is blocked" {
					t.Errorf("merge box = %q", got)
				}
				if strings.Contains(a.body, "licence") || strings.Contains(a.text("#merge-box"), "pass") || a.has("#merge-checks li") {
					t.Errorf("the page shows the checks: %q", a.text("#merge-box"))
				}
			})
		}
	})
}

func TestWidget_ResponseText_IsEscaped(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		service := s.Service("licence")
		mr := s.openMergeRequest("topic")
		_, err := s.Store.RecordResponse(t.Context(), s.Owner, mr.ProjectID, mr.IID, models.ResponseInput{
			ExternalStatusCheckID: service.ID, SHA: mr.HeadSHA, Status: models.StatusPassed,
			Description: `<script>alert(1)</script> & fine`, TargetURL: "https://ci.example.test/r?a=1&b=2",
		})
		if err != nil {
			t.Fatal(err)
		}
		page := s.as(s.Owner).get(s.mrPath(mr, "")).wantStatus(200)
		if strings.Contains(page.body, "<script>alert") {
			t.Error("the description is not escaped")
		}
		if got := page.text(".check-row__desc"); !strings.Contains(got, "<script>alert(1)</script> & fine") {
			t.Errorf("description = %q", got)
		}
		link := ".check-row__desc a"
		if page.attr(link, "rel") != "nofollow noopener noreferrer" || page.attr(link, "href") != "https://ci.example.test/r?a=1&b=2" {
			t.Errorf("link = %s %s", page.attr(link, "rel"), page.attr(link, "href"))
		}
	})
}

func TestWidget_ClosedMergeRequest_StopsPolling(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		s.Service("licence")
		mr := s.openMergeRequest("topic")
		v := s.as(s.Owner)
		poll := v.get(s.mrPath(mr, "")).pollURL()
		v.post(s.mrPath(mr, "/close"), url.Values{}).wantStatus(303)
		s.Clock.Advance(5 * time.Minute)
		final := v.withHTMX().get(poll).wantStatus(200)
		if final.attr("#status-checks-body", "hx-get") != "" || final.has(".check-row form") {
			t.Error("the widget of a closed merge request polls or offers Retry")
		}
		if got := final.checkRows(); got != "licence Pending" {
			t.Errorf("rows = %q: the check must not time out", got)
		}
		if final.has("[data-deadline]") {
			t.Error("a countdown runs on a closed merge request")
		}
		if got := final.text("#mr-state"); got != "Closed" {
			t.Errorf("badge = %q", got)
		}
		if !strings.Contains(v.get(s.mrPath(mr, "")).text("#status-checks-summary"), "Result for "+mr.HeadSHA[:8]) {
			t.Error("the widget does not say which commit its result is for")
		}
	})
}

func TestWidget_NoChecks_OnlyMaintainersSeeIt(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		mr := s.openMergeRequest("topic")
		maintainer := s.as(s.Owner).get(s.mrPath(mr, "")).wantStatus(200)
		if got := maintainer.text("#status-checks .widget__title"); got != "No status checks apply to this merge request" {
			t.Errorf("widget = %q", got)
		}
		if got := s.as(s.Member("dev", models.RoleDeveloper)).get(s.mrPath(mr, "")).wantStatus(200); got.has("#status-checks") {
			t.Errorf("developers see %q", got.text("#status-checks"))
		}
	})
}

func TestWidget_ServiceRemoved_RowDisappears(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		removed := s.Service("licence")
		s.Service("security")
		mr := s.openMergeRequest("topic")
		page := s.as(s.Owner).get(s.mrPath(mr, ""))
		if err := s.Store.DeleteExternalStatusCheck(t.Context(), s.Owner, s.Project.ID, removed.ID); err != nil {
			t.Fatal(err)
		}
		if got := s.as(s.Owner).withHTMX().get(page.pollURL()).wantStatus(200).checkRows(); got != "security Pending" {
			t.Errorf("rows = %q", got)
		}
	})
}
