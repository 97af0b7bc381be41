package models

import (
	"context"
	"time"

	"gorm.io/gorm/logger"
)

// queryTrace passes every statement to Hooks.Query. It logs nothing, because statements
// contain confidential values.
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
