package models_test

import (
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// createService creates a service with a time-out in seconds.
func createService(t *testing.T, w *modelstest.Fixture, name string, seconds int64, informational bool) models.ExternalStatusCheck {
	t.Helper()
	service, err := w.Store.CreateExternalStatusCheck(t.Context(), w.Owner, w.Project.ID, models.ExternalStatusCheckInput{
		Name: name, ExternalURL: "https://" + name + ".example.test/", TimeoutSeconds: &seconds, Informational: informational,
	}, false)
	if err != nil {
		t.Fatal(err)
	}
	return service
}

func updateService(t *testing.T, w *modelstest.Fixture, service models.ExternalStatusCheck, in models.ExternalStatusCheckUpdate, apply bool) models.ExternalStatusCheck {
	t.Helper()
	updated, err := w.Store.UpdateExternalStatusCheck(t.Context(), w.Owner, w.Project.ID, service.ID, in, apply)
	if err != nil {
		t.Fatal(err)
	}
	return updated
}

func TestTimeout_OutOfRange_IsRefused(t *testing.T) {
	for seconds, valid := range map[int64]bool{-1: false, 0: false, 9: false, 10: true, 120: true, 604800: true, 604801: false, 1 << 40: false} {
		in := models.ExternalStatusCheckInput{Name: "a", ExternalURL: "https://a.example.test/", TimeoutSeconds: &seconds}
		update := models.ExternalStatusCheckUpdate{TimeoutSeconds: &seconds}
		if err := in.Validate(); (err == nil) != valid {
			t.Errorf("creating with %d s: %v", seconds, err)
		}
		if err := update.Validate(); (err == nil) != valid {
			t.Errorf("updating to %d s: %v", seconds, err)
		}
	}
}

// More checks with a long time-out than the limit are pending for longer than the one that is due.
func TestExpirePending_MixedTimeouts_TakesWhatIsDue(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		for i := range 3 {
			createService(t, w, fmt.Sprintf("slow%d", i), 3600, false)
		}
		w.MergeRequest("feature", "main")
		w.Clock.Advance(time.Minute)
		quick := createService(t, w, "quick", 10, false)
		w.Git.SetBranch(w.Project.ID, "other", w.Git.Tip(w.Project.ID, "feature"))
		mr := w.MergeRequest("other", "main")
		w.Clock.Advance(9 * time.Second)
		if n, err := w.Store.ExpirePending(t.Context(), 2); n != 0 || err != nil {
			t.Fatalf("after 9 s: expired %d, %v", n, err)
		}
		w.Clock.Advance(1500 * time.Millisecond)
		if n, err := w.Store.ExpirePending(t.Context(), 2); n != 1 || err != nil {
			t.Fatalf("after 10.5 s: expired %d, %v", n, err)
		}
		if _, checks := w.Reload(mr); !slices.ContainsFunc(checks, func(c models.MergeRequestCheck) bool {
			return c.ExternalStatusCheckID == quick.ID && c.Status == models.StatusFailed && c.TimedOut
		}) {
			t.Errorf("checks: %+v", checks)
		}
		w.Clock.Advance(time.Hour)
		if n, err := w.Store.ExpirePending(t.Context(), 100); n != 6 || err != nil {
			t.Fatalf("after an hour: expired %d, %v", n, err)
		}
	})
}

func TestExpirePending_UsesIndexOfDeadlines(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		conn := db.SQL(t)
		var query string
		w.Store.SetHooks(models.Hooks{Query: func(sql string) {
			if strings.Contains(sql, "timeout_seconds") && strings.HasPrefix(sql, "SELECT") {
				query = sql
			}
		}})
		if _, err := w.Store.ExpirePending(t.Context(), 10); err != nil {
			t.Fatal(err)
		}
		explain := "EXPLAIN QUERY PLAN "
		if db.Driver == models.DriverPostgres {
			explain = "EXPLAIN "
			// The table is empty, so that the planner prefers to scan it.
			if _, err := conn.Exec("SET enable_seqscan = off; SET enable_bitmapscan = off"); err != nil {
				t.Fatal(err)
			}
			conn.SetMaxOpenConns(1)
		}
		if plan := planOf(t, conn, explain+query); !strings.Contains(plan, "merge_request_checks_deadline") {
			t.Errorf("plan of %s:\n%s", query, plan)
		}
	})
}

