package models_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

func TestRecentDeliveries_LastOfEachService(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		busy, calm, quiet := w.Service("licence"), w.Service("security"), w.Service("load")
		send := func(service models.ExternalStatusCheck, times int) (ids []int64) {
			t.Helper()
			for range times {
				d, err := w.Store.SendTest(t.Context(), w.Owner, w.Project.ID, service.ID)
				if err != nil {
					t.Fatal(err)
				}
				ids = append(ids, d.ID)
			}
			return ids
		}
		first, only := send(busy, 3), send(calm, 1)
		last := send(busy, 2)
		want := map[int64][]int64{busy.ID: {first[2], last[0], last[1]}, calm.ID: only}
		recent, err := w.Store.RecentDeliveries(t.Context(), w.Project.ID, 3)
		if err != nil {
			t.Fatal(err)
		}
		got := map[int64][]int64{}
		for service, deliveries := range recent {
			for _, d := range deliveries {
				got[service] = append(got[service], d.ID)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if len(recent[quiet.ID]) != 0 {
			t.Errorf("a service that was sent nothing has %v", recent[quiet.ID])
		}
		other := w.NewProject(w.Owner, "plum", models.VisibilityPublic)
		if recent, err := w.Store.RecentDeliveries(t.Context(), other.ID, 3); err != nil || len(recent) != 0 {
			t.Errorf("another project has %v, %v", recent, err)
		}
	})
}
