package handlers

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// routeIDs are the values of the parameters in a route's path.
type routeIDs struct{ iid, id, delivery, sha string }

// address returns the route's path for the project olga/pear.
func (r route) address(ids routeIDs) string {
	return strings.NewReplacer(":namespace", "olga", ":project", "pear", ":username", "olga", ":iid", ids.iid, ":id", ids.id, ":delivery", ids.delivery,
		":sha", ids.sha, ":range", "main...feature").Replace(r.path)
}

// isProjectPage reports whether the route is a page of a project.
func (r route) isProjectPage() bool { return strings.HasPrefix(r.path, projectRoute) }

// routeTable returns every route of the site.
func (s *testSite) routeTable() []route {
	return (&pages{Deps: Deps{Store: s.Store, Git: s.git}}).routes()
}

// leadsToForm reports whether the route is the GET of a form's action, which
// only redirects to the form.
func (s *testSite) leadsToForm(r route) bool {
	return r.method == http.MethodGet && !hasPage((&pages{Deps: Deps{Store: s.Store, Git: s.git}}).declaredRoutes(), r.path)
}

// assertNoServerError fails the test for a status of 500 or more.
func assertNoServerError(t *testing.T, r route, who string, a response) {
	t.Helper()
	if a.status >= http.StatusInternalServerError {
		t.Errorf("%s %s as %s: status %d", r.method, r.path, who, a.status)
	}
}

// assertSignInRequired checks a route without a session: unless everyone may use
// it, it redirects to the sign-in form, where a user would get 403 or 404.
func assertSignInRequired(t *testing.T, s *testSite, r route, path string, verdict auth.Verdict) {
	t.Helper()
	a := s.signedOut().do(r.method, path, url.Values{})
	assertNoServerError(t, r, "a visitor", a)
	redirected := a.status == http.StatusSeeOther && strings.HasPrefix(a.header.Get("Location"), signInPath)
	if verdict == auth.Allowed {
		if redirected && !strings.HasSuffix(r.path, "sign_out") {
			t.Errorf("%s %s redirects a visitor, who may use it, to the sign-in form", r.method, r.path)
		}
		return
	}
	if !redirected {
		t.Errorf("%s %s: status %d for a visitor, want the sign-in form", r.method, r.path, a.status)
	}
	want := signInPath
	if r.method == http.MethodGet {
		want += "?return_to=" + url.QueryEscape(path)
	}
	if got := a.header.Get("Location"); got != want {
		t.Errorf("%s %s: redirected to %q, want %q", r.method, r.path, got, want)
	}
	if fragment := s.signedOut().withHTMX().do(r.method, path, url.Values{}); fragment.status != http.StatusUnauthorized || fragment.header.Get("HX-Refresh") != "true" {
		t.Errorf("%s %s: status %d for a fragment without a session, want 401 with HX-Refresh", r.method, r.path, fragment.status)
	}
}

// needsLink reports whether a page is 404 without the token of a link.
func needsLink(path string) bool { return path == invitationPath || path == setupPath }

// assertAbility checks that the status for a signed-in user fits the verdict.
func assertAbility(t *testing.T, s *testSite, r route, path, who string, user models.User, verdict auth.Verdict) {
	t.Helper()
	a := s.as(user).do(r.method, path, url.Values{})
	assertNoServerError(t, r, who, a)
	switch verdict {
	case auth.Hidden:
		if a.status != http.StatusNotFound {
			t.Errorf("%s %s as %s: status %d, want 404", r.method, r.path, who, a.status)
		}
	case auth.Forbidden:
		if a.status != http.StatusForbidden {
			t.Errorf("%s %s as %s: status %d, want 403", r.method, r.path, who, a.status)
		}
	case auth.Allowed:
		if a.status == http.StatusForbidden || a.status == http.StatusUnauthorized {
			t.Errorf("%s %s as %s: status %d, but it is allowed", r.method, r.path, who, a.status)
		}
		if r.method == http.MethodGet && !strings.Contains(r.path, "/:i") && !needsLink(r.path) && a.status >= http.StatusBadRequest {
			t.Errorf("%s %s as %s: status %d, want the page", r.method, r.path, who, a.status)
		}
	}
}

