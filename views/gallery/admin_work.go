package gallery

import (
	"context"
	"net/url"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
)

// adminLists returns entries for background work, projects and namespaces of the admin
// area.
func adminLists() []Entry {
	work := func(change func(*views.AdminWork)) func(context.Context, string) templ.Component {
		return func(ctx context.Context, theme string) templ.Component {
			v := busyWork()
			change(&v)
			return views.AdminWorkPage(adminFrame(ctx, theme, text.KeyAdminWork, views.SectionAdminWork), v)
		}
	}
	projects := func(l views.AdminProjects) func(context.Context, string) templ.Component {
		return func(ctx context.Context, theme string) templ.Component {
			l.Now = Now
			return views.AdminProjectsPage(adminFrame(ctx, theme, text.KeyAdminProjects, views.SectionAdminProjects), l)
		}
	}
	namespaces := func(l views.AdminNamespaces) func(context.Context, string) templ.Component {
		return func(ctx context.Context, theme string) templ.Component {
			return views.AdminNamespacesPage(adminFrame(ctx, theme, text.KeyAdminNamespaces, views.SectionAdminNamespaces), l)
		}
	}
	many := views.PageLinks{First: 1, Last: 3, Total: 10_000, More: true, NextURL: "/admin/projects?page=2"}
	return []Entry{
		{Name: "admin_work", Draw: work(func(*views.AdminWork) {})},
		{Name: "admin_work_idle", Draw: work(func(v *views.AdminWork) {
			v.Waiting, v.InFlight, v.OpenBreakers, v.LateSince, v.Services, v.MoreServices = 0, 0, 0, nil, nil, false
		})},
		{Name: "admin_work_retrying", Draw: work(func(v *views.AdminWork) {
			v.Recoveries[0].Running, v.Recoveries[1].Failed = true, true
		})},
		{Name: "admin_projects", Draw: projects(views.AdminProjects{Pages: many, Rows: []views.AdminProjectRow{
			{ID: 1, Path: "northwind/ticketing-api", Name: "Ticketing API", Visibility: "Private", Size: views.ByteSize(130 << 20), LastActivity: ago(time.Minute)},
			{ID: 2, Path: strings.Repeat("x", 200) + "/" + strings.Repeat("y", 200), Name: strings.Repeat("Long", 63), Visibility: "Internal", Size: views.ByteSize(1 << 42), LastActivity: ago(900 * time.Hour)},
			{ID: 3, Path: "priya/notes", Name: "Notes <private>", Visibility: "Public", LastActivity: ago(90 * time.Hour)},
		}})},
		{Name: "admin_projects_none_match", Draw: projects(views.AdminProjects{Search: "nothing"})},
		{Name: "admin_project_delete", Section: views.SectionAdminProjects, Draw: func(context.Context, string) templ.Component {
			path := "northwind/" + strings.Repeat("ticketing", 20)
			return views.ConfirmationDialog(views.Confirmation{
				Title: text.KeyAdminDeleteProjectTitle, Button: text.KeyDeleteProject, Text: views.UserActionText(text.KeyAdminDeleteProjectText, path),
				URL: "/admin/projects/1/remove", CloseURL: "/admin/projects", Typed: path,
			})
		}},
		{Name: "admin_namespaces", Draw: namespaces(views.AdminNamespaces{Rows: []views.AdminNamespaceRow{
			{ID: 1, Path: "northwind", Projects: 10_000, More: true, CreatedAt: ago(900 * time.Hour)},
			{ID: 2, Path: strings.Repeat("x", 255), CreatedAt: ago(time.Hour)},
		}})},
		{Name: "admin_namespaces_empty", Draw: namespaces(views.AdminNamespaces{})},
		{Name: "admin_settings", Draw: func(ctx context.Context, theme string) templ.Component {
			return views.AdminSettingsPage(adminFrame(ctx, theme, text.KeyAdminSettings, views.SectionAdminSettings), views.AdminSettings{
				Version: "1.2.3", Database: "PostgreSQL", Rows: []views.AdminSetting{
					{Name: "MERGEGATE_LISTEN", Value: "127.0.0.1:8080", Set: true, Source: text.T(ctx, text.KeyAdminSourceDefault)},
					{Name: "MERGEGATE_SECRET_KEY", Secret: true, Set: true, Source: text.T(ctx, text.KeyAdminSourceFile), Changed: true},
					{Name: "MERGEGATE_OUTBOUND_ALLOW", Value: strings.Repeat("10.0.0.0/8, ", 30), Set: true, Source: text.T(ctx, text.KeyAdminSourceEnvironment), Changed: true},
					{Name: "MERGEGATE_METRICS_LISTEN", Source: text.T(ctx, text.KeyAdminSourceDefault)},
				}})
		}},
		{Name: "admin_audit_events", Draw: func(ctx context.Context, theme string) templ.Component {
			return views.AuditEventsView(views.AuditEvents{
				Page: adminFrame(ctx, theme, text.KeyChecksAuditEvents, views.SectionAdminAuditEvents), Instance: true, Intro: text.KeyPeopleInstanceAuditIntro,
				Path: "/admin/audit_events", ExportURL: "/admin/audit_events.csv", Pages: views.PageLinks{First: 1, Last: 2, Total: 2},
				Rows: []views.AuditEventRow{
					{At: Now, Author: "Priya Raman", Username: "priya", Action: "Blocked user", Object: "jonas", IP: "203.0.113.24"},
					{At: ago(time.Hour), Author: "(System)", Action: "Status check timed out", Object: "Licence scan", Request: "!142", RequestURL: requestPath,
						Project: "northwind/ticketing-api", Changes: []string{"Status: Pending → Failed"}},
				},
			})
		}},
		{Name: "admin_namespace_new", Draw: func(ctx context.Context, theme string) templ.Component {
			p := adminFrame(ctx, theme, text.KeyAdminNewNamespace, views.SectionAdminNamespaces)
			p.Narrow = true
			return views.AdminNamespaceForm(p, views.Form{Values: url.Values{"path": {"-tools"}}, Errors: map[string]string{"path": text.T(ctx, text.KeyProjectPathInvalid)}})
		}},
	}
}

// busyWork returns background work with queues, an open breaker and interrupted pushes.
func busyWork() views.AdminWork {
	late, old := ago(4*time.Minute), ago(3*time.Hour)
	return views.AdminWork{
		Waiting: 10_001, InFlight: 3, OpenBreakers: 1, Limit: 10_000, LateSince: &late, MoreServices: true, Now: Now,
		Services: []views.AdminQueue{
			{ServiceID: 1, Name: "Licence scan", URL: servicesPath + "/1", ProjectPath: "northwind/ticketing-api", Waiting: 10_001, InFlight: 1, DueSince: &late,
				Breaker: views.Breaker{State: "open", Since: ago(4 * time.Minute), Failures: 5, Why: "HTTP 503", NextAt: Now.Add(40 * time.Second)}},
			{ServiceID: 2, Name: strings.Repeat("Long", 63), URL: servicesPath + "/2", ProjectPath: strings.Repeat("x", 200) + "/y", Waiting: 2, InFlight: 2},
		},
		Recoveries: []views.AdminRecovery{
			{Kind: "pending_pushes", Name: text.KeyAdminRecoverPushes, Count: 2, Oldest: &old}, {Kind: "merges", Name: text.KeyAdminRecoverMerges},
			{Kind: "merge_request_steps", Name: text.KeyAdminRecoverSteps}, {Kind: "applies", Name: text.KeyAdminRecoverApplies, Count: 1},
			{Kind: "repository_removals", Name: text.KeyAdminRecoverRemovals},
		},
	}
}
