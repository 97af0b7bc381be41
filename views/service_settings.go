package views

import (
	"context"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/mergegate/mergegate/views/text"
)

// MergeRequestSettings is the page settings › Merge requests: the switch that
// makes merging wait for the checks, and the table of services.
type MergeRequestSettings struct {
	Page Page
	// SaveURL takes the switch's form.
	SaveURL string
	// ChecksMustSucceed is the project's "Status checks must succeed".
	ChecksMustSucceed bool
	Services          ServiceCard
}

// nothingBlocked: there is no service, so the switch blocks nothing.
func (s MergeRequestSettings) nothingBlocked() bool { return s.Services.nothing() }

// ServiceCard is the table of a project's status check services, which also
// answers a saved form out of band.
type ServiceCard struct {
	// RefreshURL answers this card alone, for trying again after a failure.
	RefreshURL string
	AddURL     string
	// Failed: the services could not be read; Rows is then empty.
	Failed    bool
	Rows      []ServiceRow
	OutOfBand bool
	Now       time.Time
}

// nothing: the project is known to have no service.
func (c ServiceCard) nothing() bool { return !c.Failed && len(c.Rows) == 0 }

// ServiceRow is one service as the settings and the branch rules list it.
type ServiceRow struct {
	ID   int64
	Name string
	// API is the whole URL; only maintainers see these pages.
	API string
	// Insecure: the URL is plain HTTP.
	Insecure bool
	HMAC     bool
	Scope    []ScopeBranch
	Health   Health
	// Timeout is how long its checks may be pending.
	Timeout   time.Duration
	PageURL   string
	EditURL   string
	RemoveURL string
}

// ScopeBranch is one branch name or pattern of a service's scope. No longer
// protected names stay in the scope and say so.
type ScopeBranch struct {
	Name        string
	Unprotected bool
}

// Health sums up the last deliveries of a service, ten at most.
type Health struct {
	// Bars are "ok", "slow" (delivered, but not at the first attempt or late) or "bad", oldest first.
	Bars      []string
	Succeeded int
	// LastAt is when the newest was last attempted; zero when none was.
	LastAt time.Time
	// Retrying: the newest delivery failed so far and will be tried again.
	Retrying bool
}

// ServiceForm is the add and update form, as a drawer and as a page.
type ServiceForm struct {
	Page Page
	// ID of the service that is updated, 0 when one is added.
	ID int64
	// Drawer: draw the dialog for htmx; otherwise the form is a page.
	Drawer      bool
	SaveURL     string
	CloseURL    string
	BranchesURL string
	// CountURL answers how many open merge requests saving would touch.
	CountURL string
	// Return names the page to come back to; see ReturnTo in handlers.
	Return string

	Name, API                string
	NameError, APIError      string
	BranchError, SecretError string
	// Version is what the form edits; Changed is what was changed meanwhile, nil
	// for nothing; Removed: it was removed meanwhile.
	Version string
	Changed []CurrentValue
	Removed bool
	// SaveFailed: saving failed through no fault of the fields.
	SaveFailed bool
	// BranchesFailed: the branch list could not be read.
	BranchesFailed bool
	// BranchesOpen: the branch selector is unfolded.
	BranchesOpen bool
	Branches     BranchList
	// HasSecret: one is configured, so none can be given.
	HasSecret bool
	// AlsoApply is the maintainer's choice to touch open merge requests.
	AlsoApply bool
	// Affected is how many open merge requests AlsoApply would touch now, -1
	// where that is not known.
	Affected int
}

// focus is for the first control with a message, else for the name.
func (f ServiceForm) focus(id string) templ.Attributes {
	return focusOn(id, "status-check-name", fieldFault{"status-check-name", f.NameError}, fieldFault{"status-check-url", f.APIError},
		fieldFault{"branch-button", f.BranchError}, fieldFault{"status-check-secret", f.SecretError})
}

// Insecure reports whether the typed URL deserves the hint about plain HTTP.
func (f ServiceForm) Insecure() bool {
	return len(f.API) >= 7 && strings.EqualFold(f.API[:7], "http://")
}

// choice sums up the chosen branches for the selector's button.
func (f ServiceForm) choice(ctx context.Context) string {
	var chosen []string
	for _, b := range f.Branches.Options {
		if b.Chosen {
			chosen = append(chosen, b.label(ctx))
		}
	}
	if len(chosen) == 0 {
		return text.T(ctx, text.KeyChecksAllBranches)
	}
	return strings.Join(chosen, text.T(ctx, text.KeyMRListSeparator))
}

// BranchList is what the branch selector lists.
type BranchList struct {
	// Failed: the list could not be read.
	Failed bool
	// LoadURL, when set, makes the list fetch the rest of itself at once; until
	// then it holds only the branches that are chosen.
	LoadURL string
	// WasAll is whether all branches were chosen before the form was opened; it
	// tells which of two contradicting choices is the new one without script.
	WasAll bool
	// Query is what is searched for, TooShort when it is not searched yet.
	Query    string
	TooShort bool
	// Total is the number of protected branches, Found how many are listed because of Query.
	Total, Found int
	Options      []BranchOption
	RulesURL     string
}

// search is what the list is searched for, "" where it is not yet.
func (l BranchList) search() string {
	if l.TooShort {
		return ""
	}
	return l.Query
}

// matched is a name with what a search found in it marked.
func matched(name, query string) templ.Component {
	return templ.ComponentFunc(func(_ context.Context, w io.Writer) error {
		var out strings.Builder
		end := 0
		if query != "" {
			for _, at := range regexp.MustCompile("(?i)"+regexp.QuoteMeta(query)).FindAllStringIndex(name, -1) {
				out.WriteString(templ.EscapeString(name[end:at[0]]) + "<mark>" + templ.EscapeString(name[at[0]:at[1]]) + "</mark>")
				end = at[1]
			}
		}
		out.WriteString(templ.EscapeString(name[end:]))
		_, err := io.WriteString(w, out.String())
		return err
	})
}

// BranchOption is one protected branch in the selector.
type BranchOption struct {
	ID     int64
	Name   string
	Chosen bool
	// Note is "default", "wildcard" or empty, already in the reader's language.
	Note string
	// Unprotected: the branch is in the scope but no longer protected.
	Unprotected bool
}

func (b BranchOption) label(ctx context.Context) string {
	if b.Unprotected {
		return text.T(ctx, text.KeyChecksNoLongerProtected, "Name", b.Name)
	}
	return b.Name
}

// ServiceRemoval is the question before a service is removed.
type ServiceRemoval struct {
	Page     Page
	Dialog   bool
	Name     string
	URL      string
	CloseURL string
	Return   string
	// OpenMergeRequests is how many open merge requests lose the check.
	OpenMergeRequests int
}
