package views

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/mergegate/mergegate/views/text"
)

// MergeRequestList is the page of a project's merge requests.
type MergeRequestList struct {
	// Tabs are Open, Merged, Closed and All with their counts.
	Tabs []ListTab
	Rows []MergeRequestRow
	// Search is what the list was searched for.
	Search string
	// State is the current tab's, which the search keeps.
	State string
	// NewURL is the form for a new merge request; empty for those who may not.
	NewURL string
	// URL is the list itself.
	URL   string
	Pages PageLinks
	// Brief leaves the branches out.
	Brief bool
	Now   time.Time
}

// ListTab is one tab of the list.
type ListTab struct {
	Text    text.Key
	URL     string
	Count   int
	Current bool
}

// MergeRequestRow is one merge request in the list.
type MergeRequestRow struct {
	IID            int64
	Title, URL     string
	State          MergeRequestState
	Author         string
	At             time.Time
	Source, Target string
	// ShowChecks says that the reader may know how the checks stand.
	ShowChecks              bool
	Passed, Pending, Failed int
}

// checks is how many status checks the merge request has.
func (r MergeRequestRow) checks() int { return r.Passed + r.Pending + r.Failed }

// worst is the state that the summary's icon shows.
func (r MergeRequestRow) worst() string {
	switch {
	case r.Failed > 0:
		return string(CheckFailed)
	case r.Pending > 0:
		return string(CheckPending)
	}
	return string(CheckPassed)
}

// MergeRequestForm is the form of a new merge request or of an edit.
type MergeRequestForm struct {
	// Action is where the form posts, CancelURL the way back.
	Action, CancelURL string
	// New says that the merge request does not exist yet, so that its source
	// branch can be chosen.
	New            bool
	Source, Target string
	// SourceList and TargetList are what the pickers of the branches list.
	SourceList, TargetList BranchChoices
	Title, Description     string
	Draft                  bool
	Squash                 bool
	RemoveSource           bool
	// Errors are the faults of the form by field name; the empty name is for
	// faults of the whole.
	Errors map[string]FormFault
	// Version is what the form edits; Changed is what was changed meanwhile, nil
	// for nothing.
	Version string
	Changed []CurrentValue
	// Retargets says that the target branch can be changed and what follows.
	Retargets bool
	// Checks are the names of the services that apply to the target branch of a
	// new merge request, for those who may see checks; PreviewURL is the form
	// for another target. ChecksMustPass says that merging waits for them.
	Checks         []string
	PreviewURL     string
	ChecksMustPass bool
}

// FormFault is a fault of a field in words.
type FormFault struct {
	Text string
	// URL leads to what stands in the way, such as the merge request that is
	// already open; LinkText names it.
	URL, LinkText string
}

// CommitList is the Commits tab.
type CommitList struct {
	Head    MergeRequestHead
	Commits []CommitRow
	Pages   PageLinks
}

// CommitRow is one commit.
type CommitRow struct {
	// SHA is the start of the id; URL is the commit's page.
	SHA, Title, Body, Author, URL string
	At                            time.Time
}

// ChangeList is the Changes tab.
type ChangeList struct {
	Head                 MergeRequestHead
	Files                []ChangedFile
	Additions, Deletions int
	// MoreFiles is how many files are not listed at all, CutFiles how many are
	// listed without all of their lines.
	MoreFiles, CutFiles int
	// Uncounted says that more files changed than anyone counted.
	Uncounted bool
	// Command is what shows all changes in a clone of the project.
	Command string
}

// ChangedFile is one file of a diff.
type ChangedFile struct {
	// ID is the anchor of the file on the page.
	ID string
	// Path is the file's name now, OldPath the one before where it differs.
	Path, OldPath        string
	Status               FileStatus
	Additions, Deletions int
	Binary               bool
	// OldMode and NewMode are git's modes where they differ, else empty.
	OldMode, NewMode string
	// Cut says that Lines are only the first ones, or none, because there are
	// too many of the file or of all files together.
	Cut   bool
	Lines []DiffLine
}

// FileStatus says what happened to a file.
type FileStatus string

// What can happen to a file.
const (
	FileAdded    FileStatus = "added"
	FileModified FileStatus = "modified"
	FileDeleted  FileStatus = "deleted"
	FileRenamed  FileStatus = "renamed"
)

// text is the word for what happened to the file.
func (s FileStatus) text() text.Key {
	switch s {
	case FileAdded:
		return text.KeyMRFileAdded
	case FileDeleted:
		return text.KeyMRFileDeleted
	case FileRenamed:
		return text.KeyMRFileRenamed
	}
	return text.KeyMRFileModified
}

// LineKind is the kind of a line in a diff.
type LineKind string

// The kinds of lines.
const (
	LineContext LineKind = "context"
	LineAdded   LineKind = "added"
	LineDeleted LineKind = "deleted"
	LineHunk    LineKind = "hunk"
	// LineNoNewline says that the line before has no line break at its end.
	LineNoNewline LineKind = "note"
)

// DiffLine is one line of a diff. Old and New are line numbers, 0 for none.
type DiffLine struct {
	Kind     LineKind
	Old, New int
	Text     string
	// Return says that the line ends in a carriage return, in a file whose
	// changed lines do and do not.
	Return bool
}

// sign is what stands before the line.
func (l DiffLine) sign() string {
	switch l.Kind {
	case LineAdded:
		return "+"
	case LineDeleted:
		return "-"
	}
	return " "
}

// The tabs of a merge request.
const (
	TabOverview = "overview"
	TabCommits  = "commits"
	TabChanges  = "diffs"
)

// focus is for the first control with a fault; a fault of the form as a whole
// is one of its branches.
func (f MergeRequestForm) focus(field string) templ.Attributes {
	faults := []fieldFault{{"source_branch", f.Errors["source_branch"].Text}, {"target_branch", f.Errors["target_branch"].Text},
		{"title", f.Errors["title"].Text}, {"description", f.Errors["description"].Text}}
	whole := fieldFault{"target_branch", f.Errors[""].Text}
	if f.New {
		whole.id = "source_branch"
	}
	return focusOn(field, "", append(faults, whole)...)
}

// invalid marks a control that has a fault and names the texts that describe
// the control.
func (f MergeRequestForm) invalid(field, hint string) templ.Attributes {
	_, faulty := f.Errors[field]
	attributes := f.focus(field)
	if !faulty && hint == "" {
		return attributes
	}
	described := hint
	if faulty {
		attributes["aria-invalid"] = "true"
		described = strings.TrimSpace(field + "-error " + hint)
	}
	attributes["aria-describedby"] = described
	return attributes
}

// source is the field of the source branch.
func (f MergeRequestForm) source() BranchPicker {
	return BranchPicker{Label: text.KeyMRSourceBranch, Fault: f.Errors["source_branch"], Focus: f.focus("source_branch"), List: f.SourceList}
}

// target is the field of the target branch.
func (f MergeRequestForm) target(ctx context.Context) BranchPicker {
	p := BranchPicker{Label: text.KeyMRTargetBranch, Fault: f.Errors["target_branch"], Focus: f.focus("target_branch"), List: f.TargetList,
		PreviewURL: f.PreviewURL}
	if !f.New {
		p.Hint = text.T(ctx, text.KeyMRRetargetHint)
	}
	return p
}

// lineNumber writes a line number; nothing for a line that has none.
func lineNumber(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// wholeSeconds is a time left in whole seconds, never below zero.
func wholeSeconds(left time.Duration) int {
	if left < 0 {
		return 0
	}
	return int((left + time.Second - 1) / time.Second)
}
