package gallery

import (
	"context"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
)

// branchRules returns entries for protected branches and their services.
func branchRules() []Entry {
	whole := func(change func(*views.BranchRuleList)) func(context.Context, string) templ.Component {
		return func(ctx context.Context, theme string) templ.Component {
			l := ruleList(ctx)
			change(&l)
			return views.BranchRulesView(views.BranchRules{Page: rulesFrame(ctx, theme), AddURL: rulesPath + "/new", Rules: l})
		}
	}
	form := func(name string, change func(context.Context, *views.ProtectedBranchForm)) Entry {
		return Entry{Name: name, Section: views.SectionBranchRules, Draw: func(ctx context.Context, theme string) templ.Component {
			f := views.ProtectedBranchForm{Page: rulesFrame(ctx, theme), Drawer: true, SaveURL: rulesPath, CloseURL: rulesPath, Suggestions: []string{"develop"},
				Push: 40, Merge: 30, Levels: []views.LevelOption{{Value: 40, Label: text.T(ctx, text.KeyChecksLevelMaintainers)},
					{Value: 30, Label: text.T(ctx, text.KeyChecksLevelDevelopers)}, {Value: 0, Label: text.T(ctx, text.KeyChecksLevelNoOne)}}}
			change(ctx, &f)
			return views.ProtectedBranchFormView(f)
		}}
	}
	return []Entry{
		{Name: "branch_rules", Draw: whole(func(*views.BranchRuleList) {})},
		{Name: "branch_rules_empty", Draw: whole(func(l *views.BranchRuleList) { l.Rules, l.Unprotected, l.All.Services = nil, nil, nil })},
		{Name: "branch_rules_failed", Draw: whole(func(l *views.BranchRuleList) { l.Failed, l.Rules, l.Unprotected = true, l.Rules[1:], nil })},
		form("protected_branch_new", func(context.Context, *views.ProtectedBranchForm) {}),
		form("protected_branch_form", func(ctx context.Context, f *views.ProtectedBranchForm) {
			f.Name, f.NameError, f.PushError = "rel ease", text.T(ctx, text.KeyChecksBranchNameInvalid), text.T(ctx, text.KeyChecksLevelInvalid)
		}),
		form("protected_branch_edit", func(_ context.Context, f *views.ProtectedBranchForm) {
			f.ID, f.Name, f.AllowForcePush = 2, "release/*", true
		}),
		asPage(form("protected_branch_page", func(_ context.Context, f *views.ProtectedBranchForm) { f.Drawer = false })),
		{Name: "unprotection", Section: views.SectionBranchRules, Draw: func(context.Context, string) templ.Component {
			return views.UnprotectionView(views.Unprotection{Dialog: true, Name: "main", URL: rulesPath + "/1/unprotect", CloseURL: rulesPath, Services: []string{"Licence scan"}})
		}},
	}
}

func rulesFrame(ctx context.Context, theme string) views.Page {
	p := settingsFrame(ctx, theme, text.KeyBranchRules, views.SectionBranchRules)
	p.Narrow = true
	return p
}

func ruleList(ctx context.Context) views.BranchRuleList {
	rows := serviceRows()
	inherited := append([]views.ServiceRow{longService()}, rows[:1]...)
	for len(inherited) < 40 {
		inherited = append(inherited, rows[0])
	}
	return views.BranchRuleList{RefreshURL: rulesPath, Now: Now,
		Unprotected: []views.UnprotectedRule{{Name: "hotfix/*", Services: rows[2:3], ProtectURL: rulesPath + "/new?name=hotfix%2F%2A"}},
		All:         views.AllBranchesRule{AddServiceURL: servicesPath + "/new", Services: rows[:1]},
		Rules: []views.BranchRule{
			{ID: 1, Name: "main", Default: true, Matches: 1, Push: text.T(ctx, text.KeyChecksLevelNoOne), Merge: text.T(ctx, text.KeyChecksLevelMaintainers), EditURL: rulesPath + "/1/edit",
				UnprotectURL: rulesPath + "/1/unprotect", AddServiceURL: servicesPath + "/new?branch=1", Services: rows[1:2], Inherited: rows[:1]},
			{ID: 2, Name: "release/*", Matches: -1, Push: text.T(ctx, text.KeyChecksLevelMaintainers), Merge: text.T(ctx, text.KeyChecksLevelDevelopers), AllowForcePush: true, Inherited: inherited},
		}}
}

