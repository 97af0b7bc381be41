package handlers

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/mergegate/mergegate/models"
)

// TestEditForms_SavedInTwoTabs_SecondGetsConflict opens every edit form in two
// tabs and saves both. The second is rejected once, keeps its input and shows
// the saved value; sent again, it replaces that value.
func TestEditForms_SavedInTwoTabs_SecondGetsConflict(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		service, jonas := s.Service("licence", "main"), s.Member("jonas", models.RoleDeveloper)
		mr, root := s.openMergeRequest("topic"), s.Admin("root")
		member := pearMembersPath + "/" + itoa(jonas.ID)
		rule := pearRulesPath + "/" + s.ruleID(s.Project, "main")
		for _, form := range []struct {
			page, action, field  string
			first, second, saved string
		}{
			{s.mrPath(mr, "/edit"), s.mrPath(mr, ""), "title", "Of the first tab", "Of the second tab", "Of the first tab"},
			{s.mrPath(mr, "/edit"), s.mrPath(mr, ""), "description", "\nfirst\ntext", "second text", "first text"},
			{servicePath(service) + "/edit", servicePath(service), "name", "First", "Second", "First"},
			{servicePath(service) + "/edit", servicePath(service), "external_url", "https://first.example.test/", "https://second.example.test/", "https://first.example.test/"},
			{servicePath(service) + "/edit", servicePath(service), "protected_branch_ids[]", "", "2", "All branches"},
			{rule + "/edit", rule, "push_access_level", "30", "0", "Developers and maintainers"},
			{pearGeneralPath, pearGeneralPath, "description", "first text", "second text", "first text"},
			{pearGeneralPath, pearGeneralPath + "/advanced", "name", "First", "Second", "First"},
			{pearGeneralPath, pearGeneralPath + "/advanced", "visibility", "public", "internal", "Public"},
			{pearMembersPath, member, "access_level", "20", "40", "Reporter"},
			{adminUsersPath + "/jonas/edit", adminUsersPath + "/jonas", "name", "First", "Second", "First"},
		} {
			t.Run(form.action+" "+form.field, func(t *testing.T) {
				owner := s.as(s.Owner)
				if isAdminPage(form.page) {
					owner = s.as(root)
				}
				owner.t = t
				selector := `form[action="` + form.action + `"]`
				_, first := owner.get(form.page).wantStatus(http.StatusOK).fields(selector)
				_, second := owner.get(form.page).wantStatus(http.StatusOK).fields(selector)
				first.Set(form.field, form.first)
				second.Set(form.field, form.second)
				owner.post(form.action, first).wantStatus(http.StatusSeeOther)
				owner.post(form.action, first).wantStatus(http.StatusSeeOther) // the same form again overwrites nothing

				a := owner.post(form.action, second).wantStatus(http.StatusConflict)
				if message := a.text("[role=alert]:not([hidden])"); !strings.Contains(message, form.saved) {
					t.Errorf("message %q, want the saved value %q in it", message, form.saved)
				}
				_, again := a.fields(selector)
				if got := again.Get(form.field); got != form.second {
					t.Errorf("the form keeps %q, want %q", got, form.second)
				}
				owner.post(form.action, again).wantStatus(http.StatusSeeOther)
				_, saved := owner.get(form.page).fields(selector)
				if got := saved.Get(form.field); got != form.second {
					t.Errorf("saved %q, want %q", got, form.second)
				}
			})
		}
	})
}

// A rejected form keeps its version, so a change by somebody else is still
// detected when it is sent again.
func TestEditForm_InvalidThenStale_StillConflicts(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		service, owner := s.Service("licence", "main"), s.as(s.Owner)
		_, stale := owner.get(servicePath(service) + "/edit").fields("#status-check-form")
		name := "renamed by another"
		if _, err := s.Store.UpdateExternalStatusCheck(t.Context(), s.Owner, s.Project.ID, service.ID, models.ExternalStatusCheckUpdate{Name: &name}, false); err != nil {
			t.Fatal(err)
		}
		stale.Set("name", "")
		_, stale = owner.post(servicePath(service), stale).wantStatus(http.StatusUnprocessableEntity).fields("#status-check-form")
		stale.Set("name", "mine")
		owner.post(servicePath(service), stale).wantStatus(http.StatusConflict)
	})
}

func TestServiceForm_ServiceRemovedMeanwhile_OffersToAddIt(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		for _, htmx := range []bool{false, true} {
			service, owner := s.Service("licence", "main"), s.as(s.Owner)
			status := http.StatusNotFound
			if htmx {
				owner, status = owner.withHTMX(), http.StatusConflict // htmx does not swap a 404
			}
			action, form := owner.get(servicePath(service) + "/edit").fields("#status-check-form")
			if err := s.Store.DeleteExternalStatusCheck(t.Context(), s.Owner, s.Project.ID, service.ID); err != nil {
				t.Fatal(err)
			}
			form.Set("name", "Typed")
			a := owner.post(action, form).wantStatus(status)
			if got := a.text("#form-error"); !strings.Contains(got, "was removed while you were editing") {
				t.Errorf("message %q", got)
			}
			action, form = a.fields("#status-check-form")
			if action != pearServicesPath || form.Get("name") != "Typed" || a.has("#save-failed:not([hidden])") {
				t.Errorf("the form posts %v to %s", form, action)
			}
			s.as(s.Owner).post(action, form).wantStatus(http.StatusSeeOther)
			if got := s.listServices(); !strings.Contains(got, "Typed") {
				t.Errorf("services %q", got)
			}
			services, _, err := s.Store.ExternalStatusChecks(t.Context(), s.Project.ID, models.Page{})
			if err != nil || len(services) != 1 {
				t.Fatal(services, err)
			}
			if err := s.Store.DeleteExternalStatusCheck(t.Context(), s.Owner, s.Project.ID, services[0].ID); err != nil {
				t.Fatal(err)
			}
		}
		for path, form := range map[string]url.Values{
			"/olga/pear/-/settings/repository/branch_rules/999":          {"push_access_level": {"40"}, "merge_access_level": {"40"}},
			"/olga/pear/-/project_members/999":                           {"access_level": {"30"}},
			servicePath(models.ExternalStatusCheck{ID: 999}) + "/remove": nil,
		} {
			if a := s.as(s.Owner).post(path, form).wantStatus(http.StatusNotFound); !strings.Contains(a.text("main"), "has been removed") {
				t.Errorf("%s: %q", path, a.text("main"))
			}
		}
	})
}
