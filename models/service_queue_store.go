package models

import (
	"context"
	"database/sql"
	"time"
)

// updateQueues stores when each queue of the claim should be looked at again, in a batch.
func (c *claim) updateQueues(ctx context.Context, b *batch, leased map[int64]Delivery, refused map[int64]bool) error {
	started := make(map[int64]int, len(c.queues))
	for _, d := range leased {
		id := d.ExternalStatusCheckID
		started[id]++
		q := c.queues[id]
		if q.OpenedAt == nil {
			continue
		}
		q.startProbe(d.ID, *d.LeasedUntil)
		err := c.writer(ctx).Model(&ServiceQueue{}).Where("external_status_check_id = ?", id).
			Updates(map[string]any{"probe_delivery_id": q.ProbeDeliveryID, "probe_at": q.ProbeAt}).Error
		if err != nil {
			return err
		}
	}
	var full, other, again, woken, open []int64
	for id, q := range c.queues {
		switch {
		case q.OpenedAt != nil && !q.admitsAt(c.now):
			open = append(open, id)
		case started[id] == MaxPerService: // a result or the end of these leases comes first
			full = append(full, id)
		case !refused[id] && q.Place > 0 && q.WokenAt != nil && started[id]+q.InFlight == 0:
			woken = append(woken, id)
		case !refused[id] && q.Place > 0:
			other = append(other, id)
		case q.NextAt == nil || q.NextAt.After(c.now):
			again = append(again, id)
		}
	}
	b.setNextAt(full, c.now.Add(LeaseDuration))
	b.findNextAt(other, c.now, c.now.Add(blockedPause))
	b.setNextAt(again, c.now)
	b.setNextAt(woken, c.now.Add(wakePause))
	b.setNextAtOfOpen(open)
	return nil
}

// countArrivals ends, in a batch, the arrivals whose queues the claim has updated. It
// reports whether there are any.
func (c *claim) countArrivals(b *batch) bool {
	var ids []int64
	for _, a := range c.arrivals {
		if c.queues[a.ExternalStatusCheckID] != nil {
			ids = append(ids, a.DeliveryID)
		}
	}
	b.endArrivals(ids)
	return len(ids) > 0
}

// setNextAt stores when each of the queues should be looked at.
func (b *batch) setNextAt(services []int64, at time.Time) {
	if len(services) > 0 {
		b.exec("UPDATE service_queues SET next_at = ? WHERE "+b.inIDs("external_status_check_id", "?"), at, b.idList(services))
	}
}

// makeDue stores that each of the queues should be looked at now. Those that were due keep
// their place: others had more turns in the last claim.
func (b *batch) makeDue(services []int64, now time.Time) {
	if len(services) > 0 {
		b.exec("UPDATE service_queues SET next_at = @now WHERE (next_at IS NULL OR next_at > @now) AND "+b.inIDs("external_status_check_id", "@services"),
			sql.Named("now", now), sql.Named("services", b.idList(services)))
	}
}

// findNextAt stores when each of the queues, whose rows must be locked, should be looked
// at: at due if a delivery is due, else when the first one is due or a lease ends.
func (b *batch) findNextAt(services []int64, now, due time.Time) {
	if len(services) == 0 {
		return
	}
	dueParam := "@due"
	if b.postgres() {
		dueParam = "CAST(@due AS timestamptz)"
	}
	waiting := func(single string) string {
		return "d.external_status_check_id = q.external_status_check_id AND d.state = 'waiting' AND d.single_attempt = " + single
	}
	// With EXISTS or MIN, PostgreSQL may read the deliveries of all services.
	first := func(condition string) string {
		return "(SELECT d.next_attempt_at FROM deliveries d WHERE " + condition + " ORDER BY d.next_attempt_at LIMIT 1)"
	}
	isDue := func(single string) string {
		return first(waiting(single)+" AND "+hasNoLease("d.id")) + " <= @now"
	}
	later := func(single string) string { return "SELECT " + first(waiting(single)+" AND d.next_attempt_at > @now") }
	b.exec(`UPDATE service_queues AS q SET next_at = (SELECT MIN(t.at) FROM (
			SELECT CASE WHEN `+isDue("FALSE")+` OR `+isDue("TRUE")+` THEN `+dueParam+` END AS at
			UNION ALL `+later("FALSE")+` UNION ALL `+later("TRUE")+`
			UNION ALL SELECT (SELECT l.leased_until FROM delivery_leases l
				WHERE l.external_status_check_id = q.external_status_check_id ORDER BY l.leased_until LIMIT 1)
		) t) WHERE `+b.inIDs("q.external_status_check_id", "@services"),
		sql.Named("now", now), sql.Named("due", due), sql.Named("services", b.idList(services)))
}

// setNextAtOfOpen is findNextAt for queues whose breaker is open.
func (b *batch) setNextAtOfOpen(services []int64) {
	if len(services) > 0 {
		b.exec("UPDATE service_queues SET next_at = probe_at WHERE "+b.inIDs("external_status_check_id", "?"), b.idList(services))
	}
}

// requestProbe makes the probe of a service's open breaker due, so that a delivery that
// a person asked for is sent now.
func (s *Store) requestProbe(ctx context.Context, serviceID int64) error {
	now := s.Now()
	return s.writer(ctx).Model(&ServiceQueue{}).
		Where("external_status_check_id = ? AND probe_at > ? AND probe_delivery_id IS NULL", serviceID, now).
		UpdateColumn("probe_at", now).Error
}

// NextDeliveryAt returns the first time, after another one, at which a delivery becomes due
// or a lease expires. It may be too early. ok is false if nothing waits.
func (s *Store) NextDeliveryAt(ctx context.Context, after time.Time) (at time.Time, ok bool, err error) {
	var next []ServiceQueue
	err = s.reader(ctx).Select("next_at").Where("next_at > ?", after).Order("next_at").Limit(1).Find(&next).Error
	if err != nil || len(next) == 0 {
		return time.Time{}, false, err
	}
	return *next[0].NextAt, true, nil
}

// ReleaseLeases ends all leases. Call it at start-up, and only if no other process uses
// the database.
func (s *Store) ReleaseLeases(ctx context.Context) error {
	if err := s.releaseAutoMerges(ctx); err != nil {
		return err
	}
	now := s.Now()
	return s.Transaction(ctx, func(tx *Store) error {
		err := tx.writer(ctx).Exec("UPDATE delivery_leases SET leased_until = ?", now.Add(-time.Microsecond)).Error
		if err != nil {
			return err
		}
		return tx.writer(ctx).Exec(`UPDATE service_queues SET next_at = @now, probe_delivery_id = NULL,
			probe_at = CASE WHEN probe_delivery_id IS NULL THEN probe_at ELSE @now END`, sql.Named("now", now)).Error
	})
}
