package jobs

import (
	"context"
	"log/slog"
	"sync"
	"testing"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// The response of the last service wakes the loops of two processes, and one of them
// merges. They stop when their context ends.
func TestAutoMerger_LastResponse_WakesLoopAndMergesOnce(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		service := w.Service("licence")
		mr := w.MergeRequest("feature", "main")
		if _, err := w.Store.AutoMerge(t.Context(), w.Owner, mr.ProjectID, mr.IID, models.MergeOptions{Role: models.RoleOwner}); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		var loops sync.WaitGroup
		for range 2 {
			loops.Go(func() { (&autoMerger{store: w.Store, log: slog.New(slog.DiscardHandler)}).run(ctx) })
		}
		if err := w.Respond(mr, service, mr.HeadSHA, models.StatusPassed); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the merge request is merged", func() bool {
			got, _ := w.Reload(mr)
			return got.State == models.StateMerged
		})
		stop()
		loops.Wait()
		merges := 0
		for _, d := range w.Deliveries(service) {
			if d.Action == models.ActionMerged {
				merges++
			}
		}
		if merges != 1 {
			t.Fatalf("%d merge events", merges)
		}
	})
}
