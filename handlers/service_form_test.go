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

// serviceFormErrors are the messages of the service form by field, "" if there
// is none.
type serviceFormErrors struct{ name, url, branch, secret string }

// serviceErrorsOn returns the messages of the service form on a page.
func serviceErrorsOn(a response) serviceFormErrors {
	return serviceFormErrors{
		name: a.text("#status-check-name-error"), url: a.text("#status-check-url-error"),
		branch: a.text("#branch-error"), secret: a.text("#status-check-secret-error"),
	}
}

// listServices lists the name, URL and scope of the project's services.
func (s *testSite) listServices() string {
	s.T.Helper()
	list, _, err := s.Store.ExternalStatusChecks(s.T.Context(), s.Project.ID, models.Page{})
	if err != nil {
		s.T.Fatal(err)
	}
	var names []string
	for _, service := range list {
		names = append(names, service.Name+" "+service.ExternalURL+" "+strings.Join(service.Scope(), ","))
	}
	return strings.Join(names, "; ")
}

// ruleID returns the id of a branch rule as a form value.
func (s *testSite) ruleID(project models.Project, name string) string {
	s.T.Helper()
	rule, err := s.Store.ProtectedBranchByName(s.T.Context(), project.ID, name)
	if err != nil {
		s.T.Fatal(err)
	}
	return strconv.FormatInt(rule.ID, 10)
}

const (
	nameMissing = "Please provide a name"
	nameTaken   = "Name is already taken"
	urlInvalid  = "Please provide a valid URL"
	urlTooLong  = "URL cannot be longer than 2048 characters"
	urlTaken    = "External API is already in use by another status check"
	branchWrong = "Select a valid target branch"
	secretLong  = "Shared secret cannot be longer than 255 characters"
)

// The body is rejected before it is read.
func TestServiceForm_20MB_IsRejected(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	huge := url.Values{"name": {strings.Repeat("x", 20<<20)}, "external_url": {"https://fresh.example.test/"}}
	s.as(s.Owner).post(pearServicesPath, huge).wantStatus(http.StatusRequestEntityTooLarge)
	if now := s.listServices(); now != "" {
		t.Errorf("services %q, want none", now)
	}
}

func TestServiceForm_SimilarURLs_AreDifferent(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	for i, address := range []string{
		"https://ci.example.test/Hook", "https://ci.example.test/hook", "https://ci.example.test/hook/", "http://ci.example.test/hook",
		"https://ci.example.test:8443/hook", "https://ci.example.test/hook?a=1", "https://ci.example.test/hook?a=2", "https://ci.example.test/%68ook",
	} {
		s.as(s.Owner).post(pearServicesPath, url.Values{"name": {strconv.Itoa(i)}, "external_url": {address}}).wantStatus(http.StatusSeeOther)
	}
}

// TestServiceForm_WithoutScript_AddsEditsAndRemoves reads each form from its
// page, as a browser without script does.
func TestServiceForm_WithoutScript_AddsEditsAndRemoves(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		v := s.as(s.Owner)
		page := v.get(pearSettingsPath).wantStatus(200)
		if got := page.text("#status-checks .empty h3"); got != "No status checks are defined yet." {
			t.Errorf("empty state %q", got)
		}
		action, form := v.get(page.attr("#add-status-check", "href")).wantStatus(200).fields("#status-check-form")
		form.Set("name", "Licence <scan>")
		form.Set("external_url", "http://scan.example.net:8080/mr")
		form.Set("shared_secret", "hush-hush-secret")
		form["protected_branch_ids[]"] = []string{"", s.ruleID(s.Project, "main"), s.ruleID(s.Project, "release/*")}
		a := v.post(action, form).wantStatus(http.StatusSeeOther)
		page = v.get(a.header.Get("Location")).wantStatus(200)
		row := page.text("#status-checks tbody tr")
		for _, want := range []string{"Licence <scan>", "http://scan.example.net:8080/mr", "Not encrypted. Use HTTPS.", "main", "release/*", "HMAC"} {
			if !strings.Contains(row, want) {
				t.Errorf("row %q lacks %q", row, want)
			}
		}
		if strings.Contains(page.body, "hush-hush") {
			t.Error("the settings show the secret")
		}
		edit := v.get(page.attr(`#status-checks a[title="Edit"]`, "href")).wantStatus(200)
		if edit.has(`[name="shared_secret"]`) || strings.Contains(edit.body, "hush-hush") {
			t.Error("the form shows or accepts a secret although one is configured")
		}
		if !strings.Contains(edit.text("#status-check-form"), "A secret is configured.") {
			t.Error("the form does not say that a secret is configured")
		}
		action, form = edit.fields("#status-check-form")
		if form.Get("name") != "Licence <scan>" || edit.Find(`[name="protected_branch_ids[]"][checked]`).Length() != 2 {
			t.Errorf("the form begins with %v", form)
		}
		form.Set("name", "Licence")
		form["protected_branch_ids[]"] = []string{"", s.ruleID(s.Project, "main")} // "" selects all branches
		v.post(action, form).wantStatus(http.StatusSeeOther)
		if got := s.listServices(); got != "Licence http://scan.example.net:8080/mr " {
			t.Errorf("after the edit: %q", got)
		}
		page = v.get(pearSettingsPath)
		remove := v.get(page.attr(`#status-checks a[title="Remove"]`, "href")).wantStatus(200)
		if got := remove.text("main"); !strings.Contains(got, "Remove status check?") || !strings.Contains(got, "You are about to remove the Licence status check.") {
			t.Errorf("confirmation %q", got)
		}
		action, form = remove.fields("main form")
		v.post(action, form).wantStatus(http.StatusSeeOther)
		v.post(action, form).wantStatus(http.StatusNotFound)
		if got := s.listServices(); got != "" {
			t.Errorf("after the removal: %q", got)
		}
	})
}

