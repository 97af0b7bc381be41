package models_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

var (
	answer200 = models.AttemptResult{HTTPStatus: 200}
	answer503 = models.AttemptResult{HTTPStatus: 503}
)

// claim claims deliveries on a store.
func claim(t *testing.T, store *models.Store, limit int) []models.Delivery {
	t.Helper()
	claimed, err := store.Claim(t.Context(), models.ClaimOptions{Limit: limit})
	if err != nil {
		t.Fatal(err)
	}
	var list []models.Delivery
	for _, c := range claimed {
		list = append(list, c.Delivery)
	}
	return list
}

// finish stores a result of claimed deliveries.
func finish(t *testing.T, store *models.Store, r models.AttemptResult, list ...models.Delivery) {
	t.Helper()
	for _, d := range list {
		if err := store.FinishDelivery(t.Context(), d, r); err != nil {
			t.Fatal(err)
		}
	}
}

// breaker returns a service's breaker.
func breaker(t *testing.T, w *modelstest.Fixture, service models.ExternalStatusCheck) models.Breaker {
	t.Helper()
	all, err := w.Store.Breakers(t.Context(), service.ProjectID)
	if err != nil {
		t.Fatal(err)
	}
	return all[service.ID]
}

// mergeRequests opens merge requests from branches of the same commit.
func mergeRequests(w *modelstest.Fixture, n int) (mrs []models.MergeRequest) {
	for i := range n {
		branch := fmt.Sprintf("branch-%d", i)
		w.Git.SetBranch(w.Project.ID, branch, w.Git.Tip(w.Project.ID, "feature"))
		mrs = append(mrs, w.MergeRequest(branch, "main"))
	}
	return mrs
}

// openBreaker lets five attempts at a service fail. The service must have deliveries of
// at least five merge requests.
func openBreaker(t *testing.T, w *modelstest.Fixture, service models.ExternalStatusCheck) models.Breaker {
	t.Helper()
	for range models.BreakerThreshold {
		finish(t, w.Store, answer503, claim(t, w.Store, 1)...)
	}
	b := breaker(t, w, service)
	if b.OpenedAt == nil {
		t.Fatalf("breaker %+v is closed", b)
	}
	return b
}

// While a breaker is open, all instances together make one attempt at a time, when the
// probe is due. A success closes the breaker and makes everything due.
func TestClaim_OpenBreaker_OneProbeOverAllInstances(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		other := modelstest.Open(t, db, func(c *models.Config) { c.Now = w.Clock.Now })
		service := w.Service("lint")
		mergeRequests(w, 8)
		b := openBreaker(t, w, service)
		if got := claim(t, w.Store, 64); len(got) != 0 {
			t.Fatalf("claimed %d deliveries behind an open breaker", len(got))
		}
		w.Clock.Advance(b.ProbeAt.Sub(w.Clock.Now()))
		probe := claim(t, other.Store, 64)
		if len(probe) != 1 || len(claim(t, w.Store, 64)) != 0 {
			t.Fatalf("claimed %d probes, or a second one", len(probe))
		}
		if state := breaker(t, w, service).StateAt(w.Clock.Now()); state != models.BreakerHalfOpen {
			t.Errorf("state %s during the probe", state)
		}
		finish(t, other.Store, answer503, probe...)
		if got := claim(t, w.Store, 64); len(got) != 0 {
			t.Fatalf("claimed %d deliveries after a failed probe", len(got))
		}
		w.Clock.Advance(breaker(t, w, service).ProbeAt.Sub(w.Clock.Now()))
		again := claim(t, w.Store, 64)
		if len(again) != 1 || again[0].ID == probe[0].ID {
			t.Fatalf("the next probe is %+v", again)
		}
		finish(t, w.Store, answer200, again...)
		delivered := 1
		for due := claim(t, other.Store, 64); len(due) > 0; due = claim(t, w.Store, 64) {
			if len(due) > models.MaxPerService {
				t.Fatalf("%d attempts at one service at once", len(due))
			}
			delivered += len(due)
			finish(t, other.Store, answer200, due...)
		}
		if delivered != 8 {
			t.Errorf("%d of 8 deliveries were sent after the success", delivered)
		}
	})
}

