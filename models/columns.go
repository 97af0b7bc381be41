package models

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// column is an SQL expression and the variable that its value is scanned into.
type column struct {
	expr string
	dest any
}

// jsonColumn is the destination of a column with JSON.
type jsonColumn struct{ dest any }

// Scan implements sql.Scanner.
func (c jsonColumn) Scan(value any) error {
	reflect.ValueOf(c.dest).Elem().SetZero() // a slice would share its memory with the last row
	switch text := value.(type) {
	case string:
		return json.Unmarshal([]byte(text), c.dest)
	case []byte:
		return json.Unmarshal(text, c.dest)
	}
	return fmt.Errorf("models: a column with JSON is a %T", value)
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
