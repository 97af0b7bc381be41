package models

import "context"

// Redeliver sends a delivery again, with the same payload, URL and UUID. A delivery
// that is still waiting is only made due now.
func (s *Store) Redeliver(ctx context.Context, projectID, serviceID, id int64) (Delivery, error) {
	var d Delivery
	err := s.Transaction(ctx, func(tx *Store) error {
		err := tx.forUpdate(tx.writer(ctx)).
			Take(&d, "project_id = ? AND external_status_check_id = ? AND id = ?", projectID, serviceID, id).Error
		if err != nil {
			return orNotFound(err, "delivery")
		}
		d.NextAttemptAt = tx.Now()
		change := map[string]any{"next_attempt_at": d.NextAttemptAt}
		if d.State != DeliveryWaiting {
			d.State, d.SingleAttempt, d.FinishedAt = DeliveryWaiting, true, nil
			change["state"], change["single_attempt"], change["finished_at"] = DeliveryWaiting, true, nil
		}
		if err := tx.writer(ctx).Model(&Delivery{}).Where("id = ?", d.ID).Updates(change).Error; err != nil {
			return err
		}
		return tx.notifyDeliveries(ctx)
	})
	return d, err
}
