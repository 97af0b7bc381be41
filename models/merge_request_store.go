package models

import (
	"context"
	"slices"
	"time"

	"gorm.io/gorm"
)

// MergeRequest finds a merge request of a project by its iid, with its users. It
// returns KindNotFound if there is none.
func (s *Store) MergeRequest(ctx context.Context, projectID, iid int64) (MergeRequest, error) {
	var mr MergeRequest
	err := withUsers(s.preparedReader(ctx)).
		Take(&mr, "project_id = ? AND iid = ?", projectID, iid).Error
	return mr, orNotFound(err, "merge request")
}

// withUsers loads the users of merge requests.
func withUsers(query *gorm.DB) *gorm.DB {
	return query.Preload("Author").Preload("MergeUser").Preload("ClosedBy").Preload("AutoMergeUser")
}

// concurrentIDs is by how much the order of ids may differ from that of created_at.
const concurrentIDs = 1000

// fewProjects is up to how many projects a list names.
const fewProjects = 200

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

	// ids, if not nil, selects the ids of all merge requests that match the search or the
	// dates, and perhaps others. The list is read from these few, not in its order.
	ids *gorm.DB
}

// readableProjects selects the ids of the projects whose code a user can read.
const readableProjects = `SELECT id FROM projects WHERE visibility >= ? UNION ALL
	SELECT project_id FROM members WHERE user_id = ? AND role >= ?`

// readableProject is the same as a condition on a merge request, which the databases
// check row by row. It is faster while most rows match.
const readableProject = `((SELECT p.visibility FROM projects p WHERE p.id = merge_requests.project_id) >= ?
	OR (SELECT m.role FROM members m WHERE m.project_id = merge_requests.project_id AND m.user_id = ?) >= ?)`

func (f MergeRequestFilter) apply(query *gorm.DB) *gorm.DB {
	if f.ids != nil {
		query = query.Where("merge_requests.id IN (?)", f.ids)
	}
	switch {
	case len(f.ProjectIDs) == 1:
		query = query.Where("merge_requests.project_id = ?", f.ProjectIDs[0])
	case f.ProjectIDs != nil:
		query = query.Where("merge_requests.project_id IN ?", f.ProjectIDs)
	}
	if f.ReadableBy != nil && !f.ReadableBy.Admin {
		condition := "merge_requests.project_id IN (" + readableProjects + ")"
		if f.AuthorID != 0 || f.AuthorUsername != "" {
			// The index of the author has the order, and most people can read what they opened.
			condition = readableProject
		}
		query = query.Where(condition, VisibilityInternal, f.ReadableBy.ID, RoleReporter)
	}
	if f.ChecksVisibleTo != nil && !f.ChecksVisibleTo.Admin {
		query = query.Where(`merge_requests.project_id IN (SELECT id FROM projects WHERE visibility = ? UNION ALL
			SELECT project_id FROM members WHERE user_id = ? AND role >= ?)`, VisibilityInternal, f.ChecksVisibleTo.ID, RoleReporter)
	}
	equal := func(column, value string) {
		if value != "" {
			query = query.Where("merge_requests."+column+" = ?", value)
		}
	}
	equal("state", string(f.State))
	equal("source_branch", f.SourceBranch)
	equal("target_branch", f.TargetBranch)
	if f.AuthorID != 0 {
		query = query.Where("merge_requests.author_id = ?", f.AuthorID)
	}
	if f.AuthorUsername != "" {
		query = query.Where("merge_requests.author_id = (SELECT id FROM users WHERE username_key = ?)", foldKey(cleanText(f.AuthorUsername)))
	}
	if f.IIDs != nil {
		query = query.Where("merge_requests.iid IN ?", f.IIDs)
	}
	if f.Draft != nil {
		if *f.Draft {
			query = query.Where("merge_requests.draft")
		} else {
			query = query.Where("NOT merge_requests.draft")
		}
	}
	between := func(column string, after, before *time.Time) {
		if after != nil {
			query = query.Where("merge_requests."+column+" >= ?", dbTime(*after))
		}
		if before != nil {
			query = query.Where("merge_requests."+column+" <= ?", dbTime(*before))
		}
	}
	// Ids have the order of created_at, apart from merge requests that are created at the
	// same time. So a time also limits the ids, and with them the part of the index.
	if f.CreatedBefore != nil {
		query = query.Where(`merge_requests.id <= COALESCE((SELECT b.id FROM merge_requests b WHERE b.created_at <= ?
			ORDER BY b.created_at DESC, b.id DESC LIMIT 1), 0) + ?`, dbTime(*f.CreatedBefore), concurrentIDs)
	}
	if f.CreatedAfter != nil {
		query = query.Where(`merge_requests.id >= COALESCE((SELECT a.id FROM merge_requests a WHERE a.created_at >= ?
			ORDER BY a.created_at, a.id LIMIT 1), 9000000000000000000) - ?`, dbTime(*f.CreatedAfter), concurrentIDs)
	}
	between("created_at", f.CreatedAfter, f.CreatedBefore)
	between("updated_at", f.UpdatedAfter, f.UpdatedBefore)
	return query
}

