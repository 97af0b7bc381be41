// Package gallery holds every screen and every state of one as fixtures: they
// are served without a database, to be looked at, and held against goldens.
package gallery

import (
	"context"
	"io"
	"time"

	"github.com/a-h/templ"

	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
)

// Now is the moment that every entry shows.
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

// Entry is one screen in one state.
type Entry struct {
	// Name is its address in the gallery and the name of its golden.
	Name string
	// Section is the entry of the sidebar that frames a fragment; "" for whole
	// pages.
	Section string
	// Draw makes the component in the language of ctx, in a theme: "light",
	// "dark", or "" for the system's.
	Draw func(ctx context.Context, theme string) templ.Component
}

// Component is the entry as a whole page: fragments stand in the frame that
// they have in the product.
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

// Entries is the whole gallery, in the order of a way through the product.
func Entries() []Entry {
	var all []Entry
	for _, some := range [][]Entry{outside(), projects(), requests(), commits(), boxes(), requestForms(), widget(), settings(), services(), rules(), people()} {
		all = append(all, some...)
	}
	return all
}

// page is the frame of a page inside the project, seen by a maintainer.
func page(ctx context.Context, theme string, title text.Key, section string) views.Page {
	p := barePage(ctx, theme, title)
	p.Section = section
	p.Project = &views.ProjectNav{Name: "Ticketing API", Path: projectPath, Initials: "T", OpenMergeRequests: 7,
		CanSeeCode: true, CanMaintain: true, CanOwn: true}
	p.Breadcrumbs = []views.Crumb{{Text: text.T(ctx, text.KeyProjects), URL: "/"}, {Text: "Ticketing API", URL: projectPath},
		{Text: p.Title, URL: projectPath}}
	return p
}

// barePage is the frame of a page outside projects.
func barePage(ctx context.Context, theme string, title text.Key) views.Page {
	return views.Page{Title: text.T(ctx, title), Theme: theme, Now: Now,
		User:        &views.CurrentUser{Username: "priya", Name: "Priya Raman", Initials: "PR"},
		Breadcrumbs: []views.Crumb{{Text: text.T(ctx, title), URL: "/"}}}
}

// ago is a moment before Now.
func ago(d time.Duration) time.Time { return Now.Add(-d) }
