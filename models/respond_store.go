package models

import (
	"context"
	"database/sql"
)

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
	rows, err := s.reader(ctx).Raw(respondedChecksQuery, mergeRequestID).Rows()
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

// saveCheckState updates what a response changes of a check. It does nothing if the
// check's service was deleted.
func (s *Store) saveCheckState(ctx context.Context, check *MergeRequestCheck) error {
	check.UpdatedAt = s.Now()
	return s.writer(ctx).Exec(`UPDATE merge_request_checks SET status = ?, timed_out = ?, pending_since = ?, stopped_at = ?,
		settled_at = ?, description = ?, target_url = ?, answered_via = ?, updated_at = ? WHERE id = ?`,
		check.Status, check.TimedOut, check.PendingSince, check.StoppedAt, check.SettledAt, check.Description, check.TargetURL, check.AnsweredVia,
		check.UpdatedAt, check.ID).Error
}
