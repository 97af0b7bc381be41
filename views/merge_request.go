package views

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/mergegate/mergegate/views/text"
)

// MergeRequestState is the state of a merge request in a page.
type MergeRequestState string

// The states of a merge request. The values are the API's words.
const (
	MergeRequestOpen   MergeRequestState = "opened"
	MergeRequestClosed MergeRequestState = "closed"
	MergeRequestMerged MergeRequestState = "merged"
)

// badge is the colour class of the state's badge.
func (s MergeRequestState) badge() string {
	switch s {
	case MergeRequestMerged:
		return "badge--info"
	case MergeRequestClosed:
		return "badge--danger"
	}
	return "badge--success"
}

// Person is a user as pages name them.
type Person struct {
	Name, Username string
}

// MergeRequestHead is what stands above the tabs of every page of one merge
// request.
type MergeRequestHead struct {
	IID    int64
	Title  string
	State  MergeRequestState
	Draft  bool
	Author Person
	At     time.Time
	Source string
	Target string
	// SourceGone says that the source branch no longer exists.
	SourceGone bool
	// URL is the merge request's page; the tabs are below it.
	URL string
	// Commits and Changes are the counts on the tabs; -1 where git cannot say.
	Commits, Changes int
	// Tab is the current one: "overview", "commits" or "diffs".
	Tab string
	// CanEdit shows Edit, Close and Reopen.
	CanEdit bool
	Now     time.Time
}

// MergeRequestPage is the Overview tab.
type MergeRequestPage struct {
	Head        MergeRequestHead
	Description Prose
	Box         MergeBox
	// Refused is the sentence about an action that was just refused; empty when
	// none was.
	Refused string
}

// MergeBox is the box under the description: approvals, status checks, whether
// the merge request can be merged and, if not, why.
type MergeBox struct {
	State     MergeRequestState
	Approvals Approvals
	Checks    StatusChecks
	// Blind says that the reader must not learn from the box how the status
	// checks stand, or that nobody can tell: it then says only that merging is
	// blocked.
	Blind bool
	// Conditions are what a merge needs, met or not, in the order shown.
	Conditions []MergeCondition
	// GateFailed and GatePending count the checks that hold the merge back;
	// both are zero when the project does not demand that they succeed.
	GateFailed, GatePending int
	// OnlyGate says that nothing else holds the merge back.
	OnlyGate bool
	// InformFailed and InformPending count the checks that are not passed in a
	// project that merges nevertheless.
	InformFailed, InformPending int
	// MergeURL is where Merge posts; empty for those who may never merge here.
	MergeURL string
	// SHA is HEAD in full as the page was loaded with it, which the merge is asked
	// for; ShortSHA is the start of HEAD as it is.
	SHA, ShortSHA string
	Target        string
	// Commits is how many commits the merge adds.
	Commits int
	// SourceKept says that the source branch is not there to be deleted or may
	// not be. RemoveSource and Squash are what was chosen before.
	SourceKept, RemoveSource, Squash bool
	// DoneBy and DoneAt say who merged or closed it and when.
	DoneBy string
	DoneAt time.Time
	// MergeSHA is the merge commit, eight characters.
	MergeSHA string
	// Rule is the sentence about the rule that the merge was under; "" where it
	// is not told.
	Rule text.Key
	Now  time.Time
}

// Approvals is the approvals section of the merge box.
type Approvals struct {
	By []Approval
	// ApproveURL or UnapproveURL is the reader's own action, if any.
	ApproveURL, UnapproveURL string
	// SHA is HEAD as the page was loaded with it, which the approval is for.
	SHA string
}

// Approval is one person's approval.
type Approval struct {
	Person Person
	At     time.Time
}

// ConditionKind is one thing that a merge needs.
type ConditionKind int

// What a merge needs, in the order of the box.
const (
	ConditionChecks ConditionKind = iota
	ConditionConflicts
	ConditionDraft
	ConditionSource
	ConditionTarget
	ConditionCommits
	ConditionRight
	// ConditionHead is that the page shows the newest commits.
	ConditionHead
	// ConditionRelated and ConditionSize take the place of ConditionConflicts
	// where git cannot merge for another reason.
	ConditionRelated
	ConditionSize
)

// MergeCondition is one thing that a merge needs and whether it is met.
type MergeCondition struct {
	Kind ConditionKind
	Met  bool
	// Files are the conflicting files.
	Files []string
	// Branch is the target branch that the reader may not merge into.
	Branch string
}

// maxConflictFiles is how many conflicting files the box names.
const maxConflictFiles = 20

