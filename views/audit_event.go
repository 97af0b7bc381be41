package views

import (
	"time"

	"github.com/a-h/templ"

	"github.com/mergegate/mergegate/views/text"
)

// AuditEvents is the page of what was changed by whom.
type AuditEvents struct {
	Page Page
	// Intro says what is listed, Path is the page.
	Intro text.Key
	Path  string
	Rows  []AuditEventRow
	Pages PageLinks
	// Kinds are what the list can be narrowed to; Filter holds the choice:
	// "kind", and the days "from" and "to".
	Kinds    []Option
	Filter   Form
	Filtered bool
	// ExportURL is the list as a file.
	ExportURL string
}

// AuditEventRow is one recorded action.
type AuditEventRow struct {
	At time.Time
	// Author is a name; Username "" where there is no account (any more).
	Author, Username string
	Bot              bool
	Action           string
	Object           string
	// IP is where it came from, "" for what happens by itself.
	IP string
	// Request is the merge request it happened on, such as "!142", at
	// RequestURL; "" for all else.
	Request, RequestURL string
	// Changes are lines like "Target branch: All branches → main".
	Changes []string
}

// AuditActionKey is the text for an action of the audit events.
func AuditActionKey(action string) text.Key { return text.Key("checks.audit_" + action) }

// AuditFieldKey is the text for what an audited change changed.
func AuditFieldKey(field string) text.Key { return text.Key("checks.audit_field_" + field) }

// utc is at as machines read it.
func utc(at time.Time) string { return at.UTC().Format(time.RFC3339) }

// authorTitle tells whose name it is where it is pointed at.
func authorTitle(username string) templ.Attributes {
	if username == "" {
		return nil
	}
	return templ.Attributes{"title": "@" + username}
}
