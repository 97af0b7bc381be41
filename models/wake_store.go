package models

import (
	"context"
	"time"
)

const (
	// wakeBatch is how many deliveries of a service are made due at once. For PostgreSQL, to
	// change 100,000 of them takes ten seconds, in which no other delivery would start.
	wakeBatch = 200
	// wakePause is the time between batches if nothing of a batch can start.
	wakePause = 10 * time.Millisecond
)

// wakeService makes the first waiting deliveries of a service due. If there are more, it
// returns the time that its caller must store as ServiceQueue.WokenAt, otherwise nil. Claims
// make the others due after these.
func (s *Store) wakeService(ctx context.Context, serviceID int64) (wokenAt *time.Time, err error) {
	now := s.Now()
	more, err := s.wakeNext(ctx, serviceID, now)
	if err != nil || !more {
		return nil, err
	}
	return &now, nil
}

// wakeNext makes the next waiting deliveries of a service due that were not tried after a
// time, at most wakeBatch. Those that the service asked to hold back become due at the end
// of that time. It reports whether there may be more.
func (s *Store) wakeNext(ctx context.Context, serviceID int64, since time.Time) (more bool, err error) {
	now := s.Now()
	waiting := s.writer(ctx).Table("deliveries").Select("id").
		Where("external_status_check_id = ? AND state = 'waiting' AND single_attempt = FALSE AND next_attempt_at > ?", serviceID, now).
		Where(hasNoLease("deliveries.id")).
		Where("not_before IS NULL OR not_before <= ? OR not_before < next_attempt_at", now).
		Where("last_attempt_at IS NULL OR last_attempt_at <= ?", since).
		Order("next_attempt_at").Limit(wakeBatch)
	result := s.writer(ctx).Exec("UPDATE deliveries SET next_attempt_at = CASE WHEN not_before > ? THEN not_before ELSE ? END WHERE id IN (?)",
		now, now, s.skipLocked(waiting, "deliveries"))
	return result.RowsAffected == wakeBatch, result.Error
}

// wakeQueues makes more deliveries due in woken queues in which the claim has found none. It
// returns the ids of the queues.
func (c *claim) wakeQueues(ctx context.Context, closed []int64, found []candidate) (woken []int64, err error) {
	hasCandidate := make(map[int64]bool, len(found))
	for _, d := range found {
		hasCandidate[d.ExternalStatusCheckID] = true
	}
	var ended []int64
	for _, id := range closed {
		q := c.queues[id]
		if q.WokenAt == nil || hasCandidate[id] {
			continue
		}
		more, err := c.wakeNext(ctx, id, *q.WokenAt)
		if err != nil {
			return nil, err
		}
		woken = append(woken, id)
		if !more {
			q.WokenAt = nil
			ended = append(ended, id)
		}
	}
	if len(ended) == 0 {
		return woken, nil
	}
	return woken, c.writer(ctx).Exec("UPDATE service_queues SET woken_at = NULL WHERE "+c.inIDs("external_status_check_id", "?"), c.idList(ended)).Error
}
