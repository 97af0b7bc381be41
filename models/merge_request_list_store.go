package models

import (
	"context"
	"slices"

	"gorm.io/gorm"
)

// fewProjects is up to how many projects a list names.
const fewProjects = 200

// MergeRequests lists merge requests with their users, and returns their total number. It
// counts at most MaxListed merge requests; a total of MaxListed+1 means that there are
// more. Totals above a thousand may be half a minute old.
func (s *Store) MergeRequests(ctx context.Context, filter MergeRequestFilter, page Page) ([]MergeRequest, int64, error) {
	filter, canMatch, err := s.resolve(ctx, filter)
	if err != nil || !canMatch {
		return nil, 0, err
	}
	var total int64
	if page.After == nil {
		if total, err = s.countMergeRequests(ctx, filter); err != nil {
			return nil, 0, err
		}
	}
	list, err := s.listMergeRequests(ctx, filter, page)
	return list, total, err
}

// MergeRequestsAndCounts is MergeRequests and, for the same filter without its state,
// CountMergeRequests.
func (s *Store) MergeRequestsAndCounts(ctx context.Context, filter MergeRequestFilter, page Page) ([]MergeRequest, map[MergeRequestState]int64, error) {
	filter, canMatch, err := s.resolve(ctx, filter)
	if err != nil || !canMatch {
		return nil, nil, err
	}
	list, err := s.listMergeRequests(ctx, filter, page)
	if err != nil {
		return nil, nil, err
	}
	filter.State = ""
	counts, err := s.countByState(ctx, filter)
	return list, counts, err
}

// CountMergeRequests counts the merge requests that match a filter, by state, each as
// MergeRequests does. States without any are left out.
func (s *Store) CountMergeRequests(ctx context.Context, filter MergeRequestFilter) (map[MergeRequestState]int64, error) {
	filter, canMatch, err := s.resolve(ctx, filter)
	if err != nil || !canMatch {
		return nil, err
	}
	return s.countByState(ctx, filter)
}

