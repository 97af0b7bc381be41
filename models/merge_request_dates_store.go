package models

import (
	"context"
	"math"
	"strings"
	"time"

	"gorm.io/gorm"
)

// concurrentIDs is by how much the order of ids may differ from that of created_at.
const concurrentIDs = 1000

// idRange is a range of ids and of iids. Zero is no bound.
type idRange struct{ firstID, lastID, firstIID, lastIID int64 }

func (r idRange) apply(query *gorm.DB) *gorm.DB {
	bound := func(condition string, value int64) {
		if value != 0 {
			query = query.Where("merge_requests."+condition, value)
		}
	}
	bound("id >= ?", r.firstID)
	bound("id <= ?", r.lastID)
	bound("iid >= ?", r.firstIID)
	bound("iid <= ?", r.lastIID)
	return query
}

// withCreatedIDs sets the ids that CreatedAfter and CreatedBefore leave, so that the list is
// read from a part of an index. Ids have the order of created_at, apart from merge requests
// that are created at the same time, and the iids of a project have the order of its ids.
func (s *Store) withCreatedIDs(ctx context.Context, filter MergeRequestFilter) (MergeRequestFilter, error) {
	var err error
	r := &filter.created
	if filter.CreatedAfter != nil {
		if r.firstID, err = s.idCreated(ctx, ">=", "", *filter.CreatedAfter, math.MaxInt64); err != nil {
			return filter, err
		}
		r.firstID = max(r.firstID-concurrentIDs, 1)
	}
	if filter.CreatedBefore != nil {
		if r.lastID, err = s.idCreated(ctx, "<=", " DESC", *filter.CreatedBefore, 0); err != nil {
			return filter, err
		}
		r.lastID += concurrentIDs
	}
	if len(filter.ProjectIDs) != 1 || filter.State != "" {
		return filter, nil // the index of a project and state has the order of ids
	}
	if r.firstID != 0 {
		if r.firstIID, err = s.iidFrom(ctx, filter.ProjectIDs[0], ">=", "", r.firstID, math.MaxInt64); err != nil {
			return filter, err
		}
	}
	if r.lastID != 0 {
		r.lastIID, err = s.iidFrom(ctx, filter.ProjectIDs[0], "<=", " DESC", r.lastID, 1)
	}
	return filter, err
}

// idCreated returns the id of the merge request that was created next to a time, or none.
func (s *Store) idCreated(ctx context.Context, compare, direction string, at time.Time, none int64) (int64, error) {
	return firstOr(none, s.reader(ctx).Model(&MergeRequest{}).Where("created_at "+compare+" ?", dbTime(at)).
		Order("created_at"+direction+", id"+direction).Select("id"))
}

// iidFrom returns the iid of the merge request of a project that is next to an id, or none.
// An index finds it for each state.
func (s *Store) iidFrom(ctx context.Context, projectID int64, compare, direction string, id, none int64) (int64, error) {
	var ofStates []string
	var args []any
	for _, state := range []MergeRequestState{StateOpened, StateClosed, StateMerged} {
		ofStates = append(ofStates, "SELECT id FROM (SELECT id FROM merge_requests WHERE project_id = ? AND state = ? AND id "+
			compare+" ? ORDER BY id"+direction+" LIMIT 1) AS "+string(state))
		args = append(args, projectID, state, id)
	}
	return firstOr(none, s.reader(ctx).Model(&MergeRequest{}).Where("id IN ("+strings.Join(ofStates, " UNION ALL ")+")", args...).
		Order("id"+direction).Select("iid"))
}

// firstOr returns the first number that a query selects, or none.
func firstOr(none int64, query *gorm.DB) (int64, error) {
	var found []int64
	err := query.Limit(1).Scan(&found).Error
	if len(found) == 0 {
		return none, err
	}
	return found[0], err
}
