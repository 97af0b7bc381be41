package models

import (
	"context"
	"database/sql"
	"time"
)

// widgetQuery reads what the widget and the API's list of checks show and
// nothing else, in one statement.
const widgetQuery = `SELECT mr.id, mr.state, mr.head_sha, mr.target_branch, mr.updated_at,
	c.external_status_check_id, c.name, c.timeout_seconds, c.sha, c.status, c.timed_out, c.pending_since, c.stopped_at, c.settled_at,
	c.description, c.target_url, c.external_url,
	d.kind, d.state, d.attempts, d.next_attempt_at, d.leased_until, d.last_attempt_at, d.last_http_status, d.last_error,
	d.finished_at, d.created_at
	FROM merge_requests mr
	LEFT JOIN merge_request_checks c ON c.merge_request_id = mr.id
	LEFT JOIN deliveries d ON d.id = c.delivery_id
	WHERE mr.project_id = ? AND mr.iid = ? ORDER BY c.name, c.id`

// MergeRequestChecks finds a merge request and its checks by name, each with its
// newest delivery, for the poll of the widget, which every open page sends
// every few seconds, and for the API's list: it fills in only what those show.
// Of the merge request that is id, project, iid, state, HEAD, target branch and
// when it changed last. KindNotFound when there is no such merge request.
func (s *Store) MergeRequestChecks(ctx context.Context, projectID, iid int64) (MergeRequest, []MergeRequestCheck, error) {
	mr := MergeRequest{ProjectID: projectID, IID: iid}
	rows, err := s.preparedReader(ctx).Raw(widgetQuery, projectID, iid).Rows()
	if err != nil {
		return mr, nil, err
	}
	defer rows.Close()
	var checks []MergeRequestCheck
	for rows.Next() {
		check, err := scanCheckRow(rows, &mr)
		if err != nil {
			return mr, nil, err
		}
		if check.ExternalStatusCheckID != 0 {
			checks = append(checks, check)
		}
	}
	if err := rows.Err(); err != nil {
		return mr, nil, err
	}
	if mr.ID == 0 {
		return mr, nil, notFound("merge request")
	}
	return mr, checks, nil
}

// scanCheckRow reads a row of widgetQuery. Its check has id 0 where the merge
// request has none, its Delivery is nil where nothing was sent.
func scanCheckRow(rows *sql.Rows, mr *MergeRequest) (MergeRequestCheck, error) {
	var (
		service, timeout, attempts, httpStatus                                sql.NullInt64
		name, sha, status, description, target, address, kind, state, failure sql.NullString
		timedOut                                                              sql.NullBool
		pendingSince, stopped, settled, next, leased, last, done, made        sql.NullTime
	)
	err := rows.Scan(&mr.ID, &mr.State, &mr.HeadSHA, &mr.TargetBranch, &mr.UpdatedAt,
		&service, &name, &timeout, &sha, &status, &timedOut, &pendingSince, &stopped, &settled, &description, &target, &address,
		&kind, &state, &attempts, &next, &leased, &last, &httpStatus, &failure, &done, &made)
	if err != nil {
		return MergeRequestCheck{}, err
	}
	mr.UpdatedAt = mr.UpdatedAt.UTC()
	check := MergeRequestCheck{
		ProjectID: mr.ProjectID, MergeRequestID: mr.ID, ExternalStatusCheckID: service.Int64, Name: name.String,
		TimeoutSeconds: int(timeout.Int64), SHA: sha.String, Status: Status(status.String), TimedOut: timedOut.Bool,
		PendingSince: pendingSince.Time.UTC(), StoppedAt: timeOrNil(stopped), SettledAt: timeOrNil(settled),
		Description: description.String, TargetURL: target.String, ExternalURL: address.String,
	}
	if state.Valid {
		check.Delivery = &Delivery{
			Kind: DeliveryKind(kind.String), State: DeliveryState(state.String), Attempts: int(attempts.Int64),
			NextAttemptAt: next.Time.UTC(), LeasedUntil: timeOrNil(leased), LastAttemptAt: timeOrNil(last),
			LastHTTPStatus: int(httpStatus.Int64), LastError: failure.String, FinishedAt: timeOrNil(done), CreatedAt: made.Time.UTC(),
		}
	}
	return check, nil
}

func timeOrNil(t sql.NullTime) *time.Time {
	if !t.Valid {
		return nil
	}
	at := t.Time.UTC()
	return &at
}