func planOf(t *testing.T, conn *sql.DB, query string) string {
	t.Helper()
	rows, err := conn.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var plan strings.Builder
	for rows.Next() {
		values := make([]any, len(columns))
		for i := range values {
			values[i] = new(any)
		}
		if err := rows.Scan(values...); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&plan, *values[len(values)-1].(*any))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return plan.String()
}

func TestInformationalCheck_NeverBlocks(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		hint := createService(t, w, "hint", 120, true)
		rule := createService(t, w, "rule", 120, false)
		on := true
		if _, err := w.Store.UpdateProject(t.Context(), w.Owner, w.Project.ID, models.ProjectUpdate{OnlyAllowMergeIfAllStatusChecksPassed: &on}); err != nil {
			t.Fatal(err)
		}
		mr := w.MergeRequest("feature", "main")
		merge := func() error {
			_, err := w.Store.Merge(t.Context(), w.Owner, w.Project.ID, mr.IID, models.MergeOptions{Role: models.RoleOwner})
			return err
		}
		if err := w.Respond(mr, hint, mr.HeadSHA, models.StatusFailed); err != nil {
			t.Fatal(err)
		}
		if err := merge(); models.CodeOf(err) != models.CodeMergeBlocked {
			t.Fatalf("merging with a pending check: %v", err)
		}
		if err := w.Respond(mr, rule, mr.HeadSHA, models.StatusPassed); err != nil {
			t.Fatal(err)
		}
		if err := merge(); err != nil {
			t.Fatalf("an informational check blocks: %v", err)
		}
		// What stood at the merge is kept.
		no := false
		updateService(t, w, hint, models.ExternalStatusCheckUpdate{Informational: &no}, true)
		_, checks := w.Reload(mr)
		if checks[0].Name != "hint" || !checks[0].Informational || checks[0].Status != models.StatusFailed {
			t.Errorf("after the merge: %+v", checks[0])
		}
	})
}

func TestUpdateService_ApplyTimeoutAndInformational(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		service := createService(t, w, "a", 120, false)
		mr := w.MergeRequest("feature", "main")
		hour, yes := int64(3600), true
		change := models.ExternalStatusCheckUpdate{TimeoutSeconds: &hour, Informational: &yes}

		updated := updateService(t, w, service, change, false)
		if _, checks := w.Reload(mr); checks[0].TimeoutSeconds != 120 || checks[0].Informational {
			t.Fatalf("the copy changed without Also apply: %+v", checks[0])
		}
		if n, err := w.Store.CountApply(t.Context(), updated); n != 1 || err != nil {
			t.Fatalf("CountApply = %d, %v", n, err)
		}
		// The check has timed out, but no job has stored that yet.
		w.Clock.Advance(3 * time.Minute)
		updated = updateService(t, w, service, change, true)
		_, checks := w.Reload(mr)
		if updated.Applied != 1 || checks[0].TimeoutSeconds != 3600 || !checks[0].Informational {
			t.Fatalf("applied to %d: %+v", updated.Applied, checks[0])
		}
		if got := checks[0].StatusAt(w.Clock.Now()); got != models.StatusFailed || !checks[0].TimedOut {
			t.Errorf("a longer time-out made a failed check %s", got)
		}
		if n := len(w.Deliveries(service)); n != 1 {
			t.Errorf("%d deliveries, want only that of the opening", n)
		}
		w.Push("feature")
		w.Clock.Advance(59 * time.Minute)
		if got := w.Status(mr, service); got != models.StatusPending {
			t.Errorf("59 minutes after a push: %s", got)
		}
	})
}

func TestServiceSettings_AreAudited(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		service := createService(t, w, "a", 120, false)
		hour, yes := int64(3600), true
		headers := []models.CustomHeaderInput{{Name: "X-Key", Value: "very secret value"}}
		updateService(t, w, service, models.ExternalStatusCheckUpdate{TimeoutSeconds: &hour, Informational: &yes, CustomHeaders: &headers}, false)
		events, _, err := w.Store.AuditEvents(t.Context(), w.Project.ID, models.AuditFilter{}, models.Page{})
		if err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprint(events[0].Details)
		if want := "[{timeout_seconds 120 3600} {custom_headers  X-Key} {informational off on}]"; got != want {
			t.Errorf("audited %s, want %s", got, want)
		}
	})
}
