package views

import (
	"strings"
	"testing"
	"time"
)

var checksNow = time.Date(2026, 11, 22, 9, 42, 10, 0, time.UTC)

func settingsPage(section string) Page {
	return Page{
		Title: "Merge requests",
		User:  &CurrentUser{Username: "priya", Name: "Priya Raman", Initials: "PR"},
		Project: &ProjectNav{Name: "Ticketing API", Path: "/northwind/ticketing-api", Initials: "TA",
			CanSeeCode: true, CanMaintain: true},
		Section:     section,
		Breadcrumbs: []Crumb{{"northwind", "/"}, {"Ticketing API", "/northwind/ticketing-api"}, {"Settings", "#"}},
	}
}

func serviceRows() []ServiceRow {
	base := "/northwind/ticketing-api/-/settings/merge_requests/status_checks/"
	return []ServiceRow{
		{ID: 31, Name: "Change <approval>", API: "https://itsm.example.com/hooks?a=1&b=2", HMAC: true,
			Health:  Health{Bars: []string{"ok", "slow", "ok"}, Succeeded: 3, LastAt: checksNow.Add(-52 * time.Second)},
			PageURL: base + "31", EditURL: base + "31/edit", RemoveURL: base + "31/remove"},
		{ID: 33, Name: "Load test gate", API: "http://loadgate.example.org:8080/mr", Insecure: true,
			Scope:   []ScopeBranch{{Name: "release/*"}, {Name: "main", Unprotected: true}},
			Health:  Health{Bars: []string{"bad", "ok", "bad", "bad"}, Succeeded: 1, Retrying: true},
			PageURL: base + "33", EditURL: base + "33/edit", RemoveURL: base + "33/remove"},
		{ID: 34, Name: "Never asked", API: "https://new.example.com/", PageURL: base + "34", EditURL: base + "34/edit", RemoveURL: base + "34/remove"},
	}
}

func serviceForm() ServiceForm {
	base := "/northwind/ticketing-api/-/settings/merge_requests"
	return ServiceForm{
		Page: settingsPage(SectionSettingsMergeRequests), Drawer: true, SaveURL: base + "/status_checks", CloseURL: base,
		BranchesURL: base + "/status_checks/branches", CountURL: base + "/status_checks/affected", Affected: 1,
		Branches: BranchList{WasAll: true, Total: 2, RulesURL: "/northwind/ticketing-api/-/settings/repository/branch_rules",
			Options: []BranchOption{{ID: 1, Name: "main", Note: "default"}, {ID: 2, Name: "release/*", Note: "wildcard"}}},
	}
}

func TestServiceSettingsGolden(t *testing.T) {
	card := ServiceCard{RefreshURL: "/northwind/ticketing-api/-/settings/merge_requests",
		AddURL: "/northwind/ticketing-api/-/settings/merge_requests/status_checks/new", Now: checksNow}
	page := MergeRequestSettings{Page: settingsPage(SectionSettingsMergeRequests), ChecksMustSucceed: true,
		SaveURL: "/northwind/ticketing-api/-/settings/merge_requests", Services: card}
	page.Services.Rows = serviceRows()
	golden(t, "settings_merge_requests", SettingsMergeRequests(page))
	golden(t, "service_card_empty", ServiceCardView(card))
	card.Failed = true
	golden(t, "service_card_failed", ServiceCardView(card))
}

func TestServiceFormGolden(t *testing.T) {
	add := serviceForm()
	golden(t, "service_form_add", ServiceFormView(add))

	rejected := serviceForm()
	rejected.Drawer = false
	rejected.Name, rejected.API = "Licence scan", "HTTP://loadgate.example.org:8080/mr"
	rejected.NameError, rejected.APIError = "Name is already taken", "External API is already in use by another status check"
	rejected.BranchError, rejected.SecretError = "Select a valid target branch", "Shared secret cannot be longer than 255 characters"
	rejected.BranchesFailed, rejected.SaveFailed, rejected.AlsoApply, rejected.Affected = true, true, true, 3
	golden(t, "service_form_rejected", ServiceFormView(rejected))

	edit := serviceForm()
	edit.ID, edit.HasSecret, edit.Name, edit.API = 33, true, "Load test gate", "https://loadgate.example.org/mr"
	edit.Branches = BranchList{LoadURL: edit.BranchesURL, Options: []BranchOption{
		{ID: 9, Name: "main", Chosen: true, Unprotected: true}, {ID: 2, Name: "release/*", Chosen: true, Note: "wildcard"}}}
	golden(t, "service_form_edit", ServiceFormView(edit))
}

