package models

import (
	"context"
	"database/sql"
	"time"
)

// checkRow is one row of widgetQuery. The columns of the check are NULL if the merge
// request has none, those of the delivery if nothing was sent.
type checkRow struct {
	mr          MergeRequest
	autoMergeAt sql.NullTime

	serviceID      sql.NullInt64
	name           sql.NullString
	timeoutSeconds sql.NullInt64
	informational  sql.NullBool
	callbackOnly   sql.NullBool
	sha            sql.NullString
	status         sql.NullString
	timedOut       sql.NullBool
	pendingSince   sql.NullTime
	stoppedAt      sql.NullTime
	settledAt      sql.NullTime
	description    sql.NullString
	targetURL      sql.NullString
	answeredVia    sql.NullString
	externalURL    sql.NullString

	deliveryID     sql.NullInt64
	deliveryKind   sql.NullString
	deliveryState  sql.NullString
	attempts       sql.NullInt64
	nextAttemptAt  sql.NullTime
	leasedUntil    sql.NullTime
	lastAttemptAt  sql.NullTime
	lastHTTPStatus sql.NullInt64
	lastError      sql.NullString
	finishedAt     sql.NullTime
	deliveryMadeAt sql.NullTime
	probes         sql.NullInt64

	breakerFailures sql.NullInt64
	breakerOpenedAt sql.NullTime
	probeAt         sql.NullTime
	probeDeliveryID sql.NullInt64
}

func (r *checkRow) columns() columns {
	return columns{
		{"mr.id", &r.mr.ID},
		{"mr.state", &r.mr.State},
		{"mr.head_sha", &r.mr.HeadSHA},
		{"mr.target_branch", &r.mr.TargetBranch},
		{"mr.updated_at", &r.mr.UpdatedAt},
		{"mr.auto_merge_at", &r.autoMergeAt},
		{"mr.auto_merge_aborted", &r.mr.AutoMergeAborted},

		{"c.external_status_check_id", &r.serviceID},
		{"c.name", &r.name},
		{"c.timeout_seconds", &r.timeoutSeconds},
		{"c.informational", &r.informational},
		{"c.sha", &r.sha},
		{"c.status", &r.status},
		{"c.timed_out", &r.timedOut},
		{"c.pending_since", &r.pendingSince},
		{"c.stopped_at", &r.stoppedAt},
		{"c.settled_at", &r.settledAt},
		{"c.description", &r.description},
		{"c.target_url", &r.targetURL},
		{"c.answered_via", &r.answeredVia},
		{"c.external_url", &r.externalURL},
		{"(SELECT s.callback_only FROM external_status_checks s WHERE s.id = c.external_status_check_id)", &r.callbackOnly},

		{"d.id", &r.deliveryID},
		{"d.kind", &r.deliveryKind},
		{"d.state", &r.deliveryState},
		{"COALESCE(l.attempt, d.attempts)", &r.attempts},
		{"d.next_attempt_at", &r.nextAttemptAt},
		{"l.leased_until", &r.leasedUntil},
		{"d.last_attempt_at", &r.lastAttemptAt},
		{"d.last_http_status", &r.lastHTTPStatus},
		{"d.last_error", &r.lastError},
		{"d.finished_at", &r.finishedAt},
		{"d.created_at", &r.deliveryMadeAt},
		{"d.probes", &r.probes},

		{"q.failures", &r.breakerFailures},
		{"q.opened_at", &r.breakerOpenedAt},
		{"q.probe_at", &r.probeAt},
		{"q.probe_delivery_id", &r.probeDeliveryID},
	}
}

// mergeRequest returns the row's merge request.
func (r *checkRow) mergeRequest() MergeRequest {
	mr := r.mr
	mr.UpdatedAt, mr.AutoMergeAt = mr.UpdatedAt.UTC(), timeOrNil(r.autoMergeAt)
	return mr
}

