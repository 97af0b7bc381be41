package models

import (
	"context"
)

// retentionBatch is how many deliveries are changed in one statement.
const retentionBatch = 1000

// DeleteExpired deletes expired sessions, links and counters, and deliveries that finished
// DeliveryRetention ago. It fails deliveries that a breaker has held back for MaxHeld,
// and ends attempts whose process died after their delivery was superseded.
func (s *Store) DeleteExpired(ctx context.Context) error {
	now := s.Now()
	if err := s.writer(ctx).Where("expires_at <= ?", now).Delete(&Session{}).Error; err != nil {
		return err
	}
	if err := s.writer(ctx).Where("window_ends_at <= ?", now).Delete(&RateCounter{}).Error; err != nil {
		return err
	}
	if err := s.writer(ctx).Where("expires_at <= ?", now).Delete(&UserLink{}).Error; err != nil {
		return err
	}
	if err := s.failHeldDeliveries(ctx); err != nil {
		return err
	}
	if err := s.endAbandonedAttempts(ctx); err != nil {
		return err
	}
	return s.deleteOldDeliveries(ctx)
}

// deleteOldDeliveries deletes deliveries that finished DeliveryRetention ago, in short
// transactions, so that others can write in between. No index has the time at which they
// finished, but their ids have the order of creation. So it reads from the oldest delivery
// up to one that is too new to be deleted.
func (s *Store) deleteOldDeliveries(ctx context.Context) error {
	before := s.Now().Add(-DeliveryRetention)
	for last := int64(0); ; {
		var batch []Delivery
		err := s.reader(ctx).Select("id", "created_at", "finished_at").Where("id > ?", last).Order("id").Limit(retentionBatch).Find(&batch).Error
		if err != nil {
			return err
		}
		var old []int64
		for _, d := range batch {
			if d.FinishedAt != nil && !d.FinishedAt.After(before) {
				old = append(old, d.ID)
			}
		}
		if len(old) > 0 {
			// Compare again: a delivery may have been sent once more meanwhile.
			err := s.writer(ctx).Where("id IN ? AND finished_at <= ?", old, before).Delete(&Delivery{}).Error
			if err != nil {
				return err
			}
		}
		if len(batch) < retentionBatch || batch[len(batch)-1].CreatedAt.After(before) {
			return nil
		}
		last = batch[len(batch)-1].ID
	}
}

// failHeldDeliveries ends deliveries that a breaker has held back for longer than the
// whole schedule of a delivery takes.
func (s *Store) failHeldDeliveries(ctx context.Context) error {
	before := s.Now().Add(-MaxHeld)
	for {
		held := s.writer(ctx).Table("deliveries AS d").Select("d.id").
			Joins("JOIN service_queues q ON q.external_status_check_id = d.external_status_check_id").
			Where("q.opened_at <= ? AND d.state = 'waiting' AND d.created_at <= ? AND NOT d.single_attempt", before, before).
			Where(hasNoLease("d.id")).Limit(retentionBatch)
		result := s.writer(ctx).Model(&Delivery{}).Where("id IN (?)", s.skipLocked(held, "d")).
			Updates(map[string]any{"state": DeliveryFailed, "finished_at": s.Now()})
		if result.Error != nil || result.RowsAffected < retentionBatch {
			return result.Error
		}
	}
}

// endAbandonedAttempts ends the expired leases of finished deliveries. Claims do so for
// waiting deliveries.
func (s *Store) endAbandonedAttempts(ctx context.Context) error {
	for {
		ended := 0
		err := s.Transaction(ctx, func(tx *Store) (err error) {
			ended, err = tx.endExpiredLeases(ctx, retentionBatch, "d.state <> ?", DeliveryWaiting)
			return err
		})
		if err != nil || ended < retentionBatch {
			return err
		}
	}
}
