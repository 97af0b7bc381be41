package views

import (
	"context"
	"path"
	"strings"
	"time"

	"github.com/mergegate/mergegate/views/text"
)

// ProjectList is the list of projects, which is also the home page.
type ProjectList struct {
	Rows  []ProjectRow
	Pages PageLinks
	// Search is the search term.
	Search string
	// Sort is the order, one of SortUpdated, SortName and SortFailed.
	Sort string
	// Mine limits the list to projects of which the reader is a member.
	Mine     bool
	SignedIn bool
	// MineCount is the number of the reader's projects, AllCount that of all
	// projects they may see.
	MineCount, AllCount int
	// OwnRequests is the number of the reader's open merge requests, OwnFailed that of
	// those on which a status check failed.
	OwnRequests, OwnFailed int
	Now                    time.Time
}

// The values of ProjectList.Sort. They appear in URLs.
const (
	SortUpdated = "updated"
	SortName    = "name"
	SortFailed  = "failed"
)

// sorts returns the options for the order. Signed-out readers see no checks, so
// they cannot sort by them.
func (l ProjectList) sorts(ctx context.Context) []Option {
	sorts := []Option{{Value: SortUpdated, Text: text.T(ctx, text.KeySortUpdated)}, {Value: SortName, Text: text.T(ctx, text.KeySortName)}}
	if l.SignedIn {
		sorts = append(sorts, Option{Value: SortFailed, Text: text.T(ctx, text.KeySortFailed)})
	}
	return sorts
}

// found returns the number of projects as a text for screen readers.
func (l ProjectList) found(ctx context.Context) string {
	return text.N(ctx, text.KeyProjectsFound, l.Pages.Total)
}

// ProjectRow is one project in the list.
type ProjectRow struct {
	Namespace, Name, Description, URL string
	Visibility                        Visibility
	// OpenMergeRequests is -1 if the reader may not see them.
	OpenMergeRequests int
	// ShowChecks reports whether the reader may see status checks. Passed,
	// Pending and Failed count the checks of all open merge requests.
	ShowChecks              bool
	Passed, Pending, Failed int
	UpdatedAt               time.Time
}

// checks returns the worst state among the project's checks, empty without any
// check, and a text about it.
func (r ProjectRow) checks(ctx context.Context) (state, words string) {
	switch {
	case r.Failed > 0:
		return "failed", text.N(ctx, text.KeyProjectChecksFailing, r.Failed, "Count", countedTo(MaxRowCounted, r.Failed))
	case r.Pending > 0:
		return "pending", text.N(ctx, text.KeyProjectChecksPending, r.Pending, "Count", countedTo(MaxRowCounted, r.Pending))
	case r.Passed > 0:
		return "passed", text.T(ctx, text.KeyProjectChecksPassed)
	}
	return "", text.T(ctx, text.KeyMRNoStatusChecks)
}

// Visibility is a project's visibility with its icon and texts.
type Visibility struct {
	// Value is "private", "internal" or "public".
	Value string
}

func (v Visibility) icon() string {
	return map[string]string{"private": "lock", "internal": "shield", "public": "earth"}[v.Value]
}

func (v Visibility) text() text.Key {
	switch v.Value {
	case "internal":
		return text.KeyVisibilityInternal
	case "public":
		return text.KeyVisibilityPublic
	}
	return text.KeyVisibilityPrivate
}

// VisibilityText returns the name of a visibility such as "private".
func VisibilityText(ctx context.Context, value string) string {
	return text.T(ctx, Visibility{Value: value}.text())
}

func (v Visibility) hint() text.Key {
	switch v.Value {
	case "internal":
		return text.KeyVisibilityInternalHint
	case "public":
		return text.KeyVisibilityPublicHint
	}
	return text.KeyVisibilityPrivateHint
}

