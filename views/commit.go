package views

import "time"

// CommitDetail is the page of one commit.
type CommitDetail struct {
	// SHA is the whole id.
	SHA, Title, Body, Author string
	At                       time.Time
	Parents                  []Crumb
	// Merge says that there are several parents; Changes compare with the first.
	Merge   bool
	Changes ChangeList
	Now     time.Time
}

// Comparison is the page of what To has and From lacks.
type Comparison struct {
	From, To string
	Commits  []CommitRow
	Pages    PageLinks
	Changes  ChangeList
	Now      time.Time
}

// NamespaceDetail is the page of a user, or of a namespace that no user has.
type NamespaceDetail struct {
	// Person is empty for a namespace without a user.
	Person Person
	// Path is the namespace's path, or the user's name.
	Path string
	// You says that it is the reader's own page.
	You, Bot bool
	Rows     []ProjectRow
	Pages    PageLinks
	Now      time.Time
}
