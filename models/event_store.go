package models

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
)

// eventInput describes an event of a merge request that its services receive.
type eventInput struct {
	action  Action
	kind    DeliveryKind
	oldRev  string
	changes []Change
	by      User
	// only restricts the event to some services; nil means all.
	only []int64
}

// recordEvent creates one delivery per check of the merge request, in the transaction
// of the change, and links it as the check's newest. project and mr are the state after
// the change; the merge request's row must be locked.
func (s *Store) recordEvent(ctx context.Context, project Project, mr MergeRequest, in eventInput) error {
	if s.shared.cfg.Payload == nil {
		return errNoPayload
	}
	if in.kind == "" {
		in.kind = DeliveryOfEvent
	}
	checks, err := s.checksWithLockedServices(ctx, mr.ID)
	if err != nil {
		return err
	}
	s.recordActivity(ctx, project)
	if in.only != nil {
		checks = slices.DeleteFunc(checks, func(c MergeRequestCheck) bool { return !slices.Contains(in.only, c.ExternalStatusCheckID) })
	}
	if len(checks) == 0 {
		return nil
	}
	if err := s.loadAuthor(ctx, &mr); err != nil {
		return err
	}
	if err := s.supersedeAfterQuickAttempts(ctx, mr.ID, in.only); err != nil {
		return err
	}
	now, traceParent := s.Now(), s.shared.cfg.TraceParent(ctx)
	event := Event{
		UUID: uuid.NewString(), Action: in.action, OldRev: in.oldRev, Changes: in.changes, At: now,
		User: in.by, Project: project, MergeRequest: mr, MergeStatus: mergeStatus(project, mr, checks, now),
	}
	starts, err := s.findIdleServices(ctx, checks)
	if err != nil {
		return err
	}
	for _, check := range checks {
		event.Service = EventService{ID: check.ExternalStatusCheckID, Name: check.Name, URL: check.ExternalURL}
		payload, err := s.shared.cfg.Payload(event)
		if err != nil {
			return err
		}
		d := Delivery{
			ProjectID: project.ID, ExternalStatusCheckID: check.ExternalStatusCheckID,
			MergeRequestID: ID(mr.ID), MergeRequestIID: mr.IID, UUID: uuid.NewString(), EventUUID: event.UUID,
			Kind: in.kind, Action: in.action, SHA: mr.HeadSHA, URL: check.ExternalURL, Payload: payload, State: DeliveryWaiting,
			WholeSchedule: in.action == ActionClose || in.action == ActionMerged,
			NextAttemptAt: now, TraceParent: traceParent, CreatedAt: now,
		}
		starts.lease(&d)
		if err := s.writer(ctx).Create(&d).Error; err != nil {
			if isForeignKeyViolation(err) {
				continue // the service was deleted concurrently
			}
			return err
		}
		err = s.writer(ctx).Model(&MergeRequestCheck{}).Where("id = ?", check.ID).
			UpdateColumn("delivery_id", d.ID).Error
		if err != nil {
			return err
		}
	}
	return starts.finish(ctx)
}

// mergeStatus returns GitLab's detailed_merge_status, as far as the database knows it.
func mergeStatus(project Project, mr MergeRequest, checks []MergeRequestCheck, at time.Time) string {
	reasons := Mergeable(project, mr, checks, at)
	if len(reasons) == 0 {
		return "unchecked"
	}
	if reasons[0] == BlockedSourceGone {
		return string(BlockedNoCommits)
	}
	return string(reasons[0])
}

// loadAuthor loads the author of a merge request. A deleted author stays nil.
func (s *Store) loadAuthor(ctx context.Context, mr *MergeRequest) error {
	if mr.Author != nil || mr.AuthorID == nil {
		return nil
	}
	author, err := s.User(ctx, *mr.AuthorID)
	if err != nil {
		var e *Error
		if errors.As(err, &e) {
			return nil
		}
		return err
	}
	mr.Author = &author
	return nil
}

// checksWithLockedServices lists the checks of a merge request by name. Within a
// transaction it locks the services first: DeleteExternalStatusCheck locks the service
// before its checks, and the opposite order would deadlock.
func (s *Store) checksWithLockedServices(ctx context.Context, mrID int64) ([]MergeRequestCheck, error) {
	if s.inTx && s.postgres() {
		var ids []int64
		err := s.writer(ctx).Raw(`SELECT id FROM external_status_checks WHERE id IN
			(SELECT external_status_check_id FROM merge_request_checks WHERE merge_request_id = ?) ORDER BY id FOR KEY SHARE`, mrID).Scan(&ids).Error
		if err != nil {
			return nil, err
		}
	}
	var checks []MergeRequestCheck
	err := s.preparedReader(ctx).Where("merge_request_id = ?", mrID).Order("name, id").Find(&checks).Error
	return checks, err
}

// supersedableDeliveries selects the waiting deliveries of a merge request that may be
// superseded.
func (s *Store) supersedableDeliveries(ctx context.Context, mrID int64) *gorm.DB {
	return s.writer(ctx).Model(&Delivery{}).
		Where("merge_request_id = ? AND state = ?", mrID, DeliveryWaiting).
		Where("whole_schedule = ? AND single_attempt = ?", false, false)
}

// supersede marks the waiting deliveries of a merge request as superseded, those of one
// service or, if serviceID is 0, of all.
func (s *Store) supersede(ctx context.Context, mrID, serviceID int64, reason string) error {
	query := s.supersedableDeliveries(ctx, mrID)
	if serviceID != 0 {
		query = query.Where("external_status_check_id = ?", serviceID)
	}
	// Keep the lease: an attempt may be in flight.
	return query.Updates(map[string]any{"state": DeliverySuperseded, "superseded_reason": reason, "finished_at": s.Now()}).Error
}

// supersedeRemovedServices supersedes the waiting deliveries of services that are no
// longer on the merge request.
func (s *Store) supersedeRemovedServices(ctx context.Context, mrID int64) error {
	return s.supersedableDeliveries(ctx, mrID).
		Where("external_status_check_id NOT IN (SELECT external_status_check_id FROM merge_request_checks WHERE merge_request_id = ?)", mrID).
		Updates(map[string]any{"state": DeliverySuperseded, "superseded_reason": SupersededByRemoval, "finished_at": s.Now()}).Error
}

// supersedeAfterQuickAttempts supersedes, in favour of a new delivery, those that have
// used their quick attempts and are not in flight.
func (s *Store) supersedeAfterQuickAttempts(ctx context.Context, mrID int64, services []int64) error {
	now := s.Now()
	query := s.supersedableDeliveries(ctx, mrID).
		Where("attempts - probes >= ?", QuickAttempts).Where(hasNoLease("deliveries.id"))
	if services != nil {
		query = query.Where("external_status_check_id IN ?", services)
	}
	return query.Updates(map[string]any{"state": DeliverySuperseded, "superseded_reason": SupersededByNewer, "finished_at": now}).Error
}
