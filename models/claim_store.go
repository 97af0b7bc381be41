package models

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// ClaimOptions selects the deliveries that a worker can take.
type ClaimOptions struct {
	// Limit is the maximum number of deliveries.
	Limit int
	// Admit decides about each delivery before it is claimed. hung reports whether the
	// service's last attempt hung. A refused delivery stays waiting. Nil admits all.
	Admit func(d Delivery, hung bool) bool
	// SkipHung skips services whose last attempt hung, and SkipProjects those of some
	// projects. Admit would refuse them; skipping finds others instead.
	SkipHung     bool
	SkipProjects []int64
}

const (
	// claimLock is the key of the PostgreSQL advisory lock that serialises claims.
	claimLock = 0x6d67_636c
	// arrivalBatch is how many new deliveries a claim looks at at once.
	arrivalBatch = 2000
	// claimServices is how many services a claim looks at per delivery it may take.
	// Some of them have nothing to take.
	claimServices = 4
	// blockedPause is when to look again for deliveries that are due but wait for an
	// earlier one of their pair. The end of that one makes them due earlier.
	blockedPause = 5 * time.Second
)

// ErrClaimBusy is returned by Claim while another process claims. Try again shortly.
var ErrClaimBusy = errors.New("models: another process claims deliveries")

// Claim leases deliveries that are due. Projects and services take turns. Per merge
// request and service, at most one delivery is in flight, and none starts while an
// earlier one still has quick attempts left. Per service, at most MaxPerService are in
// flight, and only one, the probe, while its breaker is open. A delivery whose lease
// expired, because its process died, is due again. On PostgreSQL only one process claims
// at a time; the others get ErrClaimBusy. Claim waits for no lock: it skips what another
// transaction holds.
func (s *Store) Claim(ctx context.Context, o ClaimOptions) ([]ClaimedDelivery, error) {
	var claimed []ClaimedDelivery
	// A crash of the machine may lose a lease. It is taken again, or stored with the
	// result; see restoreLease.
	err := s.quickTransaction(ctx, func(tx *Store) error {
		claimed = nil
		if tx.postgres() {
			// Attempts are limited per pair and service over all processes, so claims
			// must not run concurrently. Do not wait for the lock: its holder may be
			// suspended.
			var alone bool
			err := tx.writer(ctx).Raw(`SELECT pg_try_advisory_xact_lock(?) FROM set_config('synchronous_commit', 'off', true) AS c,
				set_config('plan_cache_mode', 'force_generic_plan', true) AS p, set_config('enable_sort', 'off', true) AS s,
				set_config('enable_seqscan', 'off', true) AS r`, claimLock).
				Scan(&alone).Error
			if err != nil {
				return err
			}
			if !alone {
				return ErrClaimBusy
			}
		}
		for len(claimed) < o.Limit {
			c := claim{Store: tx, now: tx.Now(), limit: o.Limit - len(claimed), ClaimOptions: o, queues: map[int64]*claimQueue{}}
			more, err := c.run(ctx)
			if err != nil {
				return err
			}
			claimed = append(claimed, c.claimed...)
			if !more {
				break
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return claimed, nil
}

// claim is one round of Claim.
type claim struct {
	*Store
	ClaimOptions
	now     time.Time
	limit   int
	claimed []ClaimedDelivery

	// arrivals are the oldest new deliveries.
	arrivals []ArrivedDelivery
	queues   map[int64]*claimQueue
}

// claimQueue is a queue that the claim has locked.
type claimQueue struct {
	ServiceQueue
	// Place is its place in the order of turns, from 1, and 0 if it has no turn in this
	// claim.
	Place    int
	InFlight int
	// Expired is the number of leases that have expired.
	Expired int
}

// run claims deliveries. more reports whether there are deliveries left that no claim
// has seen.
func (c *claim) run(ctx context.Context) (more bool, err error) {
	if err := c.findQueues(ctx); err != nil || len(c.queues) == 0 {
		return false, err
	}
	candidates, err := c.findCandidates(ctx)
	if err != nil {
		return false, err
	}
	taken, refused := takeTurns(candidates, c.limit, c.Admit)
	b := c.batch()
	leased, err := c.lease(ctx, b, taken)
	if err != nil {
		return false, err
	}
	for _, d := range taken {
		if _, ok := leased[d.ID]; !ok {
			refused[d.ExternalStatusCheckID] = true // another transaction holds it
		}
	}
	if err := c.updateQueues(ctx, b, leased, refused); err != nil {
		return false, err
	}
	counted := c.countArrivals(b)
	return counted && len(c.arrivals) == arrivalBatch, b.run(ctx)
}

// findQueues locks the queues that may have something to take, and those of new
// deliveries. It skips those that are locked.
func (c *claim) findQueues(ctx context.Context) error {
	b := c.batch()
	c.readArrivals(b)
	c.readQueues(b)
	if err := b.run(ctx); err != nil {
		return err
	}
	if len(c.arrivals) > 0 {
		clear(c.queues)
		c.readQueues(b)
		if err := b.run(ctx); err != nil {
			return err
		}
	}
	var expired []int64
	for id, q := range c.queues {
		if q.Expired > 0 {
			expired = append(expired, id)
		}
	}
	if len(expired) > 0 {
		if _, err := c.endExpiredLeases(ctx, MaxPerService*len(expired), c.inIDs("l.external_status_check_id", "?"), c.idList(expired)); err != nil {
			return err
		}
	}
	arrived := c.arrivedServices()
	for _, id := range arrived {
		if c.queues[id] == nil {
			return c.createQueues(ctx, arrived)
		}
	}
	return nil
}

// arrivedServices returns the services of the arrivals.
func (c *claim) arrivedServices() []int64 {
	services := make([]int64, len(c.arrivals))
	for i, a := range c.arrivals {
		services[i] = a.ExternalStatusCheckID
	}
	slices.Sort(services)
	return slices.Compact(services)
}

// readArrivals reads the oldest new deliveries in a batch.
func (c *claim) readArrivals(b *batch) {
	var a ArrivedDelivery
	columns := c.columnsOf("a", &a)
	b.query(columns, func() { c.arrivals = append(c.arrivals, a) },
		"SELECT "+columns.sql()+" FROM arrived_deliveries a ORDER BY a.delivery_id LIMIT ?", arrivalBatch)
}

// readQueues reads, in a batch, the queues that are due and those of the arrivals.
func (c *claim) readQueues(b *batch) {
	var q claimQueue
	columns := append(c.columnsOf("q", &q.ServiceQueue), column{"p.place", &q.Place},
		column{"(SELECT COUNT(*) FROM delivery_leases l WHERE l.external_status_check_id = q.external_status_check_id AND l.leased_until > @now)", &q.InFlight},
		column{"(SELECT COUNT(*) FROM delivery_leases l WHERE l.external_status_check_id = q.external_status_check_id AND l.leased_until <= @now)", &q.Expired})
	arrived := c.arrivedServices()
	b.allowSorting(true)
	b.query(columns, func() {
		found := q
		c.queues[q.ExternalStatusCheckID] = &found
	}, c.queuesQuery(columns, len(arrived) > 0), sql.Named("now", c.now), sql.Named("limit", claimServices*c.limit),
		sql.Named("arrived", c.idList(arrived)), sql.Named("skipped", c.idList(c.SkipProjects)))
	b.allowSorting(false)
}

// queuesQuery selects the queues that are due, so that projects take turns, and, if there
// are new deliveries, their queues.
func (c *claim) queuesQuery(columns columns, arrivals bool) string {
	due := "next_at <= @now"
	if arrivals {
		due = "(next_at <= @now OR " + c.inIDs("external_status_check_id", "@arrived") + ")"
	}
	if c.SkipHung {
		due += " AND NOT hung"
	}
	if len(c.SkipProjects) > 0 {
		due += " AND NOT (" + c.inIDs("project_id", "@skipped") + ")"
	}
	places := `SELECT external_status_check_id, ROW_NUMBER() OVER (ORDER BY turn, at, external_status_check_id) AS place
		FROM (SELECT external_status_check_id, COALESCE(next_at, @now) AS at, ROW_NUMBER() OVER (
			PARTITION BY project_id, hung ORDER BY COALESCE(next_at, @now), external_status_check_id) AS turn
			FROM service_queues WHERE ` + due + `) r
		ORDER BY turn, at, external_status_check_id LIMIT @limit`
	if arrivals {
		places = "SELECT external_status_check_id, MAX(place) AS place FROM (SELECT * FROM (" + places + `) t UNION ALL
			SELECT external_status_check_id, 0 FROM service_queues WHERE ` + c.inIDs("external_status_check_id", "@arrived") + ") u GROUP BY external_status_check_id"
	}
	query := "SELECT " + columns.sql() + `
		FROM (` + places + ") p JOIN service_queues q ON q.external_status_check_id = p.external_status_check_id ORDER BY q.external_status_check_id"
	if c.postgres() {
		query += " FOR NO KEY UPDATE OF q SKIP LOCKED"
	}
	return query
}

// createQueues creates the missing queues of services: a previous version of the program
// creates services without a queue.
func (c *claim) createQueues(ctx context.Context, services []int64) error {
	return c.writer(ctx).Exec(`INSERT INTO service_queues (external_status_check_id, project_id, next_at)
		SELECT s.id, s.project_id, @now FROM external_status_checks s WHERE `+c.inIDs("s.id", "@services")+`
		AND NOT EXISTS (SELECT 1 FROM service_queues q WHERE q.external_status_check_id = s.id)`,
		sql.Named("now", c.now), sql.Named("services", c.idList(services))).Error
}

// allowSorting says whether PostgreSQL may sort rows in the rest of the transaction. If it
// may not, it uses the index that has the order of ORDER BY, whatever its statistics say:
// they are usually from a time when nothing waited, and any index of waiting deliveries
// seems good then (docs/decisions/0058-claims-do-not-trust-statistics.md).
func (b *batch) allowSorting(allow bool) {
	if !b.postgres() {
		return
	}
	value := "off"
	if allow {
		value = "on"
	}
	b.exec("SET LOCAL enable_sort = " + value)
}

// skipLocked locks the rows that a query reads from a table, and skips those that
// another transaction has locked.
func (s *Store) skipLocked(query *gorm.DB, table string) *gorm.DB {
	if !s.postgres() {
		return query
	}
	return query.Clauses(clause.Locking{Strength: "NO KEY UPDATE", Table: clause.Table{Name: table}, Options: "SKIP LOCKED"})
}

// lease locks deliveries, except for those that another transaction holds, and adds them to
// the claimed ones. It returns them by id. The batch stores the leases.
func (c *claim) lease(ctx context.Context, b *batch, taken []candidate) (map[int64]Delivery, error) {
	leased := make(map[int64]Delivery, len(taken))
	if len(taken) == 0 {
		return leased, nil
	}
	ids := make([]int64, len(taken))
	for i, d := range taken {
		ids[i] = d.ID
	}
	var d Delivery
	columns := c.columnsOf("d", &d)
	// For state = 'waiting', PostgreSQL may read the index of all waiting deliveries.
	free := "SELECT " + columns.sql() + " FROM deliveries d WHERE " + c.inIDs("d.id", "?") + " AND d.state || '' = 'waiting'"
	if c.postgres() {
		free += " FOR NO KEY UPDATE SKIP LOCKED"
	}
	until := c.now.Add(LeaseDuration)
	b.query(columns, func() {
		locked := d
		locked.markLeased(c.now, until)
		leased[d.ID] = locked
	}, free, c.idList(ids))
	if err := b.run(ctx); err != nil {
		return nil, err
	}
	for _, d := range leased {
		if d.Action != ActionReopen {
			continue
		}
		if err := c.supersedeClose(ctx, d); err != nil {
			return nil, err
		}
	}
	b.storeLeases(slices.Sorted(maps.Keys(leased)), c.now, until)
	for _, t := range taken {
		d, ok := leased[t.ID]
		if !ok {
			continue
		}
		// A secret that cannot be decrypted must not block other deliveries.
		claimed := ClaimedDelivery{Delivery: d, Hung: t.hung}
		c.setCredentials(&claimed, t.Service)
		c.claimed = append(c.claimed, claimed)
	}
	return leased, nil
}

// supersedeClose supersedes the deliveries of earlier close events, which run their
// whole schedule, when the delivery of a reopen event starts.
func (c *claim) supersedeClose(ctx context.Context, reopen Delivery) error {
	return c.writer(ctx).Model(&Delivery{}).
		Where("merge_request_id = ? AND external_status_check_id = ? AND id < ?", reopen.MergeRequestID, reopen.ExternalStatusCheckID, reopen.ID).
		Where("state = ? AND action = ? AND single_attempt = ?", DeliveryWaiting, ActionClose, false).
		Updates(map[string]any{"state": DeliverySuperseded, "superseded_reason": SupersededByNewer, "finished_at": c.now}).Error
}
