package models

import (
	"context"

	"gorm.io/gorm"
)

// Deliveries lists a service's deliveries without payloads, newest first, with their
// total number. It counts and lists at most MaxListed deliveries; a total of MaxListed+1
// means that there are more. It returns the field errors of DeliveryFilter.Validate.
func (s *Store) Deliveries(ctx context.Context, projectID, serviceID int64, filter DeliveryFilter, page Page) ([]Delivery, int64, error) {
	if err := filter.Validate(); err != nil {
		return nil, 0, err
	}
	query := func() *gorm.DB { return filteredDeliveries(s.reader(ctx), projectID, serviceID, filter) }
	order := "id DESC"
	if filter.Event == string(DeliveryOfRetry) || filter.Event == string(DeliveryOfTest) {
		// People cause these, so they are few: they are read from the index of events, and
		// not from that of all deliveries of the service, which has the order.
		order = withoutIndex(s.reader(ctx), order)
	}
	var list []Delivery
	if page.After != nil {
		after := query()
		if page.After.ID != 0 {
			after = after.Where("id < ?", page.After.ID)
		}
		if err := page.apply(withoutPayload(after).Order(order)).Find(&list).Error; err != nil {
			return nil, 0, err
		}
		return list, 0, s.addLeases(ctx, list)
	}
	total, err := s.count(query().Session(&gorm.Session{}))
	if err != nil {
		return nil, 0, err
	}
	if (page.Number-1)*page.Size < MaxListed {
		err = page.apply(withoutPayload(query()).Order(order)).Find(&list).Error
	}
	if err != nil {
		return nil, 0, err
	}
	return list, total, s.addLeases(ctx, list)
}

// ofService selects rows of a service of a project. The index of project_id is only for the
// deletion of projects.
func ofService(query *gorm.DB, projectID, serviceID int64) *gorm.DB {
	return query.Where(withoutIndex(query, "project_id")+" = ? AND external_status_check_id = ?", projectID, serviceID)
}

// filteredDeliveries selects the deliveries of a service that match a valid filter.
func filteredDeliveries(db *gorm.DB, projectID, serviceID int64, f DeliveryFilter) *gorm.DB {
	query := ofService(db.Model(&Delivery{}), projectID, serviceID)
	if f.State != "" {
		query = query.Where("state = ?", f.State)
		if f.State == DeliveryFailed || f.State == DeliverySuperseded {
			query = query.Where("state IN ('failed', 'superseded')") // the condition of an index
		}
	}
	switch f.Event {
	case "":
	case string(DeliveryOfRetry), string(DeliveryOfTest):
		query = query.Where("kind = ?", f.Event)
	default:
		query = query.Where("kind = ? AND action = ?", DeliveryOfEvent, f.Event)
	}
	if f.MergeRequestIID != 0 {
		// Tests only name a merge request. Each part has its index.
		query = query.Where(`id IN (SELECT d.id FROM deliveries d WHERE d.external_status_check_id = ? AND d.merge_request_id =
				(SELECT m.id FROM merge_requests m WHERE m.project_id = ? AND m.iid = ?)
			UNION ALL SELECT t.id FROM deliveries t WHERE t.external_status_check_id = ? AND t.kind = 'test' AND t.merge_request_iid = ?)`,
			serviceID, projectID, f.MergeRequestIID, serviceID, f.MergeRequestIID)
	}
	switch first, last, _ := httpStatusRange(f.HTTPStatus); f.HTTPStatus {
	case "":
	case HTTPStatusNone:
		query = query.Where("last_http_status = 0 AND last_error <> ''")
	default:
		query = query.Where("last_http_status BETWEEN ? AND ?", first, last)
		if first > 299 {
			query = query.Where("last_http_status > 299") // the condition of an index
		}
	}
	if !f.Since.IsZero() {
		query = query.Where("created_at >= ?", dbTime(f.Since))
	}
	if !f.Before.IsZero() {
		query = query.Where("created_at < ?", dbTime(f.Before))
	}
	if f.ID != "" {
		found, args := "SELECT id FROM deliveries WHERE id = ?", []any{deliveryNumber(f.ID)}
		if isUUIDStart(f.ID) {
			// The indexes of the UUIDs serve the range; "g" sorts after all digits.
			for _, column := range []string{"uuid", "event_uuid"} {
				found += " UNION ALL SELECT id FROM deliveries WHERE " + column + " >= ? AND " + column + " < ? AND " + column + " LIKE ?"
				args = append(args, f.ID, f.ID+"g", f.ID+"%")
			}
		}
		// One subquery, so that the databases start from what it finds. Joined by OR, they
		// would read all deliveries of the service.
		query = query.Where("id IN ("+found+")", args...)
	}
	return query
}

// RecentDeliveries returns the last n deliveries, n >= 1, of each service of a project,
// by service id, oldest first, without payloads.
func (s *Store) RecentDeliveries(ctx context.Context, projectID int64, n int) (map[int64][]Delivery, error) {
	var list []Delivery
	// The subquery finds the n-th newest delivery in the index, so older rows are not
	// read.
	err := s.reader(ctx).Raw(`SELECT d.id, d.external_status_check_id, d.state, d.action, d.kind, d.attempts, d.last_http_status, d.last_error,
			d.last_duration_ms, d.last_attempt_at, d.next_attempt_at, d.created_at
		FROM external_status_checks s JOIN deliveries d ON d.external_status_check_id = s.id
			AND d.id >= COALESCE((SELECT n.id FROM deliveries n WHERE n.external_status_check_id = s.id ORDER BY n.id DESC LIMIT 1 OFFSET ?), 0)
		WHERE s.project_id = ? ORDER BY d.id`, n-1, projectID).Scan(&list).Error
	if err == nil {
		err = s.addLeases(ctx, list)
	}
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
	if d, err = s.withLease(ctx, d); err != nil {
		return d, nil, err
	}
	var attempts []DeliveryAttempt
	err = s.reader(ctx).Where("delivery_id = ?", d.ID).Order("number").Find(&attempts).Error
	return d, attempts, err
}
