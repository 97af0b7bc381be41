// Package models is the domain of Mergegate: its entities, every rule about
// them, and every query and transaction that keeps them, on PostgreSQL and on
// SQLite.
//
// Two files per entity: external_status_check.go holds the struct and its pure
// rules; external_status_check_store.go holds the queries and is the only kind
// of file that may import GORM. The package knows neither HTTP nor git: both
// reach it through values and the small interfaces declared here.
package models