// selectMergeRequests returns the query for the merge requests that match a filter, and
// the same query without the condition that contains the current time.
func (s *Store) selectMergeRequests(ctx context.Context, filter MergeRequestFilter) (query, timeless *gorm.DB, err error) {
	query = filter.apply(s.reader(ctx).Model(&MergeRequest{}))
	if filter.Search != "" && !filter.searchesIndex() {
		query = contains(query, filter.Search)
	}
	query = query.Session(&gorm.Session{})
	if filter.Checks == "" {
		return query, query, nil
	}
	check := "EXISTS (SELECT 1 FROM merge_request_checks c WHERE c.merge_request_id = merge_requests.id AND "
	timeless = query
	failed, args, err := s.failedCondition(ctx)
	// Indexes find the checks of a project that have not passed. The query begins from those
	// if they are few; if there are many, the list in its order soon has a page.
	unsettled, in := check, []any{}
	if len(filter.ProjectIDs) == 1 {
		condition := "c.project_id = ? AND c.status <> 'passed'"
		if filter.State == StateOpened {
			condition += " AND c.merge_request_open"
		}
		few := filter.Checks == StatusPending
		if filter.Checks == StatusFailed {
			n, err := countUpTo(s.reader(ctx).Table("merge_request_checks c").Where(condition, filter.ProjectIDs[0]), exactRows+1)
			if err != nil {
				return nil, nil, err
			}
			few = n <= exactRows
		}
		if few {
			unsettled, in = "merge_requests.id IN (SELECT c.merge_request_id FROM merge_request_checks c WHERE "+condition+" AND ", []any{filter.ProjectIDs[0]}
		}
	}
	switch filter.Checks {
	case StatusFailed:
		query = query.Where(unsettled+failed+")", append(in, args...)...)
	case StatusPending:
		query = query.Where(unsettled+"c.status = ?)", append(in, StatusPending)...).Where("NOT "+check+failed+")", args...)
	default:
		query = query.Where(check+"c.status = ?)", filter.Checks).Where("NOT "+check+"c.status <> ?)", filter.Checks)
	}
	return query.Session(&gorm.Session{}), timeless, err
}

// MergeRequests lists merge requests with their users, and returns their total number. It
// counts at most MaxListed merge requests; a total of MaxListed+1 means that there are
// more. Totals above a thousand may be half a minute old.
func (s *Store) MergeRequests(ctx context.Context, filter MergeRequestFilter, page Page) ([]MergeRequest, int64, error) {
	if !filter.State.known() {
		return nil, 0, nil
	}
	filter, err := s.withFewProjects(ctx, filter)
	if err != nil {
		return nil, 0, err
	}
	var total int64
	if page.After == nil {
		if total, err = s.countMergeRequests(ctx, filter); err != nil {
			return nil, 0, err
		}
	}
	list, err := s.mergeRequestsAcross(ctx, filter, page)
	if err != nil || list != nil {
		return list, total, err
	}
	if filter, err = s.withFewIDs(ctx, filter, maxListedByID); err != nil {
		return nil, 0, err
	}
	query, _, err := s.selectMergeRequests(ctx, filter)
	if err != nil {
		return nil, 0, err
	}
	err = page.apply(filter.order(withUsers(query), page.After)).Find(&list).Error
	return list, total, err
}

// countMergeRequests counts the merge requests that match a filter as MergeRequests does.
func (s *Store) countMergeRequests(ctx context.Context, filter MergeRequestFilter) (int64, error) {
	filter, err := s.withFewIDs(ctx, filter, maxCountedByID)
	if err != nil {
		return 0, err
	}
	query, timeless, err := s.selectMergeRequests(ctx, filter)
	if err != nil {
		return 0, err
	}
	return s.countAs(string(filter.Checks), timeless, query, MaxListed+1)
}

