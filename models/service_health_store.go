package models

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// ServiceHealth returns the health of a service over the last HealthDays days. The
// percentiles are computed here, because SQLite has no function for them. The health of a
// service with more than a thousand deliveries may be half a minute old.
func (s *Store) ServiceHealth(ctx context.Context, projectID, serviceID int64) (ServiceHealth, error) {
	return kept(s, fmt.Sprintf("health %d %d", projectID, serviceID), func() (ServiceHealth, int64, error) {
		health, err := s.readServiceHealth(ctx, projectID, serviceID)
		health.dropDurations()
		return health, int64(health.Delivered + health.Failed), err
	})
}

func (s *Store) readServiceHealth(ctx context.Context, projectID, serviceID int64) (ServiceHealth, error) {
	health := newServiceHealth(s.Now())
	deliveries, err := ofService(s.reader(ctx).Model(&Delivery{}), projectID, serviceID).
		Select("created_at", "state", "attempts", "last_http_status", "last_error", "last_duration_ms").
		Where("created_at >= ?", health.Day).
		Order("id DESC").Limit(MaxHealthRows + 1).Rows()
	if err != nil {
		return health, err
	}
	var d Delivery
	err = health.scan(deliveries, func() { health.addDelivery(d) },
		&d.CreatedAt, &d.State, &d.Attempts, &d.LastHTTPStatus, &d.LastError, &d.LastDurationMS)
	if err != nil {
		return health, err
	}
	answers, err := ofService(s.reader(ctx).Model(&StatusCheckResponse{}), projectID, serviceID).Select("created_at", "answer_ms").
		Where("created_at >= ? AND answer_ms IS NOT NULL", health.Day).
		Order("created_at DESC").Limit(MaxHealthRows + 1).Rows()
	if err != nil {
		return health, err
	}
	var answeredAt time.Time
	var ms int64
	err = health.scan(answers, func() { health.addAnswer(answeredAt, time.Duration(ms)*time.Millisecond) }, &answeredAt, &ms)
	health.finish()
	return health, err
}

// scan calls add for the first MaxHealthRows rows and closes them.
func (h *ServiceHealth) scan(rows *sql.Rows, add func(), dests ...any) error {
	defer rows.Close()
	for n := 0; rows.Next(); n++ {
		if n == MaxHealthRows {
			h.Cut = true
			break
		}
		if err := rows.Scan(dests...); err != nil {
			return err
		}
		add()
	}
	return rows.Err()
}
