package gallery

import (
	"context"
	"net/url"
	"strconv"
	"time"

	"github.com/a-h/templ"

	"github.com/mergegate/mergegate/views"
)

// rules are protected branches and the services that apply to them.
func rules() []Entry {
	whole := func(change func(*views.BranchRuleList)) func(context.Context, string) templ.Component {
		return func(ctx context.Context, theme string) templ.Component {
			l := ruleList()
			change(&l)
			return views.BranchRulesView(views.BranchRules{Page: rulesFrame(ctx, theme), AddURL: rulesPath + "/new", Rules: l})
		}
	}
	form := func(name string, change func(*views.ProtectedBranchForm)) Entry {
		return Entry{Name: name, Section: views.SectionBranchRules, Draw: func(ctx context.Context, theme string) templ.Component {
			f := views.ProtectedBranchForm{Page: rulesFrame(ctx, theme), Drawer: true, SaveURL: rulesPath, CloseURL: rulesPath, Suggestions: []string{"develop"},
				Push: 40, Merge: 30, Levels: []views.LevelOption{{Value: 40, Label: "Maintainers"}, {Value: 30, Label: "Developers and maintainers"}, {Value: 0, Label: "No one"}}}
			change(&f)
			return views.ProtectedBranchFormView(f)
		}}
	}
	return []Entry{
		{Name: "branch_rules", Draw: whole(func(*views.BranchRuleList) {})},
		{Name: "branch_rules_empty", Draw: whole(func(l *views.BranchRuleList) { l.Rules, l.All.Services = nil, nil })},
		{Name: "branch_rules_failed", Draw: whole(func(l *views.BranchRuleList) { l.Failed, l.Rules = true, l.Rules[1:] })},
		form("protected_branch_new", func(*views.ProtectedBranchForm) {}),
		form("protected_branch_form", func(f *views.ProtectedBranchForm) {
			f.Name, f.NameError, f.PushError = "rel ease", "Please provide a valid branch name or wildcard", "Select who is allowed"
		}),
		form("protected_branch_edit", func(f *views.ProtectedBranchForm) { f.ID, f.Name, f.AllowForcePush = 2, "release/*", true }),
		asPage(form("protected_branch_page", func(f *views.ProtectedBranchForm) { f.Drawer = false })),
		{Name: "unprotection", Section: views.SectionBranchRules, Draw: func(context.Context, string) templ.Component {
			return views.UnprotectionView(views.Unprotection{Dialog: true, Name: "main", URL: rulesPath + "/1/unprotect", CloseURL: rulesPath, Services: []string{"Licence scan"}})
		}},
	}
}

func rulesFrame(ctx context.Context, theme string) views.Page {
	p := page(ctx, theme, views.KeyBranchRules, views.SectionBranchRules)
	p.Narrow = true
	return p
}

func ruleList() views.BranchRuleList {
	rows := serviceRows()
	return views.BranchRuleList{RefreshURL: rulesPath, All: views.AllBranchesRule{AddServiceURL: servicesPath + "/new", Services: rows[:1]},
		Rules: []views.BranchRule{
			{ID: 1, Name: "main", Default: true, Matches: 1, Push: "No one", Merge: "Maintainers", EditURL: rulesPath + "/1/edit",
				UnprotectURL: rulesPath + "/1/unprotect", AddServiceURL: servicesPath + "/new?branch=1", Services: rows[1:2], Inherited: rows[:1]},
			{ID: 2, Name: "release/*", Matches: -1, Push: "Maintainers", Merge: "Developers and maintainers", AllowForcePush: true},
		}}
}

