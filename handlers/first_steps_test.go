package handlers

import (
	"net/http"
	"strings"
	"testing"

	"github.com/mergegate/mergegate/models"
)

// The first steps tick themselves off and go when all are done. Each is shown to those who
// may do it.
func TestOverview_FirstSteps_FollowTheDatabase(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		ns, err := s.Store.Namespace(t.Context(), s.Owner.Username)
		if err != nil {
			t.Fatal(err)
		}
		project, err := s.Store.CreateProject(t.Context(), s.Owner, models.ProjectInput{NamespaceID: ns.ID, Name: "Empty", Path: "empty"}, false)
		if err != nil {
			t.Fatal(err)
		}
		dev, rex := s.User("dev"), s.User("rex")
		for user, role := range map[models.User]models.Role{dev: models.RoleDeveloper, rex: models.RoleReporter} {
			if _, err := s.Store.AddMember(t.Context(), s.Owner, models.RoleOwner, project.ID, user.ID, role); err != nil {
				t.Fatal(err)
			}
		}
		const path = "/olga/empty"
		steps := func(user models.User) string {
			t.Helper()
			var list []string
			for _, step := range s.as(user).get(path).wantStatus(http.StatusOK).Find("#first-steps .step h3").EachIter() {
				list = append(list, collapseSpace(step.Text()))
			}
			return strings.Join(list, "; ")
		}
		expect := func(user models.User, want string) {
			t.Helper()
			if got := steps(user); got != want {
				t.Errorf("%s sees %q, want %q", user.Username, got, want)
			}
		}
		const push, service, required = "Push a first commit", "Add the first status check", "Require status checks to succeed"
		expect(s.Owner, "To do: "+push+"; To do: "+service+"; To do: "+required)
		expect(dev, "To do: "+push)
		expect(rex, "")
		page := s.as(s.Owner).get(path)
		if got := page.text("#first-push"); !strings.Contains(got, "git clone http://mergegate.test/olga/empty.git") {
			t.Errorf("commands %q", got)
		}
		if got := page.attr("#step-service", "href"); got != path+"/-/settings/merge_requests/status_checks/new" {
			t.Errorf("link to the form %q", got)
		}
		s.Git.AddCommit(project.ID, "main", "")
		expect(dev, "")
		expect(s.Owner, "Done: "+push+"; To do: "+service+"; To do: "+required)
		if _, err := s.Store.CreateExternalStatusCheck(t.Context(), s.Owner, project.ID, models.ExternalStatusCheckInput{Name: "a", ExternalURL: "https://a.example.test/"}, false); err != nil {
			t.Fatal(err)
		}
		expect(s.Owner, "Done: "+push+"; Done: "+service+"; To do: "+required)
		on := true
		if _, err := s.Store.UpdateProject(t.Context(), s.Owner, project.ID, models.ProjectUpdate{OnlyAllowMergeIfAllStatusChecksPassed: &on}); err != nil {
			t.Fatal(err)
		}
		expect(s.Owner, "")
	})
}