// people returns entries for members, access tokens, audit events and users.
func people() []Entry {
	member := func(change func(context.Context, *views.MemberList)) func(context.Context, string) templ.Component {
		return func(ctx context.Context, theme string) templ.Component {
			l := members(ctx)
			change(ctx, &l)
			return views.MembersPage(page(ctx, theme, text.KeyMembers, views.SectionMembers), l)
		}
	}
	general := func(change func(*views.GeneralSettings)) func(context.Context, string) templ.Component {
		return func(ctx context.Context, theme string) templ.Component {
			v := views.GeneralSettings{Path: projectPath, FullPath: "northwind/ticketing-api", CanOwn: true,
				Form:     views.Form{Values: url.Values{"description": {"Tickets, refunds and the queue between them"}, "default_branch": {"main"}}},
				Advanced: views.Form{Values: url.Values{"name": {"Ticketing API"}, "path": {"ticketing-api"}, "visibility": {"private"}}},
				Branches: []views.Option{{Value: "main", Text: "main"}, {Value: "develop", Text: "develop"}}}
			change(&v)
			return views.GeneralSettingsPage(page(ctx, theme, text.KeyGeneral, views.SectionSettingsGeneral), v)
		}
	}
	audit := func(rows ...views.AuditEventRow) func(context.Context, string) templ.Component {
		return func(ctx context.Context, theme string) templ.Component {
			return views.AuditEventsView(views.AuditEvents{Page: page(ctx, theme, text.KeyChecksAuditEvents, views.SectionAuditEvents), Rows: rows,
				Intro: text.KeyChecksAuditEventsIntro, Path: auditPath, ExportURL: auditPath + ".csv",
				Kinds: []views.Option{{Value: "members", Text: text.T(ctx, text.KeyPeopleKindMembers)}}, Pages: views.PageLinks{First: 1, Last: len(rows), Total: len(rows)}})
		}
	}
	removal := views.Confirmation{Title: text.KeyRemoveMemberTitle, Button: text.KeyRemoveMember, Text: views.RemovalText("Jonas Lindqvist", "Ticketing API"),
		URL: membersPath + "/3/remove", CloseURL: membersPath}
	revocation := views.Confirmation{Title: text.KeyRevokeTitle, Button: text.KeyRevokeToken, Text: views.RevocationText("Reports <nightly>"),
		URL: tokensPath + "/2/revoke", CloseURL: tokensPath}
	newMember := func(drawer bool, form func(context.Context) views.Form) func(context.Context, string) templ.Component {
		return func(ctx context.Context, theme string) templ.Component {
			return views.NewMemberView(page(ctx, theme, text.KeyAddMember, views.SectionMembers),
				views.NewMember{Path: membersPath, Form: form(ctx), Roles: roles(ctx, 50), Drawer: drawer})
		}
	}
	freshMember := func(context.Context) views.Form { return views.Form{Values: url.Values{"access_level": {"30"}}} }
	rejectedMember := func(ctx context.Context) views.Form {
		return views.Form{Values: url.Values{"username": {"mnoa"}, "access_level": {"20"}}, Errors: map[string]string{"username": text.T(ctx, text.KeyNoSuchUser)}}
	}
	return []Entry{
		{Name: "settings_general", Draw: general(func(*views.GeneralSettings) {})},
		{Name: "settings_general_rejected", Draw: general(func(v *views.GeneralSettings) {
			v.Delete.Errors = map[string]string{"confirm": "This is not the path of the project"}
			v.Advanced.Errors = map[string]string{"name": "Name is already taken"}
		})},
		{Name: "settings_general_maintainer", Draw: general(func(v *views.GeneralSettings) { v.CanOwn = false })},
		{Name: "members", Draw: member(func(context.Context, *views.MemberList) {})},
		{Name: "members_refused", Draw: member(func(ctx context.Context, l *views.MemberList) { l.Problem = text.T(ctx, text.KeyLastOwner) })},
		{Name: "members_none_found", Draw: member(func(_ context.Context, l *views.MemberList) {
			l.Search, l.Role, l.Rows, l.Pages = "nobody", "20", nil, views.PageLinks{}
		})},
		{Name: "members_long", Draw: member(longMembers)},
		{Name: "member_new", Section: views.SectionMembers, Draw: newMember(true, freshMember)},
		{Name: "member_new_rejected", Section: views.SectionMembers, Draw: newMember(true, rejectedMember)},
		{Name: "member_new_page", Draw: newMember(false, rejectedMember)},
		{Name: "member_removal", Section: views.SectionMembers, Draw: func(context.Context, string) templ.Component { return views.ConfirmationDialog(removal) }},
		{Name: "member_removal_page", Draw: func(ctx context.Context, theme string) templ.Component {
			return views.ConfirmationPage(page(ctx, theme, text.KeyMembers, views.SectionMembers), removal)
		}},
		{Name: "token_revocation", Section: views.SectionAccessTokens, Draw: func(context.Context, string) templ.Component { return views.ConfirmationDialog(revocation) }},
		{Name: "access_tokens", Draw: func(ctx context.Context, theme string) templ.Component {
			l := tokens(ctx)
			l.Intro, l.Roles = text.KeyProjectTokensIntro, roles(ctx, 40)
			for i := range l.Rows {
				l.Rows[i].Role = views.RoleText(ctx, 30)
			}
			return views.AccessTokensPage(page(ctx, theme, text.KeyAccessTokens, views.SectionAccessTokens), l)
		}},
		{Name: "personal_access_tokens", Draw: func(ctx context.Context, theme string) templ.Component {
			l := tokens(ctx)
			l.Intro, l.NewToken, l.Rows, l.Pages, l.Ended = text.KeyPersonalTokensIntro, "", nil, views.PageLinks{}, 0
			l.Form = views.Form{Values: url.Values{"expires_at": {"2031-01-01"}}, Errors: map[string]string{
				"name": "Enter a name", "expires_at": "Choose a date within a year", "scopes": "Choose at least one scope"}}
			return views.AccessTokensPage(barePage(ctx, theme, text.KeyAccessTokens), l)
		}},
		{Name: "user_settings", Draw: userSettings(ownSettings)},
		{Name: "user_settings_rejected", Draw: userSettings(rejectedSettings)},
		{Name: "audit_events", Draw: audit(
			views.AuditEventRow{At: Now, Author: "Jonas <Lindqvist>", Username: "jonas", Action: "Updated status check", Object: "Licence scan", IP: "203.0.113.24",
				Changes: []string{"Target branch: All branches → main"}},
			views.AuditEventRow{At: ago(time.Hour), Author: "Max Okafor", Username: "max", Action: "Added member", Object: "mona", IP: "2001:db8:85a3::8a2e:370:7334"},
			views.AuditEventRow{At: ago(26 * time.Hour), Author: "(System)", Action: "Status check timed out", Object: "Licence scan",
				Request: "!142", RequestURL: requestPath, Changes: []string{"Status: Pending → Failed", "Commit: " + head[:8]}})},
		{Name: "audit_events_empty", Draw: audit()},
		{Name: "audit_events_none_match", Draw: func(ctx context.Context, theme string) templ.Component {
			return views.AuditEventsView(views.AuditEvents{
				Page: adminFrame(ctx, theme, text.KeyChecksAuditEvents, views.SectionAdminAuditEvents), Instance: true, Intro: text.KeyPeopleInstanceAuditIntro, Path: "/admin/audit_events", ExportURL: "/admin/audit_events.csv?kind=users",
				Kinds: []views.Option{{Value: "users", Text: text.T(ctx, text.KeyPeopleKindUsers)}}, Filtered: true,
				Filter: views.Form{Values: url.Values{"kind": {"users"}, "from": {"yesterday"}, "to": {"2026-11-22"}, "scope": {"all"}, "author": {"mona"}}, Errors: map[string]string{"from": text.T(ctx, text.KeyDateInvalid)}},
			})
		}},
	}
}

