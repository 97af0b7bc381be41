package models_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// finishNext claims the next due delivery and finishes it with an HTTP status.
func finishNext(t *testing.T, w *modelstest.Fixture, status int) models.Delivery {
	t.Helper()
	claimed, err := w.Store.Claim(t.Context(), models.ClaimOptions{Limit: 1})
	if err != nil || len(claimed) != 1 {
		t.Fatalf("%d claimed: %v", len(claimed), err)
	}
	if err := w.Store.FinishDelivery(t.Context(), claimed[0].Delivery, models.AttemptResult{StartedAt: w.Clock.Now(), HTTPStatus: status}); err != nil {
		t.Fatal(err)
	}
	return claimed[0].Delivery
}

func TestRedeliverAll_SendsFailedInOrderOfEvents(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		service := w.Service("licence")
		for _, branch := range []string{"early", "topic", "other"} {
			w.Git.AddCommit(w.Project.ID, branch, w.Git.Tip(w.Project.ID, "main"))
		}
		before := w.MergeRequest("early", "main")
		finishNext(t, w, 410)
		w.Clock.Advance(time.Hour)
		since := w.Clock.Now()
		w.MergeRequest("topic", "main")
		opened := finishNext(t, w, 410)
		w.Push("topic")
		pushed := finishNext(t, w, 410)
		w.MergeRequest("other", "main")
		other := finishNext(t, w, 410)
		w.Push("other") // superseded by the next push
		w.Push("other")
		finishNext(t, w, 202)
		if _, err := w.Store.SendTest(t.Context(), w.Owner, w.Project.ID, service.ID); err != nil {
			t.Fatal(err)
		}
		finishNext(t, w, 500)
		w.Clock.Advance(time.Minute)

		failed := models.DeliveryFilter{State: models.DeliveryFailed, Since: since}
		if n, err := w.Store.CountRedeliverable(t.Context(), w.Project.ID, service.ID, failed); err != nil || n != 3 {
			t.Fatalf("%d counted, %v", n, err)
		}
		queued, err := w.Store.RedeliverAll(t.Context(), w.Owner, w.Project.ID, service.ID, failed)
		if err != nil || queued != 3 {
			t.Fatalf("%d queued, %v", queued, err)
		}
		if n, err := w.Store.RedeliverAll(t.Context(), w.Owner, w.Project.ID, service.ID, failed); err != nil || n != 0 {
			t.Errorf("%d queued again, %v", n, err)
		}
		claimed, err := w.Store.Claim(t.Context(), models.ClaimOptions{Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		var ids []int64
		for _, c := range claimed {
			ids = append(ids, c.Delivery.ID)
			if err := w.Store.FinishDelivery(t.Context(), c.Delivery, models.AttemptResult{StartedAt: w.Clock.Now(), HTTPStatus: 202}); err != nil {
				t.Fatal(err)
			}
		}
		slices.Sort(ids)
		if want := []int64{opened.ID, other.ID}; !slices.Equal(ids, want) {
			t.Errorf("first claimed %v, want the oldest of each merge request, %v", ids, want)
		}
		if last := finishNext(t, w, 202); last.ID != pushed.ID || last.UUID != pushed.UUID {
			t.Errorf("then claimed %d, want %d", last.ID, pushed.ID)
		}
		states := map[models.DeliveryState]int{}
		for _, d := range w.Deliveries(service) {
			states[d.State]++
			if d.MergeRequestIID == before.IID && d.State != models.DeliveryFailed {
				t.Errorf("a delivery before the time is %s", d.State)
			}
		}
		if states[models.DeliverySuperseded] != 1 || states[models.DeliveryFailed] != 2 || states[models.DeliveryDelivered] != 4 {
			t.Errorf("states %v", states)
		}
		events, _, err := w.Store.AuditEvents(t.Context(), w.Project.ID, models.AuditFilter{Kind: models.AuditKindStatusChecks}, models.Page{})
		if err != nil {
			t.Fatal(err)
		}
		events = slices.DeleteFunc(events, func(e models.AuditEvent) bool { return e.Action != models.AuditRedelivered })
		if len(events) != 1 || events[0].Target != service.Name || events[0].Details[0].To != "3" || events[0].Details[2].To != since.Format(time.RFC3339) {
			t.Errorf("audit events %+v", events)
		}
	})
}

