package models

import (
	"strconv"
	"time"

	"gorm.io/gorm"
)

const (
	// exactRows is how many rows a count or a summary may read and still be computed anew
	// for every request.
	exactRows = 1000
	// keptFor is how long the others are kept.
	keptFor = 30 * time.Second
	// maxKept is how many results a process keeps.
	maxKept = 10_000
)

// keptResult is a result that a process keeps until a time.
type keptResult struct {
	value any
	until time.Time
}

// kept returns the result of read. If read had many rows to read, its result is kept and
// returned for keptFor, except in transactions.
func kept[T any](s *Store, key string, read func() (value T, rows int64, err error)) (T, error) {
	if result, ok := s.shared.kept.Get(key); ok && !s.inTx && s.Now().Before(result.until) {
		return result.value.(T), nil
	}
	value, rows, err := read()
	if err == nil && rows > exactRows && !s.inTx {
		s.shared.kept.Add(key, keptResult{value, s.Now().Add(keptFor)})
	}
	return value, err
}

// count counts the rows of a query, at most MaxListed+1. A count above exactRows may be
// as old as keptFor.
func (s *Store) count(query *gorm.DB) (int64, error) {
	return s.countAs("", query, query, MaxListed+1)
}

// countAs is count with another limit, or for a query that contains the current time. The
// count is kept under name and the text of the query key.
func (s *Store) countAs(name string, key, query *gorm.DB, limit int) (int64, error) {
	name += " " + strconv.Itoa(limit) + " " + statementText(key)
	return kept(s, "count "+name, func() (int64, int64, error) {
		n, err := countUpTo(query, limit)
		return n, n, err
	})
}

// countBounded counts the rows of a query to MaxListed + 1.
func countBounded(query *gorm.DB) (int64, error) { return countUpTo(query, MaxListed+1) }

// countUpTo counts the rows of a query, at most limit.
func countUpTo(query *gorm.DB, limit int) (n int64, err error) {
	rows := query.Session(&gorm.Session{}).Select("1").Limit(limit)
	err = query.Session(&gorm.Session{NewDB: true}).Table("(?) AS counted", rows).Count(&n).Error
	return n, err
}
