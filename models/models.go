// Package models is the domain of Mergegate: its entities, the rules about them, and
// the queries and transactions that store them in PostgreSQL or SQLite.
//
// Start with Store and Open. Every operation, such as Store.Push, Store.RecordResponse
// or Store.Merge, is a method of Store and runs in one transaction. The main entities
// are Project, ExternalStatusCheck (a status check service), MergeRequest,
// MergeRequestCheck (the check of one service on one merge request) and Delivery.
// Errors that a caller can handle are *Error values; KindOf and CodeOf classify any
// error.
//
// Each entity has two files: external_status_check.go holds the struct and its pure
// rules, external_status_check_store.go holds the queries. Only the _store.go files,
// and store.go, use GORM. The package does not import net/http and does not run git: it
// takes values and reaches git through the Git interface.
package models
