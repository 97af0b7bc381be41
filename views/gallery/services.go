package gallery

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
)

// mergeRequestSettings returns entries for Settings › Merge requests.
func mergeRequestSettings() []Entry {
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
		{Name: "settings_merge_requests_informational", Draw: whole(func(s *views.MergeRequestSettings) {
			row := s.Services.Rows[0]
			row.Informational = true
			s.Services.Rows = []views.ServiceRow{row}
		})},
		{Name: "settings_merge_requests_saved", Draw: whole(func(s *views.MergeRequestSettings) { s.Page.Toast = "Changes saved." })},
		{Name: "settings_merge_requests_long", Draw: whole(func(s *views.MergeRequestSettings) { s.Services.Rows = []views.ServiceRow{longService()} })},
		{Name: "settings_merge_requests_many", Draw: whole(func(s *views.MergeRequestSettings) {
			row := s.Services.Rows[0]
			row.ID = 100
			for len(s.Services.Rows) < 60 {
				row.ID++
				row.Name = "Service " + strconv.FormatInt(row.ID, 10)
				s.Services.Rows = append(s.Services.Rows, row)
			}
		})},
	}
}

// services returns entries for the forms, dialogs and pages of a service.
func services() []Entry {
	form := func(name string, change func(*views.ServiceForm)) Entry {
		return Entry{Name: name, Section: views.SectionSettingsMergeRequests, Draw: func(ctx context.Context, theme string) templ.Component {
			f := NewService()
			f.Page = servicesFrame(ctx, theme)
			change(&f)
			return views.ServiceFormView(f)
		}}
	}
	fault := func(name string, message text.Key, set func(f *views.ServiceForm, message string)) Entry {
		return Entry{Name: name, Section: views.SectionSettingsMergeRequests, Draw: func(ctx context.Context, theme string) templ.Component {
			f := NewService()
			f.Page = servicesFrame(ctx, theme)
			set(&f, text.T(ctx, message))
			return views.ServiceFormView(f)
		}}
	}
	rejected := func(name string, drawer bool) Entry {
		return Entry{Name: name, Section: views.SectionSettingsMergeRequests, Draw: func(ctx context.Context, theme string) templ.Component {
			f := NewService()
			f.Page = servicesFrame(ctx, theme)
			f = RejectedService(ctx, f)
			f.Drawer = drawer
			return views.ServiceFormView(f)
		}}
	}
	list := func(name string, l views.BranchList) Entry {
		return form(name, func(f *views.ServiceForm) { l.RulesURL = rulesPath; f.Branches, f.BranchesOpen = l, true })
	}
	removal := func(dialog bool, open int) func(context.Context, string) templ.Component {
		return func(ctx context.Context, theme string) templ.Component {
			return views.ServiceRemovalView(views.ServiceRemoval{Page: servicesFrame(ctx, theme), Dialog: dialog, Name: "Licence <scan>",
				URL: servicesPath + "/31/remove", CloseURL: settingsPath, OpenMergeRequests: open})
		}
	}
	edit := func(f *views.ServiceForm) {
		f.ID, f.Name, f.API = 33, "Load test gate", "https://loadgate.example.org/mr"
		f.Branches = views.BranchList{LoadURL: f.BranchesURL, Options: []views.BranchOption{
			{ID: 9, Name: "main", Chosen: true, Unprotected: true}, {ID: 2, Name: "release/*", Chosen: true, Note: "wildcard"}}}
	}
	found := branchOptions()[1:3]
	found[1].Chosen = true
	long := longService()
	return append([]Entry{
		{Name: "guide", Draw: func(ctx context.Context, theme string) templ.Component {
			return views.GuidePage(barePage(ctx, theme, text.KeyChecksGuideTitle), "https://mergegate.example.com")
		}},
		form("service_form_add", func(*views.ServiceForm) {}),
		asPage(form("service_form_page", func(f *views.ServiceForm) { f.Drawer = false })),
		asPage(rejected("service_form_rejected", false)),
		rejected("service_form_rejected_drawer", true),
		form("service_form_edit", func(f *views.ServiceForm) { edit(f); f.HasSecret = true }),
		form("service_form_edit_unsigned", func(f *views.ServiceForm) { edit(f); f.Affected = 0 }),
		form("service_form_edit_failed", func(f *views.ServiceForm) { edit(f); f.SaveFailed = true }),
		form("service_form_long", func(f *views.ServiceForm) {
			f.ID, f.Name, f.API = long.ID, long.Name, long.API
			for _, b := range long.Scope {
				f.Branches.Options = append(f.Branches.Options, views.BranchOption{ID: 50, Name: b.Name, Chosen: true, Unprotected: b.Unprotected})
			}
		}),
		form("service_form_edit_options", func(f *views.ServiceForm) {
			edit(f)
			f.HasSecret, f.Timeout, f.Informational = true, "3 days", true
			f.Headers = []views.HeaderRow{{Name: "X-Api-Key", Stored: true}, {Name: "Authorization"}}
		}),
		form("service_form_tested", func(f *views.ServiceForm) {
			f.API = "https://loadgate.example.org/mr"
			f.Test = &views.DraftTest{
				Attempt: &views.AttemptView{Number: 1, At: Now, Duration: "184 ms", Outcome: views.Outcome{Kind: "success", Text: "HTTP 202"},
					ResponseLine: "HTTP 202 Accepted", Headers: []views.Header{{Name: "Content-Type", Value: "text/plain"}}, Body: "<b>thanks</b>"},
				Signed: true, RequestLine: "POST /mr HTTP/1.1\nHost: loadgate.example.org", Body: "{\n  \"object_kind\": \"merge_request\"\n}",
				Headers: []views.Header{{Name: "X-Gitlab-Signature", Value: "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"}},
			}
		}),
		form("service_form_test_failed", func(f *views.ServiceForm) {
			f.API = "https://loadgate.example.org/mr"
			f.Test = &views.DraftTest{Withheld: true, RequestLine: "POST /mr HTTP/1.1\nHost: loadgate.example.org", Body: "{}",
				Attempt: &views.AttemptView{Number: 1, At: Now, Duration: "5,003 ms", Outcome: views.Outcome{Kind: "danger", Text: "Timed out"}, Failure: "No answer in time."}}
		}),
		form("service_form_test_refused", func(f *views.ServiceForm) {
			f.Test = &views.DraftTest{Problems: []string{"Please provide a valid URL", "Too many tests. Please wait a minute and try again."}}
		}),
		fault("service_form_timeout_invalid", text.KeyChecksTimeoutInvalid, func(f *views.ServiceForm, m string) { f.Timeout, f.TimeoutError = "8 days", m }),
		fault("service_form_callback_not_encrypted", text.KeyChecksCallbackOnlyHTTPS, func(f *views.ServiceForm, m string) {
			f.API, f.CallbackOnly, f.CallbackOnlyError = "http://loadgate.example.org:8080/mr", true, m
		}),
		fault("service_form_header_invalid", text.KeyChecksHeaderNameInvalid, func(f *views.ServiceForm, m string) {
			f.Headers, f.HeadersError = []views.HeaderRow{{Name: "X Key"}}, m
		}),
		fault("service_form_name_missing", text.KeyChecksNameMissing, func(f *views.ServiceForm, m string) { f.NameError = m }),
		fault("service_form_name_taken", text.KeyChecksNameTaken, func(f *views.ServiceForm, m string) { f.Name, f.NameError = "Licence scan", m }),
		fault("service_form_url_invalid", text.KeyChecksURLInvalid, func(f *views.ServiceForm, m string) { f.API, f.APIError = "ftp://scan.example.net", m }),
		fault("service_form_url_taken", text.KeyChecksURLTaken, func(f *views.ServiceForm, m string) { f.API, f.APIError = "https://scan.example.net/v1/check", m }),
		form("service_form_http", func(f *views.ServiceForm) { f.API = "http://loadgate.example.org:8080/mr" }),
		fault("service_form_branch_invalid", text.KeyChecksBranchInvalid, func(f *views.ServiceForm, m string) { f.BranchError = m }),
		fault("service_form_secret_too_long", text.KeyChecksSecretTooLong, func(f *views.ServiceForm, m string) { f.SecretError = m }),
		form("service_form_failed", func(f *views.ServiceForm) { f.SaveFailed = true }),
		form("service_form_branches_failed", func(f *views.ServiceForm) { f.BranchesFailed, f.Affected = true, -1 }),
		list("branch_list_open", views.BranchList{Total: 5, Options: branchOptions()}),
		list("branch_list_many", views.BranchList{Total: 300, Options: manyBranches()}),
		list("branch_list_no_branches", views.BranchList{}),
		list("branch_list_too_short", views.BranchList{Query: "re", TooShort: true, Total: 5}),
		list("branch_list_none", views.BranchList{Query: "<trunk>", Total: 5}),
		list("branch_list_found", views.BranchList{Query: "rel", Total: 5, Found: 2, Options: found}),
		list("branch_list_searching", views.BranchList{LoadURL: servicesPath + "/branches"}),
		list("branch_list_failed", views.BranchList{Failed: true, Query: "rel"}),
		{Name: "service_removal_dialog", Section: views.SectionSettingsMergeRequests, Draw: removal(true, 6)},
		{Name: "service_removal_page", Draw: removal(false, 1)},
	}, deliveries()...)
}