// TestExhaustiveRoutes_EveryRole_NeedsTheAbility requests every route without a session
// and with every role, on projects of every visibility.
func TestExhaustiveRoutes_EveryRole_NeedsTheAbility(t *testing.T) {
	for _, visibility := range []models.Visibility{models.VisibilityPrivate, models.VisibilityInternal, models.VisibilityPublic} {
		t.Run(visibility.String(), func(t *testing.T) {
			s := newTestSite(t, modelstest.SQLite(t))
			s.setVisibility(visibility)
			// The target branch is unprotected, so that only roles decide.
			s.Git.AddCommit(s.Project.ID, "other", s.Git.Tip(s.Project.ID, "main"))
			s.Git.AddCommit(s.Project.ID, "topic", s.Git.Tip(s.Project.ID, "main"))
			s.MergeRequest("topic", "other")
			users := map[string]models.User{"stranger": s.User("stranger"), "admin": s.Admin("root")}
			roles := map[string]models.Role{}
			for _, role := range models.Roles {
				users[role.String()], roles[role.String()] = s.Member("a-"+role.String(), role), role
			}
			s.Git.AddCommit(s.Project.ID, "feature", s.Git.Tip(s.Project.ID, "main"))
			unknownIDs := routeIDs{iid: "1", id: "999999", delivery: "999999", sha: s.Git.Tip(s.Project.ID, "main")}
			for _, r := range s.routeTable() {
				path := r.address(unknownIDs)
				if r.method == http.MethodPost && r.path == adminUserPath+"/delete" {
					path = strings.Replace(path, "olga", "nobody", 1) // the other routes need olga's project
				}
				subject := auth.Subject{Visibility: visibility}
				assertSignInRequired(t, s, r, path, verdictFor(subject, r))
				for who, user := range users {
					subject = auth.Subject{SignedIn: true, Admin: user.Admin, Role: roles[who], Visibility: visibility}
					assertAbility(t, s, r, path, who, user, verdictFor(subject, r))
				}
			}
		})
	}
}

// verdictFor returns the expected verdict for a route.
func verdictFor(subject auth.Subject, r route) auth.Verdict {
	switch {
	case r.needs == anyone, r.needs == signedIn && subject.SignedIn:
		return auth.Allowed
	case r.needs == signedIn:
		return auth.Forbidden
	}
	if verdict := auth.Decide(subject, r.needs); verdict != auth.Forbidden || !isAdminPage(r.path) {
		return verdict
	}
	return auth.Hidden
}

// TestRoutes_IDsOfOtherProject_AreNotFound requests services, rules, tokens,
// members and deliveries of another project below olga/pear.
func TestRoutes_IDsOfOtherProject_AreNotFound(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	ctx, home := t.Context(), s.Project
	other := s.User("otto")
	s.Project = s.NewProject(other, "quince", models.VisibilityPrivate)
	s.Owner, other = other, s.Owner
	service := s.Service("theirs")
	if _, err := s.Store.CreateProjectToken(ctx, s.Owner, models.RoleOwner, s.Project.ID, models.AccessTokenInput{
		Name: "theirs", Scopes: []string{models.ScopeAPI}, ExpiresAt: s.Clock.Now().AddDate(0, 1, 0), Digest: auth.Digest("x"), Role: models.RoleDeveloper,
	}); err != nil {
		t.Fatal(err)
	}
	s.Git.AddCommit(s.Project.ID, "topic", s.Git.Tip(s.Project.ID, "main"))
	s.MergeRequest("topic", "main")
	deliveries := s.Deliveries(service)
	if len(deliveries) == 0 {
		t.Fatal("the other project has no delivery")
	}
	rules, _, err := s.Store.ProtectedBranches(ctx, s.Project.ID, "", models.Page{})
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := s.Store.ProjectTokens(ctx, s.Project.ID)
	if err != nil {
		t.Fatal(err)
	}
	s.Project, s.Owner = home, other
	s.openMergeRequest("topic")
	visitor := s.as(s.Owner)

	tried := 0
	for _, r := range s.routeTable() {
		if s.leadsToForm(r) || !r.isProjectPage() || !strings.Contains(r.path, "/:id") || strings.HasSuffix(r.path, ":iid") {
			continue
		}
		ids := routeIDs{iid: "1", delivery: strconv.FormatInt(deliveries[0].ID, 10)}
		switch {
		case strings.Contains(r.path, "status_checks"):
			ids.id = strconv.FormatInt(service.ID, 10)
		case strings.Contains(r.path, "branch_rules"):
			ids.id = strconv.FormatInt(rules[0].ID, 10)
		case strings.Contains(r.path, "access_tokens"):
			ids.id = strconv.FormatInt(tokens[0].ID, 10)
		case strings.Contains(r.path, "project_members"):
			ids.id = strconv.FormatInt(tokens[0].UserID, 10)
		default:
			t.Errorf("%s %s: the test has no id for this route", r.method, r.path)
			continue
		}
		tried++
		form := url.Values{"access_level": {"30"}, "name": {"main"}, "push_access_level": {"40"}, "merge_access_level": {"40"}}
		if a := visitor.do(r.method, r.address(ids), form); a.status != http.StatusNotFound {
			t.Errorf("%s %s: status %d for another project's id, want 404", r.method, r.path, a.status)
		}
	}
	if tried < 12 {
		t.Errorf("only %d routes were tried, want at least 12", tried)
	}
}

