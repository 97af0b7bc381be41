package handlers

import (
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
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

func TestServiceScope_BranchUnprotected_StaysTheSame(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		v, service := s.as(s.Owner), s.Service("licence", "main")
		old := s.ruleID(s.Project, "main")
		ask := v.get(pearRulesPath + "/" + old + "/unprotect").wantStatus(200)
		if got := ask.text("main"); !strings.Contains(got, "licence") || !strings.Contains(got, "still applies") {
			t.Errorf("confirmation %q", got)
		}
		v.post(pearRulesPath+"/"+old+"/unprotect", url.Values{}).wantStatus(http.StatusSeeOther)
		if got := v.get(pearSettingsPath).text("#status-checks tbody .ref"); got != "main (no longer protected)" {
			t.Errorf("scope in the table %q", got)
		}
		rules := v.get(pearRulesPath).wantStatus(200)
		if got := rules.text("#unprotected-rule-1"); !strings.Contains(got, "main (no longer protected)") || !strings.Contains(got, "licence") {
			t.Errorf("branch rule %q", got)
		}
		again := rules.attr("#unprotected-rule-1-protect", "href")
		if _, form := v.get(again).wantStatus(200).fields("#protected-branch-form"); form.Get("name") != "main" {
			t.Errorf("the form at %s protects %q", again, form.Get("name"))
		}
		edit := v.get(servicePath(service) + "/edit").wantStatus(200)
		if got := edit.text("#branch-value"); got != "main (no longer protected)" {
			t.Errorf("scope in the form %q", got)
		}
		action, form := edit.fields("#status-check-form")
		form["protected_branch_ids[]"] = []string{old}
		form.Set("name", "renamed")
		v.post(action, form).wantStatus(http.StatusSeeOther)
		if got := s.listServices(); got != "renamed https://licence.example.test/hook main" {
			t.Errorf("after saving: %q", got)
		}
		if got := s.checkNames(s.openMergeRequest("topic")); got != "renamed" {
			t.Errorf("a merge request into main has %q", got)
		}
		v.post(pearServicesPath, url.Values{"name": {"new"}, "external_url": {"https://new.example.test/"}, "protected_branch_ids[]": {old}}).wantStatus(http.StatusUnprocessableEntity)
		v.post(pearRulesPath, url.Values{"name": {"main"}, "push_access_level": {"40"}, "merge_access_level": {"40"}}).wantStatus(http.StatusSeeOther)
		if got := v.get(pearSettingsPath).text("#status-checks tbody .ref"); got != "main" {
			t.Errorf("after protecting again: scope in the table %q", got)
		}
		if got := v.get(pearRulesPath).wantStatus(200).text("#unprotected-rule-1"); got != "" {
			t.Errorf("after protecting again: branch rule %q", got)
		}
	})
}

