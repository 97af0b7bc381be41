package models_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// The counts equal StatusAt to the microsecond and ignore merge requests that are not
// open.
func TestCountOpenChecks_UsesCurrentState(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		licence, security := w.Service("licence"), w.Service("security")
		w.Service("load")
		other := w.NewProject(w.Owner, "plum", models.VisibilityPublic)
		mr := w.MergeRequest("feature", "main")
		count := func() models.StatusCounts {
			t.Helper()
			counts, err := w.Store.CountOpenChecks(t.Context(), w.Project.ID, other.ID)
			if err != nil {
				t.Fatal(err)
			}
			if n, found := counts[other.ID]; found {
				t.Errorf("a project without checks has %+v", n)
			}
			return counts[w.Project.ID]
		}
		if err := w.Respond(mr, licence, mr.HeadSHA, models.StatusPassed); err != nil {
			t.Fatal(err)
		}
		if err := w.Respond(mr, security, mr.HeadSHA, models.StatusFailed); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(models.StatusCounts{Passed: 1, Pending: 1, Failed: 1}, count()); diff != "" {
			t.Error(diff)
		}
		w.Clock.Advance(2 * time.Minute)
		if diff := cmp.Diff(models.StatusCounts{Passed: 1, Pending: 1, Failed: 1}, count()); diff != "" {
			t.Error("at two minutes:", diff)
		}
		w.Clock.Advance(time.Microsecond)
		if diff := cmp.Diff(models.StatusCounts{Passed: 1, Failed: 2}, count()); diff != "" {
			t.Error("after two minutes:", diff)
		}
		open, err := w.Store.CountOpenMergeRequests(t.Context(), w.Project.ID, other.ID)
		if err != nil || open[w.Project.ID] != 1 || open[other.ID] != 0 {
			t.Errorf("open merge requests %v, %v", open, err)
		}
		if _, err := w.Store.CloseMergeRequest(t.Context(), w.Owner, w.Project.ID, mr.IID); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(models.StatusCounts{}, count()); diff != "" {
			t.Error("after closing:", diff)
		}
	})
}

// The order uses the current time-outs and does not reveal checks that the user cannot
// see.
func TestProjects_OrderByFailed(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		w.Service("licence")
		w.MergeRequest("feature", "main")
		w.Clock.Advance(time.Minute)
		w.NewProject(w.Owner, "plum", models.VisibilityPrivate)
		guest := w.Member("gus", models.RoleGuest)
		reporter, admin := w.Member("rex", models.RoleReporter), w.Admin("ada")
		w.Clock.Advance(time.Minute)
		order := func(user *models.User, by string) []string {
			t.Helper()
			list, _, err := w.Store.Projects(t.Context(), user, models.ProjectFilter{OrderBy: by},
				models.Page{Number: 1, Size: 20})
			if err != nil {
				t.Fatal(err)
			}
			names := make([]string, 0, len(list))
			for _, access := range list {
				names = append(names, access.Project.Path)
			}
			return names
		}
		if got := order(&w.Owner, models.OrderByFailed); !slices.Equal(got, []string{"plum", "pear"}) {
			t.Errorf("at two minutes: %v", got)
		}
		w.Clock.Advance(time.Microsecond)
		if got := order(&w.Owner, models.OrderByFailed); !slices.Equal(got, []string{"pear", "plum"}) {
			t.Errorf("after two minutes: %v", got)
		}
		if got := order(&admin, models.OrderByFailed); !slices.Equal(got, []string{"pear", "plum"}) {
			t.Errorf("an administrator: %v", got)
		}
		// A public project with a guest and a reporter.
		public := models.VisibilityPublic
		if _, err := w.Store.UpdateProject(t.Context(), w.Owner, w.Project.ID, models.ProjectUpdate{Visibility: &public}); err != nil {
			t.Fatal(err)
		}
		w.Clock.Advance(time.Hour)
		w.NewProject(w.Owner, "quince", models.VisibilityPublic)
		for name, test := range map[string]struct {
			user *models.User
			want []string
		}{
			"reporter": {&reporter, []string{"pear", "quince"}},
			"guest":    {&guest, []string{"quince", "pear"}},
			"visitor":  {nil, []string{"quince", "pear"}},
		} {
			if got := order(test.user, models.OrderByFailed); !slices.Equal(got, test.want) {
				t.Errorf("%s: %v, want %v", name, got, test.want)
			}
		}
		mine, all, err := w.Store.CountProjects(t.Context(), &guest)
		if err != nil || mine != 1 || all != 2 {
			t.Errorf("the guest has %d of %d projects, %v", mine, all, err)
		}
		if mine, all, err = w.Store.CountProjects(t.Context(), nil); err != nil || mine != 0 || all != 2 {
			t.Errorf("a visitor has %d of %d projects, %v", mine, all, err)
		}
	})
}

func TestOpenMergeRequestsFrom_IgnoresClosed(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		mr := w.MergeRequest("feature", "main")
		w.Git.AddCommit(w.Project.ID, "topic", w.Git.Tip(w.Project.ID, "main"))
		gone := w.MergeRequest("topic", "main")
		if _, err := w.Store.CloseMergeRequest(t.Context(), w.Owner, w.Project.ID, gone.IID); err != nil {
			t.Fatal(err)
		}
		open, err := w.Store.OpenMergeRequestsFrom(t.Context(), w.Project.ID, "main", "topic", "feature")
		if diff := cmp.Diff(map[string]int64{"feature": mr.IID}, open); err != nil || diff != "" {
			t.Error(err, diff)
		}
		if open, err = w.Store.OpenMergeRequestsFrom(t.Context(), w.Project.ID); err != nil || len(open) != 0 {
			t.Errorf("no branches: %v, %v", open, err)
		}
	})
}
