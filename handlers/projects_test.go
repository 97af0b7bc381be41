package handlers

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/mergegate/mergegate/gitrepo"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

func TestProjectList_ShowsVisibleProjects(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		s.NewProject(s.Owner, "quince", models.VisibilityInternal)
		s.NewProject(s.Owner, "plum", models.VisibilityPublic)
		stranger := s.User("stranger")
		for name, test := range map[string]struct {
			visitor visitor
			path    string
			want    string
		}{
			"owner":         {s.as(s.Owner), "/", "olga / plum, olga / quince, olga / pear"},
			"visitor":       {s.signedOut(), "/", "olga / plum"},
			"stranger":      {s.as(stranger), "/", ""},
			"stranger, all": {s.as(stranger), "/?all=1", "olga / plum, olga / quince"},
			"search":        {s.as(s.Owner), "/?search=UIN", "olga / quince"},
			"by path":       {s.as(s.Owner), "/?search=olga/p", "olga / plum, olga / pear"},
			"nothing found": {s.as(s.Owner), "/?search=%25", ""},
		} {
			page := test.visitor.get(test.path).wantStatus(http.StatusOK)
			var names []string
			for _, link := range page.Find("#project-list .list__title a").EachIter() {
				names = append(names, collapseSpace(link.Text()))
			}
			if got := strings.Join(names, ", "); got != test.want {
				t.Errorf("%s: %q, want %q", name, got, test.want)
			}
		}
		if page := s.signedOut().get("/"); !page.has(`.topbar a[href="/users/sign_in"]`) || page.has(`a[href="/projects/new"]`) {
			t.Error("a visitor has no link to sign in, or one to a new project")
		}
	})
}

func TestNewProject_CreatesProjectAndShowsErrors(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		s.userWithPassword("priya")
		b := s.signIn("priya")
		action, form := b.get("/projects/new").wantStatus(http.StatusOK).fields("main form")
		ns, err := s.Store.Namespace(t.Context(), "priya")
		if err != nil {
			t.Fatal(err)
		}
		form.Set("name", "Ticketing API")
		form.Set("visibility", "internal")
		form.Set("namespace_id", itoa(ns.ID))
		to := b.post(action, form).wantStatus(http.StatusSeeOther).header.Get("Location")
		if to != "/priya/ticketing-api" {
			t.Fatalf("redirected to %q", to)
		}
		page := b.get(to).wantStatus(http.StatusOK)
		if got := page.attr("#clone-http", "value"); got != "http://mergegate.test/priya/ticketing-api.git" {
			t.Errorf("clone URL %q", got)
		}
		if got := page.text("#branches td .mono"); got != "main" {
			t.Errorf("branches %q", got)
		}

		olga, err := s.Store.Namespace(t.Context(), "olga")
		if err != nil {
			t.Fatal(err)
		}
		form.Set("namespace_id", itoa(olga.ID))
		form.Set("description", strings.Repeat("x", 2001))
		form.Set("path", "-no")
		page = b.post(action, form).wantStatus(http.StatusUnprocessableEntity)
		for field, want := range map[string]string{
			"namespace_id": "Choose one of your namespaces", "description": "Cannot be longer than 2000 characters",
			"path": "Use letters, digits, _ - and . only; begin with a letter, digit or _, and do not end with . or .git",
		} {
			if got := page.text("#" + field + "-error"); got != want {
				t.Errorf("%s: %q, want %q", field, got, want)
			}
		}
		if page.attr("#name", "value") != "Ticketing API" || !page.has("#visibility-internal[checked]") {
			t.Error("the form lost its input")
		}
		form.Set("namespace_id", itoa(ns.ID))
		form.Set("description", "")
		form.Set("path", "TICKETING-api")
		if got := b.post(action, form).wantStatus(http.StatusUnprocessableEntity).text("#path-error"); got != "This path is already taken" {
			t.Errorf("message %q", got)
		}
	})
}

// readmeGit is a fakeGit whose repositories have a README, and which can fail to
// list branches.
type readmeGit struct {
	*fakeGit
	readme string
	fails  error
}

func (g *readmeGit) Reader(projectID int64) gitrepo.Reader {
	return readmeReader{fakeReader{git: g.fakeGit, projectID: projectID}, g}
}

type readmeReader struct {
	fakeReader
	git *readmeGit
}

func (r readmeReader) Blob(_ context.Context, _, path string, _ int64) ([]byte, bool, error) {
	if path != "README.md" {
		return nil, false, gitrepo.ErrNotFound
	}
	return []byte(r.git.readme), true, nil
}

func (r readmeReader) Branches(
	ctx context.Context, search string, offset, limit int, first ...string,
) ([]gitrepo.Branch, int, error) {
	if r.git.fails != nil {
		return nil, 0, r.git.fails
	}
	return r.fakeReader.Branches(ctx, search, offset, limit, first...)
}

