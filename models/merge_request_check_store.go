package models

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"
)

// withoutPayload omits the payload from a query for deliveries.
func withoutPayload(db *gorm.DB) *gorm.DB { return db.Omit("payload") }

// checkOfService finds the check of a service on a merge request.
func (s *Store) checkOfService(ctx context.Context, mr MergeRequest, serviceID int64) (MergeRequestCheck, error) {
	var check MergeRequestCheck
	err := s.preparedReader(ctx).Take(&check, "merge_request_id = ? AND external_status_check_id = ?", mr.ID, serviceID).Error
	return check, orNotFound(err, "external status check")
}

// Responses lists the responses of one service on a merge request, newest first, with
// their total number.
func (s *Store) Responses(ctx context.Context, mergeRequestID, serviceID int64, page Page) ([]StatusCheckResponse, int64, error) {
	query := s.reader(ctx).Model(&StatusCheckResponse{}).
		Where("merge_request_id = ? AND external_status_check_id = ?", mergeRequestID, serviceID)
	var total int64
	if err := query.Count(&total).Error; err != nil {
		return nil, 0, err
	}
	var list []StatusCheckResponse
	err := page.apply(query.Order("id DESC")).Find(&list).Error
	return list, total, err
}

// LateResponses returns the newest response after the merge of each service, by service
// id. It is empty for a merge request that is not merged.
func (s *Store) LateResponses(ctx context.Context, mergeRequestID int64) (map[int64]StatusCheckResponse, error) {
	var list []StatusCheckResponse
	newest := s.reader(ctx).Model(&StatusCheckResponse{}).Select("MAX(id)").
		Where("merge_request_id = ? AND late", mergeRequestID).
		Group("external_status_check_id")
	if err := s.reader(ctx).Where("id IN (?)", newest).Find(&list).Error; err != nil {
		return nil, err
	}
	late := make(map[int64]StatusCheckResponse, len(list))
	for _, response := range list {
		late[response.ExternalStatusCheckID] = response
	}
	return late, nil
}

// ResponseAfter returns a service's first response for the commit of a delivery after
// the delivery was created; ok is false if there is none.
func (s *Store) ResponseAfter(ctx context.Context, d Delivery) (StatusCheckResponse, bool, error) {
	if d.MergeRequestID == nil {
		return StatusCheckResponse{}, false, nil
	}
	var first StatusCheckResponse
	err := s.reader(ctx).Order("id").
		Take(&first, "merge_request_id = ? AND external_status_check_id = ? AND sha = ? AND created_at >= ?",
			*d.MergeRequestID, d.ExternalStatusCheckID, d.SHA, d.CreatedAt).Error
	if isRecordNotFound(err) {
		return StatusCheckResponse{}, false, nil
	}
	return first, err == nil, err
}

// RetryCheck makes a failed check pending and sends the current state to its service
// again. It returns KindUnprocessable with CodeNotOpen or CodeNotFailed if the check
// cannot be retried.
func (s *Store) RetryCheck(ctx context.Context, by User, projectID, iid, serviceID int64) (MergeRequestCheck, error) {
	var check MergeRequestCheck
	err := s.Transaction(ctx, func(tx *Store) error {
		mr, project, err := tx.lockMergeRequest(ctx, projectID, iid)
		if err != nil {
			return err
		}
		if check, err = tx.checkOfService(ctx, mr, serviceID); err != nil {
			return err
		}
		retried, err := tx.retryChecks(ctx, by, project, mr, func(c MergeRequestCheck) bool { return c.ExternalStatusCheckID == serviceID })
		if err == nil {
			check = retried[0]
		}
		return err
	})
	return check, err
}

// RetryFailedChecks retries all failed checks of a merge request, as RetryCheck does with
// one, as a single event. It returns the retried checks, or KindUnprocessable with
// CodeNotOpen or CodeNotFailed if no check can be retried.
func (s *Store) RetryFailedChecks(ctx context.Context, by User, projectID, iid int64) ([]MergeRequestCheck, error) {
	var retried []MergeRequestCheck
	err := s.Transaction(ctx, func(tx *Store) error {
		mr, project, err := tx.lockMergeRequest(ctx, projectID, iid)
		if err != nil {
			return err
		}
		retried, err = tx.retryChecks(ctx, by, project, mr, func(MergeRequestCheck) bool { return true })
		return err
	})
	return retried, err
}

// retryChecks retries the failed ones of the selected checks. The merge request's row must
// be locked.
func (s *Store) retryChecks(ctx context.Context, by User, project Project, mr MergeRequest, selected func(MergeRequestCheck) bool) ([]MergeRequestCheck, error) {
	if mr.State != StateOpened {
		return nil, unprocessable(CodeNotOpen)
	}
	checks, err := s.checksWithLockedServices(ctx, mr.ID)
	if err != nil {
		return nil, err
	}
	now := s.Now()
	var failed, expired []MergeRequestCheck
	var services []int64
	for _, check := range checks {
		if !selected(check) || !check.CanRetry(mr.State, now) {
			continue
		}
		failed, services = append(failed, check), append(services, check.ExternalStatusCheckID)
		if check.Status == StatusPending {
			expired = append(expired, check)
		}
	}
	if len(failed) == 0 {
		return nil, unprocessable(CodeNotFailed)
	}
	if len(expired) > 0 {
		// Record the time-outs before they are reset.
		if err := s.auditTimeout(ctx, mr, expired...); err != nil {
			return nil, err
		}
	}
	for i := range failed {
		check := &failed[i]
		check.restart(mr.HeadSHA, now)
		if err := s.saveCheckState(ctx, check); err != nil {
			return nil, err
		}
		if err := s.supersede(ctx, mr.ID, check.ExternalStatusCheckID, SupersededByRetry); err != nil {
			return nil, err
		}
		err := s.audit(ctx, by, project.ID, AuditRetry, check.Name, mr.IID,
			AuditChange{Field: "status", From: string(StatusFailed), To: string(StatusPending)},
			AuditChange{Field: "sha", To: mr.HeadSHA})
		if err != nil {
			return nil, err
		}
	}
	return failed, s.recordEvent(ctx, project, mr, eventInput{action: ActionNone, kind: DeliveryOfRetry, by: by, only: services})
}

