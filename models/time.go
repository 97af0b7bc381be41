package models

import "time"

// dbTime is t as both databases keep it: UTC, in microseconds. SQLite compares
// times as text and PostgreSQL cuts to microseconds; with this they agree.
func dbTime(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }
