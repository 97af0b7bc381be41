package models

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
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
	arrivalBatch = 500
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
				set_config('plan_cache_mode', 'force_generic_plan', true) AS p, set_config('enable_sort', 'off', true) AS s`, claimLock).
				Scan(&alone).Error
			if err != nil {
				return err
			}
			if !alone {
				return ErrClaimBusy
			}
		}
		for len(claimed) < o.Limit {
			c := claim{Store: tx, now: tx.Now(), limit: o.Limit - len(claimed), ClaimOptions: o}
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

	// arrivals are the oldest new deliveries: only ID and ExternalStatusCheckID.
	arrivals []Delivery
	queues   map[int64]*claimQueue
}

// claimQueue is a queue that the claim has locked.
type claimQueue struct {
	ServiceQueue
	// Place is its place in the order of turns, from 1, and 0 if it has no turn in this
	// claim.
	Place    int
	InFlight int
}

// run claims deliveries. more reports whether there are deliveries left that no claim
// has seen.
func (c *claim) run(ctx context.Context) (more bool, err error) {
	if done, err := c.claimNew(ctx); done || err != nil {
		return false, err
	}
	if err := c.findQueues(ctx); err != nil || len(c.queues) == 0 {
		return false, err
	}
	candidates, err := c.findCandidates(ctx)
	if err != nil {
		return false, err
	}
	taken, refused := takeTurns(candidates, c.limit, c.Admit)
	leased, err := c.lease(ctx, taken)
	if err != nil {
		return false, err
	}
	for _, d := range taken {
		if _, ok := leased[d.ID]; !ok {
			refused[d.ExternalStatusCheckID] = true // another transaction holds it
		}
	}
	if err := c.updateQueues(ctx, leased, refused); err != nil {
		return false, err
	}
	marked, err := c.markArrivals(ctx, leased)
	return marked && len(c.arrivals) == arrivalBatch, err
}

// findQueues locks the queues that may have something to take, and those of new
// deliveries. It skips those that are locked.
func (c *claim) findQueues(ctx context.Context) error {
	if len(c.arrivals) > c.limit/2 { // claimNew has not read all
		c.arrivals = nil
		err := c.writer(ctx).Raw(`SELECT id, external_status_check_id FROM deliveries
			WHERE state = 'waiting' AND NOT queued ORDER BY id LIMIT ?`, arrivalBatch).Scan(&c.arrivals).Error
		if err != nil {
			return err
		}
	}
	arrived := make([]int64, len(c.arrivals))
	for i, d := range c.arrivals {
		arrived[i] = d.ExternalStatusCheckID
	}
	slices.Sort(arrived)
	arrived = slices.Compact(arrived)
	if err := c.allowSorting(ctx, true); err != nil {
		return err
	}
	var queues []claimQueue
	err := c.writer(ctx).Raw(c.queuesQuery(len(arrived) > 0), sql.Named("now", c.now), sql.Named("limit", claimServices*c.limit),
		sql.Named("arrived", c.idList(arrived)), sql.Named("skipped", c.idList(c.SkipProjects))).Scan(&queues).Error
	if err == nil {
		err = c.allowSorting(ctx, false)
	}
	if err != nil {
		return err
	}
	c.queues = make(map[int64]*claimQueue, len(queues))
	for i, q := range queues {
		c.queues[q.ExternalStatusCheckID] = &queues[i]
	}
	for _, id := range arrived {
		if c.queues[id] == nil {
			return c.createQueues(ctx, arrived)
		}
	}
	return nil
}

// queuesQuery selects the queues that are due, so that projects take turns, and, if there
// are new deliveries, their queues.
func (c *claim) queuesQuery(arrivals bool) string {
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
	query := "SELECT " + c.columnNames("q", &ServiceQueue{}) + `, p.place, (SELECT COUNT(*) FROM deliveries d
			WHERE d.external_status_check_id = q.external_status_check_id AND d.leased_until > @now) AS in_flight
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
func (s *Store) allowSorting(ctx context.Context, allow bool) error {
	if !s.postgres() {
		return nil
	}
	value := "off"
	if allow {
		value = "on"
	}
	return s.writer(ctx).Exec("SET LOCAL enable_sort = " + value).Error
}

