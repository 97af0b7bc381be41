package models

import (
	"context"
	"strings"
	"unicode/utf8"

	"gorm.io/gorm"
)

const (
	// minIndexedSearch is the length of a search, in characters, from which the index of
	// trigrams finds it.
	minIndexedSearch = 3
	// maxUnindexedSearch is how many merge requests, the newest ones, a shorter search
	// looks at.
	maxUnindexedSearch = 1000

	// maxListedByID limits on SQLite how many merge requests a list reads by the ids that
	// an index found. If more match, reading the list in its order soon gives a page.
	maxListedByID = 20_000
	// maxCountedByID is the limit for a count, which would have to read the list in its
	// order until MaxListed match.
	maxCountedByID = 50_000
)

// searchesIndex reports whether ids are all that match the search.
func (f MergeRequestFilter) searchesIndex() bool { return f.ids != nil && !f.searchesNewest() }

// searchesNewest reports whether the search is too short for the index.
func (f MergeRequestFilter) searchesNewest() bool {
	return f.Search != "" && utf8.RuneCountInString(searchText(f.Search)) < minIndexedSearch
}

func searchText(search string) string { return strings.ToLower(cleanText(search)) }

// contains adds the condition that title or description contain a text, without regard
// to case.
func contains(query *gorm.DB, search string) *gorm.DB {
	like := likeContains(searchText(search))
	return query.Where(`(lower(merge_requests.title) LIKE ? ESCAPE '\' OR lower(merge_requests.description) LIKE ? ESCAPE '\')`, like, like)
}

// withFewIDs sets filter.ids if an index finds what matches the search or, on SQLite, the
// dates of the last change. SQLite does not estimate how many these are, so there it sets
// them only if they are at most limit.
func (s *Store) withFewIDs(ctx context.Context, filter MergeRequestFilter, limit int) (MergeRequestFilter, error) {
	if filter.searchesNewest() {
		newest := filter.apply(s.reader(ctx).Model(&MergeRequest{})).Select("merge_requests.id").Order("merge_requests.id DESC").Limit(maxUnindexedSearch)
		filter.ids = s.reader(ctx).Table("(?) AS newest", newest).Select("id")
		return filter, nil
	}
	found := s.foundByIndex(ctx, filter)
	if found == nil || s.postgres() {
		filter.ids = found
		return filter, nil
	}
	n, err := s.countAs("", found, found, maxCountedByID+1)
	if err == nil && n <= int64(limit) {
		filter.ids, filter.fewIDs = found, n <= exactRows
	}
	return filter, err
}

// foundByIndex selects the ids of what matches the search of a filter or, on SQLite, its
// dates of the last change. It returns nil if the filter has neither.
func (s *Store) foundByIndex(ctx context.Context, filter MergeRequestFilter) *gorm.DB {
	search := searchText(filter.Search)
	texts := s.reader(ctx).Table("merge_request_texts")
	var found *gorm.DB
	switch {
	case filter.Search != "" && s.postgres():
		found = texts.Select("merge_request_id").Where(`text LIKE ? ESCAPE '\'`, likeContains(search))
	case filter.Search != "":
		found = texts.Select("rowid").Where("merge_request_texts MATCH ?", `"`+strings.ReplaceAll(search, `"`, `""`)+`"`)
	case !s.postgres() && (filter.UpdatedAfter != nil || filter.UpdatedBefore != nil) && filter.OrderBy != "updated_at":
		dates := MergeRequestFilter{ProjectIDs: filter.ProjectIDs, State: filter.State, UpdatedAfter: filter.UpdatedAfter, UpdatedBefore: filter.UpdatedBefore}
		found = dates.apply(s.reader(ctx).Model(&MergeRequest{})).Select("merge_requests.id")
	default:
		return nil
	}
	return found.Session(&gorm.Session{})
}