// people are members, access tokens and audit events.
func people() []Entry {
	member := func(problem string) func(context.Context, string) templ.Component {
		return func(ctx context.Context, theme string) templ.Component {
			return views.MembersPage(page(ctx, theme, views.KeyMembers, views.SectionMembers), members(ctx, problem))
		}
	}
	general := func(change func(*views.GeneralSettings)) func(context.Context, string) templ.Component {
		return func(ctx context.Context, theme string) templ.Component {
			v := views.GeneralSettings{Path: projectPath, FullPath: "northwind/ticketing-api", CanOwn: true,
				Form:     views.Form{Values: url.Values{"description": {"Tickets, refunds and the queue between them"}, "default_branch": {"main"}}},
				Advanced: views.Form{Values: url.Values{"name": {"Ticketing API"}, "visibility": {"private"}}},
				Branches: []views.Option{{Value: "main", Text: "main"}, {Value: "develop", Text: "develop"}}}
			change(&v)
			return views.GeneralSettingsPage(page(ctx, theme, views.KeyGeneral, views.SectionSettingsGeneral), v)
		}
	}
	audit := func(rows ...views.AuditEventRow) func(context.Context, string) templ.Component {
		return func(ctx context.Context, theme string) templ.Component {
			return views.AuditEventsView(views.AuditEvents{Page: page(ctx, theme, views.KeyChecksAuditEvents, views.SectionAuditEvents), Rows: rows,
				Pages: views.PageLinks{First: 1, Last: len(rows), Total: len(rows)}})
		}
	}
	removal := views.RemoveMember{Path: projectPath + "/-/project_members", Name: "Jonas Lindqvist", UserID: 3, Project: "Ticketing API"}
	return []Entry{
		{Name: "settings_general", Draw: general(func(*views.GeneralSettings) {})},
		{Name: "settings_general_rejected", Draw: general(func(v *views.GeneralSettings) {
			v.Delete.Errors = map[string]string{"confirm": "This is not the path of the project"}
			v.Advanced.Errors = map[string]string{"name": "Name is already taken"}
		})},
		{Name: "settings_general_maintainer", Draw: general(func(v *views.GeneralSettings) { v.CanOwn = false })},
		{Name: "members", Draw: member("")},
		{Name: "members_refused", Draw: member("A project needs an owner.")},
		{Name: "member_removal", Section: views.SectionMembers, Draw: func(context.Context, string) templ.Component { return views.RemoveMemberDialog(removal) }},
		{Name: "member_removal_page", Draw: func(ctx context.Context, theme string) templ.Component {
			return views.RemoveMemberPage(page(ctx, theme, views.KeyMembers, views.SectionMembers), removal)
		}},
		{Name: "access_tokens", Draw: func(ctx context.Context, theme string) templ.Component {
			l := tokens()
			l.Intro, l.Roles = views.KeyProjectTokensIntro, roles(ctx, 40)
			for i := range l.Rows {
				l.Rows[i].Role = views.RoleText(ctx, 30)
			}
			return views.AccessTokensPage(page(ctx, theme, views.KeyAccessTokens, views.SectionAccessTokens), l)
		}},
		{Name: "personal_access_tokens", Draw: func(ctx context.Context, theme string) templ.Component {
			l := tokens()
			l.Intro, l.NewToken, l.Rows = views.KeyPersonalTokensIntro, "", nil
			l.Form = views.Form{Values: url.Values{"expires_at": {"2031-01-01"}}, Errors: map[string]string{
				"name": "Enter a name", "expires_at": "Choose a date within a year", "scopes": "Choose at least one scope"}}
			return views.AccessTokensPage(barePage(ctx, theme, views.KeyAccessTokens), l)
		}},
		{Name: "user_settings", Draw: userSettings(ownSettings)},
		{Name: "user_settings_rejected", Draw: userSettings(rejectedSettings)},
		{Name: "audit_events", Draw: audit(
			views.AuditEventRow{At: Now, Author: "Jonas <Lindqvist>", AuthorInitials: "JL", Action: "Updated status check", Object: "Licence scan",
				Changes: []string{"Target branch: All branches → main"}},
			views.AuditEventRow{At: ago(time.Hour), Author: "Priya Raman", AuthorInitials: "PR", Action: "Added member", Object: "Mona Weiss"},
			views.AuditEventRow{At: ago(26 * time.Hour), Author: "(System)", AuthorInitials: "S", Action: "Status check timed out", Object: "Licence scan",
				Request: "!142", RequestURL: requestPath, Changes: []string{"Status: Pending → Failed", "Commit: " + head[:8]}})},
		{Name: "audit_events_empty", Draw: audit()},
	}
}

