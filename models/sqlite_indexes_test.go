package models_test

import (
	"strings"
	"testing"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// SQLite uses a partial index only for a statement with the index's own condition, and
// prefers a condition on a state to it.
func TestSQLite_FewRows_AreFoundByTheirIndex(t *testing.T) {
	w := modelstest.New(t, modelstest.SQLite(t))
	service := w.Service("lint")
	var statements []string
	w.Store.SetHooks(models.Hooks{Query: func(sql string) { statements = append(statements, sql) }})
	_, _, err := w.Store.Deliveries(t.Context(), w.Project.ID, service.ID, models.DeliveryFilter{State: models.DeliveryFailed}, models.Page{Number: 1, Size: 20})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Store.BackgroundWork(t.Context(), 20); err != nil {
		t.Fatal(err)
	}
	w.Store.SetHooks(models.Hooks{})
	for part, index := range map[string]string{"failed": "deliveries_service_ended", "merging_sha <> ''": "merge_requests_merging"} {
		found := false
		for _, statement := range statements {
			if !strings.Contains(statement, part) {
				continue
			}
			found = true
			if plan := planOf(t, w.Store.DB(), "EXPLAIN QUERY PLAN "+statement); !strings.Contains(plan, index) {
				t.Errorf("%s is not used for %s:\n%s", index, statement, plan)
			}
		}
		if !found {
			t.Errorf("no statement has %s", part)
		}
	}
}
