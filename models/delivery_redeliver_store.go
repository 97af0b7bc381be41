package models

import (
	"context"
	"strconv"
	"time"

	"gorm.io/gorm"
)

// MaxRedelivered is how many deliveries one call of RedeliverFailed sends again.
const MaxRedelivered = 1000

// Redeliver sends a delivery again, with the same payload, URL and UUID. A delivery
// that is still waiting is only made due now.
func (s *Store) Redeliver(ctx context.Context, by User, projectID, serviceID, id int64) (Delivery, error) {
	var d Delivery
	err := s.Transaction(ctx, func(tx *Store) error {
		service, err := tx.ExternalStatusCheck(ctx, projectID, serviceID)
		if err != nil {
			return err
		}
		err = tx.forUpdate(tx.writer(ctx)).
			Take(&d, "project_id = ? AND external_status_check_id = ? AND id = ?", projectID, serviceID, id).Error
		if err != nil {
			return orNotFound(err, "delivery")
		}
		d.NextAttemptAt = tx.Now()
		change := map[string]any{"next_attempt_at": d.NextAttemptAt, "not_before": nil, "queued": false}
		if d.State != DeliveryWaiting {
			d.State, d.SingleAttempt, d.FinishedAt = DeliveryWaiting, true, nil
			change["state"], change["single_attempt"], change["finished_at"] = DeliveryWaiting, true, nil
		}
		if err := tx.writer(ctx).Model(&Delivery{}).Where("id = ?", d.ID).Updates(change).Error; err != nil {
			return err
		}
		if err := tx.audit(ctx, by, projectID, AuditRedelivered, service.Name, serviceID, AuditChange{Field: "delivery", To: d.UUID}); err != nil {
			return err
		}
		if err := tx.requestProbe(ctx, serviceID); err != nil {
			return err
		}
		return tx.notifyDeliveries(ctx)
	})
	return d, err
}

// CountFailed returns how many deliveries of a service RedeliverFailed would send again
// if it had no limit. It counts up to MaxListed+1.
func (s *Store) CountFailed(ctx context.Context, projectID, serviceID int64, since time.Time) (int64, error) {
	var total int64
	failed := failedDeliveries(s.reader(ctx), projectID, serviceID, since).Select("1").Limit(MaxListed + 1)
	err := s.reader(ctx).Table("(?) AS counted", failed).Count(&total).Error
	return total, err
}

// RedeliverFailed sends the failed deliveries of a service again whose event was at or
// after since, oldest first and at most MaxRedelivered. Superseded and test deliveries
// are not sent. It returns how many are queued.
func (s *Store) RedeliverFailed(ctx context.Context, by User, projectID, serviceID int64, since time.Time) (int, error) {
	queued := 0
	err := s.Transaction(ctx, func(tx *Store) error {
		service, err := tx.ExternalStatusCheck(ctx, projectID, serviceID)
		if err != nil {
			return err
		}
		oldest := failedDeliveries(tx.writer(ctx), projectID, serviceID, since).Select("id").Order("id").Limit(MaxRedelivered)
		// Compare the state again: a concurrent call may have queued the same rows.
		update := tx.writer(ctx).Model(&Delivery{}).Where("state = ? AND id IN (?)", DeliveryFailed, oldest).
			Updates(map[string]any{"state": DeliveryWaiting, "single_attempt": true, "queued": false, "not_before": nil, "finished_at": nil, "next_attempt_at": tx.Now()})
		if queued = int(update.RowsAffected); update.Error != nil || queued == 0 {
			return update.Error
		}
		err = tx.audit(ctx, by, projectID, AuditRedelivered, service.Name, serviceID,
			AuditChange{Field: "deliveries", To: strconv.Itoa(queued)}, AuditChange{Field: "since", To: dbTime(since).Format(time.RFC3339)})
		if err != nil {
			return err
		}
		if err := tx.requestProbe(ctx, serviceID); err != nil {
			return err
		}
		return tx.notifyDeliveries(ctx)
	})
	return queued, err
}

func failedDeliveries(db *gorm.DB, projectID, serviceID int64, since time.Time) *gorm.DB {
	return filteredDeliveries(db, projectID, serviceID, DeliveryFilter{State: DeliveryFailed, Since: since}).Where("kind <> ?", DeliveryOfTest)
}
