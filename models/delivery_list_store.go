package models

import "context"

// Deliveries lists a service's deliveries without payloads, newest first, with their
// total number. An empty state selects all states.
func (s *Store) Deliveries(ctx context.Context, projectID, serviceID int64, state DeliveryState, page Page) ([]Delivery, int64, error) {
	query := s.reader(ctx).Model(&Delivery{}).
		Where("project_id = ? AND external_status_check_id = ?", projectID, serviceID)
	if state != "" {
		query = query.Where("state = ?", state)
	}
	var total int64
	if err := query.Count(&total).Error; err != nil {
		return nil, 0, err
	}
	var list []Delivery
	err := page.apply(query.Omit("payload").Order("id DESC")).Find(&list).Error
	return list, total, err
}

// RecentDeliveries returns the last n deliveries, n >= 1, of each service of a project,
// by service id, oldest first, without payloads.
func (s *Store) RecentDeliveries(ctx context.Context, projectID int64, n int) (map[int64][]Delivery, error) {
	var list []Delivery
	// The subquery finds the n-th newest delivery in the index, so older rows are not
	// read.
	err := s.reader(ctx).Raw(`SELECT d.id, d.external_status_check_id, d.state, d.action, d.kind, d.attempts, d.last_http_status, d.last_error,
			d.last_duration_ms, d.last_attempt_at, d.next_attempt_at, d.leased_until, d.created_at
		FROM external_status_checks s JOIN deliveries d ON d.external_status_check_id = s.id
			AND d.id >= COALESCE((SELECT n.id FROM deliveries n WHERE n.external_status_check_id = s.id ORDER BY n.id DESC LIMIT 1 OFFSET ?), 0)
		WHERE s.project_id = ? ORDER BY d.id`, n-1, projectID).Scan(&list).Error
	byService := map[int64][]Delivery{}
	for _, d := range list {
		byService[d.ExternalStatusCheckID] = append(byService[d.ExternalStatusCheckID], d)
	}
	return byService, err
}

// Delivery finds a delivery of a service, with its payload and its attempts in order.
func (s *Store) Delivery(ctx context.Context, projectID, serviceID, id int64) (Delivery, []DeliveryAttempt, error) {
	var d Delivery
	err := s.reader(ctx).
		Take(&d, "project_id = ? AND external_status_check_id = ? AND id = ?", projectID, serviceID, id).Error
	if err != nil {
		return d, nil, orNotFound(err, "delivery")
	}
	var attempts []DeliveryAttempt
	err = s.reader(ctx).Where("delivery_id = ?", d.ID).Order("number").Find(&attempts).Error
	return d, attempts, err
}
