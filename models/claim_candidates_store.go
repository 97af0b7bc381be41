package models

import (
	"context"
	"database/sql"
)

// dueIDs selects the ids of deliveries of queue q that can be leased: requested by a
// person first, and at most MaxPerService of each kind. due is the condition of being
// due. Each condition and order match an index, so only few rows are read besides the
// result. OFFSET makes PostgreSQL look for blocking deliveries one by one: it joins all
// with all otherwise.
func dueIDs(due string) string {
	one := func(single, blocks string) string {
		return `SELECT id FROM (SELECT e.id FROM deliveries e
			WHERE e.external_status_check_id = q.external_status_check_id AND e.state = 'waiting' AND e.single_attempt = ` + single + `
			AND ` + due + `
			AND NOT EXISTS (SELECT 1 FROM delivery_leases l WHERE l.external_status_check_id = e.external_status_check_id
				AND (l.delivery_id = e.id OR l.merge_request_id = e.merge_request_id) ORDER BY l.delivery_id LIMIT 1 OFFSET 0)
			AND NOT EXISTS (SELECT 1 FROM deliveries p WHERE p.merge_request_id = e.merge_request_id
				AND p.external_status_check_id = e.external_status_check_id AND p.id < e.id AND p.state = 'waiting'
				AND (` + blocks + `) ORDER BY p.id LIMIT 1 OFFSET 0)
			ORDER BY e.next_attempt_at, e.id LIMIT @limit) AS ` + "s" + single
	}
	const quick = "p.attempts - p.probes < @quick AND p.single_attempt = FALSE"
	return one("TRUE", quick+" OR p.single_attempt = TRUE") + " UNION ALL " + one("FALSE", quick)
}

// The conditions of being due: by schedule and, for a probe, unless the service asked to
// wait.
const (
	dueBySchedule = "e.next_attempt_at <= @now"
	dueForProbe   = "(e.not_before IS NULL OR e.not_before <= @now)"
)

// findCandidates finds deliveries that can be leased, at most four per service.
func (c *claim) findCandidates(ctx context.Context) ([]candidate, error) {
	var closed, probing []int64
	for id, q := range c.queues {
		switch {
		case q.Place == 0 || q.InFlight >= MaxPerService:
		case q.OpenedAt == nil:
			closed = append(closed, id)
		case q.admitsAt(c.now):
			probing = append(probing, id)
		}
	}
	var all []candidate
	b := c.batch()
	c.dueDeliveries(b, closed, dueBySchedule, &all)
	if err := b.run(ctx); err != nil {
		return nil, err
	}
	woken, err := c.wakeQueues(ctx, closed, all)
	if err != nil {
		return nil, err
	}
	c.dueDeliveries(b, woken, dueBySchedule, &all)
	c.dueDeliveries(b, probing, dueForProbe, &all)
	if err := b.run(ctx); err != nil {
		return nil, err
	}
	for i := range all {
		q := c.queues[all[i].ExternalStatusCheckID]
		all[i].turn, all[i].slots, all[i].hung = q.Place, MaxPerService-q.InFlight, q.Hung
		if q.OpenedAt != nil {
			all[i].slots = 1
		}
	}
	return all, nil
}

// dueDeliveries adds to found, in a batch, what Admit and lease need of the deliveries that
// can be leased, with the credentials of their services.
func (c *claim) dueDeliveries(b *batch, services []int64, due string, found *[]candidate) {
	if len(services) == 0 {
		return
	}
	from := "service_queues q CROSS JOIN deliveries d ON d.id IN (" + dueIDs(due) + ")"
	if c.postgres() {
		from = "service_queues q CROSS JOIN LATERAL (" + dueIDs(due) + ") due JOIN deliveries d ON d.id = due.id"
	}
	var row candidate
	columns := append(columns{
		{"d.id", &row.ID}, {"d.project_id", &row.ProjectID}, {"d.external_status_check_id", &row.ExternalStatusCheckID},
		{"d.merge_request_id", &row.MergeRequestID}, {"d.url", &row.URL}, {"d.single_attempt", &row.SingleAttempt},
		{"d.next_attempt_at", &row.NextAttemptAt},
	}, c.credentialColumns(&row.Service)...)
	b.query(columns, func() { *found = append(*found, row) }, "SELECT "+columns.sql()+" FROM "+from+`
		JOIN external_status_checks s ON s.id = q.external_status_check_id
		WHERE `+c.inIDs("q.external_status_check_id", "@services")+" ORDER BY d.single_attempt DESC, d.next_attempt_at, d.id",
		sql.Named("now", c.now), sql.Named("quick", QuickAttempts), sql.Named("limit", MaxPerService), sql.Named("services", c.idList(services)))
}