// shownFiles are the conflicting files that the box names.
func (c MergeCondition) shownFiles() []string {
	return c.Files[:min(len(c.Files), maxConflictFiles)]
}

// inPlace marks an element of an answer that takes the place of the element
// with its id, wherever that stands on the page.
func inPlace(oob bool) templ.Attributes {
	if !oob {
		return nil
	}
	return templ.Attributes{"hx-swap-oob": "outerHTML"}
}

// Mergeable says that every condition is met.
func (b MergeBox) Mergeable() bool {
	if b.Blind || b.State != MergeRequestOpen {
		return false
	}
	for _, condition := range b.Conditions {
		if !condition.Met {
			return false
		}
	}
	return true
}

// informs says that status checks come and go in a second line of the headline,
// which has room for it all the time.
func (b MergeBox) informs() bool {
	return b.State == MergeRequestOpen && len(b.Checks.Rows) > 0 &&
		!slices.ContainsFunc(b.Conditions, func(c MergeCondition) bool { return c.Kind == ConditionChecks })
}

// conditionTexts are what a merge needs, and the reasons against it, in words.
// That of the checks says how they stand, that of the right names the branch.
var conditionTexts = map[ConditionKind]struct{ demand, reason text.Key }{
	ConditionChecks:    {demand: text.KeyMRConditionChecks},
	ConditionConflicts: {text.KeyMRConditionConflicts, text.KeyMRReasonConflicts},
	ConditionDraft:     {text.KeyMRConditionDraft, text.KeyMRReasonDraft},
	ConditionSource:    {text.KeyMRConditionSource, text.KeyMRReasonSource},
	ConditionTarget:    {text.KeyMRConditionTarget, text.KeyMRReasonTarget},
	ConditionCommits:   {text.KeyMRConditionCommits, text.KeyMRReasonCommits},
	ConditionRight:     {text.KeyMRConditionRight, text.KeyMRReasonRight},
	ConditionHead:      {text.KeyMRConditionHead, text.KeyMRReasonHead},
	ConditionRelated:   {text.KeyMRConditionRelated, text.KeyMRReasonRelated},
	ConditionSize:      {text.KeyMRConditionSize, text.KeyMRReasonSize},
}

// reasons is the first reason against a merge, and how many more there are.
func (b MergeBox) reasons(ctx context.Context) string {
	var parts []string
	more := 0
	for _, condition := range b.Conditions {
		switch {
		case condition.Met:
		case len(parts) > 0:
			more++
		case condition.Kind == ConditionChecks:
			parts = append(parts, blockedSummary(ctx, b.GateFailed, b.GatePending))
		default:
			parts = append(parts, text.T(ctx, conditionTexts[condition.Kind].reason))
		}
	}
	if more > 0 {
		parts = append(parts, text.N(ctx, text.KeyMRMoreReasons, more))
	}
	return strings.Join(parts, text.T(ctx, text.KeyMRListSeparator))
}

// title is the headline of an open merge request's box.
func (b MergeBox) title(ctx context.Context) string {
	switch {
	case b.Blind:
		return text.T(ctx, text.KeyMRMergingBlocked)
	case b.Mergeable() && b.InformFailed+b.InformPending > 0:
		return text.T(ctx, text.KeyMRReadyToMergeCalm)
	case b.Mergeable():
		return text.T(ctx, text.KeyMRReadyToMerge)
	}
	return text.T(ctx, text.KeyMRMergeBlocked, "Reason", b.reasons(ctx))
}

// blockedSummary is "1 check failed, 2 pending": the word check stands once.
func blockedSummary(ctx context.Context, failed, pending int) string {
	var parts []string
	if failed > 0 {
		parts = append(parts, text.N(ctx, text.KeyMRBlockedFailed, failed))
	}
	switch {
	case pending > 0 && failed > 0:
		parts = append(parts, text.N(ctx, text.KeyMRChecksPending, pending))
	case pending > 0:
		parts = append(parts, text.N(ctx, text.KeyMRBlockedPending, pending))
	}
	return strings.Join(parts, text.T(ctx, text.KeyMRListSeparator))
}

// icon is the icon and the colour class of the box's headline.
func (b MergeBox) icon() (icon, class string) {
	switch {
	case b.Blind:
		return "lock", "status"
	case b.Mergeable() && b.InformFailed+b.InformPending > 0:
		return "status-alert", "status status--warning"
	case b.Mergeable():
		return "status-success", "status status--passed"
	case b.OnlyGate && b.GateFailed == 0:
		return "status-neutral", "status"
	}
	return "status-failed", "status status--failed"
}
