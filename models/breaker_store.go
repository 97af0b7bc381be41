package models

import "context"

// Breakers returns the circuit breakers of a project's services, by service id. Only
// services with failures since their last success are in the map; the zero value is
// right for the others.
func (s *Store) Breakers(ctx context.Context, projectID int64) (map[int64]Breaker, error) {
	var queues []ServiceQueue
	if err := s.preparedReader(ctx).Find(&queues, "project_id = ? AND failures > 0", projectID).Error; err != nil {
		return nil, err
	}
	breakers := make(map[int64]Breaker, len(queues))
	for _, q := range queues {
		breakers[q.ExternalStatusCheckID] = q.Breaker
	}
	return breakers, nil
}

// Breaker returns the circuit breaker of a service of a project.
func (s *Store) Breaker(ctx context.Context, projectID, serviceID int64) (Breaker, error) {
	var q ServiceQueue
	err := s.preparedReader(ctx).Limit(1).
		Find(&q, "project_id = ? AND external_status_check_id = ?", projectID, serviceID).Error
	return q.Breaker, err
}
