package gallery

import (
	"cmp"
	"context"
	"net/url"
	"strconv"
	"time"

	"github.com/a-h/templ"

	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
)

// outsideProjects returns entries for signing in and for errors.
func outsideProjects() []Entry {
	all := []Entry{
		{Name: "sign_in", Draw: signIn(views.Form{})},
		{Name: "sign_in_kept_form", Draw: func(ctx context.Context, theme string) templ.Component {
			p := barePage(ctx, theme, text.KeySignIn)
			p.User = nil
			return views.SignInPage(p, views.SignIn{Host: "git.example.com", ReturnTo: requestPath, Kept: "sealed"})
		}},
		{Name: "sign_in_error", Draw: func(ctx context.Context, theme string) templ.Component {
			return signIn(views.Form{Values: url.Values{"login": {"priya"}}, Problem: text.T(ctx, text.KeySignInRejected)})(ctx, theme)
		}},
		{Name: "new_password", Draw: func(ctx context.Context, theme string) templ.Component {
			return views.NewPasswordPage(barePage(ctx, theme, text.KeyNewPasswordTitle), views.Form{}, true)
		}},
		{Name: "new_password_rejected", Draw: func(ctx context.Context, theme string) templ.Component {
			return views.NewPasswordPage(barePage(ctx, theme, text.KeyNewPasswordTitle), views.Form{
				Errors: map[string]string{"password": text.T(ctx, text.KeyPasswordTooShort), "current_password": text.T(ctx, text.KeyPasswordWrong)}}, false)
		}},
	}
	for _, status := range []int{400, 403, 404, 409, 413, 422, 429, 500} {
		e := views.ErrorPage{Status: status}
		switch status {
		case 403:
			e.SignInURL = "/users/sign_in"
		case 500:
			e.RequestID, e.RetryURL = "req_7GK2MXPQ4T5VWZ3A6BCDEFHJLN", requestPath
		default:
			e.BackURL = requestPath
		}
		all = append(all, Entry{Name: "error_" + strconv.Itoa(status), Draw: failure(e)})
	}
	all = append(all,
		Entry{Name: "error_404_direct", Draw: failure(views.ErrorPage{Status: 404})},
		Entry{Name: "error_500_form", Draw: failure(views.ErrorPage{Status: 500, RequestID: "req_7GK2MXPQ4T5VWZ3A6BCDEFHJLN"})},
		Entry{Name: "offline", Draw: func(ctx context.Context, theme string) templ.Component {
			return views.Offline(views.Page{Title: text.T(ctx, text.KeyOfflineTitle), Theme: theme, Still: true})
		}})
	return all
}

// failure renders an error page.
func failure(e views.ErrorPage) func(context.Context, string) templ.Component {
	return func(ctx context.Context, theme string) templ.Component {
		title, _ := views.ErrorTexts(e.Status)
		return views.Error(barePage(ctx, theme, title), e)
	}
}

func signIn(form views.Form) func(context.Context, string) templ.Component {
	return func(ctx context.Context, theme string) templ.Component {
		p := barePage(ctx, theme, text.KeySignIn)
		p.User = nil
		return views.SignInPage(p, views.SignIn{Form: form, Host: "git.example.com", ReturnTo: requestPath})
	}
}