// skipLocked locks the rows that a query reads from a table, and skips those that
// another transaction has locked.
func (s *Store) skipLocked(query *gorm.DB, table string) *gorm.DB {
	if !s.postgres() {
		return query
	}
	return query.Clauses(clause.Locking{Strength: "NO KEY UPDATE", Table: clause.Table{Name: table}, Options: "SKIP LOCKED"})
}

// lease marks deliveries as in flight, except for those that another transaction holds,
// and adds them to the claimed ones. It returns them by id.
func (c *claim) lease(ctx context.Context, taken []candidate) (map[int64]Delivery, error) {
	leased := make(map[int64]Delivery, len(taken))
	if len(taken) == 0 {
		return leased, nil
	}
	ids := make([]int64, len(taken))
	for i, d := range taken {
		ids[i] = d.ID
	}
	var deliveries []Delivery
	until := c.now.Add(LeaseDuration)
	// For state = 'waiting', PostgreSQL may read the index of all waiting deliveries.
	free := "SELECT id FROM deliveries WHERE " + c.inIDs("id", "@ids") + " AND state || '' = 'waiting'"
	if c.postgres() {
		free += " FOR NO KEY UPDATE SKIP LOCKED"
	}
	err := c.writer(ctx).Raw(setLease+" WHERE id IN ("+free+") RETURNING "+strings.Join(c.columnList(&Delivery{}), ", "),
		sql.Named("now", c.now), sql.Named("until", until), sql.Named("ids", c.idList(ids))).Scan(&deliveries).Error
	if err != nil {
		return nil, err
	}
	for _, d := range deliveries {
		leased[d.ID] = d
		if d.Action == ActionReopen {
			if err := c.supersedeClose(ctx, d); err != nil {
				return nil, err
			}
		}
	}
	for _, t := range taken {
		d, ok := leased[t.ID]
		if !ok {
			continue
		}
		if t.LeasedUntil != nil {
			if err := c.logInterrupted(ctx, t.Delivery); err != nil {
				return nil, err
			}
		}
		// A secret that cannot be decrypted must not block other deliveries.
		claimed := ClaimedDelivery{Delivery: d, Hung: t.hung}
		c.setCredentials(&claimed, t.Service)
		c.claimed = append(c.claimed, claimed)
	}
	return leased, nil
}

// markLeased changes a delivery as setLease does in the database.
func (d *Delivery) markLeased(now, until time.Time) {
	d.Attempts++
	d.LeasedUntil, d.LastAttemptAt, d.Queued = &until, &now, true
	if d.ScheduleStartedAt == nil {
		d.ScheduleStartedAt = &now
	}
}

// setLease marks deliveries as in flight since @now until @until.
const setLease = `UPDATE deliveries SET attempts = attempts + 1, leased_until = @until, last_attempt_at = @now, queued = TRUE,
	schedule_started_at = COALESCE(schedule_started_at, @now)`

// storeLeases marks deliveries as in flight since now.
func (s *Store) storeLeases(ctx context.Context, ids []int64, now, until time.Time) error {
	return s.writer(ctx).Exec(setLease+" WHERE "+s.inIDs("id", "@ids"),
		sql.Named("now", now), sql.Named("until", until), sql.Named("ids", s.idList(ids))).Error
}

// logInterrupted logs the attempt of a process that died.
func (c *claim) logInterrupted(ctx context.Context, d Delivery) error {
	attempt := interruptedAttempt(d)
	return c.writer(ctx).Clauses(clause.OnConflict{DoNothing: true}).Create(&attempt).Error
}

// supersedeClose supersedes the deliveries of earlier close events, which run their
// whole schedule, when the delivery of a reopen event starts.
func (c *claim) supersedeClose(ctx context.Context, reopen Delivery) error {
	return c.writer(ctx).Model(&Delivery{}).
		Where("merge_request_id = ? AND external_status_check_id = ? AND id < ?", reopen.MergeRequestID, reopen.ExternalStatusCheckID, reopen.ID).
		Where("state = ? AND action = ? AND single_attempt = ?", DeliveryWaiting, ActionClose, false).
		Updates(map[string]any{"state": DeliverySuperseded, "superseded_reason": SupersededByNewer, "finished_at": c.now}).Error
}
