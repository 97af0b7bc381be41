package models

import (
	"context"
	"database/sql"
)

// newDelivery is a delivery that no claim has seen yet, with what claiming it needs.
type newDelivery struct {
	Delivery
	// Hung is ServiceQueue.Hung.
	Hung bool
	// Idle reports whether the service has no other delivery that waits or is in flight,
	// and no open breaker.
	Idle bool
	// OthersDue reports whether any queue is due.
	OthersDue bool
	Service   ExternalStatusCheck `gorm:"embedded;embeddedPrefix:service_"`
}

// newDeliveries selects new deliveries with the credentials of their services.
func (c *claim) newDeliveries() string {
	query := "SELECT " + c.columnNames("d", &Delivery{}) + ", " + prefixedColumns("s", "service_", credentialColumns) + `, q.hung,
		q.next_at IS NULL AND q.opened_at IS NULL AND d.next_attempt_at <= @now AS idle,
		COALESCE((SELECT o.next_at FROM service_queues o ORDER BY o.next_at LIMIT 1) <= @now, FALSE) AS others_due
		FROM deliveries d JOIN service_queues q ON q.external_status_check_id = d.external_status_check_id
		JOIN external_status_checks s ON s.id = d.external_status_check_id
		WHERE d.state = 'waiting' AND NOT d.queued ORDER BY d.id LIMIT @limit`
	if c.postgres() {
		query += " FOR NO KEY UPDATE OF d, q SKIP LOCKED"
	}
	return query
}

// claimNew is the short way of a claim for the usual case: a few new deliveries to
// services that are idle, while nothing else is due, so that nobody's turn has to be
// decided. done is false in all other cases; then arrivals are set.
func (c *claim) claimNew(ctx context.Context) (done bool, err error) {
	// Half of the places at most, so that nobody else's delivery waits for one.
	most := c.limit / 2
	var found []newDelivery
	err = c.writer(ctx).Raw(c.newDeliveries(), sql.Named("now", c.now), sql.Named("limit", most+1)).Scan(&found).Error
	if err != nil {
		return false, err
	}
	for _, d := range found {
		c.arrivals = append(c.arrivals, Delivery{ID: d.ID, ExternalStatusCheckID: d.ExternalStatusCheckID})
	}
	if len(found) == 0 || len(found) > most {
		return false, nil
	}
	seen := make(map[int64]bool, len(found))
	// A reopen event supersedes waiting close events; see claim.lease.
	for _, d := range found {
		id := d.ExternalStatusCheckID
		if !d.Idle || d.OthersDue || d.Hung || seen[id] || d.Action == ActionReopen {
			return false, nil
		}
		seen[id] = true
	}
	var ids, services []int64
	until := c.now.Add(LeaseDuration)
	for i := range found {
		d := &found[i].Delivery
		if c.Admit != nil && !c.Admit(*d, false) {
			continue // it stays new
		}
		ids = append(ids, d.ID)
		services = append(services, d.ExternalStatusCheckID)
		d.markLeased(c.now, until)
		claimed := ClaimedDelivery{Delivery: *d}
		c.setCredentials(&claimed, found[i].Service)
		c.claimed = append(c.claimed, claimed)
	}
	if len(ids) == 0 {
		return true, nil
	}
	if err := c.storeLeases(ctx, ids, c.now, until); err != nil {
		return false, err
	}
	return true, c.setNextAt(ctx, services, until)
}
