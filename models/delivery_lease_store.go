package models

import (
	"context"
	"database/sql"
	"slices"
	"time"
)

// DeliveryLease is an attempt in flight, or one whose process died. Attempts change these
// rows, because a change of a delivery writes to all indexes of deliveries: a delivery is
// changed when its attempt has ended.
type DeliveryLease struct {
	DeliveryID            int64 `gorm:"primaryKey;autoIncrement:false"`
	ExternalStatusCheckID int64
	MergeRequestID        *int64
	// Attempt is the number of the attempt, one more than Delivery.Attempts in the database.
	Attempt     int
	StartedAt   time.Time
	LeasedUntil time.Time
}

// hasNoLease is the condition that no lease is stored for a delivery.
func hasNoLease(deliveryID string) string {
	return "NOT EXISTS (SELECT 1 FROM delivery_leases l WHERE l.delivery_id = " + deliveryID + ")"
}

// markLeased counts an attempt that is in flight.
func (d *Delivery) markLeased(now, until time.Time) {
	d.Attempts++
	d.LeasedUntil, d.LastAttemptAt = &until, &now
	if d.ScheduleStartedAt == nil {
		d.ScheduleStartedAt = &now
	}
}

// addLeases counts the attempts in flight in deliveries that were read from the database.
func (s *Store) addLeases(ctx context.Context, list []Delivery) error {
	var ids []int64
	for _, d := range list {
		if d.State == DeliveryWaiting || d.State == DeliverySuperseded {
			ids = append(ids, d.ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	var leases []DeliveryLease
	if err := s.reader(ctx).Where(s.inIDs("delivery_id", "?"), s.idList(ids)).Find(&leases).Error; err != nil {
		return err
	}
	for _, l := range leases {
		i := slices.IndexFunc(list, func(d Delivery) bool { return d.ID == l.DeliveryID })
		list[i].markLeased(l.StartedAt, l.LeasedUntil)
	}
	return nil
}

// withLease is addLeases for one delivery.
func (s *Store) withLease(ctx context.Context, d Delivery) (Delivery, error) {
	list := []Delivery{d}
	err := s.addLeases(ctx, list)
	return list[0], err
}

// storeLeases stores that attempts at deliveries are in flight since now.
func (b *batch) storeLeases(ids []int64, now, until time.Time) {
	if len(ids) > 0 {
		b.exec(`INSERT INTO delivery_leases (delivery_id, external_status_check_id, merge_request_id, attempt, started_at, leased_until)
			SELECT id, external_status_check_id, merge_request_id, attempts + 1, @now, @until FROM deliveries WHERE `+b.inIDs("id", "@ids"),
			sql.Named("now", now), sql.Named("until", until), sql.Named("ids", b.idList(ids)))
	}
}

// endLeases deletes the leases of attempts that have ended.
func (b *batch) endLeases(attempts []DeliveryAttempt) {
	ids := make([]int64, len(attempts))
	for i, a := range attempts {
		ids[i] = a.DeliveryID
	}
	b.exec("DELETE FROM delivery_leases WHERE "+b.inIDs("delivery_id", "?"), b.idList(ids))
}

// endExpiredLeases ends leases that have expired, of deliveries that match a condition on
// deliveries d and leases l, at most limit. Their attempts count as interrupted. It skips
// deliveries that another transaction holds, and returns the number of leases.
func (s *Store) endExpiredLeases(ctx context.Context, limit int, condition string, args ...any) (int, error) {
	var leases []DeliveryLease
	query := s.writer(ctx).Table("delivery_leases AS l").Select(s.columnNames("l", &DeliveryLease{})).
		Joins("JOIN deliveries d ON d.id = l.delivery_id").
		Where("l.leased_until <= ?", s.Now()).Where(condition, args...).Limit(limit)
	if err := s.skipLocked(query, "d").Scan(&leases).Error; err != nil || len(leases) == 0 {
		return 0, err
	}
	b := s.batch()
	logs := make([]DeliveryAttempt, len(leases))
	for i, l := range leases {
		logs[i] = DeliveryAttempt{DeliveryID: l.DeliveryID, Number: l.Attempt, StartedAt: l.StartedAt, Error: ErrorInterrupted,
			RequestHeader: Header{}, ResponseHeader: Header{}}
		b.exec(`UPDATE deliveries SET attempts = @attempt, last_attempt_at = @at, schedule_started_at = COALESCE(schedule_started_at, @at) WHERE id = @id`,
			sql.Named("attempt", l.Attempt), sql.Named("at", l.StartedAt), sql.Named("id", l.DeliveryID))
	}
	if err := b.logAttempts(logs); err != nil {
		return 0, err
	}
	b.endLeases(logs)
	return len(leases), b.run(ctx)
}
