package models

import (
	"context"
	"time"

	"gorm.io/gorm/logger"
)

// queryTrace passes every statement to Hooks.Query and Config.Query. It logs nothing, because statements
// contain confidential values.
type queryTrace struct {
	logger.Interface
	shared *shared
}

// LogMode implements logger.Interface.
func (t queryTrace) LogMode(logger.LogLevel) logger.Interface { return t }

// Trace implements logger.Interface.
func (t queryTrace) Trace(_ context.Context, _ time.Time, statement func() (string, int64), _ error) {
	for _, hook := range []func(string){t.shared.hooks.Query, t.shared.cfg.Query} {
		if hook != nil {
			sql, _ := statement()
			hook(sql)
		}
	}
}
