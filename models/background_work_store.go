package models

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"gorm.io/gorm"
)

// BackgroundWork reads what the background loops still have to do: the queue of each
// service, open breakers and unfinished operations. Services has at most limit entries;
// 0 leaves them out, so that metrics read only totals and recoveries. It takes five
// short queries, whose cost grows with the number of services that have work, but not
// with the length of a queue beyond MaxListed.
func (s *Store) BackgroundWork(ctx context.Context, limit int) (BackgroundWork, error) {
	work := BackgroundWork{At: s.Now()}
	backlogs, err := s.serviceBacklogs(ctx, work.At)
	if err != nil {
		return work, err
	}
	for _, b := range backlogs {
		work.Waiting = total(work.Waiting, b.Waiting)
		work.InFlight = total(work.InFlight, b.InFlight)
		work.OldestDueAt = earliest(work.OldestDueAt, b.OldestDueAt)
		switch b.Breaker.StateAt(work.At) {
		case BreakerClosed:
			work.OldestReadyAt = earliest(work.OldestReadyAt, b.OldestDueAt)
		case BreakerHalfOpen:
			work.HalfOpenBreakers++
			fallthrough
		case BreakerOpen:
			work.OpenBreakers++
		}
	}
	work.Services = backlogs[:min(limit, len(backlogs))]
	if err := s.nameBacklogs(ctx, work.Services); err != nil {
		return work, err
	}
	work.Recoveries, err = s.recoveries(ctx)
	return work, err
}

// serviceBacklogs returns the services with waiting deliveries or an open breaker, the
// one that is late longest first.
func (s *Store) serviceBacklogs(ctx context.Context, now time.Time) ([]ServiceBacklog, error) {
	// A service without a time to look at its queue has no waiting deliveries, except for
	// those that no claim has seen. Every sub-query reads a part of an index: with EXISTS
	// or MIN, or where it may sort, PostgreSQL may read the deliveries of all services, and
	// for IS NOT NULL or OR, SQLite would read all queues.
	waiting := func(single string) string {
		return "SELECT d.next_attempt_at FROM deliveries d WHERE d.external_status_check_id = q.external_status_check_id" +
			" AND d.state = 'waiting' AND d.single_attempt = " + single
	}
	first := func(single string) string {
		return "(" + waiting(single) + " AND d.next_attempt_at <= @now ORDER BY d.next_attempt_at LIMIT 1)"
	}
	var rows []struct {
		ServiceQueue
		Waiting, InFlight int
		DueEvent, DueTest *time.Time
	}
	query := "SELECT " + s.columnNames("q", &ServiceQueue{}) + `,
			(SELECT COUNT(*) FROM (SELECT 1 FROM deliveries d WHERE d.external_status_check_id = q.external_status_check_id
				AND d.state = 'waiting' ORDER BY d.single_attempt, d.next_attempt_at LIMIT @most) w) AS waiting,
			(SELECT COUNT(*) FROM delivery_leases l WHERE l.external_status_check_id = q.external_status_check_id
				AND l.leased_until > @now) AS in_flight, ` +
		first("FALSE") + ` AS due_event, ` + first("TRUE") + ` AS due_test
		FROM service_queues q WHERE q.external_status_check_id IN (
			SELECT n.external_status_check_id FROM service_queues n WHERE n.next_at >= @first
			UNION ALL SELECT o.external_status_check_id FROM service_queues o WHERE o.opened_at IS NOT NULL
			UNION ALL SELECT a.external_status_check_id FROM (SELECT external_status_check_id FROM arrived_deliveries
				ORDER BY delivery_id LIMIT @most) a)`
	read := func(tx *Store) error {
		return tx.reader(ctx).Raw(query, sql.Named("now", now), sql.Named("first", time.Unix(0, 0).UTC()), sql.Named("most", MaxListed+1)).Scan(&rows).Error
	}
	var err error
	if s.postgres() {
		err = s.Transaction(ctx, func(tx *Store) error {
			b := tx.batch()
			b.allowSorting(false)
			if err := b.run(ctx); err != nil {
				return err
			}
			return read(tx)
		})
	} else {
		err = read(s)
	}
	if err != nil {
		return nil, err
	}
	list := make([]ServiceBacklog, 0, len(rows))
	for _, row := range rows {
		if row.Waiting == 0 && row.InFlight == 0 && row.OpenedAt == nil {
			continue
		}
		list = append(list, ServiceBacklog{
			ServiceID: row.ExternalStatusCheckID, ProjectID: row.ProjectID, Waiting: row.Waiting, InFlight: row.InFlight,
			OldestDueAt: earliest(row.DueEvent, row.DueTest), Breaker: row.Breaker,
		})
	}
	slices.SortFunc(list, compareBacklogs)
	return list, nil
}