// userSettings is the page of what a user chooses for themselves.
func userSettings(v func(context.Context) views.UserSettings) func(context.Context, string) templ.Component {
	return func(ctx context.Context, theme string) templ.Component {
		return views.UserSettingsPage(barePage(ctx, theme, views.KeyUserSettings), v(ctx))
	}
}

func ownSettings(context.Context) views.UserSettings {
	return views.UserSettings{
		Now: Now, Form: views.Form{Values: url.Values{"theme": {"dark"}, "language": {"ja"}}},
		Sessions: []views.SessionRow{
			{ID: 2, Browser: "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0", IP: "192.0.2.7",
				SignedInAt: ago(time.Hour), LastSeen: Now, This: true},
			{ID: 1, IP: "2001:db8::1", SignedInAt: ago(8 * 24 * time.Hour), LastSeen: ago(26 * time.Hour)},
		},
	}
}

// rejectedSettings has a choice that is none, and no other browser.
func rejectedSettings(ctx context.Context) views.UserSettings {
	v := ownSettings(ctx)
	v.Form = views.Form{Values: url.Values{"theme": {"neon"}, "language": {"ja"}}, Errors: map[string]string{"theme": views.T(ctx, views.KeyThemeInvalid)}}
	v.Sessions = v.Sessions[:1]
	return v
}

// roles are the choices of a role up to a level.
func roles(ctx context.Context, highest int) []views.Option {
	var options []views.Option
	for level := 10; level <= highest; level += 10 {
		options = append(options, views.Option{Value: strconv.Itoa(level), Text: views.RoleText(ctx, level)})
	}
	return options
}

func members(ctx context.Context, problem string) views.MemberList {
	row := func(id int64, name, username string, level int, days int) views.MemberRow {
		return views.MemberRow{UserID: id, Name: name, Username: username, Role: strconv.Itoa(level), RoleName: views.RoleText(ctx, level), Roles: roles(ctx, 50),
			AddedAt: Now.AddDate(0, 0, -days)}
	}
	you, bot := row(1, "Priya Raman", "priya", 50, 400), row(4, "Deploy token", "project_1_bot_2", 30, 2)
	you.You, bot.Bot, bot.Roles = true, true, nil
	return views.MemberList{Path: projectPath + "/-/project_members", Problem: problem, Roles: roles(ctx, 50), Now: Now, Pages: views.PageLinks{First: 1, Last: 4, Total: 4},
		Add:  views.Form{Values: url.Values{"username": {"mnoa"}, "access_level": {"20"}}, Errors: map[string]string{"username": "There is no user with this name"}},
		Rows: []views.MemberRow{you, row(2, "Jonas Lindqvist", "jonas", 40, 90), row(3, "Mona <Weiss>", "mona", 10, 6), bot}}
}

func tokens() views.TokenList {
	used := ago(3 * time.Minute)
	return views.TokenList{URL: projectPath + "/-/settings/access_tokens", NewToken: "mgt-example-example-example", Now: Now, MinDate: "2026-11-23", MaxDate: "2027-11-22",
		Form:   views.Form{Values: url.Values{"access_level": {"30"}, "expires_at": {"2027-02-22"}, "scopes": {"api"}}},
		Scopes: []views.Option{{Value: "api", Text: "api", Hint: "All that its owner may do"}, {Value: "read_api", Text: "read_api", Hint: "Reading only"}},
		Rows: []views.TokenRow{
			{ID: 1, Name: "Deploy", Scopes: []string{"api"}, CreatedAt: ago(90 * time.Hour), LastUsedAt: &used, ExpiresAt: Now.AddDate(0, 3, 0)},
			{ID: 2, Name: "Reports <nightly>", Scopes: []string{"api", "read_api"}, CreatedAt: ago(900 * time.Hour), ExpiresAt: Now.AddDate(0, 0, 3)},
		}}
}
