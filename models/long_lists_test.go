package models_test

import (
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// listed returns the titles of the merge requests that a filter selects.
func listed(t *testing.T, s *models.Store, filter models.MergeRequestFilter, page models.Page) []string {
	t.Helper()
	list, total, err := s.MergeRequests(t.Context(), filter, page)
	if err != nil {
		t.Fatal(err)
	}
	if page.Size == 0 && int(total) != len(list) {
		t.Errorf("%d listed, total %d", len(list), total)
	}
	titles := make([]string, len(list))
	for i, mr := range list {
		titles[i] = mr.Title
	}
	return titles
}

func TestMergeRequests_Search(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		for i, title := range []string{"Fix the cache", "Grüße 100%_\"x'", "日本語 title", `back\slash`} {
			branch := fmt.Sprint("b", i)
			w.Git.AddCommit(w.Project.ID, branch, w.Git.Tip(w.Project.ID, "main"))
			_, err := w.Store.CreateMergeRequest(t.Context(), w.Owner, w.Project.ID, models.MergeRequestInput{
				Title: title, Description: "Ticket T-" + fmt.Sprint(i), SourceBranch: branch, TargetBranch: "main",
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		changed := "Now about parsers"
		if _, err := w.Store.UpdateMergeRequest(t.Context(), w.Owner, w.Project.ID, 1, models.MergeRequestUpdate{Description: &changed}); err != nil {
			t.Fatal(err)
		}
		for search, want := range map[string][]string{
			"CACHE": {"Fix the cache"}, "he ca": {"Fix the cache"}, "parser": {"Fix the cache"}, "T-0": {}, "T-1": {"Grüße 100%_\"x'"},
			`0%_"x'`: {"Grüße 100%_\"x'"}, "100_": {}, "日本語": {"日本語 title"}, "日": {"日本語 title"}, `K\S`: {`back\slash`}, "xx": {},
			"cache OR parser": {}, "T-": {`back\slash`, "日本語 title", "Grüße 100%_\"x'"},
		} {
			got := listed(t, w.Store, models.MergeRequestFilter{ProjectIDs: []int64{w.Project.ID}, Search: search}, models.Page{})
			if !slices.Equal(got, want) {
				t.Errorf("search %q: %q, want %q", search, got, want)
			}
		}
		if err := w.Store.DeleteProject(t.Context(), w.Owner, w.Project.ID); err != nil {
			t.Fatal(err)
		}
		if got := listed(t, w.Store, models.MergeRequestFilter{Search: "parser"}, models.Page{}); len(got) != 0 {
			t.Errorf("found %q in a deleted project", got)
		}
	})
}

func TestMergeRequests_OrderFilterAndKeyset(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		other := w.NewProject(w.Owner, "plum", models.VisibilityPrivate)
		w.Git.AddCommit(other.ID, "topic", w.Git.Tip(other.ID, "main"))
		begin := w.Clock.Now()
		for i := range 5 {
			w.Clock.Advance(time.Minute)
			branch := fmt.Sprint(i)
			w.Git.AddCommit(w.Project.ID, branch, w.Git.Tip(w.Project.ID, "main"))
			w.MergeRequest(branch, "main")
		}
		title := func(iid int64, title string) {
			w.Clock.Advance(time.Minute)
			if _, err := w.Store.UpdateMergeRequest(t.Context(), w.Owner, w.Project.ID, iid, models.MergeRequestUpdate{Title: &title}); err != nil {
				t.Fatal(err)
			}
		}
		for _, iid := range []int64{3, 1, 5, 2, 4} {
			title(iid, fmt.Sprint(iid))
		}
		if _, err := w.Store.CloseMergeRequest(t.Context(), w.Owner, w.Project.ID, 5); err != nil {
			t.Fatal(err)
		}
		counts, err := w.Store.CountMergeRequests(t.Context(), models.MergeRequestFilter{ProjectIDs: []int64{w.Project.ID}})
		if want := map[models.MergeRequestState]int64{models.StateOpened: 4, models.StateClosed: 1}; err != nil || !maps.Equal(counts, want) {
			t.Errorf("counts %v, %v, want %v", counts, err, want)
		}
		reader, outsider := w.Member("rita", models.RoleReporter), w.User("otto")
		fifthChange := begin.Add(10 * time.Minute) // of the title of the fourth
		third, fourth := begin.Add(3*time.Minute), begin.Add(4*time.Minute)
		for name, c := range map[string]struct {
			filter models.MergeRequestFilter
			want   []string
		}{
			"newest":         {models.MergeRequestFilter{}, []string{"5", "4", "3", "2", "1"}},
			"oldest opened":  {models.MergeRequestFilter{State: models.StateOpened, Ascending: true}, []string{"1", "2", "3", "4"}},
			"updated":        {models.MergeRequestFilter{OrderBy: "updated_at", State: models.StateOpened}, []string{"4", "2", "1", "3"}},
			"title":          {models.MergeRequestFilter{OrderBy: "title", Ascending: true}, []string{"1", "2", "3", "4", "5"}},
			"created before": {models.MergeRequestFilter{CreatedBefore: &third}, []string{"3", "2", "1"}},
			"created after":  {models.MergeRequestFilter{CreatedAfter: &fourth}, []string{"5", "4"}},
			"updated after":  {models.MergeRequestFilter{UpdatedAfter: &fifthChange}, []string{"5", "4"}},
			"updated before": {models.MergeRequestFilter{UpdatedBefore: &third}, []string{}},
			"before all":     {models.MergeRequestFilter{CreatedBefore: &begin}, []string{}},
			"locked":         {models.MergeRequestFilter{State: "locked"}, []string{}},
			"member":         {models.MergeRequestFilter{ReadableBy: &reader}, []string{"5", "4", "3", "2", "1"}},
			"no member":      {models.MergeRequestFilter{ReadableBy: &outsider}, []string{}},
		} {
			if got := listed(t, w.Store, c.filter, models.Page{}); !slices.Equal(got, c.want) {
				t.Errorf("%s: %q, want %q", name, got, c.want)
			}
			if c.filter.OrderBy == "title" {
				continue
			}
			// The same list page by page.
			var got []string
			for after := new(models.Cursor); ; {
				page, _, err := w.Store.MergeRequests(t.Context(), c.filter, models.Page{Size: 2, After: after})
				if err != nil {
					t.Fatal(err)
				}
				for _, mr := range page {
					got = append(got, mr.Title)
				}
				if len(page) < 2 {
					break
				}
				after = &models.Cursor{ID: page[1].ID, Time: page[1].UpdatedAt}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%s by keyset: %q, want %q", name, got, c.want)
			}
		}
	})
}

