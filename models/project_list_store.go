package models

import (
	"context"
	"strings"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// ProjectFilter selects and sorts projects of a list.
type ProjectFilter struct {
	Search     string
	Owned      bool
	Membership bool
	Visibility *Visibility
	// MemberID, unless 0, selects the projects that this user is a member of.
	MemberID int64
	// IDs restricts the list to projects; nil means all.
	IDs []int64
	// NamespaceID, unless 0, selects the projects of a namespace.
	NamespaceID int64
	// OrderBy is "id", "name", "path", "created_at", "updated_at", "last_activity_at"
	// (the default) or OrderByFailed. The order is descending unless Ascending is set.
	OrderBy   string
	Ascending bool
}

// OrderByFailed lists projects first that have a failed status check on an open merge
// request, as far as the user can see the checks.
const OrderByFailed = "failed_checks"

// visibleProjects selects the projects that user (nil if signed out) can see, joined
// with their namespaces and the user's membership.
func (s *Store) visibleProjects(ctx context.Context, user *User) *gorm.DB {
	var userID int64
	if user != nil {
		userID = user.ID
	}
	query := s.reader(ctx).Model(&Project{}).Joins("JOIN namespaces ON namespaces.id = projects.namespace_id").
		Joins("LEFT JOIN members ON members.project_id = projects.id AND members.user_id = ?", userID)
	switch {
	case user == nil:
		query = query.Where("projects.visibility = ?", VisibilityPublic)
	case !user.Admin:
		query = query.Where("(projects.visibility >= ? OR members.role IS NOT NULL)", VisibilityInternal)
	}
	return query
}

// CountProjects counts the projects that user (nil if signed out) can see, and those of
// them that the user is a member of, as Projects does.
func (s *Store) CountProjects(ctx context.Context, user *User) (mine, all int64, err error) {
	if user != nil {
		mine, err = s.count(s.reader(ctx).Model(&Member{}).Where("user_id = ?", user.ID).Session(&gorm.Session{}))
		if err != nil {
			return 0, 0, err
		}
	}
	all, err = s.count(s.visibleProjects(ctx, user).Session(&gorm.Session{}))
	return mine, all, err
}

// Projects lists the projects that user (nil if signed out) can see, with the user's
// role, and returns their total number. It counts at most MaxListed projects; a total of
// MaxListed+1 means that there are more. Totals above a thousand may be half a minute old.
func (s *Store) Projects(ctx context.Context, user *User, filter ProjectFilter, page Page) ([]Access, int64, error) {
	query := s.visibleProjects(ctx, user)
	if filter.Owned {
		query = query.Where("members.role = ?", RoleOwner)
	}
	if filter.Membership {
		query = query.Where("members.role IS NOT NULL")
	}
	if filter.MemberID != 0 {
		query = query.Where("EXISTS (SELECT 1 FROM members other WHERE other.project_id = projects.id AND other.user_id = ?)", filter.MemberID)
	}
	if filter.IDs != nil {
		query = query.Where("projects.id IN ?", filter.IDs)
	}
	if filter.NamespaceID != 0 {
		query = query.Where("projects.namespace_id = ?", filter.NamespaceID)
	}
	if filter.Visibility != nil {
		query = query.Where("projects.visibility = ?", *filter.Visibility)
	}
	if filter.Search != "" {
		like := likeContains(foldKey(cleanText(filter.Search)))
		query = query.Where(`(projects.path_key LIKE ? ESCAPE '\' OR lower(projects.name) LIKE ? ESCAPE '\'
			OR namespaces.path_key || '/' || projects.path_key LIKE ? ESCAPE '\')`, like, like, like)
	}
	query = query.Session(&gorm.Session{})
	var total int64
	var err error
	if page.After == nil {
		if total, err = s.count(query); err != nil {
			return nil, 0, err
		}
	} else if id := page.After.ID; id != 0 && filter.Ascending {
		query = query.Where("projects.id > ?", id)
	} else if id != 0 {
		query = query.Where("projects.id < ?", id)
	}
	order, err := s.orderProjects(ctx, user, filter)
	if err != nil {
		return nil, 0, err
	}
	var rows []struct {
		Project    `gorm:"embedded"`
		MemberRole Role
	}
	err = page.apply(query.Select(columnsOf(query, &Project{}, "projects") + ", COALESCE(members.role, 0) AS member_role").Clauses(order)).
		Scan(&rows).Error
	if err != nil {
		return nil, 0, err
	}
	ids := make([]int64, 0, len(rows))
	for _, row := range rows {
		ids = append(ids, row.NamespaceID)
	}
	var namespaces []Namespace
	if err := s.reader(ctx).Find(&namespaces, "id IN ?", ids).Error; err != nil {
		return nil, 0, err
	}
	byID := map[int64]Namespace{}
	for _, ns := range namespaces {
		byID[ns.ID] = ns
	}
	list := make([]Access, 0, len(rows))
	for _, row := range rows {
		row.Project.Namespace = byID[row.NamespaceID]
		list = append(list,
			Access{Project: row.Project, SignedIn: user != nil, Admin: user != nil && user.Admin, Role: row.MemberRole})
	}
	return list, total, nil
}

// SharesProject reports whether reader can see the code of a project in which the user
// with userID is a member or has opened a merge request.
func (s *Store) SharesProject(ctx context.Context, reader User, userID int64) (bool, error) {
	query := s.visibleProjects(ctx, &reader).
		Where(`(EXISTS (SELECT 1 FROM members other WHERE other.project_id = projects.id AND other.user_id = ?)
			OR EXISTS (SELECT 1 FROM merge_requests mr WHERE mr.project_id = projects.id AND mr.author_id = ?))`, userID, userID)
	if !reader.Admin {
		query = query.Where("(projects.visibility >= ? OR members.role >= ?)", VisibilityInternal, RoleReporter)
	}
	var ids []int64
	err := query.Limit(1).Pluck("projects.id", &ids).Error
	return len(ids) > 0, err
}

// orderProjects returns the ORDER BY clause for visibleProjects.
func (s *Store) orderProjects(ctx context.Context, user *User, filter ProjectFilter) (clause.OrderBy, error) {
	order := map[string]string{
		"id":         "projects.id",
		"name":       "lower(projects.name)",
		"path":       "projects.path_key",
		"created_at": "projects.created_at",
		"updated_at": "projects.updated_at",
	}[filter.OrderBy]
	if order == "" {
		order = "projects.last_activity_at"
	}
	if !filter.Ascending {
		order += " DESC"
	}
	if filter.OrderBy != "id" {
		// The same direction as the first column, so that an index has the order.
		order += ", projects.id"
		if !filter.Ascending {
			order += " DESC"
		}
	}
	if filter.OrderBy != OrderByFailed || user == nil {
		return clause.OrderBy{Expression: clause.Expr{SQL: order}}, nil
	}
	failed, args, err := s.failedCondition(ctx)
	seen := "TRUE"
	if !user.Admin {
		// The rule of package auth for seeing checks. Without it the order would reveal
		// hidden states.
		seen = "(members.role >= ? OR projects.visibility = ?)"
		args = append([]any{RoleReporter, VisibilityInternal}, args...)
	}
	// IN is faster than EXISTS here: the failed checks are searched once, not once per
	// project.
	order = "CASE WHEN " + seen + ` AND projects.id IN (SELECT c.project_id FROM merge_request_checks c
		WHERE c.merge_request_open AND c.status <> 'passed' AND ` + failed + ") THEN 0 ELSE 1 END, " + order
	return clause.OrderBy{Expression: clause.Expr{SQL: order, Vars: args}}, err
}

// failedCondition returns MergeRequestCheck.StatusAt as an SQL condition on a check c
// of an open merge request: it is failed, or pending for longer than its time-out.
func (s *Store) failedCondition(ctx context.Context) (condition string, args []any, err error) {
	expired, args, err := s.expiredCondition(ctx)
	return "(c.status = ? OR " + expired + ")", append([]any{StatusFailed}, args...), err
}

// expiredCondition is the part of failedCondition about pending checks. It has one term
// per distinct time-out, of which there are few.
func (s *Store) expiredCondition(ctx context.Context) (condition string, args []any, err error) {
	var timeouts []int
	err = s.reader(ctx).Model(&MergeRequestCheck{}).Where("status = 'pending' AND stopped_at IS NULL").
		Distinct().Order("timeout_seconds").Pluck("timeout_seconds", &timeouts).Error
	now := s.Now()
	conditions := []string{"FALSE"}
	for _, timeout := range timeouts {
		conditions = append(conditions, "(c.timeout_seconds = ? AND c.pending_since < ?)")
		args = append(args, timeout, now.Add(-time.Duration(timeout)*time.Second))
	}
	return "(c.status = 'pending' AND c.stopped_at IS NULL AND (" + strings.Join(conditions, " OR ") + "))", args, err
}

// MaxRowCount is up to which number the rows of a list of projects count.
const MaxRowCount = 1000

// CountOpenMergeRequests counts the open merge requests of projects, by project id. It
// counts at most MaxRowCount+1 per project.
func (s *Store) CountOpenMergeRequests(ctx context.Context, projectIDs ...int64) (map[int64]int, error) {
	var rows []struct {
		ID int64
		N  int
	}
	err := s.reader(ctx).Raw(`SELECT p.id, (SELECT count(*) FROM
			(SELECT 1 FROM merge_requests m WHERE m.project_id = p.id AND m.state = 'opened' LIMIT ?) AS counted) AS n
		FROM projects p WHERE p.id IN ?`, MaxRowCount+1, noneIfEmpty(projectIDs)).Scan(&rows).Error
	counts := map[int64]int{}
	for _, row := range rows {
		counts[row.ID] = row.N
	}
	return counts, err
}

// noneIfEmpty returns ids, or an id that no row has if there are none: an empty list is
// no SQL.
func noneIfEmpty(ids []int64) []int64 {
	if len(ids) == 0 {
		return []int64{0}
	}
	return ids
}

// CountOpenChecks counts the status checks of the projects' open merge requests by
// their current state, at most MaxRowCount+1 of each stored state per project.
func (s *Store) CountOpenChecks(ctx context.Context, projectIDs ...int64) (map[int64]StatusCounts, error) {
	var rows []struct {
		ID                               int64
		Passed, Failed, Pending, Expired int
	}
	expired, expiredArgs, err := s.expiredCondition(ctx)
	if err != nil {
		return nil, err
	}
	var args []any
	counted := func(name, condition string, values ...any) string {
		args = append(append(args, values...), MaxRowCount+1)
		return ", (SELECT count(*) FROM (SELECT 1 FROM merge_request_checks c WHERE c.project_id = p.id AND " + condition +
			" AND c.merge_request_open LIMIT ?) AS counted) AS " + name
	}
	query := "SELECT p.id" + counted("passed", "c.status = 'passed'") + counted("failed", "c.status = 'failed'") +
		counted("pending", "c.status = 'pending'") + counted("expired", expired, expiredArgs...) + " FROM projects p WHERE p.id IN ?"
	err = s.reader(ctx).Raw(query, append(args, noneIfEmpty(projectIDs))...).Scan(&rows).Error
	counts := map[int64]StatusCounts{}
	for _, row := range rows {
		if row.Passed+row.Failed+row.Pending > 0 {
			counts[row.ID] = StatusCounts{Passed: row.Passed, Pending: max(row.Pending-row.Expired, 0), Failed: row.Failed + row.Expired}
		}
	}
	return counts, err
}
