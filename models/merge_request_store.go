package models

import (
	"context"
	"strings"
	"time"

	"gorm.io/gorm"
)

// MergeRequest finds a merge request of a project by its iid, with its users. It
// returns KindNotFound if there is none.
func (s *Store) MergeRequest(ctx context.Context, projectID, iid int64) (MergeRequest, error) {
	var mr MergeRequest
	err := withUsers(s.reader(ctx)).
		Take(&mr, "project_id = ? AND iid = ?", projectID, iid).Error
	return mr, orNotFound(err, "merge request")
}

// withUsers loads the users of merge requests.
func withUsers(query *gorm.DB) *gorm.DB {
	return query.Preload("Author").Preload("MergeUser").Preload("ClosedBy").Preload("AutoMergeUser")
}

// MergeRequestFilter selects merge requests of a list. Zero values select all.
type MergeRequestFilter struct {
	// ProjectIDs restricts the list; nil means all projects.
	ProjectIDs []int64
	// ReadableBy restricts the list to projects whose code the user can read.
	ReadableBy     *User
	State          MergeRequestState
	SourceBranch   string
	TargetBranch   string
	AuthorID       int64
	AuthorUsername string
	IIDs           []int64
	Search         string
	Draft          *bool
	CreatedAfter   *time.Time
	CreatedBefore  *time.Time
	UpdatedAfter   *time.Time
	UpdatedBefore  *time.Time
	// Checks selects by the status checks: StatusFailed if one has failed, StatusPending
	// if none has failed and one is pending, StatusPassed if all have passed.
	Checks Status
	// ChecksVisibleTo restricts the list to projects whose checks the user may see.
	ChecksVisibleTo *User
	// OrderBy is "created_at" (the default), "updated_at" or "title".
	OrderBy   string
	Ascending bool
}

func (f MergeRequestFilter) apply(query *gorm.DB) *gorm.DB {
	if f.ProjectIDs != nil {
		query = query.Where("project_id IN ?", f.ProjectIDs)
	}
	if f.ReadableBy != nil && !f.ReadableBy.Admin {
		query = query.Where(`project_id IN (SELECT id FROM projects WHERE visibility >= ? UNION ALL
			SELECT project_id FROM members WHERE user_id = ? AND role >= ?)`, VisibilityInternal, f.ReadableBy.ID, RoleReporter)
	}
	if f.ChecksVisibleTo != nil && !f.ChecksVisibleTo.Admin {
		query = query.Where(`project_id IN (SELECT id FROM projects WHERE visibility = ? UNION ALL
			SELECT project_id FROM members WHERE user_id = ? AND role >= ?)`, VisibilityInternal, f.ChecksVisibleTo.ID, RoleReporter)
	}
	if f.State != "" {
		query = query.Where("state = ?", f.State)
	}
	if f.SourceBranch != "" {
		query = query.Where("source_branch = ?", f.SourceBranch)
	}
	if f.TargetBranch != "" {
		query = query.Where("target_branch = ?", f.TargetBranch)
	}
	if f.AuthorID != 0 {
		query = query.Where("author_id = ?", f.AuthorID)
	}
	if f.AuthorUsername != "" {
		query = query.Where("author_id IN (SELECT id FROM users WHERE username_key = ?)",
			foldKey(cleanText(f.AuthorUsername)))
	}
	if f.IIDs != nil {
		query = query.Where("iid IN ?", f.IIDs)
	}
	if f.Draft != nil {
		query = query.Where("draft = ?", *f.Draft)
	}
	if f.Search != "" {
		like := likeContains(strings.ToLower(cleanText(f.Search)))
		query = query.Where(`(lower(title) LIKE ? ESCAPE '\' OR lower(description) LIKE ? ESCAPE '\')`, like, like)
	}
	between := func(column string, after, before *time.Time) {
		if after != nil {
			query = query.Where(column+" >= ?", dbTime(*after))
		}
		if before != nil {
			query = query.Where(column+" <= ?", dbTime(*before))
		}
	}
	between("created_at", f.CreatedAfter, f.CreatedBefore)
	between("updated_at", f.UpdatedAfter, f.UpdatedBefore)
	return query
}

// selectMergeRequests returns the query for the merge requests that match a filter.
func (s *Store) selectMergeRequests(ctx context.Context, filter MergeRequestFilter) (*gorm.DB, error) {
	query := filter.apply(s.reader(ctx).Model(&MergeRequest{}))
	if filter.Checks == "" {
		return query, nil
	}
	const check = "EXISTS (SELECT 1 FROM merge_request_checks c WHERE c.merge_request_id = merge_requests.id AND "
	failed, args, err := s.failedCondition(ctx)
	switch filter.Checks {
	case StatusFailed:
		query = query.Where(check+failed+")", args...)
	case StatusPending:
		query = query.Where(check+"c.status = ?)", StatusPending).Where("NOT "+check+failed+")", args...)
	default:
		query = query.Where(check+"c.status = ?)", filter.Checks).Where("NOT "+check+"c.status <> ?)", filter.Checks)
	}
	return query, err
}

