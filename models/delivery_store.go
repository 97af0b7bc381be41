package models

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// ClaimOptions selects the deliveries that a worker can take.
type ClaimOptions struct {
	// Limit is the maximum number of deliveries.
	Limit int
	// Admit decides about each delivery before it is claimed. A refused delivery stays
	// waiting, and its service is skipped for the rest of this claim. Admit may be
	// called twice for one delivery. Nil admits all.
	Admit func(Delivery) bool
}

// claimLock is the key of the PostgreSQL advisory lock that serialises claims.
const claimLock = 0x6d67_636c

// ErrClaimBusy is returned by Claim while another process claims. Try again shortly.
var ErrClaimBusy = errors.New("models: another process claims deliveries")

// Claim leases deliveries that are due, in the order of their events. Per merge request
// and service, at most one delivery is in flight, and none starts while an earlier one
// still has quick attempts left. A delivery whose lease expired, because its process
// died, is due again. On PostgreSQL only one process claims at a time; the others get
// ErrClaimBusy.
func (s *Store) Claim(ctx context.Context, o ClaimOptions) ([]ClaimedDelivery, error) {
	var claimed []ClaimedDelivery
	err := s.Transaction(ctx, func(tx *Store) error {
		claimed = nil
		if tx.postgres() {
			// The condition "no other delivery of this pair is in flight" must not be
			// evaluated concurrently. Do not wait for the lock: its holder may be
			// suspended.
			var alone bool
			if err := tx.writer(ctx).Raw("SELECT pg_try_advisory_xact_lock(?)", claimLock).Scan(&alone).Error; err != nil {
				return err
			}
			if !alone {
				return ErrClaimBusy
			}
		}
		taken := map[[2]int64]bool{}
		var except []int64
		for len(claimed) < o.Limit {
			due, err := tx.dueDeliveries(ctx, o.Limit-len(claimed), except)
			if err != nil {
				return err
			}
			refused := false
			for _, d := range due {
				// Test deliveries have no merge request, so each is its own ordering
				// key.
				pair := [2]int64{-d.ID, d.ExternalStatusCheckID}
				if d.MergeRequestID != nil {
					pair[0] = *d.MergeRequestID
				}
				if taken[pair] {
					continue
				}
				if o.Admit != nil && !o.Admit(d) {
					except, refused = append(except, d.ExternalStatusCheckID), true
					continue
				}
				taken[pair] = true
				c, err := tx.lease(ctx, d)
				if err != nil {
					return err
				}
				claimed = append(claimed, c)
			}
			// A refused delivery may have hidden others behind the limit.
			if !refused {
				break
			}
		}
		return nil
	})
	return claimed, err
}

// dueDeliveries finds deliveries that can be claimed, longest due first.
func (s *Store) dueDeliveries(ctx context.Context, limit int, exceptServices []int64) ([]Delivery, error) {
	now := s.Now()
	query := s.writer(ctx).Table("deliveries AS d").Select("d.*").
		Where("d.state = ? AND d.next_attempt_at <= ? AND (d.leased_until IS NULL OR d.leased_until <= ?)",
			DeliveryWaiting, now, now).
		Where(`NOT EXISTS (SELECT 1 FROM deliveries e
			WHERE e.merge_request_id = d.merge_request_id AND e.external_status_check_id = d.external_status_check_id AND e.id <> d.id
			AND (e.leased_until > ? OR (e.id < d.id AND e.state = ? AND e.attempts < ? AND e.single_attempt = ?)))`,
			now, DeliveryWaiting, QuickAttempts, false)
	if len(exceptServices) > 0 {
		query = query.Where("d.external_status_check_id NOT IN ?", exceptServices)
	}
	if s.postgres() {
		query = query.Clauses(clause.Locking{Strength: "NO KEY UPDATE", Table: clause.Table{Name: "d"}, Options: "SKIP LOCKED"})
	}
	var due []Delivery
	err := query.Order("d.next_attempt_at, d.id").Limit(limit).Find(&due).Error
	return due, err
}

