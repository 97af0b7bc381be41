package views

import (
	"time"

	"github.com/a-h/templ"

	"github.com/mergegate/mergegate/views/text"
)

// AuditEvents is the page that lists audit events.
type AuditEvents struct {
	Page Page
	// Intro describes the list. Path is the address of the page.
	Intro text.Key
	Path  string
	Rows  []AuditEventRow
	Pages PageLinks
	// Kinds are the options of the filter. Filter holds its fields "kind", "from"
	// and "to".
	Kinds    []Option
	Filter   Form
	Filtered bool
	// Instance adds the fields "scope" and "author" to the filter.
	Instance bool
	// ExportURL is the address of the list as a file.
	ExportURL string
}

// AuditEventRow is one recorded action.
type AuditEventRow struct {
	At time.Time
	// Author is a display name. Username is empty if the account does not exist.
	Author, Username string
	Bot              bool
	Action           string
	Object           string
	// Project is the path of the event's project on the page of the instance.
	Project string
	// IP is the client's address, empty for actions of the system.
	IP string
	// Request is the merge request concerned, such as "!142", and RequestURL its
	// address; both are empty without one.
	Request, RequestURL string
	// Changes are lines such as "Target branch: All branches → main".
	Changes []string
}

// AuditActionKey returns the key of an audit event's action.
func AuditActionKey(action string) text.Key { return text.Key("checks.audit_" + action) }

// AuditFieldKey returns the key of a changed field's name.
func AuditFieldKey(field string) text.Key { return text.Key("checks.audit_field_" + field) }

// utc formats a time for attributes, in RFC 3339 and UTC.
func utc(at time.Time) string { return at.UTC().Format(time.RFC3339) }

// authorTitle returns a tooltip with the username, or nil if it is empty.
func authorTitle(username string) templ.Attributes {
	if username == "" {
		return nil
	}
	return templ.Attributes{"title": "@" + username}
}
