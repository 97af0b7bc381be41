package handlers

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// servicePath returns the address of a service's page.
func servicePath(service models.ExternalStatusCheck) string {
	return pearServicesPath + "/" + strconv.FormatInt(service.ID, 10)
}

// checkNames lists the names of the checks of a merge request.
func (s *testSite) checkNames(mr models.MergeRequest) string {
	_, checks := s.Reload(mr)
	var names []string
	for _, check := range checks {
		names = append(names, check.Name)
	}
	return strings.Join(names, " ")
}

// TestServiceSettings_BelowMaintainer_AreForbidden requests every address of the
// settings with every role, and with ids of another project.
func TestServiceSettings_BelowMaintainer_AreForbidden(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		service := s.Service("licence", "main")
		if _, err := s.Store.SendTest(t.Context(), s.Owner, s.Project.ID, service.ID); err != nil {
			t.Fatal(err)
		}
		delivery := strconv.FormatInt(s.Deliveries(service)[0].ID, 10)
		rule := s.ruleID(s.Project, "main")
		s.setVisibility(models.VisibilityInternal)
		stranger, guest, developer := s.User("oskar"), s.Member("gina", models.RoleGuest), s.Member("dora", models.RoleDeveloper)
		maintainer := s.Member("maria", models.RoleMaintainer)
		plum := s.NewProject(s.Owner, "plum", models.VisibilityPrivate)

		gets := []string{
			"/-/settings/merge_requests", "/-/settings/merge_requests/status_checks/new",
			"/-/settings/merge_requests/status_checks/branches", "/-/settings/merge_requests/status_checks/affected",
			"/-/settings/repository/branch_rules", "/-/settings/repository/branch_rules/new", "/-/audit_events",
		}
		ofService := []string{
			"/-/settings/merge_requests/status_checks/%", "/-/settings/merge_requests/status_checks/%/edit",
			"/-/settings/merge_requests/status_checks/%/remove", "/-/settings/merge_requests/status_checks/%/deliveries/" + delivery,
			"/-/settings/merge_requests/status_checks/branches?service=%", "/-/settings/merge_requests/status_checks/affected?service=%",
		}
		ofRule := []string{"/-/settings/repository/branch_rules/%/edit", "/-/settings/repository/branch_rules/%/unprotect"}
		posts := []string{
			"/-/settings/merge_requests/status_checks/%", "/-/settings/merge_requests/status_checks/%/remove",
			"/-/settings/merge_requests/status_checks/%/test", "/-/settings/merge_requests/status_checks/%/deliveries/" + delivery + "/redeliver",
		}
		postsOfRule := []string{"/-/settings/repository/branch_rules/%", "/-/settings/repository/branch_rules/%/unprotect"}
		fill := func(paths []string, id string) []string {
			var filled []string
			for _, path := range paths {
				filled = append(filled, strings.ReplaceAll(path, "%", id))
			}
			return filled
		}
		id := strconv.FormatInt(service.ID, 10)
		everyGet := append(append(append([]string{}, gets...), fill(ofService, id)...), fill(ofRule, rule)...)
		everyPost := append(append([]string{"/-/settings/merge_requests", "/-/settings/merge_requests/status_checks", "/-/settings/repository/branch_rules"},
			fill(posts, id)...), fill(postsOfRule, rule)...)

		before := s.listServices()
		for _, path := range everyGet {
			for _, who := range []models.User{stranger, guest, developer} {
				s.as(who).get(pearPath + path).wantStatus(http.StatusForbidden)
			}
			if got := s.signedOut().get(pearPath + path).wantStatus(http.StatusSeeOther).header.Get("Location"); !strings.HasPrefix(got, "/users/sign_in") {
				t.Errorf("%s redirects a visitor to %q", path, got)
			}
			s.as(maintainer).get(pearPath + path).wantStatus(http.StatusOK)
			s.as(maintainer).get("/olga/plum" + path).wantStatus(http.StatusNotFound)
		}
		for _, path := range everyPost {
			for _, who := range []models.User{stranger, guest, developer} {
				s.as(who).post(pearPath+path, url.Values{"name": {"x"}}).wantStatus(http.StatusForbidden)
			}
			s.signedOut().post(pearPath+path, url.Values{"name": {"x"}}).wantStatus(http.StatusSeeOther)
		}
		// The owner of both projects, with ids of olga/pear below olga/plum.
		for _, path := range append(fill(ofService, id), fill(ofRule, rule)...) {
			s.as(s.Owner).get("/olga/plum" + path).wantStatus(http.StatusNotFound)
		}
		for _, path := range append(fill(posts, id), fill(postsOfRule, rule)...) {
			s.as(s.Owner).post("/olga/plum"+path, url.Values{"name": {"x"}, "external_url": {"https://x.example.test/"}}).wantStatus(http.StatusNotFound)
		}
		for _, id := range []string{"0", "-1", "x", "99999999999999999999", "1%00"} {
			s.as(s.Owner).get(pearServicesPath + "/" + id).wantStatus(http.StatusNotFound)
		}
		if now := s.listServices(); now != before {
			t.Errorf("services %q, want %q", now, before)
		}
		if n := len(s.Deliveries(service)); n != 1 {
			t.Errorf("%d deliveries, want 1", n)
		}
		if _, err := s.Store.ProtectedBranchByName(t.Context(), plum.ID, "main"); err != nil {
			t.Error(err)
		}
	})
}