// lease marks a delivery as in flight.
func (s *Store) lease(ctx context.Context, d Delivery) (ClaimedDelivery, error) {
	now := s.Now()
	if d.LeasedUntil != nil {
		// The previous process died; log its attempt as interrupted.
		interrupted := DeliveryAttempt{DeliveryID: d.ID, Number: d.Attempts, StartedAt: *d.LastAttemptAt, Error: ErrorInterrupted,
			RequestHeader: Header{}, ResponseHeader: Header{}}
		if err := s.writer(ctx).Create(&interrupted).Error; err != nil && !isUniqueViolation(err, "delivery_attempts", "number", "number") {
			return ClaimedDelivery{}, err
		}
	}
	until := now.Add(LeaseDuration)
	d.Attempts++
	d.LeasedUntil, d.LastAttemptAt = &until, &now
	if d.ScheduleStartedAt == nil {
		d.ScheduleStartedAt = &now
	}
	err := s.writer(ctx).Model(&Delivery{}).Where("id = ?", d.ID).Updates(map[string]any{
		"attempts": d.Attempts, "leased_until": d.LeasedUntil, "last_attempt_at": now, "schedule_started_at": d.ScheduleStartedAt,
	}).Error
	if err != nil {
		return ClaimedDelivery{}, err
	}
	var service ExternalStatusCheck
	if err := s.writer(ctx).Select(credentialColumns).Take(&service, d.ExternalStatusCheckID).Error; err != nil {
		return ClaimedDelivery{}, orNotFound(err, "external status check")
	}
	// A secret that cannot be decrypted must not block other deliveries.
	claimed := ClaimedDelivery{Delivery: d}
	s.setCredentials(&claimed, service)
	return claimed, nil
}

// ReleaseLeases ends all leases. Call it at start-up, and only if no other process uses
// the database.
func (s *Store) ReleaseLeases(ctx context.Context) error {
	if err := s.releaseAutoMerges(ctx); err != nil {
		return err
	}
	return s.writer(ctx).Model(&Delivery{}).Where("leased_until IS NOT NULL").
		UpdateColumn("leased_until", s.Now().Add(-time.Microsecond)).Error
}

// FinishDelivery stores the result of an attempt. It does nothing if the lease expired
// and another attempt took over, if the result is already stored, or if the service was
// deleted.
func (s *Store) FinishDelivery(ctx context.Context, claimed Delivery, r AttemptResult) error {
	return s.Transaction(ctx, func(tx *Store) error {
		var d Delivery
		err := tx.forUpdate(tx.writer(ctx)).Take(&d, claimed.ID).Error
		if isRecordNotFound(err) || err == nil && (d.Attempts != claimed.Attempts || d.LeasedUntil == nil) {
			return nil
		}
		if err != nil {
			return err
		}
		newer := false
		if d.MergeRequestID != nil {
			var n int64
			err := tx.writer(ctx).Model(&Delivery{}).
				Where("merge_request_id = ? AND external_status_check_id = ? AND id > ? AND state = ? AND single_attempt = ?",
					*d.MergeRequestID, d.ExternalStatusCheckID, d.ID, DeliveryWaiting, false).Limit(1).Count(&n).Error
			if err != nil {
				return err
			}
			newer = n > 0
		}
		d.finish(r, newer, tx.Now())
		if err := tx.writer(ctx).Select("*").Omit("payload").Where("id = ?", d.ID).Updates(&d).Error; err != nil {
			return err
		}
		attempt := DeliveryAttempt{
			DeliveryID: d.ID, Number: d.Attempts, StartedAt: dbTime(r.StartedAt), DurationMS: r.Duration.Milliseconds(),
			HTTPStatus: r.HTTPStatus, Error: r.Error, ErrorDetail: cutBytes(cleanText(r.ErrorDetail), 1024),
			RequestHeader: nonNil(r.RequestHeader), ResponseHeader: nonNil(r.ResponseHeader),
			ResponseBody: r.ResponseBody, ResponseTruncated: r.ResponseTruncated, Timing: r.Timing,
		}
		if err := tx.writer(ctx).Create(&attempt).Error; err != nil {
			return err
		}
		if newer {
			return tx.notifyDeliveries(ctx)
		}
		return nil
	})
}

