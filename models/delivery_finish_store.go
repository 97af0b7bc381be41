package models

import (
	"context"
	"database/sql"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
	"time"
)

// FinishedDelivery is a claimed delivery and the result of its attempt.
type FinishedDelivery struct {
	Delivery Delivery
	Result   AttemptResult
}

// FinishDelivery stores the result of an attempt. It does nothing if the lease expired
// and another attempt took over, if the result is already stored, or if the service was
// deleted.
func (s *Store) FinishDelivery(ctx context.Context, claimed Delivery, r AttemptResult) error {
	return s.Transaction(ctx, func(tx *Store) error {
		f := finish{Store: tx, attempts: []FinishedDelivery{{claimed, r}}}
		return f.run(ctx)
	})
}

// FinishDeliveries is FinishDelivery for several attempts in one transaction. It waits
// for no lock: it returns the attempts whose rows another transaction has locked, which
// must be finished one by one.
func (s *Store) FinishDeliveries(ctx context.Context, attempts []FinishedDelivery) (left []FinishedDelivery, err error) {
	err = s.Transaction(ctx, func(tx *Store) error {
		f := finish{Store: tx, attempts: attempts, skip: true}
		err := f.run(ctx)
		left = f.left
		return err
	})
	return left, err
}

// finish stores the results of attempts in a transaction. It locks deliveries before
// queues. Nothing that holds a queue waits for a delivery of the same service: an event
// (directStarts) holds the queues of services for which nothing waits, and then waits for
// waiting deliveries only.
type finish struct {
	*Store
	attempts []FinishedDelivery
	// skip leaves out locked rows instead of waiting for them.
	skip   bool
	left   []FinishedDelivery
	queues map[int64]*ServiceQueue
	// waiting has the services with other waiting deliveries, and newer the deliveries
	// for whose merge request and service a newer one is waiting.
	waiting, newer map[int64]bool
}

// finishedRow is a delivery and its queue, which finish has locked.
type finishedRow struct {
	Delivery
	Queue ServiceQueue `gorm:"embedded;embeddedPrefix:queue_"`
}

func (f *finish) run(ctx context.Context) error {
	now := f.Now()
	if f.postgres() {
		// As in Claim: the same plan is right for all values, and planning takes longer.
		if err := f.writer(ctx).Exec("SET LOCAL plan_cache_mode = force_generic_plan").Error; err != nil {
			return err
		}
	}
	deliveries, err := f.lock(ctx)
	if err != nil || len(deliveries) == 0 {
		return err
	}
	if err := f.findWaiting(ctx, slices.Collect(maps.Keys(deliveries)), now); err != nil {
		return err
	}
	logs := make([]DeliveryAttempt, 0, len(f.attempts))
	var delivered []deliveredRow
	wake := false
	for _, a := range f.attempts {
		row, ok := deliveries[a.Delivery.ID]
		if !ok {
			continue
		}
		d := row.Delivery
		if err := f.restoreLease(ctx, &d, a.Delivery); err != nil {
			return err
		}
		if d.Attempts != a.Delivery.Attempts || d.LeasedUntil == nil {
			continue
		}
		q := f.queues[d.ExternalStatusCheckID]
		wake = wake || f.newer[d.ID]
		d.finish(a.Result, q.isProbe(d.ID), f.newer[d.ID], now)
		if d.State == DeliveryDelivered {
			delivered = append(delivered, deliveredRow{d.ID, d.LastHTTPStatus, d.LastDurationMS})
		} else if err := f.writer(ctx).Model(&Delivery{}).Select(finishedColumns).Where("id = ?", d.ID).Updates(&d).Error; err != nil {
			return err
		}
		logs = append(logs, attemptLog(d, a.Result))
		closed, err := f.finishQueue(ctx, q, d, a.Result)
		if err != nil {
			return err
		}
		wake = wake || closed
	}
	if len(logs) == 0 {
		return nil
	}
	if err := f.writer(ctx).Create(&logs).Error; err != nil {
		return err
	}
	if err := f.storeDelivered(ctx, delivered, now); err != nil {
		return err
	}
	if err := f.updateQueues(ctx); err != nil || !wake {
		return err
	}
	return f.notifyDeliveries(ctx)
}