func TestBranchRules_AddEditAndList(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		v := s.as(s.Owner)
		s.Service("everywhere")
		s.Service("only-main", "main")
		page := v.get(pearRulesPath).wantStatus(200)
		main := "#branch-rule-" + s.ruleID(s.Project, "main")
		if got := page.text(main); !strings.Contains(got, "1 matching branch") || !strings.Contains(got, "only-main") || !strings.Contains(got, "everywhere") {
			t.Errorf("rule for main: %q", got)
		}
		if got := page.text(main + " tbody"); !strings.Contains(got, "Off") || !strings.Contains(got, "No deliveries yet") || !strings.Contains(got, "2 minutes") {
			t.Errorf("services of main: %q", got)
		}
		if got := page.text("#all-branches-rule"); strings.Contains(got, "only-main") || !strings.Contains(got, "everywhere") {
			t.Errorf("all branches: %q", got)
		}
		good := url.Values{"name": {"hotfix/*"}, "push_access_level": {"0"}, "merge_access_level": {"30"}, "allow_force_push": {"1"}}
		for _, tt := range []struct{ field, value, selector, want string }{
			{"name", "", "#protected-branch-name-error", "Please provide a branch name"},
			{"name", "main", "#protected-branch-name-error", "Branch is already protected"},
			{"name", "a b", "#protected-branch-name-error", "Please provide a valid branch name or wildcard"},
			{"name", "a\x00b", "#protected-branch-name-error", "Please provide a valid branch name or wildcard"},
			{"name", "a\xff", "#protected-branch-name-error", "Please provide a valid branch name or wildcard"},
			{"name", strings.Repeat("b", 256), "#protected-branch-name-error", "Branch name cannot be longer than 255 characters"},
			{"push_access_level", "35", "#push-level-error", "Select who is allowed"},
			{"push_access_level", "", "#push-level-error", "Select who is allowed"},
			{"merge_access_level", "many", "#merge-level-error", "Select who is allowed"},
		} {
			form := url.Values{}
			for name, values := range good {
				form[name] = values
			}
			form.Set(tt.field, tt.value)
			if got := v.post(pearRulesPath, form).wantStatus(422).text(tt.selector); got != tt.want {
				t.Errorf("%s %.20q: %q, want %q", tt.field, tt.value, got, tt.want)
			}
		}
		v.post(pearRulesPath, good).wantStatus(http.StatusSeeOther)
		id := s.ruleID(s.Project, "hotfix/*")
		if got := v.get(pearRulesPath).text("#branch-rule-" + id); !strings.Contains(got, "Developers and maintainers") || !strings.Contains(got, "No one") || !strings.Contains(got, "0 matching branches") {
			t.Errorf("rule: %q", got)
		}
		action, form := v.get(pearRulesPath + "/" + id + "/edit").wantStatus(200).fields("#protected-branch-form")
		form.Set("push_access_level", "30")
		form.Del("allow_force_push")
		v.post(action, form).wantStatus(http.StatusSeeOther)
		rule, err := s.Store.ProtectedBranchByName(t.Context(), s.Project.ID, "hotfix/*")
		if err != nil || rule.PushAccessLevel != models.RoleDeveloper || rule.MergeAccessLevel != models.RoleDeveloper || rule.AllowForcePush {
			t.Errorf("rule is %+v (%v)", rule, err)
		}
		audit := v.get(pearAuditPath).wantStatus(200).text("#audit tbody")
		for _, want := range []string{"Changed branch rule", "Allowed to push and merge: No one → Developers and maintainers", "Force push: Allowed → Not allowed", "olga"} {
			if !strings.Contains(audit, want) {
				t.Errorf("audit events lack %q: %s", want, audit)
			}
		}
	})
}

func TestBranchRules_ServicesFail_AreStillShown(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		v := s.as(s.Owner)
		if _, err := s.DB.SQL(t).Exec("ALTER TABLE external_status_checks RENAME TO away"); err != nil {
			t.Fatal(err)
		}
		page := v.get(pearRulesPath).wantStatus(200)
		rule := page.text("#branch-rule-" + s.ruleID(s.Project, "main"))
		if !strings.Contains(rule, "Maintainers") || !strings.Contains(rule, "Failed to load status checks") {
			t.Errorf("rule: %q", rule)
		}
		if got := page.text("#all-branches-rule"); !strings.Contains(got, "Failed to load status checks") {
			t.Errorf("all branches: %q", got)
		}
	})
}

// TestAuditActions_HaveTexts reads the actions from the source file that
// declares them.
func TestAuditActions_HaveTexts(t *testing.T) {
	source, err := os.ReadFile("../models/audit_event.go")
	if err != nil {
		t.Fatal(err)
	}
	actions := regexp.MustCompile(`AuditAction += "([a-z_]+)"`).FindAllStringSubmatch(string(source), -1)
	if len(actions) < 20 {
		t.Fatalf("only %d actions found", len(actions))
	}
	for _, action := range actions {
		if key := views.AuditActionKey(action[1]); text.T(t.Context(), key) == string(key) {
			t.Errorf("%s has no text", action[1])
		}
	}
}

func TestAuditEvents_ShowTextsInsteadOfKeys(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	v := s.as(s.Owner)
	v.post(pearServicesPath, url.Values{"name": {"Licence"}, "external_url": {"https://scan.example.net/?token=open-sesame"}, "shared_secret": {"hush-hush-secret"}}).wantStatus(http.StatusSeeOther)
	s.setGate(true)
	s.Member("maria", models.RoleMaintainer)
	mr := s.openMergeRequest("topic")
	if _, err := s.Store.CloseMergeRequest(t.Context(), s.Owner, s.Project.ID, mr.IID); err != nil {
		t.Fatal(err)
	}
	a := v.get(pearAuditPath).wantStatus(200)
	got := a.text("#audit tbody")
	for _, want := range []string{"Added status check", "Name: Licence", "API to check: https://scan.example.net/", "Target branch: All branches", "HMAC: on", "Status checks must succeed: off → on", "Role: Maintainer"} {
		if !strings.Contains(got, want) {
			t.Errorf("audit events lack %q", want)
		}
	}
	if strings.Contains(got, "checks.audit") || strings.Contains(a.body, "hush-hush") || strings.Contains(a.body, "open-sesame") {
		t.Errorf("audit events: %s", got)
	}
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
