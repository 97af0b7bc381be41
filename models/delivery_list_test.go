package models_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// insertDeliveries inserts n finished deliveries of a service, one per minute before the
// clock's time, the newest last.
func insertDeliveries(t testing.TB, w *modelstest.Fixture, service models.ExternalStatusCheck, n int, change func(i int, d *models.Delivery)) {
	t.Helper()
	const columns, batch = 13, 500
	now := w.Store.Now()
	var rows []string
	var values []any
	for i := range n {
		d := models.Delivery{State: models.DeliveryDelivered, Kind: models.DeliveryOfEvent, Attempts: 1, LastHTTPStatus: 202, LastDurationMS: 100,
			CreatedAt: now.Add(time.Duration(i-n) * time.Minute)}
		if change != nil {
			change(i, &d)
		}
		places := make([]string, columns)
		for place := range places {
			places[place] = "?"
			if w.Store.Driver() == models.DriverPostgres {
				places[place] = "$" + strconv.Itoa(len(values)+place+1)
			}
		}
		rows = append(rows, "("+strings.Join(places, ",")+")")
		values = append(values, w.Project.ID, service.ID, uuid.NewString(), "", d.Kind, "https://x.example.test/", []byte("{}"), d.State, d.Attempts,
			d.LastHTTPStatus, d.LastDurationMS, d.CreatedAt, d.CreatedAt)
		if len(rows) < batch && i < n-1 {
			continue
		}
		insert := `INSERT INTO deliveries (project_id, external_status_check_id, uuid, event_uuid, kind, url, payload, state, attempts,
			last_http_status, last_duration_ms, next_attempt_at, created_at) VALUES ` + strings.Join(rows, ",")
		if _, err := w.Store.DB().ExecContext(t.Context(), insert, values...); err != nil {
			t.Fatal(err)
		}
		rows, values = nil, nil
	}
}

// A long log is counted and paged through up to models.MaxListed.
func TestDeliveries_ManyRows_AreCountedUpToLimit(t *testing.T) {
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		w := modelstest.New(t, db)
		service := w.Service("licence")
		insertDeliveries(t, w, service, models.MaxListed+50, nil)
		for _, tt := range []struct {
			filter   models.DeliveryFilter
			page     int
			rows     int
			total    int64
			whatElse string
		}{
			{models.DeliveryFilter{}, 1, 20, models.MaxListed + 1, "first page"},
			{models.DeliveryFilter{}, models.MaxListed / 20, 20, models.MaxListed + 1, "last page"},
			{models.DeliveryFilter{}, models.MaxListed/20 + 1, 0, models.MaxListed + 1, "beyond the last page"},
			{models.DeliveryFilter{Since: w.Clock.Now().Add(-30 * time.Minute)}, 1, 20, 30, "narrower"},
			{models.DeliveryFilter{State: models.DeliveryFailed}, 1, 0, 0, "no match"},
		} {
			list, total, err := w.Store.Deliveries(t.Context(), w.Project.ID, service.ID, tt.filter, models.Page{Number: tt.page, Size: 20})
			if err != nil || len(list) != tt.rows || total != tt.total {
				t.Errorf("%s: %d rows of %d, %v", tt.whatElse, len(list), total, err)
			}
		}
	})
}
