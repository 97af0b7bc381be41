package models

import (
	"context"
	"database/sql"
	"time"
)

// Place is a worker's place for one attempt.
type Place interface {
	// Start starts the attempt at a delivery, whose lease is stored.
	Start(ClaimedDelivery)
	// Release gives the place back.
	Release()
}

// OfferPlaces lets the transactions of this process start the deliveries that they create
// without a claim: the first attempt begins with the commit. reserve returns a free place
// for a delivery, or nil; it must not use the database. stop ends the offer.
func (s *Store) OfferPlaces(reserve func(Delivery) Place) (stop func()) {
	s.shared.reservePlace.Store(&reserve)
	return func() { s.shared.reservePlace.CompareAndSwap(&reserve, nil) }
}

// directStarts leases the deliveries of one event that its transaction can start: those
// to idle services, for which there is a place. They need nobody's turn to be decided.
// The rest wait for a claim.
type directStarts struct {
	*Store
	reserve func(Delivery) Place
	// idle has the idle services, whose queues are locked, with the columns that
	// setCredentials needs.
	idle map[int64]ExternalStatusCheck
	// leased has the deliveries that are leased, and left those that are not.
	leased, left []*Delivery
	now, until   time.Time
}

// findIdleServices finds the services of the checks for which nothing waits or is in
// flight, whose breaker is closed, and whose last attempt did not hang. It waits for no
// lock.
func (s *Store) findIdleServices(ctx context.Context, checks []MergeRequestCheck) (*directStarts, error) {
	reserve := s.shared.reservePlace.Load()
	if !s.inTx || reserve == nil {
		return &directStarts{Store: s}, nil
	}
	ids := make([]int64, len(checks))
	for i, check := range checks {
		ids[i] = check.ExternalStatusCheckID
	}
	var service ExternalStatusCheck
	columns := s.credentialColumns(&service)
	query := "SELECT " + columns.sql() + `
		FROM service_queues q JOIN external_status_checks s ON s.id = q.external_status_check_id
		WHERE ` + s.inIDs("q.external_status_check_id", "@services") + ` AND q.next_at IS NULL AND q.opened_at IS NULL AND NOT q.hung
		AND NOT EXISTS (SELECT 1 FROM arrived_deliveries a WHERE a.external_status_check_id = q.external_status_check_id
			ORDER BY a.delivery_id LIMIT 1 OFFSET 0)`
	if s.postgres() {
		query += " FOR NO KEY UPDATE OF q SKIP LOCKED"
	}
	starts := &directStarts{Store: s, reserve: *reserve, idle: map[int64]ExternalStatusCheck{}}
	b := s.batch()
	b.query(columns, func() { starts.idle[service.ID] = service }, query, sql.Named("services", s.idList(ids)))
	return starts, b.run(ctx)
}

// lease leases a delivery that is about to be stored, if it can start with the commit.
func (t *directStarts) lease(d *Delivery) {
	service, ok := t.idle[d.ExternalStatusCheckID]
	if !ok {
		t.left = append(t.left, d)
		return
	}
	place := t.reserve(*d)
	if place == nil {
		t.left = append(t.left, d)
		return
	}
	t.now, t.until = d.CreatedAt, d.CreatedAt.Add(LeaseDuration)
	t.leased = append(t.leased, d)
	t.afterEnd(func(committed bool) {
		if !committed || d.ID == 0 { // its service was deleted meanwhile
			place.Release()
			return
		}
		claimed := ClaimedDelivery{Delivery: *d}
		claimed.Delivery.markLeased(t.now, t.until)
		t.setCredentials(&claimed, service)
		place.Start(claimed)
	})
}

// finish stores the leases and when the queues should be looked at again, and wakes the
// delivery loops for what has to be claimed. On PostgreSQL a claim may have skipped the
// queues that this transaction has locked, so it always wakes them.
func (t *directStarts) finish(ctx context.Context) error {
	var ids, services []int64
	for _, d := range t.leased {
		if d.ID != 0 { // not deleted meanwhile
			ids, services = append(ids, d.ID), append(services, d.ExternalStatusCheckID)
		}
	}
	b := t.batch()
	b.storeLeases(ids, t.now, t.until)
	b.setNextAt(services, t.until)
	if err := b.run(ctx); err != nil {
		return err
	}
	var arrivals []ArrivedDelivery
	for _, d := range t.left {
		if d.ID != 0 {
			arrivals = append(arrivals, ArrivedDelivery{d.ID, d.ExternalStatusCheckID})
		}
	}
	if err := t.arrive(ctx, arrivals...); err != nil {
		return err
	}
	if len(arrivals) == 0 && !t.postgres() {
		return nil
	}
	return t.notifyDeliveries(ctx)
}