func TestStatusChecksMustSucceed_CanBeSwitched(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		v := s.as(s.Owner)
		on := func() bool {
			project, err := s.Store.Project(t.Context(), s.Project.ID)
			if err != nil {
				t.Fatal(err)
			}
			return project.OnlyAllowMergeIfAllStatusChecksPassed
		}
		action, form := v.get(pearSettingsPath).wantStatus(200).fields("#merge-checks-form")
		form.Set("only_allow_merge_if_all_status_checks_passed", "1")
		v.post(action, form).wantStatus(http.StatusSeeOther)
		if page := v.get(pearSettingsPath); !on() || !page.has("#checks-must-succeed[checked]") {
			t.Error("the setting is not on")
		}
		v.post(action, url.Values{"only_allow_merge_if_all_status_checks_passed": {"perhaps"}}).wantStatus(http.StatusBadRequest)
		if !on() {
			t.Error("an invalid value changed the setting")
		}
		a := v.withHTMX().post(action, url.Values{}).wantStatus(200)
		if on() || a.has("#checks-must-succeed[checked]") || !strings.Contains(a.header.Get("HX-Trigger"), "Changes saved.") {
			t.Errorf("the setting is not off; HX-Trigger %q", a.header.Get("HX-Trigger"))
		}
	})
}

// Only Also apply and the removal of a service change open merge requests.
func TestServices_Changes_ReachOpenMergeRequestsOnlyIfApplied(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		v := s.as(s.Owner)
		first := s.openMergeRequest("first")
		v.post(pearServicesPath, url.Values{"name": {"late"}, "external_url": {"https://late.example.test/"}}).wantStatus(http.StatusSeeOther)
		if got := s.checkNames(first); got != "" {
			t.Errorf("the open merge request has %q", got)
		}
		second := s.openMergeRequest("second")
		if got := s.checkNames(second); got != "late" {
			t.Errorf("the new merge request has %q", got)
		}
		list, _, err := s.Store.ExternalStatusChecks(t.Context(), s.Project.ID, models.Page{})
		if err != nil {
			t.Fatal(err)
		}
		late := list[0]
		edit := v.get(servicePath(late) + "/edit").wantStatus(200)
		if got := edit.text("#also-apply-label"); got != "Also apply to 1 open merge request" {
			t.Errorf("label %q: only the first merge request lacks the service", got)
		}
		action, form := edit.fields("#status-check-form")
		form.Set("name", "renamed")
		count := v.withHTMX().get(pearServicesPath + "/affected?service=" + strconv.FormatInt(late.ID, 10) + "&name=renamed&external_url=" + url.QueryEscape(late.ExternalURL) + "&protected_branch_ids%5B%5D=").wantStatus(200)
		if got := count.text("body"); got != "Also apply to 2 open merge requests" {
			t.Errorf("label %q after the rename", got)
		}
		v.post(action, form).wantStatus(http.StatusSeeOther)
		if got := s.checkNames(first) + "|" + s.checkNames(second); got != "|late" {
			t.Errorf("after the rename: %q", got)
		}
		form.Set("also_apply", "1")
		v.post(action, form).wantStatus(http.StatusSeeOther)
		if got := s.checkNames(first) + "|" + s.checkNames(second); got != "renamed|renamed" {
			t.Errorf("after applying: %q", got)
		}
		if got := v.get(servicePath(late) + "/remove").text("main"); !strings.Contains(got, "2 open merge requests currently show this check") {
			t.Errorf("confirmation %q", got)
		}
		v.post(servicePath(late)+"/remove", url.Values{}).wantStatus(http.StatusSeeOther)
		if got := s.checkNames(first) + "|" + s.checkNames(second); got != "|" {
			t.Errorf("after the removal: %q", got)
		}
	})
}

// The settings link to the guide, which is public.
func TestGuide_ExampleNamesThisServer(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	page := s.as(s.Owner).get(pearSettingsPath).wantStatus(200)
	guide := s.signedOut().get(page.attr("#learn-more", "href")).wantStatus(200)
	if got := guide.text("main pre"); !strings.Contains(got, "/api/v4/projects/") || !strings.Contains(got, "/status_check_responses") {
		t.Errorf("example %q", got)
	}
	if guide.text("h1") != "External status checks" {
		t.Errorf("heading %q", guide.text("h1"))
	}
}
