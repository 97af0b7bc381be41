package models_test

import (
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

func TestServiceHealth_CountsDeliveriesAndAnswers(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		service, other := w.Service("licence"), w.Service("security")
		insertDeliveries(t, w, other, 5, nil)
		insertDeliveries(t, w, service, 20, func(i int, d *models.Delivery) {
			d.LastDurationMS = int64(i + 1)
			switch i {
			case 3:
				d.State, d.LastHTTPStatus = models.DeliveryFailed, 503
			case 4:
				d.CreatedAt = w.Clock.Now().AddDate(0, 0, -40)
			case 5:
				d.CreatedAt = w.Clock.Now().AddDate(0, 0, -2)
			}
		})
		for _, after := range []time.Duration{3 * time.Second, 40 * time.Second, 200 * time.Second} { // the last one after the time-out
			branch := after.String()
			w.Git.AddCommit(w.Project.ID, branch, w.Git.Tip(w.Project.ID, "main"))
			mr := w.MergeRequest(branch, "main")
			w.Clock.Advance(after)
			for _, status := range []models.Status{models.StatusPassed, models.StatusFailed} {
				if err := w.Respond(mr, service, mr.HeadSHA, status); err != nil {
					t.Fatal(err)
				}
				w.Clock.Advance(time.Second)
			}
		}
		h, err := w.Store.ServiceHealth(t.Context(), w.Project.ID, service.ID)
		if err != nil {
			t.Fatal(err)
		}
		ms := time.Millisecond
		if h.Delivered != 18 || h.Failed != 1 || h.Delivery != (models.Percentiles{Count: 18, P50: 11 * ms, P95: 20 * ms}) || h.Cut {
			t.Errorf("deliveries: %d, %d, %+v", h.Delivered, h.Failed, h.Delivery)
		}
		if h.Answer != (models.Percentiles{Count: 3, P50: 40 * time.Second, P95: 200 * time.Second}) {
			t.Errorf("answers: %+v", h.Answer)
		}
		today, earlier := h.Days[models.HealthDays-1], h.Days[models.HealthDays-3]
		if today.Delivered != 17 || today.Failed != 1 || today.Answer.Count != 3 || earlier.Delivered != 1 || earlier.Delivery.P95 != 6*ms {
			t.Errorf("today %+v, two days ago %+v", today, earlier)
		}
	})
}

// A retry and a response "pending" start the clock again.
func TestServiceHealth_PendingAgain_CountsAnswerSince(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		service := w.Service("licence")
		w.Git.AddCommit(w.Project.ID, "topic", w.Git.Tip(w.Project.ID, "main"))
		mr := w.MergeRequest("topic", "main")
		answer := func(after time.Duration, status models.Status) {
			t.Helper()
			w.Clock.Advance(after)
			if err := w.Respond(mr, service, mr.HeadSHA, status); err != nil {
				t.Fatal(err)
			}
		}
		answer(5*time.Second, models.StatusFailed)
		answer(time.Minute, models.StatusFailed)
		w.Clock.Advance(time.Hour)
		if _, err := w.Store.RetryCheck(t.Context(), w.Owner, w.Project.ID, mr.IID, service.ID); err != nil {
			t.Fatal(err)
		}
		answer(time.Minute, models.StatusPending)
		answer(9*time.Second, models.StatusPassed)
		h, err := w.Store.ServiceHealth(t.Context(), w.Project.ID, service.ID)
		if err != nil || h.Answer != (models.Percentiles{Count: 2, P50: 5 * time.Second, P95: 9 * time.Second}) {
			t.Errorf("answers %+v, %v", h.Answer, err)
		}
	})
}

func TestServiceHealth_ManyRows_CountsNewest(t *testing.T) {
	db := modelstest.SQLite(t)
	w := modelstest.New(t, db)
	service := w.Service("licence")
	insertDeliveries(t, w, service, models.MaxHealthRows+10, func(i int, d *models.Delivery) {
		if i < 10 {
			d.State, d.LastHTTPStatus = models.DeliveryFailed, 500
		}
	})
	h, err := w.Store.ServiceHealth(t.Context(), w.Project.ID, service.ID)
	if err != nil || !h.Cut || h.Delivered != models.MaxHealthRows || h.Failed != 0 {
		t.Errorf("%d delivered, %d failed, cut %t, %v", h.Delivered, h.Failed, h.Cut, err)
	}
}