// A service without a secret can be given one; later values are rejected.
func TestServiceForm_Secret_CanBeSetOnce(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		service := s.Service("licence")
		path := pearServicesPath + "/" + strconv.FormatInt(service.ID, 10)
		form := url.Values{"name": {service.Name}, "external_url": {service.ExternalURL}, "shared_secret": {"first-secret"}}
		v := s.as(s.Owner)
		v.post(path, form).wantStatus(http.StatusSeeOther)
		form.Set("shared_secret", "second-secret")
		a := v.post(path, form).wantStatus(http.StatusUnprocessableEntity)
		if got := serviceErrorsOn(a).secret; !strings.Contains(got, "cannot be changed") {
			t.Errorf("message %q", got)
		}
		if strings.Contains(a.body, "second-secret") || strings.Contains(a.body, "first-secret") {
			t.Error("a secret is shown")
		}
		form.Set("shared_secret", "")
		v.post(path, form).wantStatus(http.StatusSeeOther)
		if after, err := s.Store.ExternalStatusCheck(t.Context(), s.Project.ID, service.ID); err != nil || !after.HasSecret() {
			t.Errorf("an empty field removed the secret (%v)", err)
		}
	})
}

// A failure in the middle of saving changes nothing. The form keeps its input
// except the secret.
func TestServiceForm_SavingFails_KeepsInput(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		service := s.Service("licence")
		before, v := s.listServices(), s.as(s.Owner)
		if _, err := s.DB.SQL(t).Exec("ALTER TABLE audit_events RENAME TO away"); err != nil {
			t.Fatal(err)
		}
		form := url.Values{"name": {"Build"}, "external_url": {"https://ci.example.test/"}, "shared_secret": {"hush-hush-secret"},
			"protected_branch_ids[]": {s.ruleID(s.Project, "main")}}
		for path, want := range map[string]string{
			pearServicesPath:     "Unable to create status check. Please try again.",
			servicePath(service): "Unable to update status check. Please try again.",
		} {
			a := v.post(path, form).wantStatus(http.StatusInternalServerError)
			if got := a.text("#save-failed:not([hidden])"); got != want {
				t.Errorf("message %q, want %q", got, want)
			}
			if a.attr("#status-check-name", "value") != "Build" || a.text("#branch-value") != "main" || strings.Contains(a.body, "hush-hush") {
				t.Error("the form lost its input or shows the secret")
			}
		}
		if now := s.listServices(); now != before {
			t.Errorf("services %q, want %q", now, before)
		}
	})
}