// nameBacklogs sets the names of services and projects.
func (s *Store) nameBacklogs(ctx context.Context, list []ServiceBacklog) error {
	if len(list) == 0 {
		return nil
	}
	ids := make([]int64, len(list))
	for i, b := range list {
		ids[i] = b.ServiceID
	}
	var names []struct {
		ID         int64
		Name, Path string
	}
	err := s.reader(ctx).Raw(`SELECT c.id, c.name, n.path || '/' || p.path AS path FROM external_status_checks c
		JOIN projects p ON p.id = c.project_id JOIN namespaces n ON n.id = p.namespace_id WHERE c.id IN ?`, ids).Scan(&names).Error
	for _, row := range names {
		for i := range list {
			if list[i].ServiceID == row.ID {
				list[i].ServiceName, list[i].ProjectPath = row.Name, row.Path
			}
		}
	}
	return err
}

// recoveries counts the unfinished operations.
func (s *Store) recoveries(ctx context.Context) ([]Recovery, error) {
	list := make([]Recovery, 0, len(RecoveryKinds))
	for _, kind := range RecoveryKinds {
		rows, at := s.unfinished(ctx, kind)
		var count int64
		if err := s.reader(ctx).Table("(?) AS r", rows.Session(&gorm.Session{}).Select("1").Limit(MaxListed+1)).Count(&count).Error; err != nil {
			return nil, err
		}
		r := Recovery{Kind: kind, Count: int(count)}
		if count > 0 && at != "" {
			var oldest []time.Time
			if err := rows.Session(&gorm.Session{}).Order(at).Limit(1).Pluck(at, &oldest).Error; err != nil {
				return nil, err
			}
			for _, began := range oldest {
				began = began.UTC()
				r.OldestAt = &began
			}
		}
		list = append(list, r)
	}
	return list, nil
}

// unfinished selects the unfinished operations of a kind. at is the column of their
// time, "" if they have none.
func (s *Store) unfinished(ctx context.Context, kind RecoveryKind) (rows *gorm.DB, at string) {
	db := s.reader(ctx)
	switch kind {
	case RecoverPendingPushes:
		return db.Model(&PendingPush{}), "created_at"
	case RecoverStartedMerges:
		return startedMerges(db.Model(&MergeRequest{})), "merging_started_at"
	case RecoverSteps:
		return db.Model(&MergeRequestStep{}), "created_at"
	case RecoverAlsoApply:
		return db.Model(&ExternalStatusCheck{}).Where("apply_after_id IS NOT NULL"), ""
	}
	return db.Model(&RepositoryRemoval{}), "created_at"
}

// WakeService makes the waiting deliveries of a service due, except for those that it
// asked to hold back. If its breaker is open, one is tried now, and a success makes the
// others due. It returns KindNotFound if there is no such service.
func (s *Store) WakeService(ctx context.Context, by User, serviceID int64) error {
	return s.Transaction(ctx, func(tx *Store) error {
		var service ExternalStatusCheck
		if err := tx.reader(ctx).Select("id", "project_id", "name").Take(&service, serviceID).Error; err != nil {
			return orNotFound(err, "service")
		}
		paths, err := tx.ProjectPaths(ctx, []int64{service.ProjectID})
		if err != nil {
			return err
		}
		wokenAt, err := tx.wakeService(ctx, serviceID)
		if err != nil {
			return err
		}
		if err := tx.requestProbe(ctx, serviceID); err != nil {
			return err
		}
		err = tx.writer(ctx).Model(&ServiceQueue{}).Where("external_status_check_id = ?", serviceID).
			UpdateColumns(map[string]any{"next_at": tx.Now(), "woken_at": wokenAt}).Error
		if err != nil {
			return err
		}
		if err := tx.audit(ctx, by, 0, AuditRecoveryRequested, paths[service.ProjectID]+": "+service.Name, serviceID); err != nil {
			return err
		}
		return tx.notifyDeliveries(ctx)
	})
}

// RetryRecovery completes interrupted operations of a kind now, as the background loops
// do at their intervals. Operations in progress are left alone. A failure does not stop
// the others; all errors are joined. An unknown kind is KindNotFound.
func (s *Store) RetryRecovery(ctx context.Context, by User, kind RecoveryKind) error {
	if !slices.Contains(RecoveryKinds, kind) {
		return notFound("recovery")
	}
	if err := s.audit(ctx, by, 0, AuditRecoveryRequested, string(kind), 0); err != nil {
		return err
	}
	var err error
	switch kind {
	case RecoverPendingPushes:
		_, err = s.RecoverPushes(ctx, false)
	case RecoverAlsoApply:
		err = s.RecoverApplies(ctx)
	default:
		_, err = s.RecoverMerges(ctx, false)
	}
	return err
}