func TestRoutes_InvalidIDs_AreNotFound(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	s.openMergeRequest("topic")
	visitor := s.as(s.Owner)
	for _, r := range s.routeTable() {
		if s.leadsToForm(r) || !r.isProjectPage() || !strings.Contains(r.path, "/:i") {
			continue
		}
		for _, id := range []string{"0", "-1", "x", "1e3", "99999999999999999999", "%ff", "1%00", "%2e%2e"} {
			if a := visitor.do(r.method, r.address(routeIDs{iid: id, id: id, delivery: id}), url.Values{}); a.status != http.StatusNotFound {
				t.Errorf("%s %s with id %s: status %d, want 404", r.method, r.path, id, a.status)
			}
		}
	}
}

func TestUnknownPages_AreNotFound(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	for _, path := range []string{"/nobody/nothing", "/nobody", "/olga/pear/-/nothing", "/%ff/pear", "/olga/p%00", "/olga/pear/x/y", "/-/nothing"} {
		page := s.as(s.Owner).get(path).wantStatus(http.StatusNotFound)
		if got := page.text("h1"); got != "Page not found" {
			t.Errorf("%s: heading %q", path, got)
		}
		to := s.signedOut().get(path).wantStatus(http.StatusSeeOther).header.Get("Location")
		if want := signInPath + "?return_to=" + url.QueryEscape(path); to != want && to != signInPath {
			t.Errorf("%s: a visitor is redirected to %q, want %q", path, to, want)
		}
	}
	s.as(s.Owner).do(http.MethodDelete, pearPath, nil).wantStatus(http.StatusNotFound)
}

func TestRenamedProject_OldPath_Redirects(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	path := "plum"
	if _, err := s.Store.UpdateProject(t.Context(), s.Owner, s.Project.ID, models.ProjectUpdate{Path: &path}); err != nil {
		t.Fatal(err)
	}
	for old, want := range map[string]string{
		pearPath:                            "/olga/plum",
		"/olga/pear/-/branches?search=a%2F": "/olga/plum/-/branches?search=a%2F",
	} {
		if got := s.as(s.Owner).get(old).wantStatus(http.StatusFound).header.Get("Location"); got != want {
			t.Errorf("%s redirects to %q, want %q", old, got, want)
		}
	}
	s.as(s.Owner).post(pearMembersPath, url.Values{}).wantStatus(http.StatusTemporaryRedirect)
	s.as(s.User("stranger")).get(pearPath).wantStatus(http.StatusNotFound)
	s.as(s.Owner).get(fmt.Sprintf("/%s/%s.git", "OLGA", "Plum")).wantStatus(http.StatusOK)
}

// TestFormActions_Get_RedirectToTheForm opens the action of every form, as a
// reload of a rejected form does.
func TestFormActions_Get_RedirectToTheForm(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	ids, _, _, _ := s.populate(t)
	visitors := []visitor{s.as(s.Owner), s.as(s.Admin("root"))}
	for _, r := range s.routeTable() {
		if r.method != http.MethodPost {
			continue
		}
		path, v := r.address(ids(r.path)), visitors[0]
		if isAdminPage(path) {
			v = visitors[1]
		}
		a := v.get(path)
		for range 3 {
			if a.status != http.StatusSeeOther {
				break
			}
			a = v.get(a.header.Get("Location"))
		}
		if a.status != http.StatusOK && !needsLink(r.path) {
			t.Errorf("GET %s: status %d, want a page", r.path, a.status)
		}
	}
	for path, want := range map[string]string{
		"/projects":                                       "/projects/new",
		"/olga/pear/-/merge_requests/1/merge":             pearMergeRequestsPath + "/1",
		"/olga/pear/-/project_members/1":                  pearMembersPath,
		"/olga/pear/-/settings/general/advanced":          pearGeneralPath,
		pearSettingsPath + "/status_checks":               pearSettingsPath + "/status_checks/new",
		"/olga/pear/-/settings/repository/branch_rules/1": pearRulesPath + "/1/edit",
		"/-/theme":                        "/",
		"/-/user_settings/sessions/1/end": "/-/user_settings",
	} {
		if got := visitors[0].get(path).wantStatus(http.StatusSeeOther).header.Get("Location"); got != want {
			t.Errorf("GET %s redirects to %s, want %s", path, got, want)
		}
	}
}
