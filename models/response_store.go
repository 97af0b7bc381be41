package models

import (
	"context"
	"database/sql"
	"slices"
	"time"
)

// RecordedResponse is the result of RecordResponse. Check, MergeRequest and Checks are the
// state after it: the check of the service, the merge request with its users, and all
// checks by name. They have what the answer shows; see lockRespondedMergeRequest and
// respondedChecks.
type RecordedResponse struct {
	Response     StatusCheckResponse
	Check        MergeRequestCheck
	MergeRequest MergeRequest
	Checks       []MergeRequestCheck
}

// RecordResponse records a service's response for HEAD. It returns KindNotFound if the
// service is not on this merge request, KindForbidden with CodeCallbackOnly if the service
// accepts only responses with a callback token, and KindConflict with CodeStaleSHA and
// Params["head"] if in.SHA is not HEAD; nothing is stored then. A response after the
// merge is stored as late and does not change the check. Services wait for this operation,
// so it sends few statements.
func (s *Store) RecordResponse(ctx context.Context, by User, projectID, iid int64, in ResponseInput) (RecordedResponse, error) {
	if err := in.Validate(); err != nil {
		return RecordedResponse{}, err
	}
	if hook := s.shared.hooks.BeforeResponseLock; hook != nil {
		hook()
	}
	var r RecordedResponse
	err := s.Transaction(ctx, func(tx *Store) (err error) {
		if r, err = tx.responseState(ctx, projectID, iid, in); err != nil {
			return err
		}
		mr, now := r.MergeRequest, tx.Now()
		r.Response = StatusCheckResponse{
			ProjectID: projectID, MergeRequestID: mr.ID, ExternalStatusCheckID: r.Check.ExternalStatusCheckID, UserID: ID(by.ID),
			SHA: in.SHA, Status: in.Status, Description: in.Description, TargetURL: in.TargetURL, Late: mr.State == StateMerged,
			Via: in.via(), AnswerMS: answerMS(r.Check, in.Status, now), CreatedAt: now,
		}
		// Insert the response first: its foreign key locks the service before the
		// check, the same order as in DeleteExternalStatusCheck.
		if err := tx.writer(ctx).Create(&r.Response).Error; err != nil {
			if isForeignKeyViolation(err) {
				return notFound("external status check")
			}
			return err
		}
		if r.Response.Late {
			return tx.audit(ctx, by, projectID, AuditResponse, r.Check.Name, mr.IID, append(viaChange(in),
				AuditChange{Field: "late_status", To: string(in.Status)}, AuditChange{Field: "sha", To: in.SHA})...)
		}
		return tx.recordOnCheck(ctx, by, &r, in, now)
	})
	if err != nil {
		return RecordedResponse{}, err
	}
	return r, nil
}

// responseState locks a merge request and returns it with its checks, if a response can
// be recorded.
func (s *Store) responseState(ctx context.Context, projectID, iid int64, in ResponseInput) (r RecordedResponse, err error) {
	mr := &r.MergeRequest
	if *mr, err = s.lockRespondedMergeRequest(ctx, projectID, iid); err != nil {
		return r, err
	}
	if r.Checks, err = s.respondedChecks(ctx, mr.ID); err != nil {
		return r, err
	}
	i := slices.IndexFunc(r.Checks, func(c MergeRequestCheck) bool { return c.ExternalStatusCheckID == in.ExternalStatusCheckID })
	if i < 0 {
		return r, notFound("external status check")
	}
	r.Check = r.Checks[i]
	if r.Check.CallbackOnly && in.Callback == nil {
		return r, &Error{Kind: KindForbidden, Code: CodeCallbackOnly}
	}
	if in.SHA != mr.HeadSHA || in.Callback != nil && in.Callback.SHA != mr.HeadSHA {
		return r, &Error{Kind: KindConflict, Code: CodeStaleSHA, Params: map[string]string{"head": mr.HeadSHA}}
	}
	// Most merge requests have none of these users yet.
	for _, missing := range []struct {
		id   *int64
		user **User
	}{{mr.MergeUserID, &mr.MergeUser}, {mr.ClosedByID, &mr.ClosedBy}, {mr.AutoMergeUserID, &mr.AutoMergeUser}} {
		if missing.id == nil {
			continue
		}
		user, err := s.User(ctx, *missing.id)
		if err != nil {
			return r, err
		}
		*missing.user = &user
	}
	return r, nil
}

// recordOnCheck applies a response to its check and records the audit events.
func (s *Store) recordOnCheck(ctx context.Context, by User, r *RecordedResponse, in ResponseInput, now time.Time) error {
	mr, check := r.MergeRequest, &r.Check
	from, timedOut := check.StatusAt(now), check.TimedOutAt(now)
	if timedOut && check.Status == StatusPending {
		if err := s.auditTimeout(ctx, mr, *check); err != nil {
			return err
		}
	}
	check.record(in, mr.State == StateOpened, now)
	if err := s.saveCheckState(ctx, check); err != nil {
		return err
	}
	for i := range r.Checks {
		if r.Checks[i].ID == check.ID {
			r.Checks[i] = *check
		}
	}
	if in.Status == StatusPassed && mr.HasAutoMerge() {
		if err := s.notifyAutoMerges(ctx); err != nil {
			return err
		}
	}
	if from == in.Status && !timedOut {
		return nil // a repeated response is not audited
	}
	change := AuditChange{Field: "status", From: string(from), To: string(in.Status)}
	if from == in.Status {
		change.From = "" // the check had timed out and is now failed by a response
	}
	return s.audit(ctx, by, mr.ProjectID, AuditResponse, check.Name, mr.IID,
		append(viaChange(in), change, AuditChange{Field: "sha", To: in.SHA})...)
}