// projects returns entries for the project list, a project's overview and its
// branches.
func projects() []Entry {
	list := func(change func(*views.ProjectList)) func(context.Context, string) templ.Component {
		return func(ctx context.Context, theme string) templ.Component {
			l := views.ProjectList{SignedIn: true, Mine: true, MineCount: 6, AllCount: 31, Sort: views.SortUpdated, Now: Now,
				Rows: projectRows(), Pages: views.PageLinks{First: 1, Last: 6, Total: 6}}
			change(&l)
			return views.ProjectsPage(barePage(ctx, theme, text.KeyProjects), l)
		}
	}
	first := func(change func(*views.Overview)) func(context.Context, string) templ.Component {
		return func(ctx context.Context, theme string) templ.Component {
			v := overview()
			change(&v)
			p := page(ctx, theme, text.KeyProjects, views.SectionOverview)
			p.Title, p.Breadcrumbs = v.Name, p.Breadcrumbs[:2]
			return views.OverviewPage(p, v)
		}
	}
	newProject := func(form views.Form) func(context.Context, string) templ.Component {
		return func(ctx context.Context, theme string) templ.Component {
			return views.NewProjectPage(barePage(ctx, theme, text.KeyNewProject), views.NewProject{Form: form,
				Namespaces: []views.Option{{Value: "priya", Text: "priya"}, {Value: "northwind", Text: "northwind"}}})
		}
	}
	namespace := func(v views.NamespaceDetail) func(context.Context, string) templ.Component {
		return func(ctx context.Context, theme string) templ.Component {
			v.Now = Now
			if v.Rows != nil {
				v.Pages = views.PageLinks{First: 1, Last: len(v.Rows), Total: len(v.Rows)}
			}
			p := barePage(ctx, theme, text.KeyProjects)
			p.Title = cmp.Or(v.Person.Name, v.Path)
			p.Breadcrumbs = append(p.Breadcrumbs, views.Crumb{Text: v.Path, URL: "/" + v.Path})
			return views.NamespacePage(p, v)
		}
	}
	return []Entry{
		{Name: "user", Draw: namespace(views.NamespaceDetail{Path: "priya", Person: views.Person{Name: "Priya Raman", Username: "priya"}, Rows: projectRows()})},
		{Name: "user_bot", Draw: namespace(views.NamespaceDetail{Path: "project_1_bot_8f3c", Person: views.Person{Name: "Licence scan", Username: "project_1_bot_8f3c"}, Bot: true})},
		{Name: "user_own", Draw: namespace(views.NamespaceDetail{Path: "priya", Person: views.Person{Name: "Priya Raman", Username: "priya"}, You: true, Rows: projectRows()[:1]})},
		{Name: "namespace", Draw: namespace(views.NamespaceDetail{Path: "northwind", Rows: projectRows()[:2]})},
		{Name: "projects", Draw: list(func(*views.ProjectList) {})},
		{Name: "projects_signed_out", Draw: list(func(l *views.ProjectList) { l.SignedIn, l.Mine, l.Rows = false, false, l.Rows[4:5] })},
		{Name: "projects_empty", Draw: list(func(l *views.ProjectList) { l.Rows, l.Pages, l.MineCount = nil, views.PageLinks{}, 0 })},
		{Name: "projects_none_found", Draw: list(func(l *views.ProjectList) { l.Rows, l.Pages, l.Search = nil, views.PageLinks{}, "zebra" })},
		{Name: "project_new", Draw: newProject(views.Form{Values: url.Values{"visibility": {"private"}}})},
		{Name: "project_new_rejected", Draw: newProject(views.Form{Values: url.Values{"name": {"a/b"}, "visibility": {"private"}},
			Errors: map[string]string{"name": "Use letters, digits, . _ and -"}})},
		{Name: "project", Draw: first(func(*views.Overview) {})},
		{Name: "project_empty", Draw: first(func(v *views.Overview) {
			v.Empty, v.Branches, v.Recent, v.Readme = true, views.ProjectBranches{}, views.MergeRequestList{Now: Now}, views.Prose{}
		})},
		{Name: "project_damaged", Draw: first(func(v *views.Overview) {
			v.Damaged, v.Branches, v.Readme = true, views.ProjectBranches{}, views.Prose{}
		})},
		{Name: "project_guest", Draw: first(func(v *views.Overview) {
			*v = views.Overview{Name: v.Name, Description: v.Description, Visibility: v.Visibility, CloneURL: v.CloneURL, Path: v.Path, DefaultBranch: "main", StatusChecks: -1}
		})},
		{Name: "branches", Draw: func(ctx context.Context, theme string) templ.Component {
			l := branches()
			l.Pages = views.PageLinks{First: 1, Last: 3, Total: 3}
			return views.BranchesPage(page(ctx, theme, text.KeyBranches, views.SectionBranches), l)
		}},
		{Name: "branches_none_found", Draw: func(ctx context.Context, theme string) templ.Component {
			l := branches()
			l.Rows, l.Search = nil, "zebra"
			return views.BranchesPage(page(ctx, theme, text.KeyBranches, views.SectionBranches), l)
		}},
	}
}