// restoreLease stores the lease of an attempt again if a crash of the database has lost
// it, whose commit did not wait for the disk, and no later claim has taken the delivery.
func (f *finish) restoreLease(ctx context.Context, d *Delivery, claimed Delivery) error {
	if d.LeasedUntil != nil || d.Attempts != claimed.Attempts-1 {
		return nil
	}
	d.markLeased(*claimed.LastAttemptAt, *claimed.LeasedUntil)
	return f.storeLeases(ctx, []int64{d.ID}, *claimed.LastAttemptAt, *claimed.LeasedUntil)
}

// deliveredRow is what differs between deliveries that succeeded.
type deliveredRow struct {
	ID     int64 `json:"id"`
	Status int   `json:"status"`
	MS     int64 `json:"ms"`
}

// storeDelivered stores what Delivery.finish changes for successes, with one statement.
func (f *finish) storeDelivered(ctx context.Context, rows []deliveredRow, now time.Time) error {
	if len(rows) == 0 {
		return nil
	}
	list, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	from := "(SELECT value->>'id' AS id, value->>'status' AS status, value->>'ms' AS ms FROM json_each(?)) AS r"
	if f.postgres() {
		from = "json_to_recordset(CAST(? AS json)) AS r(id bigint, status integer, ms bigint)"
	}
	return f.writer(ctx).Exec(`UPDATE deliveries AS d SET state = 'delivered', finished_at = ?, leased_until = NULL, not_before = NULL,
		last_error = '', superseded_reason = '', last_http_status = r.status, last_duration_ms = r.ms FROM `+from+` WHERE d.id = r.id`,
		now, string(list)).Error
}

// finishedColumns are the columns that Delivery.finish changes.
var finishedColumns = []string{
	"leased_until", "not_before", "last_http_status", "last_error", "last_duration_ms", "state", "finished_at", "superseded_reason",
	"probes", "schedule_started_at", "next_attempt_at",
}

// unneededToFinish are columns of deliveries that never change and that finish does not
// need.
var unneededToFinish = []string{"uuid", "event_uuid", "kind", "action", "sha", "url", "payload", "trace_parent", "created_at"}

// lock locks the deliveries and the queues of their services. Attempts whose rows are
// locked are moved to left.
func (f *finish) lock(ctx context.Context) (map[int64]finishedRow, error) {
	ids := make([]int64, len(f.attempts))
	for i, a := range f.attempts {
		ids[i] = a.Delivery.ID
	}
	query := "SELECT " + f.columnNames("d", &Delivery{}, unneededToFinish...) + ", " + prefixedColumns("q", "queue_", f.columnList(&ServiceQueue{})) + `
		FROM deliveries d JOIN service_queues q ON q.external_status_check_id = d.external_status_check_id
		WHERE ` + f.inIDs("d.id", "@ids") + " ORDER BY d.id"
	if f.postgres() {
		query += " FOR NO KEY UPDATE OF d, q"
		if f.skip {
			query += " SKIP LOCKED"
		}
	}
	var rows []finishedRow
	err := f.writer(ctx).Raw(query, sql.Named("ids", f.idList(ids))).Scan(&rows).Error
	if err != nil {
		return nil, err
	}
	deliveries := make(map[int64]finishedRow, len(rows))
	f.queues = map[int64]*ServiceQueue{}
	for i, row := range rows {
		deliveries[row.ID] = row
		f.queues[row.ExternalStatusCheckID] = &rows[i].Queue
	}
	if f.skip {
		for _, a := range f.attempts {
			if _, ok := deliveries[a.Delivery.ID]; !ok {
				f.left = append(f.left, a)
			}
		}
	}
	return deliveries, nil
}