func TestBranchListGolden(t *testing.T) {
	rules := "/northwind/ticketing-api/-/settings/repository/branch_rules"
	golden(t, "branch_list_too_short", BranchListView(BranchList{Query: "re", TooShort: true, Total: 5, RulesURL: rules}))
	golden(t, "branch_list_none", BranchListView(BranchList{Query: "<trunk>", Total: 5, RulesURL: rules}))
	golden(t, "branch_list_found", BranchListView(BranchList{Query: "rel", Total: 5, Found: 1, RulesURL: rules,
		Options: []BranchOption{{ID: 1, Name: "main", Chosen: true, Note: "default"}, {ID: 2, Name: "release/*", Note: "wildcard"}}}))
}

func TestRemovalGolden(t *testing.T) {
	v := ServiceRemoval{Page: settingsPage(SectionSettingsMergeRequests), Dialog: true, Name: "Licence <scan>", URL: "/r", CloseURL: "/c", OpenMergeRequests: 6}
	golden(t, "service_removal_dialog", ServiceRemovalView(v))
	v.Dialog, v.OpenMergeRequests = false, 1
	golden(t, "service_removal_page", ServiceRemovalView(v))
}

func TestBranchRulesGolden(t *testing.T) {
	rows := serviceRows()
	base := "/northwind/ticketing-api/-/settings/repository/branch_rules"
	list := BranchRuleList{RefreshURL: base, Rules: []BranchRule{{ID: 1, Name: "main", Default: true, Matches: 1, Push: "No one", Merge: "Maintainers",
		EditURL: base + "/1/edit", UnprotectURL: base + "/1/unprotect", AddServiceURL: "/add?branch=1", Services: rows[1:2], Inherited: rows[:1]},
		{ID: 2, Name: "release/*", Matches: -1, Push: "Maintainers", Merge: "Developers and maintainers", AllowForcePush: true}},
		All: AllBranchesRule{AddServiceURL: "/add", Services: rows[:1]}}
	golden(t, "branch_rules", BranchRulesView(BranchRules{Page: settingsPage(SectionBranchRules), AddURL: base + "/new", Rules: list}))
	golden(t, "branch_rules_failed", BranchRuleListView(BranchRuleList{Failed: true, RefreshURL: base, OutOfBand: true, Rules: list.Rules[1:]}))
	levels := []LevelOption{{40, "Maintainers"}, {30, "Developers and maintainers"}, {0, "No one"}}
	form := ProtectedBranchForm{Page: settingsPage(SectionBranchRules), Drawer: true, SaveURL: base, CloseURL: base, Name: "rel ease",
		Suggestions: []string{"develop"}, Push: 40, Merge: 30, Levels: levels,
		NameError: "Please provide a valid branch name or wildcard", PushError: "Select who is allowed"}
	golden(t, "protected_branch_form", ProtectedBranchFormView(form))
	golden(t, "unprotection", UnprotectionView(Unprotection{Dialog: true, Name: "main", URL: "/u", CloseURL: base, Services: []string{"Licence scan"}}))
}

