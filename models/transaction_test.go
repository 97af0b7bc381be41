package models_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// A function that was added within a savepoint learns that the savepoint was rolled back,
// also if the transaction is committed.
func TestTransaction_SavepointRolledBack_TellsItsOwnFunctions(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		var ends []string
		end := func(tx *models.Store, name string) {
			tx.AfterEnd(func(committed bool) {
				ends = append(ends, name+map[bool]string{true: " committed", false: " rolled back"}[committed])
			})
		}
		failed := errors.New("failed")
		nested := func(tx *models.Store, name string, result error) {
			err := tx.Transaction(t.Context(), func(tx *models.Store) error { end(tx, name); return result })
			if !errors.Is(err, result) {
				t.Error(err)
			}
		}
		err := w.Store.Transaction(t.Context(), func(tx *models.Store) error {
			end(tx, "first")
			nested(tx, "second", failed)
			nested(tx, "third", nil)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		err = w.Store.Transaction(t.Context(), func(tx *models.Store) error {
			nested(tx, "fourth", nil)
			return failed
		})
		if !errors.Is(err, failed) {
			t.Fatal(err)
		}
		want := []string{"second rolled back", "first committed", "third committed", "fourth rolled back"}
		if !slices.Equal(ends, want) {
			t.Errorf("got %q, want %q", ends, want)
		}
	})
}