// Users of more projects than a list names read the newest merge requests first, and the
// others from the projects' set.
func TestMergeRequests_ReadableInManyProjects(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		w.MergeRequest("feature", "main")
		reader := w.User("rita")
		conn := db.SQL(t)
		for i := range 201 {
			_, err := conn.Exec(`INSERT INTO projects (namespace_id, name, path, path_key, visibility, default_branch, created_at, updated_at, last_activity_at)
				SELECT namespace_id, $1, $1, $1, 10, 'main', created_at, updated_at, last_activity_at FROM projects WHERE id = $2`, fmt.Sprint("p", i), w.Project.ID)
			if err != nil {
				t.Fatal(err)
			}
		}
		filter := models.MergeRequestFilter{ReadableBy: &reader}
		if got := listed(t, w.Store, filter, models.Page{Number: 1, Size: 1}); len(got) != 0 {
			t.Errorf("a stranger sees %q", got)
		}
		if _, err := w.Store.AddMember(t.Context(), w.Owner, models.RoleOwner, w.Project.ID, reader.ID, models.RoleReporter); err != nil {
			t.Fatal(err)
		}
		for _, size := range []int{1, 20} { // a full page and one that is not
			if got := listed(t, w.Store, filter, models.Page{Number: 1, Size: size}); len(got) != 1 {
				t.Errorf("a reporter sees %q on a page of %d", got, size)
			}
		}
	})
}

