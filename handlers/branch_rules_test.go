package handlers

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/mergegate/mergegate/models"
)

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