func TestDeliveryGolden(t *testing.T) {
	base := "/northwind/ticketing-api/-/settings/merge_requests/status_checks/33"
	list := DeliveryList{Now: checksNow, Pages: PageLinks{First: 1, Last: 2, Total: 9, NextURL: base + "?page=2"},
		Rows: []DeliveryRow{
			{URL: base + "/deliveries/7", ShortID: "d7f2e8aa", Event: "push", MergeRequest: "!142", MergeRequestURL: "/mr/142",
				Outcome: Outcome{"danger", "HTTP 503"}, Attempts: "2 of 12", Duration: "1,187 ms", At: checksNow.Add(-28 * time.Second)},
			{URL: base + "/deliveries/6", ShortID: "d7b0a9aa", Event: "test", Outcome: Outcome{"success", "HTTP 200"}, Attempts: "1 of 1", Duration: "190 ms", At: checksNow.Add(-72 * time.Hour)},
		}}
	golden(t, "service_page", ServicePageView(ServicePage{Page: settingsPage(SectionSettingsMergeRequests), Service: serviceRows()[1],
		AddedAt: checksNow.AddDate(0, 0, -42), TestURL: base + "/test", FailedInRow: 2, LastFailure: "HTTP 503", Deliveries: list}))
	golden(t, "delivery_page", DeliveryPageView(DeliveryPage{Page: settingsPage(SectionSettingsMergeRequests), ID: "d7f2e8aa-0000-4000-8000-000000000000",
		ServiceName: "Load test gate", ServiceURL: base, Event: "push", MergeRequest: "!142", MergeRequestURL: "/mr/142",
		SHA: "e2570f1cb8a94f0d6a1c3e5f7089ab12cd34ef56", State: Outcome{"warning", "Retrying"}, CreatedAt: checksNow.Add(-time.Minute),
		NextAt: checksNow.Add(12 * time.Second), Now: checksNow, AttemptsText: "2 of 12", RequestLine: "POST /mr HTTP/1.1",
		Headers: []Header{{"Content-Type", "application/json"}, {"X-Gitlab-Signature", "••••"}}, Body: "{\n  \"a\": \"<b>\"\n}", RedeliverURL: base + "/deliveries/7/redeliver",
		Attempts: []AttemptView{
			{Number: 2, At: checksNow.Add(-28 * time.Second), Duration: "1,187 ms", Outcome: Outcome{"danger", "HTTP 503"}, ResponseLine: "HTTP/1.1 503 Service Unavailable",
				Headers: []Header{{"Retry-After", "12"}}, Body: "busy <script>", Truncated: true},
			{Number: 1, At: checksNow.Add(-52 * time.Second), Duration: "10,000 ms", Outcome: Outcome{"danger", "Timed out"}, Failure: "No answer within 10 seconds"},
		}}))
}

func TestAuditEventsGolden(t *testing.T) {
	golden(t, "audit_events", AuditEventsView(AuditEvents{Page: settingsPage(""), Pages: PageLinks{First: 1, Last: 1, Total: 1}, Rows: []AuditEventRow{
		{At: checksNow, Author: "Jonas <Lindqvist>", AuthorInitials: "JL", Action: "Updated status check", Object: "Licence scan", Changes: []string{"Target branch: All branches → main"}}}}))
	golden(t, "audit_events_empty", AuditEventsView(AuditEvents{Page: settingsPage("")}))
}

func TestSecretFieldTakesNoValueOnceConfigured(t *testing.T) {
	f := serviceForm()
	if n := draw(t, ServiceFormView(f)).Find(`input[name="shared_secret"]`); n.Length() != 1 || n.AttrOr("value", "") != "" {
		t.Errorf("%d secret fields, value %q", n.Length(), n.AttrOr("value", ""))
	}
	f.ID, f.HasSecret = 1, true
	doc := draw(t, ServiceFormView(f))
	if n := doc.Find(`input[name="shared_secret"]`).Length(); n != 0 {
		t.Errorf("%d secret fields although one is configured", n)
	}
	if !strings.Contains(doc.Text(), "A secret is configured.") {
		t.Error("the form does not say that a secret is configured")
	}
}

func TestFormTiesControlsToTheirMessages(t *testing.T) {
	f := serviceForm()
	f.NameError, f.APIError, f.BranchError, f.SecretError = "a", "b", "c", "d"
	doc := draw(t, ServiceFormView(f))
	for _, id := range []string{"status-check-name", "status-check-url", "status-check-secret"} {
		control := doc.Find("#" + id)
		if control.AttrOr("aria-invalid", "") != "true" {
			t.Errorf("%s is not marked invalid", id)
		}
		for _, ref := range strings.Fields(control.AttrOr("aria-describedby", "")) {
			if doc.Find("#"+ref).Length() != 1 {
				t.Errorf("%s points at %q, which is not there", id, ref)
			}
		}
	}
}