// asPage returns the entry as a whole page instead of a dialog.
func asPage(e Entry) Entry { e.Section = ""; return e }

// servicesFrame returns the view model of Settings › Merge requests.
func servicesFrame(ctx context.Context, theme string) views.Page {
	return settingsFrame(ctx, theme, text.KeyMergeRequests, views.SectionSettingsMergeRequests)
}

// settingsFrame returns the view model of a settings page.
func settingsFrame(ctx context.Context, theme string, title text.Key, section string) views.Page {
	p := page(ctx, theme, title, section)
	p.Breadcrumbs = slices.Insert(p.Breadcrumbs, len(p.Breadcrumbs)-1, views.Crumb{Text: text.T(ctx, text.KeySettings), URL: projectPath + "/-/settings/general"})
	return p
}

func card() views.ServiceCard {
	return views.ServiceCard{RefreshURL: settingsPath, AddURL: servicesPath + "/new", Now: Now}
}

func serviceRows() []views.ServiceRow {
	bars := func(text string) []string { return strings.Fields(text) }
	var rows []views.ServiceRow
	add := func(name, api string, hmac bool, health views.Health, scope ...views.ScopeBranch) {
		id := int64(31 + len(rows))
		url := servicesPath + "/" + strconv.FormatInt(id, 10)
		rows = append(rows, views.ServiceRow{ID: id, Name: name, API: api, HMAC: hmac, Health: health, Scope: scope, Timeout: 2 * time.Minute, Insecure: strings.HasPrefix(api, "http:"),
			PageURL: url, EditURL: url + "/edit", RemoveURL: url + "/remove"})
	}
	well := views.Health{Bars: bars("ok ok ok ok ok ok ok ok ok ok"), Succeeded: 10, LastAt: ago(52 * time.Second)}
	slow := well
	slow.Bars = bars("ok ok ok ok ok ok ok slow ok ok")
	add("Change <approval>", "https://itsm.example.com/hooks?a=1&b=2", true, well)
	add("Licence scan", "https://scan.example.net/v1/check", true, slow, views.ScopeBranch{Name: "main"})
	add("Load test gate", "http://loadgate.example.org:8080/mr", true,
		views.Health{Bars: bars("ok ok ok bad ok bad bad bad bad bad"), Succeeded: 4, Retrying: true},
		views.ScopeBranch{Name: "release/*"}, views.ScopeBranch{Name: "main", Unprotected: true})
	rows[2].FailedInRow = 5
	add("Never asked", "https://new.example.com/", false, views.Health{})
	return rows
}

