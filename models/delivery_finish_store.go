package models

import (
	"context"
	"encoding/json"
	"math/rand/v2"
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
	err = s.batchTransaction(ctx, func(tx *Store) error {
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
	skip bool
	left []FinishedDelivery
	// deliveries and queues are locked.
	deliveries map[int64]Delivery
	queues     map[int64]*ServiceQueue
	// leases has the numbers of the attempts that hold deliveries.
	leases map[int64]int
	// waiting has the services with other waiting deliveries, and newer the deliveries
	// for whose merge request and service a newer one is waiting.
	waiting, newer map[int64]bool
}

func (f *finish) run(ctx context.Context) error {
	now := f.Now()
	if err := f.read(ctx); err != nil || len(f.deliveries) == 0 {
		return err
	}
	var logs []DeliveryAttempt
	var delivered []deliveredRow
	b := f.batch()
	wake := false
	for _, a := range f.attempts {
		d, ok := f.deliveries[a.Delivery.ID]
		if !ok || !f.holds(a.Delivery, d) {
			continue
		}
		d.markLeased(*a.Delivery.LastAttemptAt, *a.Delivery.LeasedUntil)
		q := f.queues[d.ExternalStatusCheckID]
		d.finish(a.Result, q.isProbe(d.ID), f.newer[d.ID], now)
		if d.State == DeliveryDelivered {
			delivered = append(delivered, deliveredRow{d.ID, d.Attempts, d.LastAttemptAt.Format(jsonTime), d.LastHTTPStatus, d.LastDurationMS})
		} else {
			b.storeResult(d)
		}
		logs = append(logs, attemptLog(d, a.Result))
		closed, err := f.finishQueue(ctx, q, d, a.Result)
		if err != nil {
			return err
		}
		wake = wake || closed || f.newer[d.ID]
	}
	if len(logs) == 0 {
		return nil
	}
	b.endLeases(logs)
	if err := b.logAttempts(logs); err != nil {
		return err
	}
	if err := b.storeDelivered(delivered, now); err != nil {
		return err
	}
	f.updateQueues(b)
	if err := b.run(ctx); err != nil || !wake {
		return err
	}
	return f.notifyDeliveries(ctx)
}

// holds reports whether an attempt still holds a delivery. A crash of the database may have
// lost its lease, whose commit did not wait for the disk. If another attempt has got the
// same number since then, the first result counts.
func (f *finish) holds(claimed, stored Delivery) bool {
	attempt, leased := f.leases[stored.ID]
	return stored.Attempts == claimed.Attempts-1 && (!leased || attempt == claimed.Attempts)
}

// storeResult stores what Delivery.finish changes.
func (b *batch) storeResult(d Delivery) {
	b.exec(`UPDATE deliveries SET state = ?, superseded_reason = ?, finished_at = ?, attempts = ?, probes = ?, schedule_started_at = ?,
		next_attempt_at = ?, not_before = ?, last_attempt_at = ?, last_http_status = ?, last_error = ?, last_duration_ms = ? WHERE id = ?`,
		d.State, d.SupersededReason, d.FinishedAt, d.Attempts, d.Probes, d.ScheduleStartedAt,
		d.NextAttemptAt, d.NotBefore, d.LastAttemptAt, d.LastHTTPStatus, d.LastError, d.LastDurationMS, d.ID)
}

// deliveredRow is what differs between deliveries that succeeded.
type deliveredRow struct {
	ID       int64  `json:"id"`
	Attempts int    `json:"attempts"`
	At       string `json:"at"`
	Status   int    `json:"status"`
	MS       int64  `json:"ms"`
}

// storeDelivered is storeResult for successes, with one statement.
func (b *batch) storeDelivered(rows []deliveredRow, now time.Time) error {
	if len(rows) == 0 {
		return nil
	}
	list, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	from := `(SELECT value->>'id' AS id, value->>'attempts' AS attempts, value->>'at' AS at, value->>'status' AS status, value->>'ms' AS ms
		FROM json_each(?)) AS r`
	if b.postgres() {
		from = "json_to_recordset(CAST(? AS json)) AS r(id bigint, attempts integer, at timestamptz, status integer, ms bigint)"
	}
	b.exec(`UPDATE deliveries AS d SET state = 'delivered', finished_at = ?, not_before = NULL, attempts = r.attempts,
		last_attempt_at = r.at, schedule_started_at = COALESCE(d.schedule_started_at, r.at), last_error = '', superseded_reason = '',
		last_http_status = r.status, last_duration_ms = r.ms FROM `+from+` WHERE d.id = r.id`,
		now, string(list))
	return nil
}

// unneededToFinish are columns of deliveries that never change and that finish does not
// need.
var unneededToFinish = []string{"uuid", "event_uuid", "kind", "action", "sha", "url", "payload", "trace_parent", "created_at"}

// read locks the deliveries and the queues of their services, and finds what waits for
// the results. Attempts whose rows are locked are moved to left.
func (f *finish) read(ctx context.Context) error {
	ids := make([]int64, len(f.attempts))
	for i, a := range f.attempts {
		ids[i] = a.Delivery.ID
	}
	b := f.batch()
	if f.postgres() {
		// As in Claim: the same plan is right for all values, and planning takes longer.
		b.exec("SELECT set_config('plan_cache_mode', 'force_generic_plan', true), set_config('enable_seqscan', 'off', true)")
	}
	f.lock(b, ids)
	b.allowSorting(false)
	f.findWaiting(b, ids)
	f.findLeases(b, ids)
	if err := b.run(ctx); err != nil {
		return err
	}
	if f.skip {
		for _, a := range f.attempts {
			if _, ok := f.deliveries[a.Delivery.ID]; !ok {
				f.left = append(f.left, a)
			}
		}
	}
	return nil
}

// lock locks the deliveries and their queues in a batch.
func (f *finish) lock(b *batch, ids []int64) {
	var d Delivery
	var q ServiceQueue
	columns := append(f.columnsOf("d", &d, unneededToFinish...), f.columnsOf("q", &q)...)
	query := "SELECT " + columns.sql() + ` FROM deliveries d JOIN service_queues q ON q.external_status_check_id = d.external_status_check_id
		WHERE ` + f.inIDs("d.id", "?") + " ORDER BY d.id"
	if f.postgres() {
		query += " FOR NO KEY UPDATE OF d, q"
		if f.skip {
			query += " SKIP LOCKED"
		}
	}
	f.deliveries, f.queues = make(map[int64]Delivery, len(ids)), map[int64]*ServiceQueue{}
	b.query(columns, func() {
		f.deliveries[d.ID] = d
		if f.queues[d.ExternalStatusCheckID] == nil {
			queue := q
			f.queues[d.ExternalStatusCheckID] = &queue
		}
	}, query, f.idList(ids))
}

// findWaiting finds, in a batch, what waits for the results of deliveries.
func (f *finish) findWaiting(b *batch, ids []int64) {
	f.waiting, f.newer = map[int64]bool{}, map[int64]bool{}
	var id, service int64
	var newer, others bool
	// With EXISTS, PostgreSQL may read the deliveries of all services.
	columns := columns{
		{"d.id", &id},
		{"d.external_status_check_id", &service},
		{`(SELECT n.id FROM deliveries n WHERE n.merge_request_id = d.merge_request_id AND n.external_status_check_id = d.external_status_check_id
			AND n.id > d.id AND n.state = 'waiting' AND n.single_attempt = FALSE ORDER BY n.id LIMIT 1) IS NOT NULL`, &newer},
		{`(SELECT o.id FROM deliveries o WHERE o.external_status_check_id = d.external_status_check_id AND o.state = 'waiting'
			AND ` + hasNoLease("o.id") + ` ORDER BY o.single_attempt, o.next_attempt_at LIMIT 1) IS NOT NULL`, &others},
	}
	b.query(columns, func() {
		f.newer[id] = newer
		f.waiting[service] = f.waiting[service] || others
	}, "SELECT "+columns.sql()+" FROM deliveries d WHERE "+f.inIDs("d.id", "?"), f.idList(ids))
}

// findLeases finds the leases of deliveries in a batch.
func (f *finish) findLeases(b *batch, ids []int64) {
	f.leases = make(map[int64]int, len(ids))
	var l DeliveryLease
	columns := columns{{"l.delivery_id", &l.DeliveryID}, {"l.attempt", &l.Attempt}}
	b.query(columns, func() { f.leases[l.DeliveryID] = l.Attempt }, "SELECT "+columns.sql()+" FROM delivery_leases l WHERE "+f.inIDs("l.delivery_id", "?"), f.idList(ids))
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

// updateQueues stores when each queue should be looked at, in a batch. Their rows are
// locked.
func (f *finish) updateQueues(b *batch) {
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
	b.makeDue(soon, now)
	b.findNextAt(other, now, now)
	b.setNextAtOfOpen(open)
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
