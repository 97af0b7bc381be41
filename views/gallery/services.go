package gallery

import (
	"context"
	"time"

	"github.com/a-h/templ"

	"github.com/mergegate/mergegate/views"
)

// settings is the page Merge requests of the settings.
func settings() []Entry {
	whole := func(change func(*views.MergeRequestSettings)) func(context.Context, string) templ.Component {
		return func(ctx context.Context, theme string) templ.Component {
			s := views.MergeRequestSettings{Page: servicesFrame(ctx, theme), ChecksMustSucceed: true, SaveURL: settingsPath, Services: card()}
			s.Services.Rows = serviceRows()
			change(&s)
			return views.SettingsMergeRequests(s)
		}
	}
	return []Entry{
		{Name: "settings_merge_requests", Draw: whole(func(*views.MergeRequestSettings) {})},
		{Name: "settings_merge_requests_empty", Draw: whole(func(s *views.MergeRequestSettings) { s.ChecksMustSucceed, s.Services.Rows = false, nil })},
		{Name: "settings_merge_requests_failed", Draw: whole(func(s *views.MergeRequestSettings) { s.Services.Rows, s.Services.Failed = nil, true })},
		{Name: "settings_merge_requests_saved", Draw: whole(func(s *views.MergeRequestSettings) { s.Page.Toast = "Changes saved." })},
	}
}

// services are the forms and pages of one status check service.
func services() []Entry {
	form := func(name string, change func(*views.ServiceForm)) Entry {
		return Entry{Name: name, Section: views.SectionSettingsMergeRequests, Draw: func(ctx context.Context, theme string) templ.Component {
			f := NewService()
			f.Page = servicesFrame(ctx, theme)
			change(&f)
			return views.ServiceFormView(f)
		}}
	}
	whole := func(e Entry) Entry { e.Section = ""; return e }
	list := func(name string, l views.BranchList) Entry {
		return form(name, func(f *views.ServiceForm) { l.RulesURL = rulesPath; f.Branches = l })
	}
	removal := func(dialog bool, open int) func(context.Context, string) templ.Component {
		return func(ctx context.Context, theme string) templ.Component {
			return views.ServiceRemovalView(views.ServiceRemoval{Page: servicesFrame(ctx, theme), Dialog: dialog, Name: "Licence <scan>",
				URL: servicesPath + "/31/remove", CloseURL: settingsPath, OpenMergeRequests: open})
		}
	}
	return []Entry{
		form("service_form_add", func(*views.ServiceForm) {}),
		whole(form("service_form_page", func(f *views.ServiceForm) { f.Drawer = false })),
		whole(form("service_form_rejected", func(f *views.ServiceForm) { *f = RejectedService(*f); f.Drawer = false })),
		form("service_form_rejected_drawer", func(f *views.ServiceForm) { *f = RejectedService(*f) }),
		form("service_form_edit", func(f *views.ServiceForm) {
			f.ID, f.HasSecret, f.Name, f.API = 33, true, "Load test gate", "https://loadgate.example.org/mr"
			f.Branches = views.BranchList{LoadURL: f.BranchesURL, Options: []views.BranchOption{
				{ID: 9, Name: "main", Chosen: true, Unprotected: true}, {ID: 2, Name: "release/*", Chosen: true, Note: "wildcard"}}}
		}),
		list("branch_list_too_short", views.BranchList{Query: "re", TooShort: true, Total: 5}),
		list("branch_list_none", views.BranchList{Query: "<trunk>", Total: 5}),
		list("branch_list_found", views.BranchList{Query: "rel", Total: 5, Found: 1, Options: branchOptions()}),
		{Name: "service_removal_dialog", Section: views.SectionSettingsMergeRequests, Draw: removal(true, 6)},
		{Name: "service_removal_page", Draw: removal(false, 1)},
		{Name: "service_page", Draw: func(ctx context.Context, theme string) templ.Component {
			return views.ServicePageView(servicePage(ctx, theme))
		}},
		{Name: "service_page_unused", Draw: func(ctx context.Context, theme string) templ.Component {
			s := servicePage(ctx, theme)
			s.Service, s.FailedInRow, s.LastFailure, s.Deliveries = serviceRows()[2], 0, "", views.DeliveryList{Now: Now}
			return views.ServicePageView(s)
		}},
		{Name: "delivery_page", Draw: func(ctx context.Context, theme string) templ.Component {
			return views.DeliveryPageView(delivery(ctx, theme))
		}},
	}
}

// servicesFrame frames the settings of merge requests.
func servicesFrame(ctx context.Context, theme string) views.Page {
	return page(ctx, theme, views.KeyMergeRequests, views.SectionSettingsMergeRequests)
}

func card() views.ServiceCard {
	return views.ServiceCard{RefreshURL: settingsPath, AddURL: servicesPath + "/new", Now: Now}
}