// An attempt whose process died during a probe does not block the service.
func TestClaim_ProbeLost_AnotherProbeAfterLease(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		service := w.Service("lint")
		mergeRequests(w, 6)
		b := openBreaker(t, w, service)
		w.Clock.Advance(b.ProbeAt.Sub(w.Clock.Now()))
		if got := claim(t, w.Store, 64); len(got) != 1 {
			t.Fatalf("%d probes", len(got))
		}
		w.Clock.Advance(models.LeaseDuration - time.Microsecond)
		if got := claim(t, w.Store, 64); len(got) != 0 {
			t.Fatalf("claimed %d before the lease ended", len(got))
		}
		w.Clock.Advance(time.Microsecond)
		if got := claim(t, w.Store, 64); len(got) != 1 {
			t.Fatalf("%d probes after the lease ended", len(got))
		}
	})
}

// A test delivery is the next probe at once. Its success closes the breaker.
func TestSendTest_OpenBreaker_IsProbeAndCloses(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		service := w.Service("lint")
		mergeRequests(w, 7)
		openBreaker(t, w, service)
		test, err := w.Store.SendTest(t.Context(), w.Owner, w.Project.ID, service.ID)
		if err != nil {
			t.Fatal(err)
		}
		probe := claim(t, w.Store, 64)
		if len(probe) != 1 || probe[0].ID != test.ID {
			t.Fatalf("claimed %+v, want the test", probe)
		}
		finish(t, w.Store, answer200, probe...)
		if b := breaker(t, w, service); b != (models.Breaker{}) {
			t.Errorf("breaker %+v", b)
		}
		if got := statusEventActions(t, w); !slices.Equal(got, []models.AuditAction{models.AuditBreakerClosed, models.AuditBreakerOpened}) {
			t.Errorf("audit events %v", got)
		}
		if got := claim(t, w.Store, 64); len(got) != models.MaxPerService {
			t.Errorf("%d deliveries are due after the test", len(got))
		}
	})
}

// statusEventActions returns the actions of audit events of the breaker, newest first.
func statusEventActions(t *testing.T, w *modelstest.Fixture) (actions []models.AuditAction) {
	t.Helper()
	events, _, err := w.Store.AuditEvents(t.Context(), w.Project.ID, models.AuditFilter{Kind: models.AuditKindStatusChecks}, models.Page{})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if e.Action == models.AuditBreakerOpened || e.Action == models.AuditBreakerClosed {
			if e.Target != "lint" || e.UserName != models.SystemName {
				t.Errorf("event %+v", e)
			}
			actions = append(actions, e.Action)
		}
	}
	return actions
}

// A Retry-After holds back its own delivery, also when the breaker closes, but no
// delivery of another merge request.
func TestClaim_RetryAfter_HoldsOnlyItsDelivery(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		service := w.Service("lint")
		mergeRequests(w, 7)
		held := claim(t, w.Store, 1)
		finish(t, w.Store, models.AttemptResult{HTTPStatus: 503, RetryAfter: 10 * time.Minute}, held...)
		for range models.BreakerThreshold - 1 {
			finish(t, w.Store, answer503, claim(t, w.Store, 1)...)
		}
		for breaker(t, w, service).OpenedAt != nil {
			w.Clock.Advance(breaker(t, w, service).ProbeAt.Sub(w.Clock.Now()))
			finish(t, w.Store, answer200, claim(t, w.Store, 64)...)
		}
		for due := claim(t, w.Store, 64); len(due) > 0; due = claim(t, w.Store, 64) {
			finish(t, w.Store, answer200, due...)
		}
		var waiting []int64
		for _, d := range w.Deliveries(service) {
			if d.State == models.DeliveryWaiting {
				waiting = append(waiting, d.ID)
			}
		}
		if !slices.Equal(waiting, []int64{held[0].ID}) {
			t.Fatalf("deliveries %v are waiting, want %d", waiting, held[0].ID)
		}
		w.Clock.Advance(10 * time.Minute)
		if got := claim(t, w.Store, 64); len(got) != 1 {
			t.Errorf("%d deliveries are due after the Retry-After", len(got))
		}
	})
}