// copyMergeRequest inserts n copies of a merge request.
func copyMergeRequest(t *testing.T, conn *sql.DB, mr models.MergeRequest, n int) {
	t.Helper()
	_, err := conn.Exec(`WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < $1)
		INSERT INTO merge_requests (project_id, iid, title, source_branch, target_branch, state, head_sha, head_committed_at, created_at, updated_at)
		SELECT project_id, (SELECT max(iid) FROM merge_requests) + s.n, title, 'x' || ((SELECT max(iid) FROM merge_requests) + s.n), target_branch,
			state, head_sha, head_committed_at, created_at, updated_at FROM merge_requests, s WHERE id = $2`, n, mr.ID)
	if err != nil {
		t.Fatal(err)
	}
}

// SQLite reads the merge requests that contain a text by their ids or, if they are many, in
// the order of the list. Both give the same list.
func TestMergeRequests_FrequentSearchOnSQLite_KeepsOrder(t *testing.T) {
	db := modelstest.SQLite(t)
	w := modelstest.New(t, db)
	mr := w.MergeRequest("feature", "main")
	for _, copies := range []int{10, 20_000} {
		copyMergeRequest(t, db.SQL(t), mr, copies)
		last := mr.IID + int64(copies)
		if copies > 10 {
			last += 10
		}
		list, total, err := w.Store.MergeRequests(t.Context(), models.MergeRequestFilter{ProjectIDs: []int64{w.Project.ID}, Search: mr.Title}, models.Page{Number: 2, Size: 2})
		if err != nil || len(list) != 2 || list[0].IID != last-2 || list[1].IID != last-3 {
			t.Fatalf("%d copies: %v, %v", copies, list, err)
		}
		if want := min(last, models.MaxListed+1); total != want {
			t.Errorf("%d copies: total %d, want %d", copies, total, want)
		}
	}
}

// The counts of all states are read at once where few rows match, and one by one otherwise.
// They are those of the lists of each state, and the filter's order and dates hold in each.
func TestMergeRequestsAndCounts_AgreeWithTheLists(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := seedLists(t, db)
		all := listOf(t, w.Store, models.MergeRequestFilter{ProjectIDs: []int64{w.Project.ID}})
		middle := all[len(all)/2].CreatedAt
		check := func(more ...models.MergeRequestFilter) {
			t.Helper()
			for _, filter := range append(more, []models.MergeRequestFilter{
				{}, {Search: "cache"}, {Search: "zzzz"}, {AuthorUsername: "Anna"}, {AuthorUsername: "nobody"}, {AuthorUsername: "anna", AuthorID: w.Owner.ID},
				{Checks: models.StatusFailed}, {Checks: models.StatusPending}, {Checks: models.StatusPassed}, {Checks: models.StatusFailed, Search: "cache"},
				{CreatedAfter: &middle}, {CreatedBefore: &middle, Ascending: true}, {CreatedAfter: &middle, CreatedBefore: &middle, OrderBy: "updated_at"},
			}...) {
				filter.ProjectIDs = []int64{w.Project.ID}
				assertCounts(t, w.Store, filter)
			}
		}
		check(models.MergeRequestFilter{Search: "re"}) // without the index of trigrams, in the newest thousand of each state
		// More unsettled checks than a list begins from.
		conn := db.SQL(t)
		copyMergeRequest(t, conn, all[0], 1200)
		_, err := conn.Exec(`INSERT INTO merge_request_checks (project_id, merge_request_id, external_status_check_id, name, external_url, scope,
				timeout_seconds, sha, status, pending_since, delivery_id, merge_request_open, created_at, updated_at)
			SELECT m.project_id, m.id, c.external_status_check_id, c.name, c.external_url, c.scope, c.timeout_seconds, c.sha,
				CASE WHEN m.id % 3 = 0 THEN 'failed' ELSE 'pending' END, m.created_at, NULL, m.state = 'opened', m.created_at, m.updated_at
			FROM merge_requests m, merge_request_checks c WHERE m.id > $1 AND c.merge_request_id = $2`, all[0].ID, all[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		w.Clock.Advance(time.Minute)
		check()
	})
}