// findWaiting finds what waits for the results of the deliveries.
func (f *finish) findWaiting(ctx context.Context, ids []int64, now time.Time) error {
	if err := f.allowSorting(ctx, false); err != nil {
		return err
	}
	var rows []struct {
		ID, ExternalStatusCheckID int64
		NewerWaits, OthersWait    bool
	}
	// With EXISTS, PostgreSQL may read the deliveries of all services.
	err := f.writer(ctx).Raw(`SELECT d.id, d.external_status_check_id,
		(SELECT n.id FROM deliveries n WHERE n.merge_request_id = d.merge_request_id AND n.external_status_check_id = d.external_status_check_id
			AND n.id > d.id AND n.state = 'waiting' AND n.single_attempt = FALSE ORDER BY n.id LIMIT 1) IS NOT NULL AS newer_waits,
		(SELECT o.id FROM deliveries o WHERE o.external_status_check_id = d.external_status_check_id AND o.state = 'waiting'
			AND (o.leased_until IS NULL OR o.leased_until <= @now) ORDER BY o.single_attempt, o.next_attempt_at LIMIT 1) IS NOT NULL AS others_wait
		FROM deliveries d WHERE `+f.inIDs("d.id", "@ids"), sql.Named("now", now), sql.Named("ids", f.idList(ids))).Scan(&rows).Error
	f.waiting, f.newer = map[int64]bool{}, map[int64]bool{}
	for _, row := range rows {
		f.newer[row.ID] = row.NewerWaits
		f.waiting[row.ExternalStatusCheckID] = f.waiting[row.ExternalStatusCheckID] || row.OthersWait
	}
	return err
}

// finishQueue applies the result of an attempt to the queue of its service and reports
// whether the breaker closed.
func (f *finish) finishQueue(ctx context.Context, q *ServiceQueue, d Delivery, r AttemptResult) (closed bool, err error) {
	before := *q
	opened, closed := q.Breaker.finish(d.ID, r, f.Now(), rand.Float64())
	if r.Error != ErrorInterrupted {
		q.Hung = r.hung()
	}
	if opened {
		q.WokenAt = nil
	}
	if closed {
		if q.WokenAt, err = f.wakeService(ctx, q.ExternalStatusCheckID); err != nil {
			return false, err
		}
	}
	if q.Hung != before.Hung || q.Breaker != before.Breaker {
		err := f.writer(ctx).Model(q).Select("*").Omit("next_at", "project_id").Updates(q).Error
		if err != nil {
			return false, err
		}
	}
	switch {
	case opened:
		err = f.auditBreaker(ctx, *q, AuditBreakerOpened)
	case closed:
		err = f.auditBreaker(ctx, *q, AuditBreakerClosed)
	}
	return closed, err
}

func (f *finish) auditBreaker(ctx context.Context, q ServiceQueue, action AuditAction) error {
	var name string
	err := f.writer(ctx).Model(&ExternalStatusCheck{}).Where("id = ?", q.ExternalStatusCheckID).Pluck("name", &name).Error
	if err != nil {
		return err
	}
	return f.audit(ctx, User{}, q.ProjectID, action, name, q.ExternalStatusCheckID)
}

// updateQueues stores when each queue should be looked at. Their rows are locked.
func (f *finish) updateQueues(ctx context.Context) error {
	var soon, other, open []int64
	for id, q := range f.queues {
		switch {
		case q.OpenedAt != nil:
			open = append(open, id)
		case f.waiting[id]: // the next claim finds out when
			soon = append(soon, id)
		default:
			other = append(other, id)
		}
	}
	now := f.Now()
	if err := f.setNextAt(ctx, soon, now); err != nil {
		return err
	}
	if err := f.findNextAt(ctx, other, now, now); err != nil {
		return err
	}
	return f.setNextAtOfOpen(ctx, open)
}

// attemptLog returns the log entry of an attempt.
func attemptLog(d Delivery, r AttemptResult) DeliveryAttempt {
	return DeliveryAttempt{
		DeliveryID: d.ID, Number: d.Attempts, StartedAt: dbTime(r.StartedAt), DurationMS: r.Duration.Milliseconds(),
		HTTPStatus: r.HTTPStatus, Error: r.Error, ErrorDetail: cutBytes(cleanText(r.ErrorDetail), 1024),
		RequestHeader: nonNil(r.RequestHeader), ResponseHeader: nonNil(r.ResponseHeader),
		ResponseBody: r.ResponseBody, ResponseTruncated: r.ResponseTruncated, Timing: r.Timing,
	}
}

func nonNil(h Header) Header {
	if h == nil {
		return Header{}
	}
	return h
}
