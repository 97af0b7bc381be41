package models

import (
	"context"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// statementText returns the text of a query with its values.
func statementText(query *gorm.DB) string {
	return query.Session(&gorm.Session{Logger: logger.Discard}).ToSQL(func(tx *gorm.DB) *gorm.DB { return tx.Select("1").Find(&[]struct{}{}) })
}

// withoutIndex returns a column for a condition or an order of a query. SQLite then uses no
// index of this column: it has no statistics, and would prefer it to a better one.
func withoutIndex(query *gorm.DB, column string) string {
	if query.Name() == DriverSQLite {
		return "+" + column
	}
	return column
}

// columnNames returns the names of a model's columns with the alias of its table. A newer
// version may add columns while this one serves, so no statement selects *, see QueryFields
// in Open.
func (s *Store) columnNames(alias string, model any) string {
	return s.columnsOf(alias, model).sql()
}

// columnsOf returns the columns of a model, except for some, with the alias of its table.
// They are scanned into the model.
func (s *Store) columnsOf(alias string, model any, omit ...string) columns {
	parsed := &gorm.Statement{DB: s.db}
	if err := parsed.Parse(model); err != nil {
		panic(err) // impossible: the schema test parses all models
	}
	var list columns
	for _, name := range parsed.Schema.DBNames {
		if !slices.Contains(omit, name) {
			field := parsed.Schema.FieldsByDBName[name].ReflectValueOf(context.Background(), reflect.ValueOf(model))
			list = append(list, column{alias + "." + name, field.Addr().Interface()})
		}
	}
	return list
}

// inIDs is the condition that a column is one of the ids in a parameter made by idList.
// Unlike IN ?, the statement is the same for any number of ids, so PostgreSQL keeps one
// prepared plan. Frequent statements use it.
func (s *Store) inIDs(column, param string) string {
	if s.postgres() {
		return column + " = ANY(CAST(" + param + " AS bigint[]))"
	}
	return column + " IN (SELECT value FROM json_each(" + param + "))"
}

// idList returns ids as a parameter for inIDs.
func (s *Store) idList(ids []int64) string {
	list := make([]string, len(ids))
	for i, id := range ids {
		list[i] = strconv.FormatInt(id, 10)
	}
	if s.postgres() {
		return "{" + strings.Join(list, ",") + "}"
	}
	return "[" + strings.Join(list, ",") + "]"
}