// auditTimeout records one audit event for the checks of a merge request that timed
// out.
func (s *Store) auditTimeout(ctx context.Context, mr MergeRequest, checks ...MergeRequestCheck) error {
	names := make([]string, len(checks))
	for i, check := range checks {
		names[i] = check.Name
	}
	slices.Sort(names)
	return s.audit(ctx, User{}, mr.ProjectID, AuditTimeout, strings.Join(names, ", "), mr.IID,
		AuditChange{Field: "status", From: string(StatusPending), To: string(StatusFailed)}, AuditChange{Field: "sha", To: mr.HeadSHA})
}

// ExpirePending stores the time-outs that StatusAt already reports and returns how
// many. It looks at no more than limit checks. An error does not stop the others; all
// errors are joined, each as a *ProjectError. No rule depends on when it runs.
func (s *Store) ExpirePending(ctx context.Context, limit int) (int, error) {
	now := s.Now()
	var due []MergeRequestCheck
	// The literal condition lets both databases use the partial index.
	deadline, value := s.deadlineSQL(now)
	err := s.reader(ctx).Where("status = 'pending' AND stopped_at IS NULL AND "+deadline+" <= ?", value).
		Order(deadline + ", merge_request_id").Limit(limit).Find(&due).Error
	if err != nil {
		return 0, err
	}
	var mergeRequests []int64
	candidates := map[int64][]MergeRequestCheck{}
	for _, check := range due {
		if !check.TimedOutAt(now) {
			continue
		}
		if candidates[check.MergeRequestID] == nil {
			mergeRequests = append(mergeRequests, check.MergeRequestID)
		}
		candidates[check.MergeRequestID] = append(candidates[check.MergeRequestID], check)
	}
	n := 0
	var errs []error
	for _, id := range mergeRequests {
		expired, err := s.expireChecks(ctx, id, candidates[id])
		switch {
		case err == nil:
			n += expired
		case KindOf(err) != KindNotFound:
			errs = append(errs, &ProjectError{ProjectID: candidates[id][0].ProjectID, Err: err})
		}
		if ctx.Err() != nil {
			break
		}
	}
	return n, errors.Join(errs...)
}

// deadlineSQL returns the indexed expression for the end of a check's time-out, and the
// value to compare it with. SQLite compares whole seconds, so that a check may be found up
// to a second early.
func (s *Store) deadlineSQL(now time.Time) (expression string, value any) {
	if s.postgres() {
		return "((pending_since AT TIME ZONE 'UTC') + timeout_seconds * INTERVAL '1 second')", now.UTC().Format("2006-01-02 15:04:05.999999")
	}
	return "(unixepoch(pending_since) + timeout_seconds)", now.Unix()
}

// expireChecks stores the time-outs of one merge request and returns how many of the
// candidates were still pending. It returns KindNotFound if the merge request no longer
// exists.
func (s *Store) expireChecks(ctx context.Context, mergeRequestID int64, candidates []MergeRequestCheck) (int, error) {
	var expired []MergeRequestCheck
	err := s.Transaction(ctx, func(tx *Store) error {
		expired = nil
		var mr MergeRequest
		if err := tx.forUpdate(tx.writer(ctx)).Take(&mr, mergeRequestID).Error; err != nil {
			return orNotFound(err, "merge request")
		}
		for _, candidate := range candidates {
			check, err := tx.checkOfService(ctx, mr, candidate.ExternalStatusCheckID)
			if KindOf(err) == KindNotFound {
				continue // deleted concurrently
			}
			if err != nil {
				return err
			}
			if check.Status != StatusPending || !check.TimedOutAt(tx.Now()) {
				continue
			}
			check.expire()
			if err := tx.saveCheckState(ctx, &check); err != nil {
				return err
			}
			expired = append(expired, check)
		}
		if len(expired) == 0 {
			return nil
		}
		return tx.auditTimeout(ctx, mr, expired...)
	})
	return len(expired), err
}

// CountOpenWithCheck counts the open merge requests that have a check of a service, at
// most MaxListed+1. A count above a thousand may be half a minute old.
func (s *Store) CountOpenWithCheck(ctx context.Context, projectID, serviceID int64) (int, error) {
	// With its second column, SQLite prefers the index of open ones.
	open := ofService(s.reader(ctx).Model(&MergeRequestCheck{}), projectID, serviceID).Where("merge_request_open AND merge_request_id > 0")
	n, err := s.count(open.Session(&gorm.Session{}))
	return int(n), err
}
