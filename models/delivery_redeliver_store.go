package models

import (
	"context"
	"strconv"

	"gorm.io/gorm"
)

// MaxRedelivered is how many deliveries one call of RedeliverAll sends again.
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
		change := map[string]any{"next_attempt_at": d.NextAttemptAt, "not_before": nil}
		if d.State != DeliveryWaiting {
			d.State, d.SingleAttempt, d.FinishedAt = DeliveryWaiting, true, nil
			change["state"], change["single_attempt"], change["finished_at"] = DeliveryWaiting, true, nil
		}
		if err := tx.writer(ctx).Model(&Delivery{}).Where("id = ?", d.ID).Updates(change).Error; err != nil {
			return err
		}
		if err := tx.arrive(ctx, ArrivedDelivery{d.ID, serviceID}); err != nil {
			return err
		}
		if err := tx.audit(ctx, by, projectID, AuditRedelivered, service.Name, serviceID, AuditChange{Field: "delivery", To: d.UUID}); err != nil {
			return err
		}
		if err := tx.requestProbe(ctx, serviceID); err != nil {
			return err
		}
		if d, err = tx.withLease(ctx, d); err != nil {
			return err
		}
		return tx.notifyDeliveries(ctx)
	})
	return d, err
}

// CountRedeliverable returns how many deliveries of a service RedeliverAll would send again
// if it had no limit. It counts up to MaxListed+1.
func (s *Store) CountRedeliverable(ctx context.Context, projectID, serviceID int64, filter DeliveryFilter) (int64, error) {
	if err := filter.validateRedeliver(); err != nil {
		return 0, err
	}
	var total int64
	matching := redeliverable(s.reader(ctx), projectID, serviceID, filter).Select("1").Limit(MaxListed + 1)
	err := s.reader(ctx).Table("(?) AS counted", matching).Count(&total).Error
	return total, err
}

// RedeliverAll sends the deliveries of a service that match a filter again, oldest first
// and at most MaxRedelivered. Tests are not sent. It returns how many are queued, and the
// field errors of DeliveryFilter.Validate; the state must be one of RedeliverableStates.
func (s *Store) RedeliverAll(ctx context.Context, by User, projectID, serviceID int64, filter DeliveryFilter) (int, error) {
	if err := filter.validateRedeliver(); err != nil {
		return 0, err
	}
	queued := 0
	err := s.Transaction(ctx, func(tx *Store) error {
		service, err := tx.ExternalStatusCheck(ctx, projectID, serviceID)
		if err != nil {
			return err
		}
		oldest := redeliverable(tx.writer(ctx), projectID, serviceID, filter).Select("id").Order("id").Limit(MaxRedelivered)
		now := tx.Now()
		// Compare the state again: a concurrent call may have queued the same rows.
		update := tx.writer(ctx).Model(&Delivery{}).Where("state = ? AND id IN (?)", filter.State, oldest).
			Updates(map[string]any{"state": DeliveryWaiting, "single_attempt": true, "not_before": nil, "finished_at": nil, "next_attempt_at": now})
		if queued = int(update.RowsAffected); update.Error != nil || queued == 0 {
			return update.Error
		}
		var arrivals []ArrivedDelivery
		err = tx.writer(ctx).Model(&Delivery{}).Select("id AS delivery_id", "external_status_check_id").
			Where("external_status_check_id = ? AND state = 'waiting' AND single_attempt = TRUE AND next_attempt_at = ?", serviceID, now).Find(&arrivals).Error
		if err != nil {
			return err
		}
		if err := tx.arrive(ctx, arrivals...); err != nil {
			return err
		}
		changes := append([]AuditChange{{Field: "deliveries", To: strconv.Itoa(queued)}}, filter.auditChanges()...)
		if err := tx.audit(ctx, by, projectID, AuditRedelivered, service.Name, serviceID, changes...); err != nil {
			return err
		}
		if err := tx.requestProbe(ctx, serviceID); err != nil {
			return err
		}
		return tx.notifyDeliveries(ctx)
	})
	return queued, err
}

func redeliverable(db *gorm.DB, projectID, serviceID int64, filter DeliveryFilter) *gorm.DB {
	return filteredDeliveries(db, projectID, serviceID, filter).Where("kind <> ?", DeliveryOfTest)
}