// withFewProjects replaces ReadableBy by the projects if there are few, so that their
// indexes serve the list.
func (s *Store) withFewProjects(ctx context.Context, filter MergeRequestFilter) (MergeRequestFilter, error) {
	if filter.ReadableBy == nil || filter.ReadableBy.Admin || filter.ProjectIDs != nil || filter.AuthorID != 0 {
		return filter, nil
	}
	ids := []int64{}
	err := s.reader(ctx).Raw(readableProjects+" LIMIT ?", VisibilityInternal, filter.ReadableBy.ID, RoleReporter, fewProjects+1).Scan(&ids).Error
	if len(ids) <= fewProjects {
		slices.Sort(ids)
		filter.ReadableBy, filter.ProjectIDs = nil, slices.Compact(ids)
	}
	return filter, err
}

// order sorts a list. The ids have the order of created_at, and within a project the iids
// have, too.
func (f MergeRequestFilter) order(query *gorm.DB, after *Cursor) *gorm.DB {
	column := "merge_requests.id"
	if len(f.ProjectIDs) == 1 && f.State == "" && f.CreatedAfter == nil && f.CreatedBefore == nil && f.AuthorID == 0 && f.AuthorUsername == "" && f.SourceBranch == "" && f.ids == nil {
		column = "merge_requests.iid"
	}
	direction, beyond := " DESC", " < "
	if f.Ascending {
		direction, beyond = "", " > "
	}
	var first string
	switch f.OrderBy {
	case "updated_at", "title":
		first, column = "merge_requests."+f.OrderBy, "merge_requests.id"
		query = query.Order(first + direction)
	}
	if after != nil && after.ID != 0 {
		switch f.OrderBy {
		case "updated_at":
			query = query.Where("("+first+", merge_requests.id)"+beyond+"(?, ?)", dbTime(after.Time), after.ID)
		default:
			query = query.Where("merge_requests.id"+beyond+"?", after.ID)
			column = "merge_requests.id"
		}
	}
	return query.Order(column + direction)
}

// MergeRequestsMergedBy returns the iids of the merge requests whose merge or squash
// commit is sha.
func (s *Store) MergeRequestsMergedBy(ctx context.Context, projectID int64, sha string) ([]int64, error) {
	var iids []int64
	if sha == "" {
		return nil, nil
	}
	// The comparisons with '' let the databases use indexes that leave out empty ones.
	err := s.reader(ctx).Model(&MergeRequest{}).
		Where("project_id = ? AND (merge_commit_sha = ? AND merge_commit_sha <> '' OR squash_commit_sha = ? AND squash_commit_sha <> '')", projectID, sha, sha).
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

// CountMergeRequests counts the merge requests that match a filter, by state, each as
// MergeRequests does. States without any are left out.
func (s *Store) CountMergeRequests(ctx context.Context, filter MergeRequestFilter) (map[MergeRequestState]int64, error) {
	states := []MergeRequestState{filter.State}
	if filter.State == "" {
		states = []MergeRequestState{StateOpened, StateMerged, StateClosed}
	}
	counts := map[MergeRequestState]int64{}
	filter, err := s.withFewProjects(ctx, filter)
	if err != nil {
		return nil, err
	}
	for _, filter.State = range states {
		n, err := s.countMergeRequests(ctx, filter)
		if err != nil {
			return nil, err
		}
		if n > 0 {
			counts[filter.State] = n
		}
	}
	return counts, nil
}

// Checks lists the checks of merge requests by merge request id, each list sorted by
// name, with the newest delivery of each check.
func (s *Store) Checks(ctx context.Context, mergeRequestIDs ...int64) (map[int64][]MergeRequestCheck, error) {
	var checks []MergeRequestCheck
	err := s.preparedReader(ctx).Preload("Delivery", withoutPayload).Where("merge_request_id IN ?", mergeRequestIDs).
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

// saveCheckState updates the state of a check. It does nothing if the check's service was
// deleted.
func (s *Store) saveCheckState(ctx context.Context, check *MergeRequestCheck) error {
	check.UpdatedAt = s.Now()
	return s.writer(ctx).Exec(`UPDATE merge_request_checks SET sha = ?, status = ?, timed_out = ?, pending_since = ?, stopped_at = ?,
		settled_at = ?, description = ?, target_url = ?, answered_via = ?, updated_at = ? WHERE id = ?`,
		check.SHA, check.Status, check.TimedOut, check.PendingSince, check.StoppedAt, check.SettledAt, check.Description, check.TargetURL,
		check.AnsweredVia, check.UpdatedAt, check.ID).Error
}

// saveCheckCopy is saveCheckState, but also updates what the check has copied of its service.
func (s *Store) saveCheckCopy(ctx context.Context, check *MergeRequestCheck) error {
	check.UpdatedAt = s.Now()
	return s.writer(ctx).Select("*").Omit("Delivery", "delivery_id").Where("id = ?", check.ID).Updates(check).Error
}