// userSettings renders the page of a user's preferences.
func userSettings(v func(context.Context) views.UserSettings) func(context.Context, string) templ.Component {
	return func(ctx context.Context, theme string) templ.Component {
		return views.UserSettingsPage(barePage(ctx, theme, text.KeyUserSettings), v(ctx))
	}
}

func ownSettings(context.Context) views.UserSettings {
	return views.UserSettings{
		Now: Now, Form: views.Form{Values: url.Values{"theme": {"dark"}, "language": {"ja"}}},
		Sessions: []views.SessionRow{
			{ID: 2, Agent: "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0", IP: "192.0.2.7",
				SignedInAt: ago(time.Hour), LastSeen: Now, This: true},
			{ID: 1, IP: "2001:db8::1", SignedInAt: ago(8 * 24 * time.Hour), LastSeen: ago(26 * time.Hour)},
		},
	}
}

// rejectedSettings returns settings with an invalid value and a single session.
func rejectedSettings(ctx context.Context) views.UserSettings {
	v := ownSettings(ctx)
	v.Form = views.Form{Values: url.Values{"theme": {"neon"}, "language": {"ja"}}, Errors: map[string]string{"theme": text.T(ctx, text.KeyThemeInvalid)}}
	v.Sessions = v.Sessions[:1]
	return v
}

