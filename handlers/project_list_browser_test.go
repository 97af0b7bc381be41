package handlers

import (
	"testing"

	"github.com/mergegate/mergegate/cmd/mergegate/browsertest"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// shownProjects is a JavaScript expression for the names in the list of
// projects.
const shownProjects = `[...document.querySelectorAll("#project-list .list__title a")].map((a) => a.innerText.split(" ").pop()).join(" ")`

// Typing in the search or changing the order updates the list and the page's
// address and keeps the focus. Back leaves the list, as filtering adds no
// entries to the history.
func TestBrowserProjects_Typing_FiltersList(t *testing.T) {
	t.Parallel()
	s := newTestSite(t, modelstest.SQLite(t))
	s.NewProject(s.Owner, "apple", models.VisibilityPrivate)
	s.NewProject(s.Owner, "plum", models.VisibilityPrivate)
	base := s.as(s.Owner).serve()
	p := browsertest.Open(t, base+"/projects/new")
	p.Go(base + "/")
	p.WaitFor("three projects", shownProjects+` === "plum apple pear"`)
	p.Fill("#project-search", "p")
	p.Fill("#project-search", "pl")
	p.WaitFor("the matching projects", shownProjects+` === "plum apple"`)
	p.WaitFor("the focus to stay in the search", `document.activeElement.id === "project-search"`)
	p.WaitFor("the filter in the address", `location.search === "?search=pl&sort=updated"`)
	p.WaitFor("the announced number", `document.getElementById("project-found").innerText === "2 projects"`)
	p.Choose("#project-sort", "Name")
	p.WaitFor("the new order", shownProjects+` === "apple plum"`)
	p.Reload()
	p.WaitFor("the same list", shownProjects+` === "apple plum"`)
	p.Back()
	p.WaitText("h1", "New project")
}

func TestBrowserProjects_WithoutScript_ButtonFiltersList(t *testing.T) {
	t.Parallel()
	s := newTestSite(t, modelstest.SQLite(t))
	s.NewProject(s.Owner, "apple", models.VisibilityPrivate)
	base := s.as(s.Owner).serve()
	p := browsertest.New(t)
	p.NoScript()
	p.Go(base + "/")
	p.Fill("#project-search", "pear")
	p.Press("Search")
	p.WaitURL(`search=pear`)
	if got := p.Text("#project-list .list__title a"); got != "olga / pear" {
		t.Errorf("found %q", got)
	}
	if got := p.Text("#project-list .pagination"); got == "" {
		t.Error("the list shows no number of projects")
	}
}
