package views

import "time"

// CommitDetail is the page of one commit.
type CommitDetail struct {
	// SHA is the full id.
	SHA, Title, Body, Author string
	At                       time.Time
	Parents                  []Crumb
	// Merge reports whether the commit has several parents. Changes are relative
	// to the first parent.
	Merge   bool
	Changes ChangeList
	Now     time.Time
}

// Comparison is the page of the commits and changes in To that are not in From.
type Comparison struct {
	From, To string
	Commits  []CommitRow
	Pages    PageLinks
	Changes  ChangeList
	Now      time.Time
}

// NamespaceDetail is the page of a user, or of a namespace without a user.
type NamespaceDetail struct {
	// Person is empty for a namespace without a user.
	Person Person
	// Path is the namespace's path or the username.
	Path string
	// You reports whether the page is the reader's own.
	You, Bot bool
	Rows     []ProjectRow
	Pages    PageLinks
	Now      time.Time
}