// roles returns the options for a role up to an access level.
func roles(ctx context.Context, highest int) []views.Option {
	var options []views.Option
	for level := 10; level <= highest; level += 10 {
		options = append(options, views.Option{Value: strconv.Itoa(level), Text: views.RoleText(ctx, level)})
	}
	return options
}

const (
	auditPath   = projectPath + "/-/audit_events"
	membersPath = projectPath + "/-/project_members"
	tokensPath  = projectPath + "/-/settings/access_tokens"
)

func memberRow(ctx context.Context, id int64, name, username string, level int, days int) views.MemberRow {
	return views.MemberRow{UserID: id, Name: name, Username: username, Role: strconv.Itoa(level), RoleName: views.RoleText(ctx, level), Roles: roles(ctx, 50),
		AddedAt: Now.AddDate(0, 0, -days)}
}

func members(ctx context.Context) views.MemberList {
	you, bot := memberRow(ctx, 1, "Priya Raman", "priya", 50, 400), memberRow(ctx, 4, "Deploy token", "project_1_bot_2", 30, 2)
	you.You, you.LastOwner, you.Roles, bot.Bot, bot.Roles = true, true, nil, true, nil
	return views.MemberList{Path: membersPath, Roles: roles(ctx, 50), Pages: views.PageLinks{First: 1, Last: 4, Total: 4},
		Rows: []views.MemberRow{you, memberRow(ctx, 2, "Jonas Lindqvist", "jonas", 40, 90), memberRow(ctx, 3, "Mona <Weiss>", "mona", 10, 6), bot}}
}

// longMembers sets names that are difficult to lay out, on the second of many
// pages.
func longMembers(ctx context.Context, l *views.MemberList) {
	l.Rows = []views.MemberRow{
		memberRow(ctx, 1, strings.Repeat("Wolfeschlegelsteinhausen", 11)[:255], strings.Repeat("x", 255), 50, 400),
		memberRow(ctx, 2, "🧑‍🚀 "+strings.Repeat("🚂", 60), "astronaut", 40, 90),
		memberRow(ctx, 3, "محمد بن موسى الخوارزمي", "alkhwarizmi", 30, 6),
	}
	l.Pages = views.PageLinks{First: 21, Last: 23, Total: 200, PreviousURL: membersPath + "?page=1", NextURL: membersPath + "?page=3"}
}

func tokens(ctx context.Context) views.TokenList {
	used, revoked := ago(3*time.Minute), ago(50*time.Hour)
	return views.TokenList{URL: tokensPath, NewToken: "mgt-example-example-example", Now: Now, MinDate: "2026-11-23", MaxDate: "2027-11-22",
		Form:    views.Form{Values: url.Values{"form_id": {"example"}, "access_level": {"30"}, "expires_at": {"2027-02-22"}, "scopes": {"api"}}},
		Scopes:  []views.Option{{Value: "api", Text: "api", Hint: text.T(ctx, text.KeyScopeAPIHint), Code: true}, {Value: "read_api", Text: "read_api", Hint: text.T(ctx, text.KeyScopeReadAPIHint), Code: true}},
		Presets: []views.Option{{Value: "2026-11-29", Text: text.N(ctx, text.KeyDays, 7)}, {Value: "2027-11-22", Text: text.N(ctx, text.KeyDays, 365)}},
		Pages:   views.PageLinks{First: 1, Last: 3, Total: 3}, Ended: 21,
		Rows: []views.TokenRow{
			{ID: 1, Name: "Deploy", Scopes: []string{"api"}, CreatedAt: ago(90 * time.Hour), LastUsedAt: &used, ExpiresAt: Now.AddDate(0, 3, 0)},
			{ID: 2, Name: "Reports <nightly>", Scopes: []string{"api", "read_api"}, CreatedAt: ago(900 * time.Hour), ExpiresAt: Now.AddDate(0, 0, 3)},
			{ID: 3, Name: strings.Repeat("Long", 63), Scopes: []string{"read_api"}, CreatedAt: ago(9000 * time.Hour), ExpiresAt: Now.Add(20 * time.Minute)},
		},
		EndedRows: []views.TokenRow{
			{ID: 4, Name: "Laptop", Scopes: []string{"api"}, CreatedAt: ago(9000 * time.Hour), LastUsedAt: &used, ExpiresAt: Now.AddDate(0, 3, 0), RevokedAt: &revoked},
			{ID: 5, Name: "Trial", Scopes: []string{"read_api"}, CreatedAt: ago(9000 * time.Hour), ExpiresAt: Now.AddDate(0, -1, 0)},
		}}
}