// projectRows returns projects with checks in every state, one whose checks the
// reader may not see, and one of which the reader sees only the name.
func projectRows() []views.ProjectRow {
	private, internal, public := views.Visibility{Value: "private"}, views.Visibility{Value: "internal"}, views.Visibility{Value: "public"}
	return []views.ProjectRow{
		{Namespace: "northwind", Name: "Ticketing API", URL: projectPath, Description: "Tickets, refunds and the queue between them", Visibility: private,
			OpenMergeRequests: 7, ShowChecks: true, Passed: 3, Pending: 1, Failed: 2, UpdatedAt: ago(4 * time.Minute)},
		{Namespace: "northwind", Name: "Fare Engine", URL: "/northwind/fare-engine", Description: "Fare rules and the nightly tariff build.", Visibility: internal,
			OpenMergeRequests: 3, ShowChecks: true, Passed: 4, Pending: 1, UpdatedAt: ago(time.Minute)},
		{Namespace: "northwind", Name: "Station Displays", URL: "/northwind/station-displays", Description: "Departure boards, signage and audio announcements.",
			Visibility: public, OpenMergeRequests: 2, ShowChecks: true, Passed: 4, UpdatedAt: ago(3 * time.Hour)},
		{Namespace: "northwind", Name: "Handbook", URL: "/northwind/handbook", Visibility: internal, ShowChecks: true, UpdatedAt: ago(50 * time.Hour)},
		{Namespace: "northwind", Name: "Open Timetable", URL: "/northwind/open-timetable", Description: "Timetables for everybody.", Visibility: public,
			OpenMergeRequests: 1, UpdatedAt: ago(150 * time.Hour)},
		{Namespace: "priya", Name: "Dotfiles", URL: "/priya/dotfiles", Visibility: private, OpenMergeRequests: -1, UpdatedAt: ago(900 * time.Hour)},
	}
}

func overview() views.Overview {
	recent := requestList()
	recent.Rows, recent.Brief = recent.Rows[:2], true
	return views.Overview{Name: "Ticketing API", Description: "Tickets, refunds and the queue between them", Visibility: views.Visibility{Value: "private"},
		DefaultBranch: "main", CloneURL: "https://git.example.com" + projectPath + ".git", Path: projectPath, CanSeeCode: true,
		NewMergeRequestURL: requestsPath + "/new", CanPush: true, NewServiceURL: servicesPath + "/new", StatusChecks: 3, RequireChecks: true, SettingsURL: settingsPath, Recent: recent, OpenRequests: 7,
		Branches: branches(), Members: &views.OverviewMembers{URL: projectPath + "/-/project_members", ByRole: [5]int{0, 2, 5, 3, 2},
			People: []views.Person{{Name: "Priya Raman"}, {Name: "Jonas <Lindqvist>"}, {Name: "Ama Sarpong"}, {Name: "Mona Weiss"}, {Name: "Ines Duarte"}, {Name: "Li Vogel"}}},
		Readme: views.Prose{HTML: "<h2>Ticketing API</h2><p>Sells tickets, and takes them back.</p>"}}
}

func branches() views.ProjectBranches {
	return views.ProjectBranches{Total: 3, AllURL: projectPath + "/-/branches", RulesURL: rulesPath, Now: Now, Rows: []views.ProjectBranch{
		{Name: "main", SHA: "5d02b7aa", CommitURL: commitPath + head, Title: "Merge branch 'tax-tables' into 'main'", CommittedAt: ago(2 * time.Hour), Default: true, Protected: true},
		{Name: "feature/refund", SHA: "8f3c2a1d", CommitURL: commitPath + head, Title: "Key events <once>", CommittedAt: ago(time.Hour), Behind: 2, Ahead: 3, OpenURL: requestPath, OpenIID: 142},
		{Name: "spike/queue", SHA: "c41c2e90", CommitURL: commitPath + head, Title: "Try the other queue", CommittedAt: ago(400 * time.Hour), Ahead: 1, NewURL: requestsPath + "/new?source=spike"},
	}}
}
