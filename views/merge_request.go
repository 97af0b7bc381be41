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

// The states of a merge request. The values are those of the API.
const (
	MergeRequestOpen   MergeRequestState = "opened"
	MergeRequestClosed MergeRequestState = "closed"
	MergeRequestMerged MergeRequestState = "merged"
)

// badge returns the CSS class of the state's badge.
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

// MergeRequestHead is the head of all pages of one merge request.
type MergeRequestHead struct {
	IID    int64
	Title  string
	State  MergeRequestState
	Draft  bool
	Author Person
	At     time.Time
	Source string
	Target string
	// SourceGone reports whether the source branch was deleted.
	SourceGone bool
	// URL is the merge request's page and the prefix of its tabs.
	URL string
	// Commits and Changes are the counts on the tabs, -1 if unknown.
	Commits, Changes int
	// Tab is the current tab, one of TabOverview, TabCommits and TabChanges.
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
	// Refused explains why an action was just refused, empty if none was.
	Refused string
}

// MergeBox is the box under the description: approvals, status checks, whether
// the merge request can be merged and, if not, why.
type MergeBox struct {
	State     MergeRequestState
	Approvals Approvals
	Checks    StatusChecks
	// Blind reports whether the box must not show why merging is blocked: the
	// reader may not see the status checks, or they could not be read.
	Blind bool
	// Conditions are the conditions of a merge in the order shown.
	Conditions []MergeCondition
	// GateFailed and GatePending count the checks that block the merge. Both are 0
	// if the project does not require that checks succeed.
	GateFailed, GatePending int
	// OnlyGate reports whether nothing but these checks blocks the merge.
	OnlyGate bool
	// InformFailed and InformPending count the checks that have not passed in a
	// project that does not require them.
	InformFailed, InformPending int
	// MergeURL is the address of the merge form, empty without permission.
	MergeURL string
	// CancelURL is the address that cancels auto-merge, empty without permission.
	CancelURL string
	// SHA is the full id of HEAD when the page was loaded, which Merge submits.
	// ShortSHA is the abbreviated current HEAD.
	SHA, ShortSHA string
	Target        string
	// Commits is the number of commits that the merge adds.
	Commits int
	// SourceKept reports whether the source branch cannot be deleted.
	// RemoveSource and Squash are the options of the merge request.
	SourceKept, RemoveSource, Squash bool
	// CanAutoMerge reports whether the reader may set auto-merge now.
	CanAutoMerge bool
	// AutoMerge is set if the merge request will be merged when its checks pass.
	AutoMerge *AutoMerge
	// DoneBy and DoneAt state who merged or closed the merge request, and when.
	DoneBy string
	DoneAt time.Time
	// MergeSHA is the merge commit's id, abbreviated to eight characters.
	MergeSHA string
	// Rule is the key of a sentence about the rule that applied to the merge,
	// empty for none.
	Rule text.Key
	Now  time.Time
}

// AutoMerge is an automatic merge that is set, or that was aborted.
type AutoMerge struct {
	// By is the name of the user who set it, At the time of setting or aborting it.
	By string
	At time.Time
	// Aborted is the key of the reason why it was aborted, empty if it is set.
	Aborted text.Key
	// Squash and RemoveSource are the options that it was set with.
	Squash, RemoveSource bool
}

// sentences renders who set the automatic merge, and its options.
func (a AutoMerge) sentences(ctx context.Context, now time.Time) []templ.Component {
	parts := []templ.Component{Compose(text.KeyMRAutoMergeBy, "Name", bdi(a.By), "Time", TimeAgo(a.At, now))}
	if a.RemoveSource {
		parts = append(parts, plain(text.T(ctx, text.KeyMRAutoMergeRemoves)))
	}
	if a.Squash {
		parts = append(parts, plain(text.T(ctx, text.KeyMRAutoMergeSquashes)))
	}
	return parts
}

// AutoMergeSet reports whether an automatic merge is set.
func (b MergeBox) AutoMergeSet() bool { return b.AutoMerge != nil && b.AutoMerge.Aborted == "" }

// Approvals is the approvals section of the merge box.
type Approvals struct {
	By []Approval
	// ApproveURL or UnapproveURL is set if the reader may do that.
	ApproveURL, UnapproveURL string
	// SHA is HEAD when the page was loaded, which Approve submits.
	SHA string
}

// Approval is one person's approval.
type Approval struct {
	Person Person
	At     time.Time
}

// ConditionKind is the kind of a merge condition.
type ConditionKind int

// The conditions in the order of the box.
const (
	ConditionChecks ConditionKind = iota
	ConditionConflicts
	ConditionDraft
	ConditionSource
	ConditionTarget
	ConditionCommits
	ConditionRight
	// ConditionHead requires that the page shows the newest commits.
	ConditionHead
	// ConditionRelated and ConditionSize replace ConditionConflicts if git cannot
	// merge because the histories are unrelated or the merge is too large.
	ConditionRelated
	ConditionSize
)

// MergeCondition is a condition of a merge and whether it is met.
type MergeCondition struct {
	Kind ConditionKind
	Met  bool
	// Files are the conflicting files.
	Files []string
	// Branch is the target branch that the reader may not merge into.
	Branch string
}

// maxConflictFiles is how many conflicting files the box lists.
const maxConflictFiles = 20

// shownFiles returns the conflicting files that the box lists.
func (c MergeCondition) shownFiles() []string {
	return c.Files[:min(len(c.Files), maxConflictFiles)]
}

// outOfBand returns the htmx attribute with which an element replaces the element
// of the same id, or nil if oob is false.
func outOfBand(oob bool) templ.Attributes {
	if !oob {
		return nil
	}
	return templ.Attributes{"hx-swap-oob": "outerHTML"}
}

// Mergeable reports whether the merge request is open and every condition is met.
// It returns false if Blind is set.
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

// informs reports whether the headline has a second line about checks that do not
// block the merge. The line is reserved even while it is empty, to avoid layout
// shift.
func (b MergeBox) informs() bool {
	gate := slices.ContainsFunc(b.Conditions, func(c MergeCondition) bool { return c.Kind == ConditionChecks })
	return b.State == MergeRequestOpen && slices.ContainsFunc(b.Checks.Rows, func(r CheckRow) bool { return !gate || r.Informational })
}

// conditionTexts are the keys of the conditions and of the reasons if they are
// not met. The reason for the checks comes from blockedSummary.
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

// reasons returns the first reason that blocks the merge and the number of others.
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

// title returns the headline of an open merge request's box.
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

// blockedSummary returns a text such as "1 check failed, 2 pending".
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

// icon returns the icon and the CSS class of the box's headline.
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
