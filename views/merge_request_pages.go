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
	// Search is the search term.
	Search string
	// State is the state of the current tab, which a search keeps.
	State string
	// Checks, Author, Target and Draft are the filters, empty for all. Sort is the order.
	Checks, Author, Target, Draft, Sort string
	// FiltersChecks offers the filter by the state of the checks, to readers who may see
	// it.
	FiltersChecks bool
	// Own reports whether the list shows the reader's merge requests of all projects. It has
	// no filter by author.
	Own bool
	// NewURL is the form for a new merge request, empty without permission.
	NewURL string
	// URL is the address of the list.
	URL   string
	Pages PageLinks
	// Brief hides the branches.
	Brief bool
	Now   time.Time
}

// SortCreated is the default order of the list: newest first.
const SortCreated = "created_date"

// filtered reports whether a search or filter is active.
func (l MergeRequestList) filtered() bool {
	return l.Search+l.Checks+l.Author+l.Target+l.Draft != ""
}

// clearURL returns the address of the current tab without filters.
func (l MergeRequestList) clearURL() string { return l.URL + "?state=" + l.State }

// title returns the key of the page's title.
func (l MergeRequestList) title() text.Key {
	if l.Own {
		return text.KeyMRMine
	}
	return text.KeyMergeRequests
}

// sorts returns the orders of the list.
func (l MergeRequestList) sorts(ctx context.Context) []Option {
	return options(ctx, SortCreated, text.KeyMRSortCreated, "created_asc", text.KeyMRSortCreatedAsc,
		"updated_desc", text.KeyMRSortUpdated, "updated_asc", text.KeyMRSortUpdatedAsc,
		"title_asc", text.KeyMRSortTitle, "title_desc", text.KeyMRSortTitleDesc)
}

// checkOptions returns the values of the filter by the state of the checks.
func (l MergeRequestList) checkOptions(ctx context.Context) []Option {
	return options(ctx, "", text.KeyMRFilterAnyChecks, "failed", statusKey("failed"), "pending", statusKey("pending"), "passed", statusKey("passed"))
}

// draftOptions returns the values of the filter by draft.
func (l MergeRequestList) draftOptions(ctx context.Context) []Option {
	return options(ctx, "", text.KeyMRFilterAnyDraft, "yes", text.KeyMRFilterDraftYes, "no", text.KeyMRFilterDraftNo)
}

// options returns the options for pairs of a value and the key of its text.
func options(ctx context.Context, pairs ...any) []Option {
	var list []Option
	for i := 0; i+1 < len(pairs); i += 2 {
		list = append(list, Option{Value: pairs[i].(string), Text: text.T(ctx, pairs[i+1].(text.Key))})
	}
	return list
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
	IID        int64
	Title, URL string
	// Project is the path of the project in a list of several projects, else empty.
	Project        string
	State          MergeRequestState
	Author         string
	At             time.Time
	Source, Target string
	// ShowChecks reports whether the reader may see the status of the checks.
	ShowChecks              bool
	Passed, Pending, Failed int
}

// checks returns the number of status checks of the merge request.
func (r MergeRequestRow) checks() int { return r.Passed + r.Pending + r.Failed }

// worst returns the state for the summary's icon.
func (r MergeRequestRow) worst() string {
	switch {
	case r.Failed > 0:
		return string(CheckFailed)
	case r.Pending > 0:
		return string(CheckPending)
	}
	return string(CheckPassed)
}

// MergeRequestForm is the form that creates or edits a merge request.
type MergeRequestForm struct {
	// Action is the address to which the form posts, CancelURL the previous page.
	Action, CancelURL string
	// New reports whether the form creates a merge request. Only then the source
	// branch can be selected.
	New            bool
	Source, Target string
	// SourceList and TargetList are the lists of the branch pickers.
	SourceList, TargetList BranchChoices
	Title, Description     string
	Draft                  bool
	Squash                 bool
	RemoveSource           bool
	// Errors are errors by field name; the empty name is for the whole form.
	Errors map[string]FormFault
	// Version is the version that the form edits. Changed are the values that
	// somebody else has saved since, nil for none.
	Version string
	Changed []CurrentValue
	// Retargets reports whether the target branch can be changed.
	Retargets bool
	// Checks are the names of the services that apply to the target branch of a
	// new merge request, for readers who may see checks. PreviewURL returns them
	// for another target. ChecksMustPass reports whether merging requires them.
	Checks         []string
	PreviewURL     string
	ChecksMustPass bool
}

