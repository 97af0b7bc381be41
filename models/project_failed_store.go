package models

import (
	"context"
	"strings"
	"time"

	"gorm.io/gorm"
)

// failedFirst reads a page in the order OrderByFailed: the projects with failed checks,
// then the others, each in the order of query, which an index has. Sorting would read all
// projects.
func (s *Store) failedFirst(ctx context.Context, user User, query *gorm.DB, page Page) ([]projectRow, error) {
	condition, args, err := s.failedCondition(ctx)
	if err != nil {
		return nil, err
	}
	condition = `EXISTS (SELECT 1 FROM merge_request_checks c
		WHERE c.project_id = projects.id AND c.merge_request_open AND c.status <> 'passed' AND ` + condition + ")"
	if !user.Admin {
		// The rule of package auth for seeing checks. Without it the order would reveal
		// hidden states.
		condition = "(COALESCE(members.role, 0) >= ? OR projects.visibility = ?) AND " + condition
		args = append([]any{RoleReporter, VisibilityInternal}, args...)
	}
	query = query.Session(&gorm.Session{})
	failed := query.Where(condition, args...).Session(&gorm.Session{})
	rows, err := s.projectRows(page.apply(failed))
	if err != nil || page.Size > 0 && len(rows) == page.Size {
		return rows, err
	}
	others := query.Where("NOT ("+condition+")", args...)
	if page.Size > 0 {
		before := (max(page.Number, 1) - 1) * page.Size
		n := int64(before + len(rows)) // the number of projects with failed checks
		if len(rows) == 0 && before > 0 {
			if n, err = countUpTo(failed, before); err != nil {
				return nil, err
			}
		}
		others = others.Offset(before + len(rows) - int(n)).Limit(page.Size - len(rows))
	}
	rest, err := s.projectRows(others)
	return append(rows, rest...), err
}

// failedCondition returns MergeRequestCheck.StatusAt as an SQL condition on a check c
// of an open merge request: it is failed, or pending for longer than its time-out.
func (s *Store) failedCondition(ctx context.Context) (condition string, args []any, err error) {
	expired, args, err := s.expiredCondition(ctx)
	return "(c.status = ? OR " + expired + ")", append([]any{StatusFailed}, args...), err
}

// pendingTimeouts selects the distinct time-outs of pending checks, with one look into their
// index for each. DISTINCT would read an entry of each check.
const pendingTimeouts = `WITH RECURSIVE timeouts(seconds) AS (
		SELECT (SELECT c.timeout_seconds FROM merge_request_checks c WHERE c.status = 'pending' AND c.stopped_at IS NULL
			ORDER BY c.timeout_seconds LIMIT 1)
		UNION ALL SELECT (SELECT c.timeout_seconds FROM merge_request_checks c WHERE c.status = 'pending' AND c.stopped_at IS NULL
			AND c.timeout_seconds > timeouts.seconds ORDER BY c.timeout_seconds LIMIT 1) FROM timeouts WHERE timeouts.seconds IS NOT NULL)
	SELECT seconds FROM timeouts WHERE seconds IS NOT NULL`

// expiredCondition is the part of failedCondition about pending checks. It has one term
// per distinct time-out, of which there are few. Most of the time no check of any project is
// beyond its time-out, because ExpirePending has stored all; then the condition reads no rows.
func (s *Store) expiredCondition(ctx context.Context) (condition string, args []any, err error) {
	now := s.Now()
	deadline, value := s.deadlineSQL(now)
	var due []int64
	err = s.reader(ctx).Model(&MergeRequestCheck{}).Where("status = 'pending' AND stopped_at IS NULL AND "+deadline+" <= ?", value).
		Order(deadline).Limit(1).Pluck("id", &due).Error
	if err != nil || len(due) == 0 {
		return "FALSE", nil, err
	}
	var timeouts []int
	err = s.reader(ctx).Raw(pendingTimeouts).Scan(&timeouts).Error
	conditions := []string{"FALSE"}
	for _, timeout := range timeouts {
		conditions = append(conditions, "(c.timeout_seconds = ? AND c.pending_since < ?)")
		args = append(args, timeout, now.Add(-time.Duration(timeout)*time.Second))
	}
	return "(c.status = 'pending' AND c.stopped_at IS NULL AND (" + strings.Join(conditions, " OR ") + "))", args, err
}