// resolve replaces conditions of a filter by ids, for which the databases plan better.
// canMatch is false if nothing can match.
func (s *Store) resolve(ctx context.Context, filter MergeRequestFilter) (resolved MergeRequestFilter, canMatch bool, err error) {
	if !filter.State.known() {
		return filter, false, nil
	}
	if filter, err = s.withFewProjects(ctx, filter); err != nil {
		return filter, false, err
	}
	if filter.AuthorUsername != "" {
		author, err := s.UserByUsername(ctx, cleanText(filter.AuthorUsername))
		if KindOf(err) == KindNotFound || filter.AuthorID != 0 && filter.AuthorID != author.ID {
			return filter, false, nil
		} else if err != nil {
			return filter, false, err
		}
		filter.AuthorID, filter.AuthorUsername = author.ID, ""
	}
	filter, err = s.withCreatedIDs(ctx, filter)
	return filter, err == nil, err
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

// listMergeRequests reads a page of a resolved filter.
func (s *Store) listMergeRequests(ctx context.Context, filter MergeRequestFilter, page Page) ([]MergeRequest, error) {
	list, err := s.mergeRequestsAcross(ctx, filter, page)
	if err != nil || list != nil {
		return list, err
	}
	if filter, err = s.withFewIDs(ctx, filter, maxListedByID); err != nil {
		return nil, err
	}
	selected, err := s.selectMergeRequests(ctx, filter)
	if err != nil {
		return nil, err
	}
	err = page.apply(filter.order(withUsers(selected.query), page.After)).Find(&list).Error
	return list, err
}

// countMergeRequests counts what matches a resolved filter, as MergeRequests does.
func (s *Store) countMergeRequests(ctx context.Context, filter MergeRequestFilter) (int64, error) {
	filter, err := s.withFewIDs(ctx, filter, maxCountedByID)
	if err != nil {
		return 0, err
	}
	selected, err := s.selectMergeRequests(ctx, filter)
	if err != nil {
		return 0, err
	}
	return s.countAs(string(filter.Checks), selected.timeless, selected.query, MaxListed+1)
}

// countByState counts what matches a resolved filter, by state.
func (s *Store) countByState(ctx context.Context, filter MergeRequestFilter) (map[MergeRequestState]int64, error) {
	states := []MergeRequestState{filter.State}
	if filter.State == "" {
		states = []MergeRequestState{StateOpened, StateMerged, StateClosed}
		if counts, err := s.countStatesAtOnce(ctx, filter); err != nil || counts != nil {
			return counts, err
		}
	}
	counts := map[MergeRequestState]int64{}
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

// countStatesAtOnce counts the states with one query if the ids of what matches a filter can
// be found without its states, otherwise it returns nil. It also returns nil if more than
// MaxListed match.
func (s *Store) countStatesAtOnce(ctx context.Context, filter MergeRequestFilter) (map[MergeRequestState]int64, error) {
	if filter.searchesNewest() { // it searches the newest of each state
		return nil, nil
	}
	filter, err := s.withFewIDs(ctx, filter, maxCountedByID)
	if err != nil {
		return nil, err
	}
	selected, err := s.selectMergeRequests(ctx, filter)
	if err != nil || filter.ids == nil && !selected.fewIDs {
		return nil, err
	}
	type count struct {
		State MergeRequestState
		N     int64
	}
	read := func() (list []count, rows int64, err error) {
		states := selected.query.Select("merge_requests.state").Limit(MaxListed + 1)
		err = s.reader(ctx).Table("(?) AS states", states).Select("state, count(*) AS n").Group("state").Scan(&list).Error
		for _, c := range list {
			rows += c.N
		}
		return list, rows, err
	}
	list, err := kept(s, "states "+string(filter.Checks)+" "+statementText(selected.timeless), read)
	if err != nil {
		return nil, err
	}
	counts := map[MergeRequestState]int64{}
	var all int64
	for _, c := range list {
		counts[c.State] = c.N
		all += c.N
	}
	if all > MaxListed {
		return nil, nil
	}
	return counts, nil
}

// selectedMergeRequests are the merge requests that match a filter.
type selectedMergeRequests struct {
	query *gorm.DB
	// timeless is the query without the condition that contains the current time.
	timeless *gorm.DB
	// fewIDs is MergeRequestFilter.fewIDs, also for the checks.
	fewIDs bool
}

// selectMergeRequests returns the query for a resolved filter.
func (s *Store) selectMergeRequests(ctx context.Context, filter MergeRequestFilter) (selected selectedMergeRequests, err error) {
	unsettled, in, err := s.unsettledChecks(ctx, &filter)
	if err != nil {
		return selected, err
	}
	query := filter.apply(s.reader(ctx).Model(&MergeRequest{}))
	if filter.Search != "" && !filter.searchesIndex() {
		query = contains(query, filter.Search)
	}
	query = query.Session(&gorm.Session{})
	selected = selectedMergeRequests{query: query, timeless: query, fewIDs: filter.fewIDs}
	if filter.Checks == "" {
		return selected, nil
	}
	failed, args, err := s.failedCondition(ctx)
	switch filter.Checks {
	case StatusFailed:
		query = query.Where(unsettled+failed+")", append(in, args...)...)
	case StatusPending:
		query = query.Where(unsettled+"c.status = ?)", append(in, StatusPending)...).Where("NOT "+anyCheck+failed+")", args...)
	default:
		query = query.Where(anyCheck+"c.status = ?)", filter.Checks).Where("NOT "+anyCheck+"c.status <> ?)", filter.Checks)
	}
	selected.query = query.Session(&gorm.Session{})
	return selected, err
}

// anyCheck begins the condition that a merge request has a check c.
const anyCheck = "EXISTS (SELECT 1 FROM merge_request_checks c WHERE c.merge_request_id = merge_requests.id AND "

// unsettledChecks returns what begins the condition that a merge request has a check c that
// has failed or is pending. If the project has few of them, the query begins from these,
// which an index finds, and filter.fewIDs is set; if it has many, the list in its order soon
// has a page.
func (s *Store) unsettledChecks(ctx context.Context, filter *MergeRequestFilter) (begin string, args []any, err error) {
	if len(filter.ProjectIDs) != 1 || filter.Checks != StatusFailed && filter.Checks != StatusPending {
		return anyCheck, nil, nil
	}
	statuses := []Status{StatusPending}
	if filter.Checks == StatusFailed { // also those whose time is over
		statuses = []Status{StatusFailed, StatusPending}
	}
	// Each is the condition of an index.
	condition := "c.status <> 'passed'"
	if filter.State == StateOpened {
		condition = "c.merge_request_open"
	}
	condition += " AND c.project_id = ? AND c.status IN ?"
	args = []any{filter.ProjectIDs[0], statuses}
	n, err := countUpTo(s.reader(ctx).Table("merge_request_checks c").Where(condition, args...), exactRows+1)
	if err != nil {
		return "", nil, err
	}
	few := n <= exactRows
	filter.fewIDs = filter.fewIDs || few
	if filter.Checks == StatusFailed && !few {
		return anyCheck, nil, nil
	}
	return "merge_requests.id IN (SELECT c.merge_request_id FROM merge_request_checks c WHERE " + condition + " AND ", args, nil
}
