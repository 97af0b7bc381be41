package models

import (
	"context"
	"strings"

	"gorm.io/gorm"
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
	if user != nil && (filter.Owned || filter.Membership) {
		ids, err := s.fewMemberships(ctx, user.ID)
		if err != nil {
			return nil, 0, err
		}
		if ids != nil {
			query = query.Where("projects.id IN ?", ids)
		}
	}
	if filter.NamespaceID != 0 {
		query = query.Where("projects.namespace_id = ?", filter.NamespaceID)
	}
	if filter.Visibility != nil {
		query = query.Where("projects.visibility = ?", *filter.Visibility)
	}
	if filter.Search != "" {
		query = s.searchProjects(query, foldKey(cleanText(filter.Search)))
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
	query = query.Order(filter.order())
	var rows []projectRow
	if filter.OrderBy == OrderByFailed && user != nil {
		rows, err = s.failedFirst(ctx, *user, query, page)
	} else {
		rows, err = s.projectRows(page.apply(query))
	}
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

// fewMemberships returns the projects that a user is a member of if they are few, so that a
// list begins from these and not from all projects in its order, otherwise nil.
func (s *Store) fewMemberships(ctx context.Context, userID int64) ([]int64, error) {
	ids := []int64{}
	err := s.reader(ctx).Model(&Member{}).Where("user_id = ?", userID).Limit(fewProjects+1).Pluck("project_id", &ids).Error
	if len(ids) > fewProjects {
		return nil, err
	}
	return ids, err
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

// searchProjects adds the condition that the name or the full path of a project contain a
// text, which is in lower case.
func (s *Store) searchProjects(query *gorm.DB, text string) *gorm.DB {
	like := likeContains(text)
	if !s.postgres() {
		return query.Where(`(projects.path_key LIKE ? ESCAPE '\' OR lower(projects.name) LIKE ? ESCAPE '\'
			OR namespaces.path_key || '/' || projects.path_key LIKE ? ESCAPE '\')`, like, like, like)
	}
	// Each part has its index of trigrams. Joined by OR, none of them would serve.
	found := `SELECT id FROM projects WHERE lower(name) LIKE ? ESCAPE '\' UNION ALL `
	inNamespace, inPath, isPath := strings.Cut(text, "/")
	if !isPath {
		return query.Where(`projects.id IN (`+found+`SELECT id FROM projects WHERE path_key LIKE ? ESCAPE '\' UNION ALL
			SELECT p.id FROM namespaces n JOIN projects p ON p.namespace_id = n.id WHERE n.path_key LIKE ? ESCAPE '\')`, like, like, like)
	}
	return query.Where(`projects.id IN (`+found+`SELECT p.id FROM namespaces n JOIN projects p ON p.namespace_id = n.id
		WHERE n.path_key LIKE ? ESCAPE '\' AND p.path_key LIKE ? ESCAPE '\')`,
		like, strings.TrimSuffix(likeContains(inNamespace), "%"), strings.TrimPrefix(likeContains(inPath), "%"))
}

// order returns the columns of the ORDER BY clause for visibleProjects.
func (f ProjectFilter) order() string {
	order := map[string]string{
		"id":         "projects.id",
		"name":       "lower(projects.name)",
		"path":       "projects.path_key",
		"created_at": "projects.created_at",
		"updated_at": "projects.updated_at",
	}[f.OrderBy]
	if order == "" {
		order = "projects.last_activity_at"
	}
	if !f.Ascending {
		order += " DESC"
	}
	if f.OrderBy != "id" {
		// The same direction as the first column, so that an index has the order.
		order += ", projects.id"
		if !f.Ascending {
			order += " DESC"
		}
	}
	return order
}

// projectRow is a project with the role of the user.
type projectRow struct {
	Project    `gorm:"embedded"`
	MemberRole Role
}

// projectRows reads visibleProjects.
func (s *Store) projectRows(query *gorm.DB) (rows []projectRow, err error) {
	err = query.Select(s.columnNames("projects", &Project{}) + ", COALESCE(members.role, 0) AS member_role").Scan(&rows).Error
	return rows, err
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
