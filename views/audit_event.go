package views

import "time"

// AuditEvents is the page of what was changed by whom.
type AuditEvents struct {
	Page  Page
	Rows  []AuditEventRow
	Pages PageLinks
}

// AuditEventRow is one recorded action.
type AuditEventRow struct {
	At             time.Time
	Author         string
	AuthorInitials string
	Action         string
	Object         string
	// Request is the merge request it happened on, such as "!142", at
	// RequestURL; "" for all else.
	Request, RequestURL string
	// Changes are lines like "Target branch: All branches → main".
	Changes []string
}

// AuditActionKey is the text for an action of the audit events.
func AuditActionKey(action string) Key { return Key("checks.audit_" + action) }

// AuditFieldKey is the text for what an audited change changed.
func AuditFieldKey(field string) Key { return Key("checks.audit_field_" + field) }

// utc is at as machines read it.
func utc(at time.Time) string { return at.UTC().Format(time.RFC3339) }
