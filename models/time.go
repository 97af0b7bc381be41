package models

import "time"

// dbTime returns t in UTC and whole microseconds. SQLite compares times as text and
// PostgreSQL stores microseconds; with this form both agree.
func dbTime(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }
