package jobs

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// panickingOutbox panics at its first claim and at its first result.
type panickingOutbox struct {
	*models.Store
	claims, results atomic.Int32
}

func (o *panickingOutbox) Claim(ctx context.Context, options models.ClaimOptions) ([]models.ClaimedDelivery, error) {
	if o.claims.Add(1) == 1 {
		panic("claim")
	}
	return o.Store.Claim(ctx, options)
}

func (o *panickingOutbox) FinishDeliveries(ctx context.Context, attempts []models.FinishedDelivery) ([]models.FinishedDelivery, error) {
	if o.results.Add(1) == 1 {
		panic("result")
	}
	return o.Store.FinishDeliveries(ctx, attempts)
}

// A fault in one delivery must not end the process, which would meet it again after each
// start.
func TestRun_Panic_IsLoggedAndDeliveryContinues(t *testing.T) {
	w := newFixture(t, modelstest.SQLite(t), func(c *models.Config) { c.Now = time.Now })
	service := w.service("lint", "http://127.0.0.1:9/", "")
	var log bytes.Buffer
	var sent atomic.Int32
	w.Deliverer = NewDeliverer(&panickingOutbox{Store: w.Store}, senderFunc(func(context.Context) models.AttemptResult {
		if sent.Add(1) == 1 {
			panic("send")
		}
		return models.AttemptResult{HTTPStatus: http.StatusOK}
	}), slog.New(slog.NewTextHandler(&log, nil)))
	w.MergeRequest("feature", "main")
	stop := w.start()
	eventually(t, "the delivery is delivered", func() bool { return w.Deliveries(service)[0].State == models.DeliveryDelivered })
	stop()
	if _, attempts := w.singleDelivery(service); len(attempts) != 2 || attempts[0].Error != models.ErrorInterrupted || attempts[0].ErrorDetail != "panic: send" {
		t.Errorf("attempts %+v", attempts)
	}
	for _, want := range []string{`"panic: claim"`, `"panic: send"`, "panic_test.go"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %s: %s", want, log.String())
		}
	}
}

func TestMaintenance_Panic_IsAFailedJob(t *testing.T) {
	var log bytes.Buffer
	var failed error
	m := &maintenance{log: slog.New(slog.NewTextHandler(&log, nil)), done: func(_ string, err error) { failed = err }}
	m.runOnce(t.Context(), "tidy", func(context.Context) error { panic("tidy") })
	if failed == nil || !strings.Contains(log.String(), `error="panic: tidy"`) || !strings.Contains(log.String(), "panic_test.go") {
		t.Errorf("error %v, log %s", failed, log.String())
	}
}
