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
)

// searchMergeRequests adds the condition that title or description contain a text, without
// regard to case. query has the rest of the filter.
func (s *Store) searchMergeRequests(ctx context.Context, query *gorm.DB, filter MergeRequestFilter) (*gorm.DB, error) {
	search := strings.ToLower(cleanText(filter.Search))
	like := likeContains(search)
	contains := func(query *gorm.DB) *gorm.DB {
		return query.Where(`(lower(merge_requests.title) LIKE ? ESCAPE '\' OR lower(merge_requests.description) LIKE ? ESCAPE '\')`, like, like)
	}
	if utf8.RuneCountInString(search) < minIndexedSearch {
		newest := query.Session(&gorm.Session{}).Select("merge_requests.id").Order("merge_requests.id DESC").Limit(maxUnindexedSearch)
		return contains(query.Session(&gorm.Session{}).Where("merge_requests.id IN (SELECT id FROM (?) AS newest)", newest)), nil
	}
	if s.postgres() {
		found := s.reader(ctx).Table("merge_request_texts").Select("merge_request_id").Where(`text LIKE ? ESCAPE '\'`, like)
		return query.Where("merge_requests.id IN (?)", found), nil
	}
	quoted := `"` + strings.ReplaceAll(search, `"`, `""`) + `"`
	found := s.reader(ctx).Table("merge_request_texts").Select("rowid").Where("merge_request_texts MATCH ?", quoted)
	n, err := countUpTo(found, MaxListed+1)
	if err != nil {
		return nil, err
	}
	if n > MaxListed {
		// Reading the list in its order soon finds a page, and the bound of the count.
		return contains(query), nil
	}
	return query.Where("merge_requests.id IN (?)", found), nil
}
