package handlers

import (
	"net/http"
	"strings"
	"testing"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/gitrepo"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

func TestCommitPage_ShowsCommitAndDiff(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	mr := s.openMergeRequest("topic")
	s.git.changes = gitrepo.Diff{TotalFiles: 1, Files: []gitrepo.FileDiff{{NewPath: "trim.txt", OldPath: "trim.txt", Status: "A", Additions: 1, Patch: "@@ -0,0 +1 @@\n+one\n"}}}
	path := pearPath + "/-/commit/"

	page := s.as(s.Owner).get(path + mr.HeadSHA).wantStatus(http.StatusOK)
	if page.text("h1") != "Commit "+mr.HeadSHA[:8] || page.text("#commit-sha") != mr.HeadSHA || !strings.Contains(page.text("#content"), "Ines Park") {
		t.Errorf("heading %q, id %q", page.text("h1"), page.text("#commit-sha"))
	}
	if !strings.Contains(page.text(".diff"), "one") || s.git.base != "" {
		t.Errorf("changes %q against %q", page.text(".diff"), s.git.base)
	}
	s.git.parents = []string{s.Git.Tip(s.Project.ID, "main"), mr.HeadSHA}
	page = s.as(s.Owner).get(path + strings.ToUpper(mr.HeadSHA)).wantStatus(http.StatusOK)
	if s.git.base != s.git.parents[0] || page.Find(`a[href="`+path+s.git.parents[0]+`"]`).Length() != 1 {
		t.Errorf("the merge commit is compared with %q, want its first parent", s.git.base)
	}
	for _, id := range []string{strings.Repeat("0", 40), "main", "topic", "x", "HEAD", "-p", mr.HeadSHA + "0"} {
		s.as(s.Owner).get(path + id).wantStatus(http.StatusNotFound)
	}
	if link := s.as(s.Owner).get(s.mrPath(mr, "/commits")).attr(".list__side a", "href"); link != path+mr.HeadSHA {
		t.Errorf("the list of commits links to %q", link)
	}
}

func TestComparePage_ListsCommits(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	s.openMergeRequest("topic")
	v := s.as(s.Owner)
	page := v.get("/olga/pear/-/compare/main...topic").wantStatus(http.StatusOK)
	if !page.has(".list__title") {
		t.Error("no commits are listed")
	}
	if same := v.get("/olga/pear/-/compare/main...main").wantStatus(http.StatusOK); same.has(".list__title") {
		t.Error("comparing a branch with itself lists commits")
	}
	for _, between := range []string{"main", "main...nothing", "...", "main..topic", "main...a%00"} {
		v.get("/olga/pear/-/compare/" + between).wantStatus(http.StatusNotFound)
	}
}

// A user's page lists only projects of which the reader is a member too,
// whatever their visibility.
func TestNamespacePage_ShowsProjectsInCommon(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		jonas, stranger, root := s.Member("jonas", models.RoleGuest), s.User("stranger"), s.Admin("root")
		s.setVisibility(models.VisibilityInternal)
		projects := func(reader models.User, name string) string {
			page := s.as(reader).get("/" + name).wantStatus(http.StatusOK)
			return page.text(".list__title a")
		}
		for _, tt := range []struct {
			reader models.User
			name   string
			shown  bool
		}{
			{jonas, "olga", true}, {s.Owner, "jonas", true}, {s.Owner, "OLGA", true}, {root, "jonas", true},
			{stranger, "olga", false}, {stranger, "jonas", false}, {s.Owner, "stranger", false},
		} {
			if got := projects(tt.reader, tt.name); (got != "") != tt.shown {
				t.Errorf("%s sees on the page of %s: %q", tt.reader.Username, tt.name, got)
			}
		}
		s.as(s.Owner).get("/nobody").wantStatus(http.StatusNotFound)
		s.as(s.Owner).get("/a%00").wantStatus(http.StatusNotFound)
		if to := s.signedOut().get("/olga").wantStatus(http.StatusSeeOther).header.Get("Location"); to != signInPath+"?return_to=%2Folga" {
			t.Errorf("a visitor is redirected to %q", to)
		}
	})
}

func TestNamespacePage_Bot_IsHiddenFromStrangers(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		guest, reporter, stranger := s.Member("guest", models.RoleGuest), s.Member("reporter", models.RoleReporter), s.User("stranger")
		token, err := s.Store.CreateProjectToken(t.Context(), s.Owner, models.RoleOwner, s.Project.ID, models.AccessTokenInput{
			Name: "CI", Scopes: []string{models.ScopeAPI}, ExpiresAt: s.Clock.Now().AddDate(0, 1, 0), Digest: auth.Digest("x"), Role: models.RoleDeveloper,
		})
		if err != nil {
			t.Fatal(err)
		}
		bot, err := s.Store.User(t.Context(), token.UserID)
		if err != nil {
			t.Fatal(err)
		}
		path := "/" + bot.Username
		s.as(reporter).get(path).wantStatus(http.StatusOK)
		s.as(s.Admin("root")).get(path).wantStatus(http.StatusOK)
		s.as(guest).get(path).wantStatus(http.StatusNotFound)
		s.as(stranger).get(path).wantStatus(http.StatusNotFound)
		s.setVisibility(models.VisibilityInternal)
		s.as(stranger).get(path).wantStatus(http.StatusOK)
	})
}

func TestNamespacePage_FreeNamespace_ShowsVisibleProjects(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		ctx, root, stranger := t.Context(), s.Admin("root"), s.User("stranger")
		namespace, err := s.Store.CreateNamespace(ctx, models.User{}, "orchard")
		if err != nil {
			t.Fatal(err)
		}
		s.as(stranger).get("/orchard").wantStatus(http.StatusNotFound)
		s.as(root).get("/orchard").wantStatus(http.StatusOK)
		for path, visibility := range map[string]models.Visibility{"fig": models.VisibilityPrivate, "kiwi": models.VisibilityInternal} {
			in := models.ProjectInput{Name: path, Path: path, Visibility: visibility, NamespaceID: namespace.ID}
			if _, err := s.Store.CreateProject(ctx, root, in, false); err != nil {
				t.Fatal(err)
			}
		}
		if got := s.as(stranger).get("/Orchard").wantStatus(http.StatusOK).text(".list__title a"); got != "orchard / kiwi" {
			t.Errorf("a stranger sees %q", got)
		}
	})
}
