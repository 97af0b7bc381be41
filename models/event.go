package models

import "time"

// Action is what happened to a merge request, in the words of the payload.
type Action string

// The actions. ActionNone marks a payload that repeats the current state, for a
// retry or a test.
const (
	ActionNone       Action = ""
	ActionOpen       Action = "open"
	ActionUpdate     Action = "update"
	ActionClose      Action = "close"
	ActionReopen     Action = "reopen"
	ActionApproved   Action = "approved"
	ActionUnapproved Action = "unapproved"
	ActionMerged     Action = "merge"
)

// Change is one edited field in the payload. Values are strings, booleans, numbers,
// times or nil.
type Change struct {
	Field    string
	Previous any
	Current  any
}

// EventService is the service that receives an event: its id, and the name and URL of
// the merge request's copy.
type EventService struct {
	ID   int64
	Name string
	URL  string
}

// Event holds everything that a payload is rendered from.
type Event struct {
	UUID         string
	Action       Action
	OldRev       string
	Changes      []Change
	At           time.Time
	User         User
	Project      Project
	MergeRequest MergeRequest
	Service      EventService
	// MergeStatus is GitLab's detailed_merge_status, as far as the database knows it.
	MergeStatus string
	// Test marks the payload of a test delivery.
	Test bool
}
