package handlers

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
)

// projectSummaries lists the rows of the list: name, status checks and open
// merge requests.
func (a response) projectSummaries() string {
	var rows []string
	for _, row := range a.Find("#project-list li").EachIter() {
		cells := []string{collapseSpace(row.Find(".list__title a").Text()) + ":"}
		for _, cell := range row.Find(".list__side > span:not(:has(time))").EachIter() {
			cells = append(cells, collapseSpace(cell.Text()))
		}
		rows = append(rows, strings.Join(cells, " "))
	}
	return strings.Join(rows, "; ")
}

func TestProjectList_CheckSummary_RequiresTheRight(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		licence, security := s.Service("licence"), s.Service("security")
		mr := s.openMergeRequest("topic")
		s.NewProject(s.Owner, "plum", models.VisibilityPrivate)
		reporter, guest, stranger := s.Member("rex", models.RoleReporter), s.Member("gus", models.RoleGuest), s.User("stranger")
		summary := func(user models.User, path string) string {
			return s.as(user).get(path).wantStatus(http.StatusOK).projectSummaries()
		}
		expect := func(when, got, want string) {
			t.Helper()
			if got != want {
				t.Errorf("%s: %q, want %q", when, got, want)
			}
		}
		expect("pending", summary(s.Owner, "/?sort=name"), "olga / pear: Status checks: 2 pending 1 open merge requests; olga / plum: No status checks 0 open merge requests")
		if err := s.Respond(mr, licence, mr.HeadSHA, models.StatusPassed); err != nil {
			t.Fatal(err)
		}
		expect("one passed", summary(reporter, "/"), "olga / pear: Status checks: 1 pending 1 open merge requests")
		s.Clock.Advance(2*time.Minute + time.Second)
		expect("timed out", summary(reporter, "/"), "olga / pear: Status checks: 1 failing 1 open merge requests")
		expect("guest", summary(guest, "/"), "olga / pear:")
		if err := s.Respond(mr, security, mr.HeadSHA, models.StatusPassed); err != nil {
			t.Fatal(err)
		}
		expect("passed", summary(reporter, "/"), "olga / pear: Status checks: All passed 1 open merge requests")
		s.setVisibility(models.VisibilityInternal)
		expect("internal", summary(stranger, "/?all=1"), "olga / pear: Status checks: All passed 1 open merge requests")
		s.setVisibility(models.VisibilityPublic)
		expect("public", summary(stranger, "/?all=1"), "olga / pear: 1 open merge requests")
		expect("public, guest", summary(guest, "/"), "olga / pear: 1 open merge requests")
		expect("public, visitor", s.signedOut().get("/").projectSummaries(), "olga / pear: 1 open merge requests")
	})
}

func TestProjectList_SortsAndCounts(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		s.Service("licence")
		mr := s.openMergeRequest("topic")
		s.Clock.Advance(time.Minute)
		s.NewProject(s.Owner, "apple", models.VisibilityInternal)
		s.NewProject(s.User("other"), "quince", models.VisibilityInternal)
		s.Clock.Advance(5 * time.Minute)
		if got := s.Status(mr, models.ExternalStatusCheck{ID: 1}); got != models.StatusFailed {
			t.Fatalf("the check is %s", got)
		}
		for path, want := range map[string]string{"/": "apple pear", "/?sort=name": "apple pear", "/?sort=failed": "pear apple", "/?sort=x'": "apple pear", "/?all=1&sort=failed": "pear quince apple"} {
			page := s.as(s.Owner).get(path).wantStatus(http.StatusOK)
			var names []string
			for _, link := range page.Find("#project-list .list__title a").EachIter() {
				names = append(names, strings.Fields(link.Text())[2])
			}
			if got := strings.Join(names, " "); got != want {
				t.Errorf("%s: %q, want %q", path, got, want)
			}
			if got := collapseSpace(page.text(".tabs")); got != "Yours2 All3 Your merge requests1" {
				t.Errorf("%s: tabs %q", path, got)
			}
		}
		page := s.as(s.Owner).get("/?sort=name&search=ea").wantStatus(http.StatusOK)
		if got := page.attr("#project-sort option[selected]", "value"); got != "name" {
			t.Errorf("selected order %q", got)
		}
		if got := page.text("#project-found"); got != "1 project" {
			t.Errorf("number of projects %q", got)
		}
		if page := s.signedOut().get("/"); page.has(`#project-sort option[value="failed"]`) || page.has(".tabs") {
			t.Error("a visitor can sort by status checks that they may not see")
		}
	})
}

// Git is called as often for many rows as for few, too.
func TestLists_ManyRows_TakeAsManyQueriesAsFew(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		s.Service("licence")
		owner := s.as(s.Owner)
		cost := func(path string) int {
			t.Helper()
			n := 0
			s.Store.SetHooks(models.Hooks{Query: func(string) { n++ }})
			owner.get(path).wantStatus(http.StatusOK)
			s.Store.SetHooks(models.Hooks{})
			return n
		}
		s.openMergeRequest("feature")
		before := map[string]int{"/": cost("/"), "/?sort=failed": cost("/?sort=failed"), "/olga/pear/-/branches": cost("/olga/pear/-/branches"), pearPath: cost(pearPath)}
		s.openMergeRequest("other")
		s.Git.AddCommit(s.Project.ID, "release/1", s.Git.Tip(s.Project.ID, "main"))
		for i := range 15 {
			s.NewProject(s.Owner, fmt.Sprintf("plum-%02d", i), models.VisibilityPrivate)
		}
		for path, want := range before {
			if got := cost(path); got != want {
				t.Errorf("%s: %d queries with many rows, %d with few", path, got, want)
			}
			t.Logf("%s: %d queries", path, want)
		}
		calls := s.git.compared
		owner.get("/olga/pear/-/branches").wantStatus(http.StatusOK)
		if s.git.compared != calls+1 {
			t.Errorf("branches were compared %d times for one page", s.git.compared-calls)
		}
	})
}