func nonNil(h Header) Header {
	if h == nil {
		return Header{}
	}
	return h
}

// NextDeliveryAt returns the next time, after now, at which a delivery becomes due or a
// lease expires. ok is false if there is none.
func (s *Store) NextDeliveryAt(ctx context.Context) (at time.Time, ok bool, err error) {
	now := s.Now()
	next := func(column string) (Delivery, error) {
		var d Delivery
		err := s.reader(ctx).Select("id", "next_attempt_at", "leased_until").
			Where("state = ? AND "+column+" > ?", DeliveryWaiting, now).
			Order(column).Take(&d).Error
		if isRecordNotFound(err) {
			err = nil
		}
		return d, err
	}
	due, err := next("next_attempt_at")
	if err != nil {
		return time.Time{}, false, err
	}
	leased, err := next("leased_until")
	if err != nil {
		return time.Time{}, false, err
	}
	if due.ID != 0 {
		at, ok = due.NextAttemptAt, true
	}
	if leased.ID != 0 && (!ok || leased.LeasedUntil.Before(at)) {
		at, ok = *leased.LeasedUntil, true
	}
	return at, ok, nil
}

// SendTest sends a test delivery to a service. The payload describes the project's
// newest merge request, or a sample if there is none. It changes no check.
func (s *Store) SendTest(ctx context.Context, by User, projectID, serviceID int64) (Delivery, error) {
	var d Delivery
	err := s.Transaction(ctx, func(tx *Store) error {
		service, err := tx.ExternalStatusCheck(ctx, projectID, serviceID)
		if err != nil {
			return err
		}
		project, err := tx.Project(ctx, projectID)
		if err != nil {
			return err
		}
		var mr MergeRequest
		err = tx.reader(ctx).Preload("Author").Where("project_id = ?", projectID).Order("id DESC").Take(&mr).Error
		if errors.Is(err, gorm.ErrRecordNotFound) {
			mr, err = sampleMergeRequest(project, by, tx.Now()), nil
		}
		if err != nil {
			return err
		}
		now := tx.Now()
		event := Event{
			UUID: uuid.NewString(), At: now, User: by, Project: project, MergeRequest: mr, MergeStatus: mergeStatus(project, mr, nil, now),
			Service: EventService{ID: service.ID, Name: service.Name, URL: service.ExternalURL}, Test: true,
		}
		payload, err := tx.shared.cfg.Payload(event)
		if err != nil {
			return err
		}
		// Without MergeRequestID, the test waits for no other delivery.
		d = Delivery{
			ProjectID: projectID, ExternalStatusCheckID: serviceID, MergeRequestIID: mr.IID, UUID: uuid.NewString(), EventUUID: event.UUID,
			Kind: DeliveryOfTest, SHA: mr.HeadSHA, URL: service.ExternalURL, Payload: payload, State: DeliveryWaiting, SingleAttempt: true,
			NextAttemptAt: now, UserID: ID(by.ID), CreatedAt: now,
		}
		if err := tx.writer(ctx).Create(&d).Error; err != nil {
			return err
		}
		return tx.notifyDeliveries(ctx)
	})
	return d, err
}

// sampleMergeRequest returns the merge request of a test payload for a project that has
// none.
func sampleMergeRequest(project Project, by User, now time.Time) MergeRequest {
	mr := MergeRequest{
		ProjectID: project.ID, Title: "Sample merge request", SourceBranch: "sample", TargetBranch: project.DefaultBranch,
		AuthorID: ID(by.ID), Author: &by, State: StateOpened, CreatedAt: now, UpdatedAt: now,
	}
	mr.setHead(Commit{SHA: zeroSHA, Message: "Sample commit", AuthorName: by.Name, CommittedAt: now})
	return mr
}
