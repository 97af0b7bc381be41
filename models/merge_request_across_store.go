package models

import (
	"context"
	"math"
	"reflect"

	"gorm.io/gorm"
)

const (
	// firstPages is at how many pages of the whole instance firstReadable looks.
	firstPages = 10
	// maxAcross is up to how many merge requests mergeRequestsAcross reads from each project.
	maxAcross = 200
)

// mergeRequestsAcross returns a page of the merge requests of several projects if the
// filter has only projects, a state and an order, otherwise nil. It finds the projects
// with the first merge requests, and reads no more than a page from each of them: an index
// across all projects would begin with the merge requests of those that the user cannot
// read, however many these are.
func (s *Store) mergeRequestsAcross(ctx context.Context, filter MergeRequestFilter, page Page) ([]MergeRequest, error) {
	only := MergeRequestFilter{
		ProjectIDs: filter.ProjectIDs, ReadableBy: filter.ReadableBy, State: filter.State, OrderBy: filter.OrderBy, Ascending: filter.Ascending,
	}
	restricted := len(filter.ProjectIDs) > 1 || filter.ProjectIDs == nil && filter.ReadableBy != nil && !filter.ReadableBy.Admin
	n := page.Size
	if page.After == nil {
		n *= max(page.Number, 1)
	}
	if !restricted || n == 0 || n > maxAcross || !reflect.DeepEqual(filter, only) {
		return nil, nil
	}
	if filter.ProjectIDs == nil {
		if list, err := s.firstReadable(ctx, filter, page, n); err != nil || list != nil {
			return list, err
		}
	}
	projects, err := s.firstProjects(ctx, filter, page.After, n)
	if err != nil || len(projects) == 0 {
		return []MergeRequest{}, err
	}
	found := s.reader(ctx).Raw("SELECT m.id FROM projects p CROSS JOIN LATERAL (?) AS m WHERE p.id IN ?", s.firstOfProject(ctx, filter, page.After, n), projects)
	if !s.postgres() {
		found = s.reader(ctx).Raw("SELECT m.id FROM projects p CROSS JOIN merge_requests m WHERE p.id IN ? AND m.id IN (?)", projects, s.firstOfProject(ctx, filter, page.After, n))
	}
	list := []MergeRequest{}
	query := withUsers(s.reader(ctx)).Where("merge_requests.id IN (?)", found)
	return list, page.apply(filter.order(query, nil)).Find(&list).Error
}

// firstOfProject selects the ids of the first n merge requests of a list that are in the
// project p of the outer query.
func (s *Store) firstOfProject(ctx context.Context, filter MergeRequestFilter, after *Cursor, n int) *gorm.DB {
	filter.ProjectIDs, filter.ReadableBy = nil, nil
	query := filter.apply(s.reader(ctx).Model(&MergeRequest{})).Where("merge_requests.project_id = p.id")
	filter.ProjectIDs = []int64{0} // the order of the index of one project
	return filter.order(query, after).Select("merge_requests.id").Limit(n)
}

// firstProjects returns the projects with the first n merge requests of a list, at most n.
func (s *Store) firstProjects(ctx context.Context, filter MergeRequestFilter, after *Cursor, n int) ([]int64, error) {
	in, args := "?", []any{filter.ProjectIDs}
	if filter.ProjectIDs == nil {
		in, args = readableProjects, []any{VisibilityInternal, filter.ReadableBy.ID, RoleReporter}
	}
	// The limit keeps PostgreSQL from computing each id again in the outer query.
	first := s.reader(ctx).Table("projects p").Select("(?) AS id", s.firstOfProject(ctx, filter, after, 1)).
		Where("p.id IN ("+in+")", args...).Limit(math.MaxInt32)
	var projects []int64
	err := filter.order(s.reader(ctx).Model(&MergeRequest{}).Where("merge_requests.id IN (SELECT id FROM (?) AS first)", first), nil).
		Limit(n).Pluck("merge_requests.project_id", &projects).Error
	return projects, err
}

// firstReadable returns a page if the first n readable merge requests are among the first
// ones of the whole instance, otherwise nil. Most users can read most of those.
func (s *Store) firstReadable(ctx context.Context, filter MergeRequestFilter, page Page, n int) ([]MergeRequest, error) {
	if filter.OrderBy == "title" || filter.OrderBy == "updated_at" && filter.State != "" {
		return nil, nil // no index has the order
	}
	all := filter
	all.ReadableBy = nil
	first := all.order(all.apply(s.reader(ctx).Model(&MergeRequest{})), page.After).Select("merge_requests.id").Limit(firstPages * n)
	query := withUsers(s.reader(ctx)).Where("merge_requests.id IN (SELECT id FROM (?) AS first)", first).
		Where(readableProject, VisibilityInternal, filter.ReadableBy.ID, RoleReporter)
	var list []MergeRequest
	err := page.apply(filter.order(query, nil)).Find(&list).Error
	if len(list) < page.Size {
		return nil, err
	}
	return list, err
}
