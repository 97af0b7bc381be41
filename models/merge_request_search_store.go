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

	// maxListedByID is up to how many merge requests that SQLite finds by a search or a
	// date a list reads. If there are more, reading the list in its order soon has a page.
	maxListedByID = 20_000
	// maxCountedByID is the same for a count, which in the order of the list reads on to
	// MaxListed.
	maxCountedByID = 50_000
)

// searchesIndex reports whether ids are all that match the search.
func (f MergeRequestFilter) searchesIndex() bool {
	return f.ids != nil && utf8.RuneCountInString(searchText(f.Search)) >= minIndexedSearch
}

func searchText(search string) string { return strings.ToLower(cleanText(search)) }

// contains adds the condition that title or description contain a text, without regard
// to case.
func contains(query *gorm.DB, search string) *gorm.DB {
	like := likeContains(searchText(search))
	return query.Where(`(lower(merge_requests.title) LIKE ? ESCAPE '\' OR lower(merge_requests.description) LIKE ? ESCAPE '\')`, like, like)
}

// withFewIDs sets filter.ids if an index finds what matches the search or the dates of
// the last change. On SQLite, which does not estimate their number, only if they are at
// most limit.
func (s *Store) withFewIDs(ctx context.Context, filter MergeRequestFilter, limit int) (MergeRequestFilter, error) {
	search := searchText(filter.Search)
	var found *gorm.DB
	switch {
	case filter.Search != "" && utf8.RuneCountInString(search) < minIndexedSearch:
		newest := filter.apply(s.reader(ctx).Model(&MergeRequest{})).Select("merge_requests.id").Order("merge_requests.id DESC").Limit(maxUnindexedSearch)
		filter.ids = s.reader(ctx).Table("(?) AS newest", newest).Select("id")
		return filter, nil
	case filter.Search != "" && s.postgres():
		filter.ids = s.reader(ctx).Table("merge_request_texts").Select("merge_request_id").Where(`text LIKE ? ESCAPE '\'`, likeContains(search))
		return filter, nil
	case s.postgres():
		return filter, nil
	case filter.Search != "":
		quoted := `"` + strings.ReplaceAll(search, `"`, `""`) + `"`
		found = s.reader(ctx).Table("merge_request_texts").Select("rowid").Where("merge_request_texts MATCH ?", quoted)
	case (filter.UpdatedAfter != nil || filter.UpdatedBefore != nil) && filter.OrderBy != "updated_at":
		dates := MergeRequestFilter{ProjectIDs: filter.ProjectIDs, State: filter.State, UpdatedAfter: filter.UpdatedAfter, UpdatedBefore: filter.UpdatedBefore}
		found = dates.apply(s.reader(ctx).Model(&MergeRequest{})).Select("merge_requests.id")
	default:
		return filter, nil
	}
	found = found.Session(&gorm.Session{})
	n, err := s.countAs("", found, found, maxCountedByID+1)
	if err == nil && n <= int64(limit) {
		filter.ids = found
	}
	return filter, err
}