func listOf(t *testing.T, s *models.Store, filter models.MergeRequestFilter) []models.MergeRequest {
	t.Helper()
	list, _, err := s.MergeRequests(t.Context(), filter, models.Page{})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// assertCounts compares counts and the first page with the whole lists of all states, from
// which it selects what the filter's dates, author and state leave.
func assertCounts(t *testing.T, s *models.Store, filter models.MergeRequestFilter) {
	t.Helper()
	whole := listOf(t, s, filter)
	for _, mr := range whole {
		if filter.CreatedAfter != nil && mr.CreatedAt.Before(*filter.CreatedAfter) || filter.CreatedBefore != nil && mr.CreatedAt.After(*filter.CreatedBefore) {
			t.Errorf("%+v: %d was created at %v", filter, mr.IID, mr.CreatedAt)
		}
		if filter.AuthorUsername != "" && !strings.EqualFold(mr.Author.Username, filter.AuthorUsername) {
			t.Errorf("%+v: %d was opened by %s", filter, mr.IID, mr.Author.Username)
		}
	}
	for _, filter.State = range []models.MergeRequestState{"", models.StateOpened, models.StateMerged, models.StateClosed} {
		var want []int64
		counts := map[models.MergeRequestState]int64{}
		for _, mr := range whole {
			counts[mr.State]++
			if (filter.State == "" || mr.State == filter.State) && len(want) < 7 {
				want = append(want, mr.ID)
			}
		}
		page, got, err := s.MergeRequestsAndCounts(t.Context(), filter, models.Page{Number: 1, Size: 7})
		if err != nil || !maps.Equal(got, counts) {
			t.Errorf("%+v: counts %v, %v, want %v", filter, got, err, counts)
		}
		var ids []int64
		for _, mr := range page {
			ids = append(ids, mr.ID)
		}
		if !slices.Equal(ids, want) {
			t.Errorf("%+v: page %v, want %v", filter, ids, want)
		}
	}
}

// Long lists are counted up to MaxListed, and a large count is kept for half a minute.
func TestCounts_AreBoundedAndKept(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		mr := w.MergeRequest("feature", "main")
		conn := db.SQL(t)
		add := func(n int) { copyMergeRequest(t, conn, mr, n) }
		total := func() int64 {
			t.Helper()
			_, total, err := w.Store.MergeRequests(t.Context(), models.MergeRequestFilter{ProjectIDs: []int64{w.Project.ID}}, models.Page{Number: 1, Size: 1})
			if err != nil {
				t.Fatal(err)
			}
			return total
		}
		for _, step := range []struct{ add, want int }{{999, 1000}, {1, 1001}, {1, 1001}} {
			add(step.add)
			if got := total(); got != int64(step.want) {
				t.Fatalf("after %d more: total %d, want %d", step.add, got, step.want)
			}
		}
		add(10_000)
		w.Clock.Advance(time.Minute)
		if got := total(); got != models.MaxListed+1 {
			t.Errorf("total %d, want %d", got, models.MaxListed+1)
		}
		open, err := w.Store.CountOpenMergeRequests(t.Context(), w.Project.ID)
		if err != nil || open[w.Project.ID] != models.MaxRowCount+1 {
			t.Errorf("row count %v, %v", open, err)
		}
	})
}

// The column that says whether a check's merge request is open follows every change.
func TestChecks_FollowStateOfMergeRequest(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		w.Service("licence")
		mr := w.MergeRequest("feature", "main")
		want := func(step string, want int) {
			t.Helper()
			counts, err := w.Store.CountOpenChecks(t.Context(), w.Project.ID)
			if got := counts[w.Project.ID].Total(); err != nil || got != want {
				t.Errorf("%s: %d checks of open merge requests, %v, want %d", step, got, err, want)
			}
		}
		want("opened", 1)
		if _, err := w.Store.CloseMergeRequest(t.Context(), w.Owner, w.Project.ID, mr.IID); err != nil {
			t.Fatal(err)
		}
		want("closed", 0)
		if _, err := w.Store.ReopenMergeRequest(t.Context(), w.Owner, w.Project.ID, mr.IID); err != nil {
			t.Fatal(err)
		}
		want("reopened", 1)
		w.Push("feature")
		want("pushed", 1)
		if _, err := w.Store.Merge(t.Context(), w.Owner, w.Project.ID, mr.IID, models.MergeOptions{Role: models.RoleOwner}); err != nil {
			t.Fatal(err)
		}
		want("merged", 0)
	})
}