// FormFault is the error of a field.
type FormFault struct {
	Text string
	// URL is an optional link to the cause, such as the merge request that is
	// already open. LinkText is its text.
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
	// SHA is abbreviated. URL is the commit's page.
	SHA, Title, Body, Author, URL string
	At                            time.Time
}

// ChangeList is the Changes tab.
type ChangeList struct {
	Head                 MergeRequestHead
	Files                []ChangedFile
	Additions, Deletions int
	// MoreFiles is the number of files that are not listed, CutFiles the number
	// of listed files whose lines are truncated.
	MoreFiles, CutFiles int
	// Uncounted reports whether the number of changed files is only a minimum.
	Uncounted bool
	// Command is the git command that shows all changes in a clone.
	Command string
}

// ChangedFile is one file of a diff.
type ChangedFile struct {
	// ID is the anchor of the file on the page.
	ID string
	// Path is the new path. OldPath is the old one if it differs.
	Path, OldPath        string
	Status               FileStatus
	Additions, Deletions int
	Binary               bool
	// OldMode and NewMode are git's file modes if they differ, else empty.
	OldMode, NewMode string
	// Cut reports whether lines are missing because the file or the diff has too
	// many.
	Cut   bool
	Lines []DiffLine
}

// FileStatus is the kind of a file's change.
type FileStatus string

// The kinds of changes.
const (
	FileAdded    FileStatus = "added"
	FileModified FileStatus = "modified"
	FileDeleted  FileStatus = "deleted"
	FileRenamed  FileStatus = "renamed"
)

// text returns the key of the change's name.
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
	// LineNoNewline states that the line before does not end in a newline.
	LineNoNewline LineKind = "note"
)

// DiffLine is one line of a diff. Old and New are line numbers, 0 for none.
type DiffLine struct {
	Kind     LineKind
	Old, New int
	Text     string
	// Return reports whether the line ends in a carriage return. It is set only
	// if some changed lines of the file do and others do not.
	Return bool
}

// sign returns the character before the line.
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

// focus returns autofocus for the first control with an error. An error of the
// whole form focuses one of the branches.
func (f MergeRequestForm) focus(field string) templ.Attributes {
	faults := []fieldFault{{"source_branch", f.Errors["source_branch"].Text}, {"target_branch", f.Errors["target_branch"].Text},
		{"title", f.Errors["title"].Text}, {"description", f.Errors["description"].Text}}
	whole := fieldFault{"target_branch", f.Errors[""].Text}
	if f.New {
		whole.id = "source_branch"
	}
	return focusOn(field, "", append(faults, whole)...)
}

// invalid returns the attributes of a control: focus, aria-invalid if it has an
// error, and the ids of its hint and error.
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

// source returns the field for the source branch.
func (f MergeRequestForm) source() BranchPicker {
	return BranchPicker{Label: text.KeyMRSourceBranch, Fault: f.Errors["source_branch"], Focus: f.focus("source_branch"), List: f.SourceList}
}

// target returns the field for the target branch.
func (f MergeRequestForm) target(ctx context.Context) BranchPicker {
	p := BranchPicker{Label: text.KeyMRTargetBranch, Fault: f.Errors["target_branch"], Focus: f.focus("target_branch"), List: f.TargetList,
		PreviewURL: f.PreviewURL}
	if !f.New {
		p.Hint = text.T(ctx, text.KeyMRRetargetHint)
	}
	return p
}

// lineNumber formats a line number; 0 returns an empty string.
func lineNumber(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// wholeSeconds returns a duration in seconds, rounded up and at least 0.
func wholeSeconds(left time.Duration) int {
	if left < 0 {
		return 0
	}
	return int((left + time.Second - 1) / time.Second)
}
