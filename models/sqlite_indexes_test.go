package models_test

import (
	"strings"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// SQLite has no statistics. It uses a partial index only for a statement with the index's
// own condition, prefers a condition on a state to it, and may read a long list in its order
// to find a few rows that another index has.
func TestSQLite_FewRows_AreFoundByTheirIndex(t *testing.T) {
	w := modelstest.New(t, modelstest.SQLite(t))
	service := w.Service("lint")
	mr := w.MergeRequest("feature", "main")
	before, page := mr.CreatedAt.Add(-time.Hour), models.Page{Number: 1, Size: 20}
	project := []int64{w.Project.ID}
	mergeRequests := func(filter models.MergeRequestFilter) func() error {
		return func() error {
			filter.ProjectIDs = project
			_, _, err := w.Store.MergeRequestsAndCounts(t.Context(), filter, page)
			return err
		}
	}
	deliveries := func(filter models.DeliveryFilter) func() error {
		return func() error {
			_, _, err := w.Store.Deliveries(t.Context(), w.Project.ID, service.ID, filter, page)
			return err
		}
	}
	backgroundWork := func() error {
		_, err := w.Store.BackgroundWork(t.Context(), 20)
		return err
	}
	const byID = "SEARCH merge_requests USING INTEGER PRIMARY KEY (rowid=?)"
	for name, c := range map[string]struct {
		run     func() error
		part    string // of the statements that are looked at
		indexes []string
	}{
		"failed deliveries":      {deliveries(models.DeliveryFilter{State: models.DeliveryFailed}), "failed", []string{"deliveries_service_ended"}},
		"tests":                  {deliveries(models.DeliveryFilter{Event: "test"}), "ORDER BY +id", []string{"deliveries_service_event (external_status_check_id=? AND kind=?)"}},
		"deliveries of a status": {deliveries(models.DeliveryFilter{HTTPStatus: "5xx"}), "last_http_status BETWEEN", []string{"deliveries_service_status"}},
		"health": {func() error {
			_, err := w.Store.ServiceHealth(t.Context(), w.Project.ID, service.ID)
			return err
		}, "FROM `deliveries` WHERE", []string{"deliveries_service (external_status_check_id=?"}},
		"open merge requests with a check": {func() error {
			_, err := w.Store.CountOpenWithCheck(t.Context(), w.Project.ID, service.ID)
			return err
		}, "merge_request_open", []string{"merge_request_checks_service_open"}},
		"begun merges":       {backgroundWork, "merging_sha <> ''", []string{"merge_requests_merging"}},
		"queues":             {backgroundWork, "opened_at IS NOT NULL", []string{"service_queues_opened", "service_queues_next_at"}},
		"services to apply":  {backgroundWork, "apply_after_id", []string{"external_status_checks_apply_after"}},
		"failed checks":      {mergeRequests(models.MergeRequestFilter{Checks: models.StatusFailed, State: models.StateOpened}), "merge_requests.state = \"opened\"", []string{"merge_request_checks_open", "(state=? AND id=?)"}},
		"pending checks":     {mergeRequests(models.MergeRequestFilter{Checks: models.StatusPending}), "FROM `merge_requests` WHERE", []string{"merge_request_checks_unsettled", byID}},
		"search":             {mergeRequests(models.MergeRequestFilter{Search: "feature"}), "`merge_requests` WHERE merge_requests.id IN", []string{byID}},
		"created after":      {mergeRequests(models.MergeRequestFilter{CreatedAfter: &before}), "ORDER BY merge_requests.iid", []string{"merge_requests_iid_key (project_id=? AND iid>?)"}},
		"created before":     {mergeRequests(models.MergeRequestFilter{CreatedBefore: &before}), "ORDER BY merge_requests.iid", []string{"merge_requests_iid_key (project_id=? AND iid<?)"}},
		"opened and created": {mergeRequests(models.MergeRequestFilter{CreatedAfter: &before, State: models.StateOpened}), "ORDER BY merge_requests.id DESC LIMIT 20", []string{"merge_requests_state (project_id=? AND state=? AND id>?)"}},
		"projects of somebody": {func() error {
			_, _, err := w.Store.Projects(t.Context(), &w.Owner, models.ProjectFilter{Membership: true}, page)
			return err
		}, "ORDER BY projects.last_activity_at", []string{"SEARCH projects USING INTEGER PRIMARY KEY (rowid=?)"}},
		"merged by a commit": {func() error {
			_, err := w.Store.MergeRequestsMergedBy(t.Context(), w.Project.ID, mr.HeadSHA)
			return err
		}, "merge_commit_sha", []string{"merge_requests_merge_commit", "merge_requests_squash_commit"}},
	} {
		t.Run(name, func(t *testing.T) {
			var statements []string
			w.Store.SetHooks(models.Hooks{Query: func(sql string) { statements = append(statements, sql) }})
			err := c.run()
			w.Store.SetHooks(models.Hooks{})
			if err != nil {
				t.Fatal(err)
			}
			found := false
			for _, statement := range statements {
				if !strings.Contains(statement, c.part) {
					continue
				}
				found = true
				plan := planOf(t, w.Store.DB(), "EXPLAIN QUERY PLAN "+statement)
				for _, index := range c.indexes {
					if !strings.Contains(plan, index) {
						t.Errorf("%s is not used for %s:\n%s", index, statement, plan)
					}
				}
			}
			if !found {
				t.Errorf("no statement has %s:\n%s", c.part, strings.Join(statements, "\n"))
			}
		})
	}
}