func serviceRows() []views.ServiceRow {
	row := func(id, name, api string) views.ServiceRow {
		url := servicesPath + "/" + id
		return views.ServiceRow{Name: name, API: api, PageURL: url, EditURL: url + "/edit", RemoveURL: url + "/remove"}
	}
	healthy, failing, unused := row("31", "Change <approval>", "https://itsm.example.com/hooks?a=1&b=2"),
		row("33", "Load test gate", "http://loadgate.example.org:8080/mr"), row("34", "Never asked", "https://new.example.com/")
	healthy.ID, failing.ID, unused.ID = 31, 33, 34
	healthy.HMAC = true
	healthy.Health = views.Health{Bars: []string{"ok", "slow", "ok"}, Succeeded: 3, LastAt: ago(52 * time.Second)}
	failing.Insecure, failing.Scope = true, []views.ScopeBranch{{Name: "release/*"}, {Name: "main", Unprotected: true}}
	failing.Health = views.Health{Bars: []string{"bad", "ok", "bad", "bad"}, Succeeded: 1, Retrying: true}
	return []views.ServiceRow{healthy, failing, unused}
}

func branchOptions() []views.BranchOption {
	return []views.BranchOption{{ID: 1, Name: "main", Note: "default"}, {ID: 2, Name: "release/*", Note: "wildcard"}}
}

// NewService is the form for a new service.
func NewService() views.ServiceForm {
	return views.ServiceForm{Drawer: true, SaveURL: servicesPath, CloseURL: settingsPath, BranchesURL: servicesPath + "/branches",
		CountURL: servicesPath + "/affected", Affected: 1,
		Branches: views.BranchList{WasAll: true, Total: 2, RulesURL: rulesPath, Options: branchOptions()}}
}

// RejectedService is the form for a new service with every fault.
func RejectedService(f views.ServiceForm) views.ServiceForm {
	f.Name, f.API = "Licence scan", "HTTP://loadgate.example.org:8080/mr"
	f.NameError, f.APIError = "Name is already taken", "External API is already in use by another status check"
	f.BranchError, f.SecretError = "Select a valid target branch", "Shared secret cannot be longer than 255 characters"
	f.BranchesFailed, f.SaveFailed, f.AlsoApply, f.Affected = true, true, true, 3
	return f
}

func servicePage(ctx context.Context, theme string) views.ServicePage {
	base := servicesPath + "/33"
	return views.ServicePage{Page: servicesFrame(ctx, theme), Service: serviceRows()[1], AddedAt: Now.AddDate(0, 0, -42), TestURL: base + "/test",
		FailedInRow: 2, LastFailure: "HTTP 503",
		Deliveries: views.DeliveryList{Now: Now, Pages: views.PageLinks{First: 1, Last: 2, Total: 9, NextURL: base + "?page=2"}, Rows: []views.DeliveryRow{
			{URL: base + "/deliveries/7", ShortID: "d7f2e8aa", Event: "push", MergeRequest: "!142", MergeRequestURL: requestPath,
				Outcome: views.Outcome{Kind: "danger", Text: "HTTP 503"}, Attempts: "2 of 12", Duration: "1,187 ms", At: ago(28 * time.Second)},
			{URL: base + "/deliveries/6", ShortID: "d7b0a9aa", Event: "test", Outcome: views.Outcome{Kind: "success", Text: "HTTP 200"},
				Attempts: "1 of 1", Duration: "190 ms", At: ago(72 * time.Hour)},
		}}}
}

func delivery(ctx context.Context, theme string) views.DeliveryPage {
	base := servicesPath + "/33"
	return views.DeliveryPage{Page: servicesFrame(ctx, theme), ID: "d7f2e8aa-0000-4000-8000-000000000000", ServiceName: "Load test gate", ServiceURL: base,
		Event: "push", MergeRequest: "!142", MergeRequestURL: requestPath, SHA: "e2570f1cb8a94f0d6a1c3e5f7089ab12cd34ef56",
		State: views.Outcome{Kind: "warning", Text: "Retrying"}, CreatedAt: ago(time.Minute), NextAt: Now.Add(12 * time.Second), Now: Now,
		AttemptsText: "2 of 12", RequestLine: "POST /mr HTTP/1.1", Body: "{\n  \"a\": \"<b>\"\n}", RedeliverURL: base + "/deliveries/7/redeliver",
		Headers: []views.Header{{Name: "Content-Type", Value: "application/json"}, {Name: "X-Gitlab-Signature", Value: "••••"}},
		Attempts: []views.AttemptView{
			{Number: 2, At: ago(28 * time.Second), Duration: "1,187 ms", Outcome: views.Outcome{Kind: "danger", Text: "HTTP 503"},
				ResponseLine: "HTTP/1.1 503 Service Unavailable", Headers: []views.Header{{Name: "Retry-After", Value: "12"}}, Body: "busy <script>", Truncated: true},
			{Number: 1, At: ago(52 * time.Second), Duration: "10,000 ms", Outcome: views.Outcome{Kind: "danger", Text: "Timed out"}, Failure: "No answer within 10 seconds"},
		}}
}