// MergeRequests lists merge requests with their users, and returns their total number.
func (s *Store) MergeRequests(ctx context.Context, filter MergeRequestFilter, page Page) ([]MergeRequest, int64, error) {
	query, err := s.selectMergeRequests(ctx, filter)
	if err != nil {
		return nil, 0, err
	}
	var total int64
	if err := query.Count(&total).Error; err != nil {
		return nil, 0, err
	}
	order := map[string]string{"updated_at": "updated_at", "title": "title"}[filter.OrderBy]
	if order == "" {
		order = "created_at"
	}
	direction := " DESC"
	if filter.Ascending {
		direction = ""
	}
	var list []MergeRequest
	err = page.apply(withUsers(query).Order(order + direction).Order("id" + direction)).Find(&list).Error
	return list, total, err
}

// MergeRequestsMergedBy returns the iids of the merge requests whose merge or squash
// commit is sha.
func (s *Store) MergeRequestsMergedBy(ctx context.Context, projectID int64, sha string) ([]int64, error) {
	var iids []int64
	err := s.reader(ctx).Model(&MergeRequest{}).
		Where("project_id = ? AND (merge_commit_sha = ? OR squash_commit_sha = ?)", projectID, sha, sha).
		Order("iid").Pluck("iid", &iids).Error
	return iids, err
}

// OpenMergeRequestsFrom returns the iid of the newest open merge request of each source
// branch, by branch.
func (s *Store) OpenMergeRequestsFrom(ctx context.Context, projectID int64, branches ...string) (map[string]int64, error) {
	var rows []struct {
		SourceBranch string
		IID          int64 `gorm:"column:iid"`
	}
	err := s.reader(ctx).Model(&MergeRequest{}).Select("source_branch, max(iid) AS iid").
		Where("project_id = ? AND state = ? AND source_branch IN ?", projectID, StateOpened, branches).
		Group("source_branch").Scan(&rows).Error
	open := map[string]int64{}
	for _, row := range rows {
		open[row.SourceBranch] = row.IID
	}
	return open, err
}

// CountMergeRequests counts the merge requests that match a filter, by state.
func (s *Store) CountMergeRequests(ctx context.Context, filter MergeRequestFilter) (map[MergeRequestState]int64, error) {
	query, err := s.selectMergeRequests(ctx, filter)
	if err != nil {
		return nil, err
	}
	var rows []struct {
		State MergeRequestState
		N     int64
	}
	err = query.Select("state, count(*) AS n").Group("state").Scan(&rows).Error
	counts := map[MergeRequestState]int64{}
	for _, row := range rows {
		counts[row.State] = row.N
	}
	return counts, err
}

// Checks lists the checks of merge requests by merge request id, each list sorted by
// name, with the newest delivery of each check.
func (s *Store) Checks(ctx context.Context, mergeRequestIDs ...int64) (map[int64][]MergeRequestCheck, error) {
	var checks []MergeRequestCheck
	err := s.reader(ctx).Preload("Delivery", withoutPayload).Where("merge_request_id IN ?", mergeRequestIDs).
		Order("name, id").Find(&checks).Error
	byMR := map[int64][]MergeRequestCheck{}
	for _, check := range checks {
		byMR[check.MergeRequestID] = append(byMR[check.MergeRequestID], check)
	}
	return byMR, err
}

// lockMergeRequest locks a merge request's row and loads its project. Every change of
// HEAD, state, target or checks holds this lock.
func (s *Store) lockMergeRequest(ctx context.Context, projectID, iid int64) (MergeRequest, Project, error) {
	var mr MergeRequest
	err := s.forUpdate(s.writer(ctx)).Take(&mr, "project_id = ? AND iid = ?", projectID, iid).Error
	if err != nil {
		return mr, Project{}, orNotFound(err, "merge request")
	}
	project, err := s.Project(ctx, projectID)
	return mr, project, err
}

func (s *Store) saveMergeRequest(ctx context.Context, mr *MergeRequest) error {
	return s.writer(ctx).Save(mr).Error
}

// saveCheck updates a check. It does nothing if the check's service was deleted.
func (s *Store) saveCheck(ctx context.Context, check *MergeRequestCheck) error {
	check.UpdatedAt = s.Now()
	return s.writer(ctx).Select("*").Omit("Delivery", "delivery_id").Where("id = ?", check.ID).Updates(check).Error
}