// viaChange says in the audit event of a response that it came with a callback token.
func viaChange(in ResponseInput) []AuditChange {
	if in.Callback == nil {
		return nil
	}
	return []AuditChange{{Field: "via", To: string(ViaCallback)}}
}

// respondedRow is one row of respondedQuery.
type respondedRow struct {
	mr             MergeRequest
	authorID       sql.NullInt64
	authorUsername sql.NullString
	authorName     sql.NullString
	authorBlocked  sql.NullBool
}

func (r *respondedRow) columns() columns {
	mr := &r.mr
	return columns{
		{"mr.id", &mr.ID},
		{"mr.project_id", &mr.ProjectID},
		{"mr.iid", &mr.IID},
		{"mr.title", &mr.Title},
		{"mr.description", &mr.Description},
		{"mr.source_branch", &mr.SourceBranch},
		{"mr.target_branch", &mr.TargetBranch},
		{"mr.author_id", &mr.AuthorID},
		{"mr.state", &mr.State},
		{"mr.draft", &mr.Draft},
		{"mr.head_sha", &mr.HeadSHA},
		{"mr.source_branch_deleted", &mr.SourceBranchDeleted},
		{"mr.remove_source_branch", &mr.RemoveSourceBranch},
		{"mr.squash", &mr.Squash},
		{"mr.merge_commit_sha", &mr.MergeCommitSHA},
		{"mr.squash_commit_sha", &mr.SquashCommitSHA},
		{"mr.merge_user_id", &mr.MergeUserID},
		{"mr.merged_at", &mr.MergedAt},
		{"mr.closed_by_id", &mr.ClosedByID},
		{"mr.closed_at", &mr.ClosedAt},
		{"mr.auto_merge_at", &mr.AutoMergeAt},
		{"mr.auto_merge_user_id", &mr.AutoMergeUserID},
		{"mr.created_at", &mr.CreatedAt},
		{"mr.updated_at", &mr.UpdatedAt},
		{"u.id", &r.authorID},
		{"u.username", &r.authorUsername},
		{"u.name", &r.authorName},
		{"u.blocked", &r.authorBlocked},
	}
}

var respondedQuery = "SELECT " + new(respondedRow).columns().sql() + ` FROM merge_requests mr
	LEFT JOIN users u ON u.id = mr.author_id WHERE mr.project_id = ? AND mr.iid = ?`

// lockRespondedMergeRequest locks a merge request's row and returns what the answer to a
// response shows of it: all but the commit of HEAD, edits and merges in progress. The
// author has only ID, Username, Name and Blocked.
func (s *Store) lockRespondedMergeRequest(ctx context.Context, projectID, iid int64) (MergeRequest, error) {
	query := respondedQuery
	if s.postgres() {
		query += " FOR NO KEY UPDATE OF mr"
	}
	var r respondedRow
	if err := s.queryRow(ctx, "merge request", r.columns(), query, projectID, iid); err != nil {
		return MergeRequest{}, err
	}
	if r.authorID.Valid {
		r.mr.Author = &User{
			ID: r.authorID.Int64, Username: r.authorUsername.String, Name: r.authorName.String, Blocked: r.authorBlocked.Bool,
		}
	}
	return r.mr, nil
}

// respondedCheckColumns reads a row c of merge_request_checks into check, except for
// scope, delivery and creation.
func respondedCheckColumns(check *MergeRequestCheck) columns {
	return columns{
		{"c.id", &check.ID},
		{"c.project_id", &check.ProjectID},
		{"c.merge_request_id", &check.MergeRequestID},
		{"c.external_status_check_id", &check.ExternalStatusCheckID},
		{"c.name", &check.Name},
		{"c.external_url", &check.ExternalURL},
		{"c.timeout_seconds", &check.TimeoutSeconds},
		{"c.informational", &check.Informational},
		{"c.answered_via", &check.AnsweredVia},
		{"(SELECT s.callback_only FROM external_status_checks s WHERE s.id = c.external_status_check_id)", &check.CallbackOnly},
		{"c.sha", &check.SHA},
		{"c.status", &check.Status},
		{"c.timed_out", &check.TimedOut},
		{"c.pending_since", &check.PendingSince},
		{"c.stopped_at", &check.StoppedAt},
		{"c.settled_at", &check.SettledAt},
		{"c.description", &check.Description},
		{"c.target_url", &check.TargetURL},
	}
}

var respondedChecksQuery = "SELECT " + respondedCheckColumns(new(MergeRequestCheck)).sql() + `
	FROM merge_request_checks c WHERE c.merge_request_id = ? ORDER BY c.name, c.id`

// respondedChecks lists the checks of a merge request by name, without scope, delivery
// and creation.
func (s *Store) respondedChecks(ctx context.Context, mergeRequestID int64) ([]MergeRequestCheck, error) {
	rows, err := s.preparedReader(ctx).Raw(respondedChecksQuery, mergeRequestID).Rows()
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var checks []MergeRequestCheck
	for rows.Next() {
		var check MergeRequestCheck // a new one each time, because some columns are pointers
		cols := respondedCheckColumns(&check)
		if err := rows.Scan(cols.dests()...); err != nil {
			return nil, err
		}
		cols.toUTC()
		checks = append(checks, check)
	}
	return checks, rows.Err()
}
