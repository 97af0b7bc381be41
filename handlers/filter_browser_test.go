package handlers

import (
	"testing"

	"github.com/mergegate/mergegate/cmd/mergegate/browsertest"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// shownProjects are the names in the list, as it stands.
const shownProjects = `[...document.querySelectorAll("#project-list .list__title a")].map((a) => a.innerText.split(" ").pop()).join(" ")`

// TestBrowserProjects_Typing_FiltersList: the list follows the search and the
// order; the focus stays, the address tells what is shown, and the way back
// leads out of the list.
func TestBrowserProjects_Typing_FiltersList(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	s.NewProject(s.Owner, "apple", models.VisibilityPrivate)
	s.NewProject(s.Owner, "plum", models.VisibilityPrivate)
	base := s.as(s.Owner).serve()
	p := browsertest.Open(t, base+"/projects/new")
	p.Go(base + "/")
	p.WaitFor("three projects", shownProjects+` === "plum apple pear"`)
	p.Fill("#project-search", "p")
	p.Fill("#project-search", "pl")
	p.WaitFor("those that match", shownProjects+` === "plum apple"`)
	p.WaitFor("the focus in the search", `document.activeElement.id === "project-search"`)
	p.WaitFor("the address to tell", `location.search === "?search=pl&sort=updated"`)
	p.WaitFor("the number to be told", `document.getElementById("project-found").innerText === "2 projects"`)
	p.Choose("#project-sort", "Name")
	p.WaitFor("the other order", shownProjects+` === "apple plum"`)
	p.Reload()
	p.WaitFor("the same list", shownProjects+` === "apple plum"`)
	browsertest.Eval[bool](p, "history.back(), true")
	p.WaitText("h1", "New project")
}

// Without script a button sends the filters.
func TestBrowserProjects_WithoutScript_ButtonFiltersList(t *testing.T) {
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
		t.Error("no number of projects")
	}
}