func TestServiceForm_HTMX_UpdatesCard(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	v := s.as(s.Owner).withHTMX()
	dialog := v.get(pearServicesPath + "/new").wantStatus(200)
	if !dialog.has("dialog.drawer #status-check-form") || dialog.has("main") {
		t.Error("the response is not only a dialog")
	}
	if got := dialog.attr("#branch-options", "hx-trigger"); got != "load" {
		t.Errorf("hx-trigger of the branch list %q, want load", got)
	}
	_, form := dialog.fields("#status-check-form")
	form.Set("name", "Größe")
	form.Set("external_url", "https://ci.example.test/")
	a := v.post(dialog.attr("#status-check-form", "hx-post"), form).wantStatus(200)
	if got := a.header.Get("HX-Trigger"); !strings.Contains(got, "closeModal") || !strings.Contains(got, "Status check added.") {
		t.Errorf("HX-Trigger %q", got)
	}
	if a.attr("#status-checks", "hx-swap-oob") != "outerHTML" || !strings.Contains(a.text("#status-checks"), "Größe") {
		t.Errorf("card %q", a.body)
	}

	rules := v.get(pearServicesPath + "/new?return_to=branch_rules&branch=" + s.ruleID(s.Project, "main")).wantStatus(200)
	if got := rules.text("#branch-value"); got != "main" {
		t.Errorf("selected branch %q, want main", got)
	}
	_, form = rules.fields("#status-check-form")
	form.Set("name", "For main")
	form.Set("external_url", "https://main.example.test/")
	form["protected_branch_ids[]"] = []string{s.ruleID(s.Project, "main")}
	a = v.post(pearServicesPath, form).wantStatus(200)
	if a.attr("#branch-rules", "hx-swap-oob") != "outerHTML" || !strings.Contains(a.text("#branch-rules"), "For main") {
		t.Errorf("branch rules %q", a.body)
	}
}

func TestServiceForm_BranchSearch_ListsProtectedBranches(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		v := s.as(s.Owner).withHTMX()
		options := func(query string) (string, response) {
			a := v.get(pearServicesPath + "/branches?" + query).wantStatus(200)
			var names []string
			for _, o := range a.Find(".listbox__option > span").EachIter() {
				names = append(names, collapseSpace(o.Text()))
			}
			return strings.Join(names, " "), a
		}
		main := s.ruleID(s.Project, "main")
		for _, tt := range []struct{ query, names, note string }{
			{"", "All branches main release/*", ""},
			{"search=re", "All branches", "Enter at least 3 characters to search."},
			{"search=r*/e", "All branches", "Enter at least 3 characters to search."},
			{"search=REL", "All branches release/*", ""},
			{"search=trunk%3Cb%3E", "All branches", "No protected branches match “trunk<b>”. Manage branch rules"},
			{"search=rel%00%ff", "All branches release/*", ""},
			{"search=rel&protected_branch_ids%5B%5D=" + main, "All branches main release/*", ""},
		} {
			names, a := options(tt.query)
			const note = ".listbox__note:not(.listbox__busy, .listbox__failure)"
			if names != tt.names || a.text(note) != tt.note {
				t.Errorf("%q: options %q, note %q", tt.query, names, a.text(note))
			}
		}
		if _, a := options("search=rel&protected_branch_ids%5B%5D=" + main); a.attr(`input[value="`+main+`"]`, "checked") != "" {
			t.Error("the selected branch is not checked")
		}
		if _, err := s.DB.SQL(t).Exec("ALTER TABLE protected_branches RENAME TO away"); err != nil {
			t.Fatal(err)
		}
		const failed = "Unable to fetch branches list, please close the form and try again"
		if a := v.get(pearServicesPath + "/branches?search=rel"); a.status != 500 || a.text("[data-failed] .listbox__failure") != failed {
			t.Errorf("status %d, note %q", a.status, a.text(".listbox__note"))
		}
		form := s.as(s.Owner).get(pearServicesPath + "/new").wantStatus(200)
		if form.has("#branch-list-error[hidden]") || form.text("#branch-list-error") != failed || !form.has("#status-check-name") {
			t.Error("the form is missing or shows no message")
		}
		// The selection is kept; otherwise saving again would apply to all branches.
		rejected := s.as(s.Owner).post(pearServicesPath, url.Values{"name": {""}, "protected_branch_ids[]": {main}})
		if !rejected.has(`#branch-options input[value="`+main+`"][checked]`) || rejected.has(`#branch-options input[value=""][checked]`) {
			t.Errorf("status %d: the selected branch is lost", rejected.status)
		}
		page := s.as(s.Owner).get(pearSettingsPath).wantStatus(200)
		if got := page.text("#status-checks [role=alert]"); got != "Failed to load status checksTry again" {
			t.Errorf("message %q", got)
		}
	})
}