// A close event that waits for a later attempt is superseded when the reopen event is
// sent.
func TestClaim_ReopenStarted_SupersedesClose(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		service := w.Service("lint")
		mr := w.MergeRequest("feature", "main")
		finish(t, w.Store, answer200, claim(t, w.Store, 1)...)
		if _, err := w.Store.CloseMergeRequest(t.Context(), w.Owner, mr.ProjectID, mr.IID); err != nil {
			t.Fatal(err)
		}
		for range models.QuickAttempts {
			w.Clock.Advance(time.Minute)
			finish(t, w.Store, answer503, claim(t, w.Store, 1)...)
		}
		if _, err := w.Store.ReopenMergeRequest(t.Context(), w.Owner, mr.ProjectID, mr.IID); err != nil {
			t.Fatal(err)
		}
		w.Clock.Advance(time.Minute)
		for due := claim(t, w.Store, 64); len(due) > 0; due = claim(t, w.Store, 64) {
			finish(t, w.Store, answer200, due...)
			w.Clock.Advance(time.Hour)
		}
		var states []string
		for _, d := range w.Deliveries(service)[1:] {
			states = append(states, string(d.Action)+" "+string(d.State))
		}
		if !slices.Equal(states, []string{"close superseded", "reopen delivered"}) {
			t.Errorf("deliveries: %v", states)
		}
	})
}

// Within one claim, a service with many due deliveries takes at most two places, and a
// project with many services leaves places for others.
func TestClaim_ManyDue_ServicesAndProjectsTakeTurns(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		for i := range 20 {
			w.Service(fmt.Sprintf("service-%02d", i))
		}
		mergeRequests(w, 3)
		first := w.Project
		w.Project = w.NewProject(w.Owner, "plum", models.VisibilityPrivate)
		for i := range 2 {
			w.Service(fmt.Sprintf("late-%d", i))
		}
		mergeRequests(w, 1)
		byProject, byService := map[int64]int{}, map[int64]int{}
		for _, d := range claim(t, w.Store, 8) {
			byProject[d.ProjectID]++
			byService[d.ExternalStatusCheckID]++
		}
		if byProject[first.ID] != 6 || byProject[w.Project.ID] != 2 || len(byService) != 8 {
			t.Errorf("claimed by project %v, by service %v", byProject, byService)
		}
		for _, d := range claim(t, w.Store, 64) {
			byService[d.ExternalStatusCheckID]++
		}
		for id, n := range byService {
			if n > models.MaxPerService {
				t.Errorf("%d attempts at service %d", n, id)
			}
		}
	})
}

// Deliveries that were waiting when a project's refused ones filled a claim are found.
func TestClaim_Refused_StaysReady(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		w.Service("lint")
		mergeRequests(w, 1)
		none, err := w.Store.Claim(t.Context(), models.ClaimOptions{Limit: 8, Admit: func(models.Delivery, bool) bool { return false }})
		if err != nil || len(none) != 0 {
			t.Fatalf("claimed %v, %v", none, err)
		}
		if got := claim(t, w.Store, 8); len(got) != 1 {
			t.Errorf("%d deliveries after a refusal", len(got))
		}
	})
}

// A delivery that waited behind an open breaker for the whole schedule fails. Newer ones
// go on waiting.
func TestDeleteExpired_HeldFor48Hours_Fails(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		service := w.Service("lint")
		mrs := mergeRequests(w, 6)
		openBreaker(t, w, service)
		w.Clock.Advance(models.MaxHeld - time.Minute)
		if _, err := w.Store.CloseMergeRequest(t.Context(), w.Owner, mrs[0].ProjectID, mrs[0].IID); err != nil {
			t.Fatal(err)
		}
		counts := func() map[models.DeliveryState]int {
			if err := w.Store.DeleteExpired(t.Context()); err != nil {
				t.Fatal(err)
			}
			n := map[models.DeliveryState]int{}
			for _, d := range w.Deliveries(service) {
				n[d.State]++
			}
			return n
		}
		if n := counts(); n[models.DeliveryFailed] != 0 || n[models.DeliveryWaiting] != 6 {
			t.Errorf("before the limit: %v", n)
		}
		w.Clock.Advance(time.Minute)
		if n := counts(); n[models.DeliveryFailed] != 5 || n[models.DeliveryWaiting] != 1 {
			t.Errorf("at the limit: %v", n)
		}
	})
}
