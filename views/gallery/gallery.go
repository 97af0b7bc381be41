// Package gallery shows every component of package views in all its states, with
// fixed example data. [Handler] serves the [Entries] without a database. The tests
// compare them with golden files and check them in a browser.
package gallery

import (
	"context"
	"io"
	"time"

	"github.com/a-h/templ"

	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
)

// Now is the current time in every entry.
var Now = time.Date(2026, 11, 22, 9, 42, 10, 0, time.UTC)

const (
	projectPath  = "/northwind/ticketing-api"
	requestsPath = projectPath + "/-/merge_requests"
	requestPath  = requestsPath + "/142"
	commitPath   = projectPath + "/-/commit/"
	settingsPath = projectPath + "/-/settings/merge_requests"
	servicesPath = settingsPath + "/status_checks"
	rulesPath    = projectPath + "/-/settings/repository/branch_rules"
	head         = "8f3c2a1d5b7e9c0f1a2b3c4d5e6f708192a3b4c5"
)

// Entry is a page or fragment in one state.
type Entry struct {
	// Name is the last part of its address and the name of its golden file.
	Name string
	// Section is the current entry of the sidebar in the page around a fragment,
	// empty for whole pages.
	Section string
	// Draw returns the component in the language of ctx. theme is "light", "dark",
	// or empty for the system's.
	Draw func(ctx context.Context, theme string) templ.Component
}

// Component returns the entry as a whole page. A fragment is rendered in the layout
// of the page that contains it.
func (e Entry) Component(ctx context.Context, theme string) templ.Component {
	component := e.Draw(ctx, theme)
	if e.Section == "" {
		return component
	}
	p := page(ctx, theme, text.KeyMergeRequests, e.Section)
	return framed{title: p.Title, inside: component, frame: func(inside templ.Component) templ.Component {
		return templ.ComponentFunc(func(ctx context.Context, w io.Writer) error {
			return views.Layout(p).Render(templ.WithChildren(ctx, inside), w)
		})
	}}
}

// Entries returns all entries, grouped by area.
func Entries() []Entry {
	var all []Entry
	for _, group := range [][]Entry{
		outsideProjects(), projects(), mergeRequests(), commits(), mergeBoxes(), mergeRequestForms(), widget(), mergeRequestSettings(), services(), branchRules(), people(), adminUsers(), adminLists(),
	} {
		all = append(all, group...)
	}
	return all
}

// page returns the view model of a page in the project, for a maintainer.
func page(ctx context.Context, theme string, title text.Key, section string) views.Page {
	p := barePage(ctx, theme, title)
	p.Section = section
	p.Project = &views.ProjectNav{Name: "Ticketing API", Path: projectPath, Initials: "T", OpenMergeRequests: 7,
		CanSeeCode: true, CanMaintain: true, CanOwn: true}
	p.Breadcrumbs = []views.Crumb{{Text: text.T(ctx, text.KeyProjects), URL: "/"}, {Text: "Ticketing API", URL: projectPath},
		{Text: p.Title, URL: projectPath}}
	return p
}

// barePage returns the view model of a page outside projects.
func barePage(ctx context.Context, theme string, title text.Key) views.Page {
	return views.Page{Title: text.T(ctx, title), Theme: theme, Now: Now,
		User:        &views.CurrentUser{Username: "priya", Name: "Priya Raman", Initials: "PR"},
		Breadcrumbs: []views.Crumb{{Text: text.T(ctx, title), URL: "/"}}}
}

// ago returns the time d before Now.
func ago(d time.Duration) time.Time { return Now.Add(-d) }