// check returns the row's check, with its newest delivery if there is one.
func (r *checkRow) check() MergeRequestCheck {
	check := MergeRequestCheck{
		ProjectID: r.mr.ProjectID, MergeRequestID: r.mr.ID, ExternalStatusCheckID: r.serviceID.Int64,
		Name: r.name.String, ExternalURL: r.externalURL.String, TimeoutSeconds: int(r.timeoutSeconds.Int64), Informational: r.informational.Bool,
		SHA: r.sha.String, Status: Status(r.status.String), TimedOut: r.timedOut.Bool,
		PendingSince: r.pendingSince.Time.UTC(), StoppedAt: timeOrNil(r.stoppedAt), SettledAt: timeOrNil(r.settledAt),
		Description: r.description.String, TargetURL: r.targetURL.String, AnsweredVia: ResponseVia(r.answeredVia.String),
		CallbackOnly: r.callbackOnly.Bool,
	}
	if r.deliveryState.Valid {
		check.Delivery = &Delivery{
			ID: r.deliveryID.Int64, Kind: DeliveryKind(r.deliveryKind.String), State: DeliveryState(r.deliveryState.String), Attempts: int(r.attempts.Int64),
			NextAttemptAt: r.nextAttemptAt.Time.UTC(), LeasedUntil: timeOrNil(r.leasedUntil), LastAttemptAt: timeOrNil(r.lastAttemptAt),
			LastHTTPStatus: int(r.lastHTTPStatus.Int64), LastError: r.lastError.String,
			FinishedAt: timeOrNil(r.finishedAt), CreatedAt: r.deliveryMadeAt.Time.UTC(), Probes: int(r.probes.Int64),
		}
	}
	if r.breakerOpenedAt.Valid {
		check.Breaker = Breaker{
			Failures: int(r.breakerFailures.Int64), OpenedAt: timeOrNil(r.breakerOpenedAt), ProbeAt: timeOrNil(r.probeAt),
			ProbeDeliveryID: ID(r.probeDeliveryID.Int64),
		}
	}
	return check
}

func timeOrNil(t sql.NullTime) *time.Time {
	if !t.Valid {
		return nil
	}
	at := t.Time.UTC()
	return &at
}

// checkJoins are the tables of checkRow beside merge_requests mr.
const checkJoins = `
	LEFT JOIN merge_request_checks c ON c.merge_request_id = mr.id
	LEFT JOIN deliveries d ON d.id = c.delivery_id
	LEFT JOIN delivery_leases l ON l.delivery_id = d.id
	LEFT JOIN service_queues q ON q.external_status_check_id = c.external_status_check_id `

var widgetQuery = "SELECT " + new(checkRow).columns().sql() + " FROM merge_requests mr " + checkJoins +
	"WHERE mr.project_id = ? AND mr.iid = ? ORDER BY c.name, c.id"

// MergeRequestChecks finds a merge request and its checks, sorted by name, each
// with its newest delivery and, if it is open, the service's breaker. It
// returns KindNotFound if the merge request does not exist.
//
// It serves the widget's poll, which every open page sends every few seconds,
// and the API's list. It fills in only what those show: of the merge request ID,
// ProjectID, IID, State, HeadSHA, TargetBranch, UpdatedAt and whether auto-merge is
// set or was aborted.
func (s *Store) MergeRequestChecks(ctx context.Context, projectID, iid int64) (MergeRequest, []MergeRequestCheck, error) {
	row := checkRow{mr: MergeRequest{ProjectID: projectID, IID: iid}}
	rows, err := s.preparedReader(ctx).Raw(widgetQuery, projectID, iid).Rows()
	if err != nil {
		return row.mr, nil, err
	}
	defer rows.Close()
	var checks []MergeRequestCheck
	dests := row.columns().dests()
	for rows.Next() {
		if err := rows.Scan(dests...); err != nil {
			return row.mr, nil, err
		}
		if row.serviceID.Valid {
			checks = append(checks, row.check())
		}
	}
	if err := rows.Err(); err != nil {
		return row.mr, nil, err
	}
	if row.mr.ID == 0 {
		return row.mr, nil, notFound("merge request")
	}
	return row.mergeRequest(), checks, nil
}
