package models

import (
	"context"
	"time"
)

// Poll is what a poll of the widget compares.
type Poll struct {
	// Access has of the project only ID, Visibility and
	// OnlyAllowMergeIfAllStatusChecksPassed.
	Access Access
	// MergeRequest and Checks are as in MergeRequestChecks, in any order.
	MergeRequest MergeRequest
	Checks       []MergeRequestCheck
	// At is the time of the reading.
	At time.Time
}

// pollRow is one row of pollQuery.
type pollRow struct {
	access Access
	check  checkRow
}

func (r *pollRow) columns() columns {
	return append(columns{
		{"u.admin", &r.access.Admin},
		{"p.id", &r.access.Project.ID},
		{"p.visibility", &r.access.Project.Visibility},
		{"p.only_allow_merge_if_all_status_checks_passed", &r.access.Project.OnlyAllowMergeIfAllStatusChecksPassed},
		{"COALESCE(m.role, 0)", &r.access.Role},
	}, r.check.columns()...)
}

var pollQuery = "SELECT " + new(pollRow).columns().sql() + `
	FROM sessions s
	JOIN users u ON u.id = s.user_id
	JOIN namespaces n ON n.path_key = ?
	JOIN projects p ON p.namespace_id = n.id AND p.path_key = ?
	JOIN merge_requests mr ON mr.project_id = p.id AND mr.iid = ?
	LEFT JOIN members m ON m.project_id = p.id AND m.user_id = s.user_id` + checkJoins + `
	WHERE s.digest = ? AND s.expires_at > ? AND s.last_seen_at >= ? AND u.blocked = ? AND u.password_change_required = ?`

// Poll reads in one query what a poll of the widget of an open merge request compares:
// the session, the user's access to the project at namespace/path, the merge request and
// its checks. It returns KindNotFound if any of them does not exist, if the session must
// be extended, or if the user must change the password. The caller then uses
// SessionUser, AccessByPath and MergeRequestChecks, which say which and why.
func (s *Store) Poll(ctx context.Context, digest, namespace, path string, iid int64) (Poll, error) {
	now := s.Now()
	poll := Poll{At: now}
	row := pollRow{access: Access{SignedIn: true}}
	row.check.mr.IID = iid
	rows, err := s.preparedReader(ctx).Raw(pollQuery, foldKey(namespace), foldKey(path), iid,
		digest, now, now.Add(-sessionRefreshInterval), false, false).Rows()
	if err != nil {
		return poll, err
	}
	defer rows.Close()
	dests := row.columns().dests()
	for rows.Next() {
		if err := rows.Scan(dests...); err != nil {
			return poll, err
		}
		row.check.mr.ProjectID = row.access.Project.ID
		if row.check.serviceID.Valid {
			poll.Checks = append(poll.Checks, row.check.check())
		}
	}
	if err := rows.Err(); err != nil {
		return poll, err
	}
	// The state is not a condition of the query: SQLite would prepare the statement again
	// each time, because a partial index depends on the state.
	if row.check.mr.ID == 0 || row.check.mr.State != StateOpened {
		return poll, notFound("session or merge request")
	}
	poll.Access, poll.MergeRequest = row.access, row.check.mergeRequest()
	return poll, nil
}
