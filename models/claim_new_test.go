package models_test

import (
	"strings"
	"testing"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// New deliveries to idle services are claimed with few statements, with the credentials
// of their services. One that is not admitted is taken by a later claim, and a second one
// to the same service waits for its turn.
func TestClaim_NewDeliveries_TakesFewStatements(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		lint, licence := w.Service("lint"), w.Service("licence")
		mr := w.MergeRequest("feature", "main")
		var statements []string
		w.Store.SetHooks(models.Hooks{Query: func(sql string) { statements = append(statements, sql) }})
		claimed, err := w.Store.Claim(t.Context(), models.ClaimOptions{Limit: 100, Admit: func(d models.Delivery, _ bool) bool {
			return d.ExternalStatusCheckID == lint.ID
		}})
		w.Store.SetHooks(models.Hooks{})
		if err != nil || len(claimed) != 1 || claimed[0].Delivery.ExternalStatusCheckID != lint.ID || claimed[0].SecretError != nil {
			t.Fatalf("claimed %+v, error %v", claimed, err)
		}
		// On PostgreSQL the lock, on SQLite the two settings; then one query and two updates.
		if limit := 5; len(statements) == 0 || len(statements) > limit {
			t.Errorf("%d statements, want at most %d:\n%s", len(statements), limit, strings.Join(statements, "\n"))
		}
		if stored := w.Deliveries(lint)[0]; stored.LeasedUntil == nil || !stored.LeasedUntil.Equal(*claimed[0].Delivery.LeasedUntil) || stored.Attempts != 1 {
			t.Errorf("stored %+v", stored)
		}
		if list := claim(t, w.Store, 100); len(list) != 1 || list[0].ExternalStatusCheckID != licence.ID {
			t.Fatalf("then claimed %+v", list)
		}
		finish(t, w.Store, answer200, w.Deliveries(lint)[0], w.Deliveries(licence)[0])

		w.Push("feature")
		other := mergeRequests(w, 1)[0]
		list := claim(t, w.Store, 100)
		if len(list) != 4 {
			t.Errorf("%d of %d deliveries of %d and %d are claimed", len(list), 4, mr.IID, other.IID)
		}
		if list := claim(t, w.Store, 100); len(list) != 0 {
			t.Errorf("claimed twice: %+v", list)
		}
	})
}
