package models

import (
	"strings"
	"time"
)

// column is an SQL expression and the variable that its value is scanned into.
type column struct {
	expr string
	dest any
}

// columns is the SELECT list of a frequent query. The SQL text and the scan
// destinations come from the same list, so they cannot get out of step.
type columns []column

// sql returns the expressions as a SELECT list.
func (c columns) sql() string {
	exprs := make([]string, len(c))
	for i, col := range c {
		exprs[i] = col.expr
	}
	return strings.Join(exprs, ", ")
}

// dests returns the scan destinations in the order of sql.
func (c columns) dests() []any {
	dests := make([]any, len(c))
	for i, col := range c {
		dests[i] = col.dest
	}
	return dests
}

// toUTC converts the scanned times to UTC.
func (c columns) toUTC() {
	for _, col := range c {
		switch at := col.dest.(type) {
		case *time.Time:
			*at = at.UTC()
		case **time.Time:
			if *at != nil {
				**at = (*at).UTC()
			}
		}
	}
}