// The filter is that of the log: what is counted and sent is what the log lists.
func TestRedeliverAll_Filter_SendsWhatTheLogLists(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		service := w.Service("licence")
		for _, branch := range []string{"topic", "other"} {
			w.Git.AddCommit(w.Project.ID, branch, w.Git.Tip(w.Project.ID, "main"))
		}
		first := w.MergeRequest("topic", "main")
		opened := finishNext(t, w, 202)
		w.Clock.Advance(time.Hour)
		w.Push("topic")
		finishNext(t, w, 202)
		w.MergeRequest("other", "main")
		finishNext(t, w, 202)
		delivered := models.DeliveryFilter{
			State: models.DeliveryDelivered, Event: string(models.ActionOpen), MergeRequestIID: first.IID,
			Before: w.Clock.Now(), HTTPStatus: "2xx", ID: opened.UUID[:8],
		}
		for _, state := range []models.DeliveryState{"", models.DeliveryWaiting, "x"} {
			invalid := delivered
			invalid.State = state
			if _, err := w.Store.RedeliverAll(t.Context(), w.Owner, w.Project.ID, service.ID, invalid); len(models.FieldErrorsOf(err)) != 1 {
				t.Errorf("state %q: %v", state, err)
			}
			if _, err := w.Store.CountRedeliverable(t.Context(), w.Project.ID, service.ID, invalid); len(models.FieldErrorsOf(err)) != 1 {
				t.Errorf("count with state %q: %v", state, err)
			}
		}
		if n, err := w.Store.CountRedeliverable(t.Context(), w.Project.ID, service.ID, delivered); err != nil || n != 1 {
			t.Errorf("%d counted, %v", n, err)
		}
		if n, err := w.Store.RedeliverAll(t.Context(), w.Owner, w.Project.ID, service.ID, delivered); err != nil || n != 1 {
			t.Fatalf("%d queued, %v", n, err)
		}
		if again := finishNext(t, w, 202); again.ID != opened.ID {
			t.Errorf("delivery %d was sent again, want %d", again.ID, opened.ID)
		}
		events, _, err := w.Store.AuditEvents(t.Context(), w.Project.ID, models.AuditFilter{Kind: models.AuditKindStatusChecks}, models.Page{})
		if err != nil {
			t.Fatal(err)
		}
		fields := map[string]string{}
		for _, change := range events[0].Details {
			fields[change.Field] = change.To
		}
		if diff := cmp.Diff(map[string]string{
			"deliveries": "1", "delivery_state": "delivered", "event": "open", "merge_request": "!1", "http_status": "2xx",
			"before": delivered.Before.Format(time.RFC3339), "delivery": delivered.ID,
		}, fields); diff != "" {
			t.Error(diff)
		}
	})
}

func TestRedeliverAll_ManyRows_SendsOldestUpToLimit(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		service := w.Service("licence")
		insertDeliveries(t, w, service, models.MaxRedelivered+1, func(_ int, d *models.Delivery) {
			d.State, d.LastHTTPStatus = models.DeliveryFailed, 503
		})
		newest := w.Deliveries(service)[models.MaxRedelivered]
		failed := models.DeliveryFilter{State: models.DeliveryFailed}
		if n, err := w.Store.RedeliverAll(t.Context(), w.Owner, w.Project.ID, service.ID, failed); err != nil || n != models.MaxRedelivered {
			t.Fatalf("%d queued, %v", n, err)
		}
		left, _, err := w.Store.Deliveries(t.Context(), w.Project.ID, service.ID, failed, models.Page{})
		if err != nil || len(left) != 1 || left[0].ID != newest.ID {
			t.Errorf("left %v, %v", left, err)
		}
	})
}
