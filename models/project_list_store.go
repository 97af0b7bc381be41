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
// them that the user is a member of.
func (s *Store) CountProjects(ctx context.Context, user *User) (mine, all int64, err error) {
	err = s.visibleProjects(ctx, user).Select("count(members.role), count(*)").Row().Scan(&mine, &all)
	return mine, all, err
}

// Projects lists the projects that user (nil if signed out) can see, with the user's
// role, and returns their total number.
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
	var total int64
	if err := query.Count(&total).Error; err != nil {
		return nil, 0, err
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
	order += ", projects.id DESC"
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
	order = "CASE WHEN " + seen + ` AND projects.id IN (SELECT mr.project_id FROM merge_requests mr JOIN merge_request_checks c ON c.merge_request_id = mr.id
		WHERE mr.state = 'opened' AND ` + failed + ") THEN 0 ELSE 1 END, " + order
	return clause.OrderBy{Expression: clause.Expr{SQL: order, Vars: args}}, err
}

// failedCondition returns MergeRequestCheck.StatusAt as an SQL condition on a check c
// of an open merge request: it is failed, or pending for longer than its time-out. The
// condition has one term per distinct time-out, of which there are few.
func (s *Store) failedCondition(ctx context.Context) (condition string, args []any, err error) {
	var timeouts []int
	err = s.reader(ctx).Model(&MergeRequestCheck{}).Where("status = ? AND stopped_at IS NULL", StatusPending).
		Distinct().Order("timeout_seconds").Pluck("timeout_seconds", &timeouts).Error
	now := s.Now()
	conditions := []string{"c.status = ?"}
	args = append(args, StatusFailed)
	for _, timeout := range timeouts {
		conditions = append(conditions,
			"(c.status = ? AND c.stopped_at IS NULL AND c.timeout_seconds = ? AND c.pending_since < ?)")
		args = append(args, StatusPending, timeout, now.Add(-time.Duration(timeout)*time.Second))
	}
	return "(" + strings.Join(conditions, " OR ") + ")", args, err
}

// CountOpenMergeRequests counts the open merge requests of projects, by project id.
func (s *Store) CountOpenMergeRequests(ctx context.Context, projectIDs ...int64) (map[int64]int, error) {
	var rows []struct {
		ProjectID int64
		N         int
	}
	err := s.reader(ctx).Model(&MergeRequest{}).Select("project_id, count(*) AS n").
		Where("project_id IN ? AND state = ?", projectIDs, StateOpened).Group("project_id").Scan(&rows).Error
	counts := map[int64]int{}
	for _, row := range rows {
		counts[row.ProjectID] = row.N
	}
	return counts, err
}

// CountOpenChecks counts the status checks of the projects' open merge requests by
// their current state. The database counts settled checks; pending checks are loaded,
// because StatusAt decides whether they have timed out.
func (s *Store) CountOpenChecks(ctx context.Context, projectIDs ...int64) (map[int64]StatusCounts, error) {
	open := func() *gorm.DB {
		return s.reader(ctx).Table("merge_request_checks AS c").
			Joins("JOIN merge_requests AS mr ON mr.id = c.merge_request_id").
			Where("mr.project_id IN ? AND mr.state = ?", projectIDs, StateOpened)
	}
	var settled []struct {
		ProjectID int64
		Status    Status
		N         int
	}
	err := open().Where("c.status <> ?", StatusPending).Select("mr.project_id, c.status, count(*) AS n").
		Group("mr.project_id, c.status").Scan(&settled).Error
	if err != nil {
		return nil, err
	}
	var pending []MergeRequestCheck
	err = open().Where("c.status = ?", StatusPending).
		Select("mr.project_id, c.status, c.timeout_seconds, c.pending_since, c.stopped_at").Scan(&pending).Error
	counts, now := map[int64]StatusCounts{}, s.Now()
	for _, row := range settled {
		n := counts[row.ProjectID]
		n.add(row.Status, row.N)
		counts[row.ProjectID] = n
	}
	for _, check := range pending {
		n := counts[check.ProjectID]
		n.add(check.StatusAt(now), 1)
		counts[check.ProjectID] = n
	}
	return counts, err
}
