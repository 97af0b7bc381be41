package models

import (
	"context"
	"database/sql"
	"strings"
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
	// leased has the services of the deliveries that are leased, and left says that
	// others were not.
	leased []int64
	until  time.Time
	left   bool
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
	query := "SELECT s." + strings.Join(credentialColumns, ", s.") + `
		FROM service_queues q JOIN external_status_checks s ON s.id = q.external_status_check_id
		WHERE ` + s.inIDs("q.external_status_check_id", "@services") + ` AND q.next_at IS NULL AND q.opened_at IS NULL AND NOT q.hung
		AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.external_status_check_id = q.external_status_check_id
			AND d.state = 'waiting' AND NOT d.queued ORDER BY d.id LIMIT 1 OFFSET 0)`
	if s.postgres() {
		query += " FOR NO KEY UPDATE OF q SKIP LOCKED"
	}
	var found []ExternalStatusCheck
	if err := s.writer(ctx).Raw(query, sql.Named("services", s.idList(ids))).Scan(&found).Error; err != nil {
		return nil, err
	}
	starts := &directStarts{Store: s, reserve: *reserve, idle: make(map[int64]ExternalStatusCheck, len(found))}
	for _, service := range found {
		starts.idle[service.ID] = service
	}
	return starts, nil
}

// lease leases a delivery that is about to be stored, if it can start with the commit.
func (t *directStarts) lease(d *Delivery) {
	service, ok := t.idle[d.ExternalStatusCheckID]
	if !ok {
		t.left = true
		return
	}
	place := t.reserve(*d)
	if place == nil {
		t.left = true
		return
	}
	t.until = d.CreatedAt.Add(LeaseDuration)
	d.markLeased(d.CreatedAt, t.until)
	t.leased = append(t.leased, service.ID)
	t.afterEnd(func(committed bool) {
		if !committed || d.ID == 0 { // its service was deleted meanwhile
			place.Release()
			return
		}
		claimed := ClaimedDelivery{Delivery: *d}
		t.setCredentials(&claimed, service)
		place.Start(claimed)
	})
}

// finish stores when the queues should be looked at again, and wakes the delivery loops
// for what has to be claimed. On PostgreSQL a claim may have skipped the queues that this
// transaction has locked, so it always wakes them.
func (t *directStarts) finish(ctx context.Context) error {
	if err := t.setNextAt(ctx, t.leased, t.until); err != nil {
		return err
	}
	if !t.left && !t.postgres() {
		return nil
	}
	return t.notifyDeliveries(ctx)
}
