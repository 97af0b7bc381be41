package views

import (
	"context"
	"path"
	"strings"
	"time"

	"github.com/mergegate/mergegate/views/text"
)

// ProjectList is the list of projects, which is also the first page.
type ProjectList struct {
	Rows  []ProjectRow
	Pages PageLinks
	// Search is what the list was searched for.
	Search string
	// Sort is how the list is sorted, one of Sort….
	Sort string
	// Mine shows only the projects that the reader is a member of.
	Mine     bool
	SignedIn bool
	// MineCount and AllCount are the numbers of the reader's projects and of
	// all that they may see.
	MineCount, AllCount int
	Now                 time.Time
}

// The values of ProjectList.Sort, which the address carries.
const (
	SortUpdated = "updated"
	SortName    = "name"
	SortFailed  = "failed"
)

// sorts are the ways to sort the list that the reader has. Who is signed out
// sees no checks.
func (l ProjectList) sorts(ctx context.Context) []Option {
	sorts := []Option{{Value: SortUpdated, Text: text.T(ctx, text.KeySortUpdated)}, {Value: SortName, Text: text.T(ctx, text.KeySortName)}}
	if l.SignedIn {
		sorts = append(sorts, Option{Value: SortFailed, Text: text.T(ctx, text.KeySortFailed)})
	}
	return sorts
}

// found is the number of projects in the list, for screen readers.
func (l ProjectList) found(ctx context.Context) string {
	return text.N(ctx, text.KeyProjectsFound, l.Pages.Total)
}

// ProjectRow is one project in the list.
type ProjectRow struct {
	Namespace, Name, Description, URL string
	Visibility                        Visibility
	// OpenMergeRequests is -1 for readers who may not see them.
	OpenMergeRequests int
	// ShowChecks is false for readers who may not see status checks; the
	// numbers are those of all open merge requests.
	ShowChecks              bool
	Passed, Pending, Failed int
	UpdatedAt               time.Time
}

// checks is the state that tells most about the project's open merge requests,
// "" without any status check, and its words.
func (r ProjectRow) checks(ctx context.Context) (state, words string) {
	switch {
	case r.Failed > 0:
		return "failed", text.N(ctx, text.KeyProjectChecksFailing, r.Failed)
	case r.Pending > 0:
		return "pending", text.N(ctx, text.KeyProjectChecksPending, r.Pending)
	case r.Passed > 0:
		return "passed", text.T(ctx, text.KeyProjectChecksPassed)
	}
	return "", text.T(ctx, text.KeyMRNoStatusChecks)
}

// Visibility is who may see a project, as icon and words.
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

// VisibilityText is a visibility, such as "private", in words.
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

// Overview is a project's first page.
type Overview struct {
	Name, Description string
	Visibility        Visibility
	DefaultBranch     string
	CloneURL          string
	Path              string
	// CanSeeCode is false for guests, who see nothing below the head.
	CanSeeCode bool
	// NewMergeRequestURL is "" for those who may not open one.
	NewMergeRequestURL string
	// StatusChecks is the number of services, -1 where there is none and for
	// readers who may not know; RequireChecks says that merging needs them.
	StatusChecks  int
	RequireChecks bool
	// SettingsURL leads to the services, "" for those who may not change them.
	SettingsURL  string
	Recent       MergeRequestList
	OpenRequests int
	Branches     ProjectBranches
	// Members is nil for those who may not change them.
	Members *OverviewMembers
	// Readme is empty without one.
	Readme Prose
	// Empty is a repository without a single branch.
	Empty bool
	// Damaged is a repository that git cannot read.
	Damaged bool
}

// OverviewMembers is who works on a project, in short.
type OverviewMembers struct {
	URL string
	// People are the first few, by role.
	People []Person
	// ByRole counts the members of each role, the weakest first.
	ByRole [5]int
}

func (m OverviewMembers) total() int {
	n := 0
	for _, count := range m.ByRole {
		n += count
	}
	return n
}

// summary is "2 owners, 3 maintainers", the strongest first.
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

// cloneProtocol is the protocol of the clone URL as its label names it.
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
	// AllURL is the whole list, RulesURL the rules about branches, "" for those
	// who may not see them.
	AllURL, RulesURL string
	Now              time.Time
}

// ProjectBranch is one branch.
type ProjectBranch struct {
	Name, SHA, Title   string
	CommitURL          string
	CommittedAt        time.Time
	Default, Protected bool
	// Behind and Ahead compare with the default branch.
	Behind, Ahead int
	// NewURL opens a merge request from the branch, "" where that makes no
	// sense or is not allowed. OpenURL is the open one, OpenIID its number.
	NewURL, OpenURL string
	OpenIID         int64
}

// GeneralSettings is Settings › General.
type GeneralSettings struct {
	Path     string
	Form     Form
	Advanced Form
	Delete   Form
	// CanOwn shows what only Owners may change.
	CanOwn   bool
	Branches []Option
	FullPath string
}

// NewProject is the form for a new project.
type NewProject struct {
	Form       Form
	Namespaces []Option
}

// date is a day as programs read it.
func date(at time.Time) string { return at.UTC().Format(time.DateOnly) }

// firstPush are the commands that fill an empty repository; they are the same
// in every language.
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
