package models_test

import (
	"testing"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// PostgreSQL plans a search for its text. It would keep one plan for all texts if the
// statement were prepared. Polls are prepared.
func TestReader_PlansStatementsForTheirValues(t *testing.T) {
	w := modelstest.New(t, modelstest.Postgres(t), func(c *models.Config) { c.MaxConns = 1 })
	mr := w.MergeRequest("feature", "main")
	for range 10 { // PostgreSQL may change the plan after five
		listed(t, w.Store, models.MergeRequestFilter{ProjectIDs: []int64{w.Project.ID}, Search: "feature"}, models.Page{Number: 1, Size: 20})
		if _, _, err := w.Store.MergeRequestChecks(t.Context(), w.Project.ID, mr.IID); err != nil {
			t.Fatal(err)
		}
	}
	for part, want := range map[string]bool{"merge_request_texts": false, "merge_request_checks": true} {
		var n int
		err := w.Store.DB().QueryRow("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%' || $1 || '%'", part).Scan(&n)
		if err != nil || (n > 0) != want {
			t.Errorf("%d statements with %s are prepared, %v", n, part, err)
		}
	}
}
