package models

import (
	"context"
	"time"

	"gorm.io/gorm/logger"
)

// queryTrace tells Hooks.Query of every statement; nothing is ever logged: a
// statement's values may hold what must not be seen.
type queryTrace struct {
	logger.Interface
	shared *shared
}

// LogMode implements logger.Interface.
func (t queryTrace) LogMode(logger.LogLevel) logger.Interface { return t }

// Trace implements logger.Interface.
func (t queryTrace) Trace(_ context.Context, _ time.Time, statement func() (string, int64), _ error) {
	if hook := t.shared.hooks.Query; hook != nil {
		sql, _ := statement()
		hook(sql)
	}
}
