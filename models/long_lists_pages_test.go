package models_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// seedLists fills the database of a fixture with 400 merge requests and makes every other
// project visible to all users.
func seedLists(t *testing.T, db modelstest.Database) *modelstest.Fixture {
	t.Helper()
	w := modelstest.New(t, db)
	_, err := w.Store.Seed(t.Context(), models.SeedInput{
		Authors: []models.User{w.Owner, w.User("anna")}, Large: w.Project, MergeRequests: 400,
		Head: models.Commit{SHA: w.Git.Tip(w.Project.ID, "main"), CommittedAt: w.Clock.Now()},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		"UPDATE projects SET visibility = 10 * (id % 2)",
		// Some equal times, so that the ids decide.
		"UPDATE merge_requests SET updated_at = (SELECT min(updated_at) FROM merge_requests) WHERE id % 3 = 0",
		// Some projects without failed checks.
		"UPDATE merge_request_checks SET status = 'passed' WHERE project_id % 3 = 0",
	} {
		if _, err := db.SQL(t).Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// Pages of a list are read differently from the whole list, and have the same order.
func TestMergeRequests_PagesAreThoseOfTheWholeList(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := seedLists(t, db)
		reader, conn := w.User("rita"), db.SQL(t)
		for _, projects := range []int{0, 201} { // few readable projects, and more than a list names
			for i := range projects {
				_, err := conn.Exec(`INSERT INTO projects (namespace_id, name, path, path_key, visibility, default_branch, created_at, updated_at, last_activity_at)
					SELECT namespace_id, $1, $1, $1, 10, 'main', created_at, updated_at, last_activity_at FROM projects WHERE id = $2`, fmt.Sprint("empty", i), w.Project.ID)
				if err != nil {
					t.Fatal(err)
				}
			}
			for _, state := range []models.MergeRequestState{"", models.StateOpened, models.StateMerged} {
				for _, orderBy := range []string{"created_at", "updated_at", "title"} {
					for _, author := range []int64{0, w.Owner.ID} {
						for _, ascending := range []bool{false, true} {
							filter := models.MergeRequestFilter{ReadableBy: &reader, State: state, OrderBy: orderBy, Ascending: ascending, AuthorID: author}
							assertPages(t, w.Store, filter)
						}
					}
				}
			}
		}
	})
}

func assertPages(t *testing.T, s *models.Store, filter models.MergeRequestFilter) {
	t.Helper()
	ids := func(page models.Page) []models.MergeRequest {
		list, _, err := s.MergeRequests(t.Context(), filter, page)
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	equal := func(a, b models.MergeRequest) bool { return a.ID == b.ID }
	whole := ids(models.Page{})
	if len(whole) == 0 || len(whole) == 400 {
		t.Fatalf("%+v: %d merge requests are readable", filter, len(whole))
	}
	const size = 7
	after := &models.Cursor{}
	for number := range 4 {
		want := whole[min(number*size, len(whole)):min((number+1)*size, len(whole))]
		if got := ids(models.Page{Number: number + 1, Size: size}); !slices.EqualFunc(got, want, equal) {
			t.Errorf("%+v: page %d differs from the whole list", filter, number+1)
		}
		if filter.OrderBy == "title" {
			continue
		}
		got := ids(models.Page{Size: size, After: after})
		if !slices.EqualFunc(got, want, equal) {
			t.Errorf("%+v: page %d by keyset differs from the whole list", filter, number+1)
		}
		if len(want) > 0 {
			last := want[len(want)-1]
			after = &models.Cursor{ID: last.ID, Time: last.UpdatedAt}
		}
	}
}

func TestProjects_FailedFirst_PagesAreThoseOfTheWholeList(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := seedLists(t, db)
		admin := w.Admin("ada")
		for _, user := range []models.User{w.Owner, admin, w.User("rita")} {
			filter := models.ProjectFilter{OrderBy: models.OrderByFailed}
			whole, total, err := w.Store.Projects(t.Context(), &user, filter, models.Page{})
			if err != nil || int(total) != len(whole) || total < 2 {
				t.Fatalf("%s: %d projects, total %d, %v", user.Username, len(whole), total, err)
			}
			failed, rest := -1, false
			for i, access := range whole {
				counts, err := w.Store.CountOpenChecks(t.Context(), access.Project.ID)
				if err != nil {
					t.Fatal(err)
				}
				switch has := counts[access.Project.ID].Failed > 0; {
				case has && rest:
					t.Errorf("%s: project %d with failed checks is listed after one without", user.Username, i)
				case has:
					failed = i
				default:
					rest = true
				}
			}
			if failed < 0 || !rest {
				t.Errorf("%s sees only projects of one sort", user.Username)
			}
			for _, size := range []int{1, 2, 3} {
				for number := range len(whole)/size + 2 {
					got, _, err := w.Store.Projects(t.Context(), &user, filter, models.Page{Number: number + 1, Size: size})
					want := whole[min(number*size, len(whole)):min((number+1)*size, len(whole))]
					if err != nil || !slices.EqualFunc(got, want, func(a, b models.Access) bool { return a.Project.ID == b.Project.ID }) {
						t.Errorf("%s: page %d of size %d differs from the whole list, %v", user.Username, number+1, size, err)
					}
				}
			}
		}
	})
}

func TestProjects_Search(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		w.NewProject(w.Owner, "plum_100", models.VisibilityPrivate)
		owner := w.Owner.Username
		for search, want := range map[string][]string{
			"PEAR": {"pear"}, "m_1": {"plum_100"}, "%": {}, "zzz": {}, owner: {"pear", "plum_100"}, owner + "/": {"pear", "plum_100"},
			owner[1:] + "/p": {"pear", "plum_100"}, owner + "/pl": {"plum_100"}, "/pear": {"pear"}, "x" + owner + "/pear": {},
			owner + "/pear/": {}, "/": {"pear", "plum_100"}, owner[1:] + "/ear": {},
		} {
			list, total, err := w.Store.Projects(t.Context(), &w.Owner, models.ProjectFilter{Search: search, OrderBy: "path", Ascending: true}, models.Page{Number: 1, Size: 20})
			got := make([]string, 0, len(list))
			for _, access := range list {
				got = append(got, access.Project.Path)
			}
			if err != nil || int(total) != len(got) || !slices.Equal(got, want) {
				t.Errorf("search %q: %q, total %d, %v, want %q", search, got, total, err, want)
			}
		}
	})
}

func TestAuditEvents_PagesOfAKindAreThoseOfTheWholeList(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := seedLists(t, db)
		for i := range 5 {
			w.Clock.Advance(time.Second)
			user := w.Member(fmt.Sprint("member", i), models.RoleGuest)
			if _, err := w.Store.BlockUser(t.Context(), w.Admin(fmt.Sprint("admin", i)), user.ID); err != nil {
				t.Fatal(err)
			}
		}
		for name, filter := range map[string]models.AuditFilter{
			"members": {Kind: models.AuditKindMembers}, "merge requests": {Kind: models.AuditKindMergeRequests},
			"users": {Kind: models.AuditKindUsers}, "all users": {Kind: models.AuditKindUsers, Everywhere: true}, "unknown": {Kind: "pears"},
		} {
			var project int64
			if filter.Kind == models.AuditKindMembers || filter.Kind == models.AuditKindMergeRequests {
				project = w.Project.ID
			}
			whole, total, err := w.Store.AuditEvents(t.Context(), project, filter, models.Page{})
			if err != nil || int(total) != len(whole) || (len(whole) < 5) != (name == "unknown") {
				t.Fatalf("%s: %d events, total %d, %v", name, len(whole), total, err)
			}
			for number := range 4 {
				got, _, err := w.Store.AuditEvents(t.Context(), project, filter, models.Page{Number: number + 1, Size: 3})
				want := whole[min(number*3, len(whole)):min(number*3+3, len(whole))]
				if err != nil || !slices.EqualFunc(got, want, func(a, b models.AuditEvent) bool { return a.ID == b.ID }) {
					t.Errorf("%s: page %d differs from the whole list, %v", name, number+1, err)
				}
			}
			n := 0
			if _, err := w.Store.EachAuditEvent(t.Context(), project, filter, 1000, func(e models.AuditEvent) error {
				if n++; e.ID != whole[n-1].ID {
					t.Errorf("%s: event %d of the export differs from the list", name, n)
				}
				return nil
			}); err != nil || n != len(whole) {
				t.Errorf("%s: %d events exported of %d, %v", name, n, len(whole), err)
			}
		}
	})
}
