package handlers

import (
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
)

// TestAuditEvents_EveryAction_ShowsWhoWhatAndWhen performs every audited action
// and reads the newest row of the page after each.
func TestAuditEvents_EveryAction_ShowsWhoWhatAndWhen(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		v := s.as(s.Owner)
		ctx, project := t.Context(), s.Project.ID
		mona, dev := s.User("mona"), s.Member("dora", models.RoleDeveloper)
		request := s.openMergeRequest("unwatched")
		var service models.ExternalStatusCheck
		var rule string
		post := func(path string, form url.Values) { v.post(pearPath+path, form).wantStatus(303) }
		save := func(path, selector, name, value string) {
			action, form := v.get(path).wantStatus(200).fields(selector)
			form.Set(name, value)
			v.post(action, form).wantStatus(303)
		}
		respond := func(status models.Status) error { return s.Respond(request, service, request.HeadSHA, status) }

		for _, tt := range []struct {
			name                string
			do                  func() error
			who, action, object string
			changes             []string
		}{
			{"member added", func() error {
				post("/-/project_members", url.Values{"username": {"mona"}, "access_level": {"20"}})
				return nil
			}, "olga", "Added member", "mona", []string{"Role: Reporter"}},
			{"role changed", func() error {
				post("/-/project_members/"+itoa(mona.ID), url.Values{"access_level": {"40"}})
				return nil
			}, "olga", "Changed role", "mona", []string{"Role: Reporter → Maintainer"}},
			{"member removed", func() error {
				post("/-/project_members/"+itoa(mona.ID)+"/remove", url.Values{})
				return nil
			}, "olga", "Removed member", "mona", []string{"Role: Maintainer removed"}},
			{"token created", func() error {
				post("/-/settings/access_tokens", url.Values{"name": {"ci"}, "scopes": {"api"}, "access_level": {"30"}, "expires_at": {s.Clock.Now().AddDate(0, 1, 0).Format(time.DateOnly)}})
				return nil
			}, "olga", "Created access token", "ci", []string{"Role: Developer", "Scopes: api", "Expiration date: " + s.Clock.Now().AddDate(0, 1, 0).Format("2 Jan 2006")}},
			{"token revoked", func() error {
				v.post(v.get(pearTokensPath).attr("td.cell-actions a", "href"), url.Values{}).wantStatus(303)
				return nil
			}, "olga", "Revoked access token", "ci", []string{"Role: Developer removed", "Scopes: api removed"}},
			{"service added", func() error {
				v.post(pearServicesPath, url.Values{"name": {"Licence"}, "external_url": {"https://scan.example.test/"}}).wantStatus(303)
				list, _, err := s.Store.ExternalStatusChecks(ctx, project, models.Page{Number: 1, Size: 10})
				service = list[len(list)-1]
				return err
			}, "olga", "Added status check", "Licence", []string{"Name: Licence", "API to check: https://scan.example.test/", "Target branch: All branches", "HMAC: off"}},
			{"service changed", func() error {
				save(pearServicesPath+"/"+itoa(service.ID)+"/edit", "#status-check-form", "external_url", "https://scan.example.test/v2")
				return nil
			}, "olga", "Updated status check", "Licence", []string{"API to check: https://scan.example.test/ → https://scan.example.test/v2"}},
			{"service applied", func() error {
				save(pearServicesPath+"/"+itoa(service.ID)+"/edit", "#status-check-form", "also_apply", "1")
				return nil
			}, "olga", "Applied status check to open merge requests", "Licence", nil},
			{"branch protected", func() error {
				v.post(pearRulesPath, url.Values{"name": {"hotfix/*"}, "push_access_level": {"0"}, "merge_access_level": {"30"}}).wantStatus(303)
				rule = s.ruleID(s.Project, "hotfix/*")
				return nil
			}, "olga", "Protected branch", "hotfix/*", []string{"Allowed to push and merge: No one", "Allowed to merge: Developers and maintainers"}},
			{"protection changed", func() error {
				save(pearRulesPath+"/"+rule+"/edit", "#protected-branch-form", "push_access_level", "40")
				return nil
			}, "olga", "Changed branch rule", "hotfix/*", []string{"Allowed to push and merge: No one → Maintainers"}},
			{"branch unprotected", func() error {
				v.post(pearRulesPath+"/"+rule+"/unprotect", url.Values{}).wantStatus(303)
				return nil
			}, "olga", "Unprotected branch", "hotfix/*", []string{"Allowed to push and merge: Maintainers removed", "Allowed to merge: Developers and maintainers removed"}},
			{"status checks required", func() error {
				post("/-/settings/merge_requests", url.Values{"only_allow_merge_if_all_status_checks_passed": {"true"}})
				return nil
			}, "olga", "Updated project", "olga/pear", []string{"Status checks must succeed: off → on"}},
			{"check timed out", func() error {
				request = s.openMergeRequest("topic")
				s.Clock.Advance(2*time.Minute + time.Second)
				_, err := s.Store.ExpirePending(ctx, 10)
				return err
			}, "(System)", "Status check timed out", "Licence !2", []string{"Status: Pending → Failed", "Commit: HEAD"}},
			{"check retried", func() error {
				s.as(dev).post(s.mrPath(request, "/status_checks/"+itoa(service.ID)+"/retry"), url.Values{}).wantStatus(303)
				return nil
			}, "dora", "Retried status check", "Licence !2", []string{"Status: Failed → Pending", "Commit: HEAD"}},
			{"status set", func() error { return respond(models.StatusPassed) },
				"olga", "Set status", "Licence !2", []string{"Status: Pending → Passed", "Commit: HEAD"}},
			{"merge request closed", func() error { v.post(s.mrPath(request, "/close"), url.Values{}).wantStatus(303); return nil },
				"olga", "Closed merge request", "Trim topic !2", nil},
			{"merge request reopened", func() error { v.post(s.mrPath(request, "/reopen"), url.Values{}).wantStatus(303); return nil },
				"olga", "Reopened merge request", "Trim topic !2", nil},
			{"merged", func() error {
				v.post(s.mrPath(request, "/merge"), url.Values{"sha": {request.HeadSHA}}).wantStatus(303)
				return nil
			}, "olga", "Merged merge request", "Trim topic !2", []string{"Commit: HEAD", "Target branch: main"}},
			{"service removed", func() error {
				v.post(pearServicesPath+"/"+itoa(service.ID)+"/remove", url.Values{}).wantStatus(303)
				return nil
			}, "olga", "Removed status check", "Licence", []string{"Name: Licence removed", "API to check: https://scan.example.test/v2 removed"}},
		} {
			s.Clock.Advance(time.Second)
			if err := tt.do(); err != nil {
				t.Fatalf("%s: %v", tt.name, err)
			}
			newest := v.get(pearAuditPath).wantStatus(200).Find("#audit tbody tr").First()
			cell := func(n int) *goquery.Selection { return newest.Find("td").Eq(n) }
			if at := cell(0).Find("time").AttrOr("datetime", ""); at != s.Clock.Now().Format(time.RFC3339) {
				t.Errorf("%s: time %s, want %s", tt.name, at, s.Clock.Now().Format(time.RFC3339))
			}
			if who := collapseSpace(cell(1).Find(".row").Contents().Last().Text()); who != tt.who {
				t.Errorf("%s: user %q, want %q", tt.name, who, tt.who)
			}
			if object := collapseSpace(cell(3).Text()); object != tt.object {
				t.Errorf("%s: object %q, want %q", tt.name, object, tt.object)
			}
			action := collapseSpace(cell(2).Text())
			if !strings.HasPrefix(action, tt.action) {
				t.Errorf("%s: action %q, want %q", tt.name, action, tt.action)
			}
			lines := cell(2).Find(".sub").Map(func(_ int, line *goquery.Selection) string { return collapseSpace(line.Text()) })
			for _, change := range tt.changes {
				if change = strings.ReplaceAll(change, "HEAD", request.HeadSHA[:8]); !slices.Contains(lines, change) {
					t.Errorf("%s: %q lacks %q", tt.name, lines, change)
				}
			}
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
