package models_test

import (
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

func backgroundWork(t *testing.T, w *modelstest.Fixture, limit int) models.BackgroundWork {
	t.Helper()
	work, err := w.Store.BackgroundWork(t.Context(), limit)
	if err != nil {
		t.Fatal(err)
	}
	return work
}

func TestBackgroundWork_QueuesAndBreakers_AreCounted(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		if work := backgroundWork(t, w, 10); work.Waiting != 0 || work.OpenBreakers != 0 || len(work.Services) != 0 || work.OldestDueAt != nil {
			t.Errorf("idle: %+v", work)
		}
		slow := w.Service("slow")
		mergeRequests(w, 5)
		// No claim has seen these deliveries yet.
		created := w.Store.Now()
		w.Clock.Advance(time.Second)
		work := backgroundWork(t, w, 10)
		if work.Waiting != 5 || work.InFlight != 0 || work.OldestDueAt == nil || !work.OldestDueAt.Equal(created) {
			t.Errorf("new: %+v, want 5 due since %s", work, created)
		}
		if work.OldestReadyAt == nil || !work.OldestReadyAt.Equal(created) {
			t.Errorf("ready since %v, want %s", work.OldestReadyAt, created)
		}
		openBreaker(t, w, slow)
		if work = backgroundWork(t, w, 0); work.OpenBreakers != 1 || work.HalfOpenBreakers != 0 || work.OldestReadyAt != nil {
			t.Errorf("open breaker: %+v, want nothing ready", work)
		}
		w.Clock.Advance(10 * time.Second)
		if work = backgroundWork(t, w, 0); work.OpenBreakers != 1 || work.HalfOpenBreakers != 1 || work.OldestDueAt == nil {
			t.Errorf("probe due: %+v, want a half-open breaker", work)
		}
		fast := w.Service("fast")
		w.Git.SetBranch(w.Project.ID, "later", w.Git.Tip(w.Project.ID, "feature"))
		w.MergeRequest("later", "main")
		w.Clock.Advance(time.Minute)
		claimed := claim(t, w.Store, 1)
		if len(claimed) != 1 {
			t.Fatalf("claimed %d deliveries", len(claimed))
		}
		work = backgroundWork(t, w, 1)
		if work.Waiting != 7 || work.InFlight != 1 || work.OpenBreakers != 1 || len(work.Services) != 1 {
			t.Fatalf("%+v, want 7 waiting, 1 in flight, 1 open breaker and 1 of 2 services", work)
		}
		first := work.Services[0]
		if first.ServiceID != slow.ID || first.ServiceName != "slow" || first.ProjectPath != "olga/pear" || first.Waiting != 6 || first.Breaker.OpenedAt == nil {
			t.Errorf("first service %+v", first)
		}
		if work = backgroundWork(t, w, 10); len(work.Services) != 2 || work.Services[1].ServiceID != fast.ID || work.Services[1].Waiting != 1 {
			t.Errorf("services %+v", work.Services)
		}
	})
}

func TestBackgroundWork_UnfinishedOperations_AreCounted(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		began := w.Store.Now()
		for range 2 {
			_, err := w.Store.PreparePush(t.Context(), w.Owner, w.Project.ID, "req_1", []models.RefUpdate{{Ref: "refs/heads/x"}}, models.PushOptions{})
			if err != nil {
				t.Fatal(err)
			}
			w.Clock.Advance(time.Minute)
		}
		work := backgroundWork(t, w, 0)
		if len(work.Recoveries) != len(models.RecoveryKinds) {
			t.Fatalf("recoveries %+v", work.Recoveries)
		}
		for _, r := range work.Recoveries {
			want := 0
			if r.Kind == models.RecoverPendingPushes {
				want = 2
				if r.OldestAt == nil || !r.OldestAt.Equal(began) {
					t.Errorf("oldest pending push %v, want %s", r.OldestAt, began)
				}
			}
			if r.Count != want {
				t.Errorf("%s: %d, want %d", r.Kind, r.Count, want)
			}
		}
	})
}