// longService returns a service with fields of the greatest length.
func longService() views.ServiceRow {
	row := serviceRows()[0]
	row.Name = strings.Repeat("LICENCE", 36)
	row.API = "https://scan.example.net/" + strings.Repeat("v", 2048-len("https://scan.example.net/"))
	row.Scope = []views.ScopeBranch{{Name: "release/" + strings.Repeat("long", 60)}, {Name: strings.Repeat("feature/", 30) + "*", Unprotected: true}}
	return row
}

func branchOptions() []views.BranchOption {
	return []views.BranchOption{{ID: 1, Name: "main", Note: "default"}, {ID: 2, Name: "release/*", Note: "wildcard"}, {ID: 3, Name: "release/24.11"},
		{ID: 4, Name: "hotfix/*", Note: "wildcard"}, {ID: 5, Name: "experiments"}}
}

// manyBranches returns more branches than fit the selector.
func manyBranches() []views.BranchOption {
	options := branchOptions()
	for i := len(options); i < 300; i++ {
		options = append(options, views.BranchOption{ID: int64(i + 1), Name: "team/" + strconv.Itoa(i) + "/stable", Chosen: i == 250})
	}
	return options
}

// NewService returns the form for a new service.
func NewService() views.ServiceForm {
	return views.ServiceForm{Drawer: true, SaveURL: servicesPath, CloseURL: settingsPath, BranchesURL: servicesPath + "/branches",
		CountURL: servicesPath + "/affected", Affected: 1, Timeout: "2 minutes", TestURL: servicesPath + "/new/test",
		Receivers: []views.Receiver{{ID: "python", Language: "Python", Code: "print(\"<answer> & more\")\n"}},
		Branches:  views.BranchList{WasAll: true, Total: 5, RulesURL: rulesPath, Options: branchOptions()}}
}

// RejectedService returns the form with an error in every field.
func RejectedService(ctx context.Context, f views.ServiceForm) views.ServiceForm {
	f.Name, f.API = "Licence scan", "HTTP://loadgate.example.org:8080/mr"
	f.NameError, f.APIError = text.T(ctx, text.KeyChecksNameTaken), text.T(ctx, text.KeyChecksURLTaken)
	f.BranchError, f.SecretError = text.T(ctx, text.KeyChecksBranchInvalid), text.T(ctx, text.KeyChecksSecretTooLong)
	f.BranchesFailed, f.SaveFailed, f.AlsoApply, f.Affected = true, true, true, 3
	return f
}
