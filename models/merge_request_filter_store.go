package models

import (
	"time"

	"gorm.io/gorm"
)

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
	AuthorUsername string // without regard to case
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
	// dates, and perhaps others. The list is read from these, not in its order.
	ids *gorm.DB
	// fewIDs says that a condition selects the ids of all that match, and that these are at
	// most exactRows. SQLite does not estimate how many they are.
	fewIDs bool
	// created has the ids that CreatedAfter and CreatedBefore leave, and perhaps others.
	created idRange
}

// readableProjects selects the ids of the projects whose code a user can read.
const readableProjects = `SELECT id FROM projects WHERE visibility >= ? UNION ALL
	SELECT project_id FROM members WHERE user_id = ? AND role >= ?`

// readableProject is the same as a condition on a merge request, which the databases
// check row by row. It is faster while most rows match.
const readableProject = `((SELECT p.visibility FROM projects p WHERE p.id = merge_requests.project_id) >= ?
	OR (SELECT m.role FROM members m WHERE m.project_id = merge_requests.project_id AND m.user_id = ?) >= ?)`

// apply adds the conditions of a resolved filter except for Search and Checks.
func (f MergeRequestFilter) apply(query *gorm.DB) *gorm.DB {
	if f.ids != nil {
		query = query.Where("merge_requests.id IN (?)", f.ids)
	}
	switch {
	case len(f.ProjectIDs) == 1 && f.fewIDs:
		query = query.Where(withoutIndex(query, "merge_requests.project_id")+" = ?", f.ProjectIDs[0])
	case len(f.ProjectIDs) == 1:
		query = query.Where("merge_requests.project_id = ?", f.ProjectIDs[0])
	case f.ProjectIDs != nil:
		query = query.Where("merge_requests.project_id IN ?", f.ProjectIDs)
	}
	if f.ReadableBy != nil && !f.ReadableBy.Admin {
		condition := "merge_requests.project_id IN (" + readableProjects + ")"
		if f.AuthorID != 0 {
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
	query = f.created.apply(query)
	between("created_at", f.CreatedAfter, f.CreatedBefore)
	between("updated_at", f.UpdatedAfter, f.UpdatedBefore)
	return query
}

// order sorts a list. The ids have the order of created_at, and within a project the iids
// have, too.
func (f MergeRequestFilter) order(query *gorm.DB, after *Cursor) *gorm.DB {
	column := "merge_requests.id"
	if len(f.ProjectIDs) == 1 && f.State == "" && f.AuthorID == 0 && f.SourceBranch == "" && f.ids == nil {
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