// Overview is a project's overview page.
type Overview struct {
	Name, Description string
	Visibility        Visibility
	DefaultBranch     string
	CloneURL          string
	Path              string
	// CanSeeCode is false for guests, who see only the head of the page.
	CanSeeCode bool
	// NewMergeRequestURL is empty without permission.
	NewMergeRequestURL string
	// StatusChecks is the number of services, -1 if there is none or the reader
	// may not see it. RequireChecks reports whether merging requires them.
	StatusChecks  int
	RequireChecks bool
	// SettingsURL is the page of the services, empty without permission.
	SettingsURL  string
	Recent       MergeRequestList
	OpenRequests int
	Branches     ProjectBranches
	// Members is nil if the reader may not manage members.
	Members *OverviewMembers
	// Readme is empty if the repository has none.
	Readme Prose
	// Empty reports whether the repository has no branch.
	Empty bool
	// Damaged reports whether git cannot read the repository.
	Damaged bool
	// CanPush reports whether the reader may push. NewServiceURL is the form for a
	// service, empty without permission. Both decide which first steps are shown.
	CanPush       bool
	NewServiceURL string
}

// pushed, hasService and required report which first steps of a project are done.
func (v Overview) pushed() bool     { return !v.Empty }
func (v Overview) hasService() bool { return v.StatusChecks > 0 }
func (v Overview) required() bool   { return v.RequireChecks }

// stepsDone returns how many of the three first steps are done.
func (v Overview) stepsDone() int {
	done := 0
	for _, step := range []bool{v.pushed(), v.hasService(), v.required()} {
		if step {
			done++
		}
	}
	return done
}

// showsSteps reports whether a first step is left that the reader may do.
func (v Overview) showsSteps() bool {
	if v.Damaged {
		return false
	}
	return v.CanPush && !v.pushed() || v.NewServiceURL != "" && v.stepsDone() < 3
}

// OverviewMembers summarizes a project's members.
type OverviewMembers struct {
	URL string
	// People are the first few members, highest role first.
	People []Person
	// ByRole counts the members of each role, lowest first.
	ByRole [5]int
}

func (m OverviewMembers) total() int {
	n := 0
	for _, count := range m.ByRole {
		n += count
	}
	return n
}

// summary returns a text such as "2 owners, 3 maintainers", highest role first.
func (m OverviewMembers) summary(ctx context.Context) string {
	keys := [len(m.ByRole)]text.Key{text.KeyGuestCount, text.KeyReporterCount, text.KeyDeveloperCount, text.KeyMaintainerCount, text.KeyOwnerCount}
	var parts []string
	for i := len(keys) - 1; i >= 0; i-- {
		if m.ByRole[i] > 0 {
			parts = append(parts, text.N(ctx, keys[i], m.ByRole[i]))
		}
	}
	return strings.Join(parts, text.T(ctx, text.KeyMRListSeparator))
}

// cloneProtocol returns the protocol of the clone URL in upper case.
func (v Overview) cloneProtocol() string {
	scheme, _, _ := strings.Cut(v.CloneURL, ":")
	return strings.ToUpper(scheme)
}

// ProjectBranches is a project's branches.
type ProjectBranches struct {
	Rows   []ProjectBranch
	Pages  PageLinks
	Total  int
	Search string
	// AllURL is the whole list. RulesURL is the page of branch rules, empty
	// without permission.
	AllURL, RulesURL string
	Now              time.Time
}

// ProjectBranch is one branch.
type ProjectBranch struct {
	Name, SHA, Title   string
	CommitURL          string
	CommittedAt        time.Time
	Default, Protected bool
	// Behind and Ahead count commits relative to the default branch.
	Behind, Ahead int
	// NewURL is the form for a merge request from the branch, empty if that is
	// not possible or not allowed. OpenURL and OpenIID are the open merge request.
	NewURL, OpenURL string
	OpenIID         int64
}

// GeneralSettings is the page Settings › General.
type GeneralSettings struct {
	Path     string
	Form     Form
	Advanced Form
	Delete   Form
	// CanOwn shows settings that only Owners may change.
	CanOwn   bool
	Branches []Option
	FullPath string
}

// NewProject is the form for a new project.
type NewProject struct {
	Form       Form
	Namespaces []Option
}

// date formats a day in UTC for form fields, such as 2006-01-02.
func date(at time.Time) string { return at.UTC().Format(time.DateOnly) }

// firstPush returns the commands that push a first commit. They are not
// translated.
func (v Overview) firstPush() string {
	return strings.Join([]string{
		"git clone " + v.CloneURL,
		"cd " + path.Base(v.Path),
		"git switch --create " + v.DefaultBranch,
		"touch README.md",
		"git add README.md",
		"git commit --message 'Add README'",
		"git push --set-upstream origin " + v.DefaultBranch,
	}, "\n")
}