func TestProjectOverview_Roles_SeeWhatTheyMay(t *testing.T) {
	git := &readmeGit{readme: "# Hello <script>alert(1)</script>"}
	s, _, log := newLoggedSite(t, func(d *Deps) { git.fakeGit = d.Git.(*fakeGit); d.Git = git })
	s.Service("licence")
	s.openMergeRequest("topic")
	guest, reporter := s.Member("gil", models.RoleGuest), s.Member("rob", models.RoleReporter)

	page := s.as(guest).get(pearPath).wantStatus(http.StatusOK)
	if page.has("#branches, #mr-h, #readme-h, #clone-http") || strings.Contains(page.body, "topic") {
		t.Error("a Guest sees more than the header")
	}
	page = s.as(reporter).get(pearPath).wantStatus(http.StatusOK)
	if got := page.text(".prose h2"); got != "Hello alert(1)" || page.has(".prose script") {
		t.Errorf("README %q", got)
	}
	if got := page.text(".list .list__side"); got != "Status checks: 1 pending" {
		t.Errorf("checks %q", got)
	}
	if !strings.Contains(page.text("main"), "1 status check") || page.has("a.badge--info") {
		t.Error("the number of services is missing, or links to a page that a Reporter may not open")
	}
	if page.has(".page-head__actions") {
		t.Error("a Reporter sees the link to a new merge request")
	}
	page = s.as(s.Owner).get(pearPath).wantStatus(http.StatusOK)
	if got := page.attr("#branches td .btn", "href"); got != pearMergeRequestsPath+"/new?source_branch=feature" {
		t.Errorf("the branch links to %q", got)
	}
	// Visitors of a public project see merge requests without their checks.
	s.setVisibility(models.VisibilityPublic)
	page = s.signedOut().get(pearPath).wantStatus(http.StatusOK)
	if text := page.text("main"); strings.Contains(text, "pending") || strings.Contains(text, "status check") || !strings.Contains(text, "Trim topic") {
		t.Errorf("a visitor of a public project sees %q", text)
	}
	git.fails = errors.New("object 1234 is corrupt")
	page = s.as(s.Owner).get(pearPath).wantStatus(http.StatusOK)
	if !strings.Contains(page.text(".alert--danger"), "cannot be read") || strings.Contains(page.body, "1234") {
		t.Error("the page hides that the repository is damaged, or shows the internal error")
	}
	if !strings.Contains(log.String(), "object 1234 is corrupt") {
		t.Error("the log lacks the error")
	}
}

func TestGeneralSettings_SaveRenameAndDelete(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		const path = pearGeneralPath
		maintainer := s.as(s.Member("mara", models.RoleMaintainer))
		page := maintainer.get(path).wantStatus(http.StatusOK)
		if page.has("#name, #visibility-public, #confirm") {
			t.Error("a Maintainer sees settings that only Owners may change")
		}
		maintainer.post(path, url.Values{"description": {"Fruit"}, "default_branch": {"feature"}}).wantStatus(http.StatusSeeOther)
		page = maintainer.post(path, url.Values{"description": {strings.Repeat("x", 2001)}, "default_branch": {"nowhere"}}).wantStatus(http.StatusUnprocessableEntity)
		if page.text("#description-error") == "" {
			t.Error("no message for the description")
		}
		page = maintainer.post(path, url.Values{"description": {""}, "default_branch": {"nowhere"}}).wantStatus(http.StatusUnprocessableEntity)
		if got := page.text("#default_branch-error"); got != "There is no such branch" {
			t.Errorf("message %q", got)
		}

		owner := s.as(s.Owner)
		page = owner.post(path+"/advanced", url.Values{"name": {""}, "path": {"a b"}, "visibility": {"secret"}}).wantStatus(http.StatusUnprocessableEntity)
		for field, want := range map[string]string{"name": "Please provide a name", "visibility": "Not valid"} {
			if got := page.text("#" + field + "-error"); got != want {
				t.Errorf("%s: %q, want %q", field, got, want)
			}
		}
		if page.attr("#path", "value") != "a b" {
			t.Error("the form lost its input")
		}
		to := owner.post(path+"/advanced", url.Values{"name": {"Plum"}, "path": {"plum"}, "visibility": {"public"}}).wantStatus(http.StatusSeeOther)
		if got := to.header.Get("Location"); got != "/olga/plum/-/settings/general" {
			t.Errorf("redirected to %q", got)
		}
		project, err := s.Store.Project(t.Context(), s.Project.ID)
		if err != nil || project.Visibility != models.VisibilityPublic || project.Description != "Fruit" || project.DefaultBranch != "feature" {
			t.Errorf("saved %+v, %v", project, err)
		}

		deletePath := "/olga/plum/-/settings/general/delete"
		if got := owner.post(deletePath, url.Values{"confirm": {"plum"}}).wantStatus(http.StatusUnprocessableEntity).text("#confirm-error"); got != "This is not the path of the project" {
			t.Errorf("message %q", got)
		}
		owner.post(deletePath, url.Values{"confirm": {"olga/plum"}}).wantStatus(http.StatusSeeOther)
		owner.get("/olga/plum").wantStatus(http.StatusNotFound)
	})
}

func TestBranches_ListSearchAndCompare(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	page := s.as(s.Owner).get("/olga/pear/-/branches").wantStatus(http.StatusOK)
	if got := page.text("tbody .mono"); got != "mainfeature" {
		t.Errorf("branches %q", got)
	}
	if got := page.text("tbody tr:last-child td:nth-child(3)"); got != "0 / 1" {
		t.Errorf("behind / ahead %q", got)
	}
	if got := page.text("tbody tr:first-child .badge"); got != "defaultprotected" {
		t.Errorf("badges %q", got)
	}
	if got := s.as(s.Owner).get("/olga/pear/-/branches?search=zzz").wantStatus(http.StatusOK).text(".empty h2"); got != "Nothing matches" {
		t.Errorf("heading of the empty list %q", got)
	}
}
