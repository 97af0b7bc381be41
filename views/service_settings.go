package views

import (
	"context"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/mergegate/mergegate/views/text"
)

// MergeRequestSettings is the page Settings › Merge requests, with the setting
// "Status checks must succeed" and the table of services.
type MergeRequestSettings struct {
	Page Page
	// SaveURL is the address of the setting's form.
	SaveURL string
	// ChecksMustSucceed is the project's "Status checks must succeed".
	ChecksMustSucceed bool
	Services          ServiceCard
}

// ServiceCard is the table of a project's services. A saved service form replaces
// it out of band.
type ServiceCard struct {
	// RefreshURL returns only this card, for trying again after a failure.
	RefreshURL string
	AddURL     string
	// Failed reports whether the services could not be read. Rows is then empty.
	Failed    bool
	Rows      []ServiceRow
	OutOfBand bool
	Now       time.Time
}

// NoBlocker returns the key of the sentence that no service blocks a merge: there are none,
// or all are informational. It is empty if one does or the services are not known.
func (c ServiceCard) NoBlocker() text.Key {
	switch {
	case c.Failed || slices.ContainsFunc(c.Rows, func(r ServiceRow) bool { return !r.Informational }):
		return ""
	case len(c.Rows) == 0:
		return text.KeyChecksNothingBlocked
	}
	return text.KeyChecksAllInformational
}

// ServiceRow is one service in the settings or in a branch rule.
type ServiceRow struct {
	ID   int64
	Name string
	// API is the full URL. Only maintainers see these pages.
	API string
	// Insecure reports whether the URL uses HTTP without TLS.
	Insecure bool
	HMAC     bool
	// Informational services never block a merge.
	Informational bool
	Scope         []ScopeBranch
	Health        Health
	// FailedInRow is how many of the newest deliveries failed.
	FailedInRow int
	Breaker     Breaker
	// Timeout is the time-out of its checks.
	Timeout   time.Duration
	PageURL   string
	EditURL   string
	RemoveURL string
}

// ScopeBranch is a branch name or pattern in a service's scope. Names that are no
// longer protected stay in the scope and are marked.
type ScopeBranch struct {
	Name        string
	Unprotected bool
}

// Health summarizes the last deliveries of a service, ten at most.
type Health struct {
	// Bars are "ok", "slow" (delivered late or not at the first attempt) or
	// "bad", oldest first.
	Bars      []string
	Succeeded int
	// LastAt is the time of the newest delivery's last attempt, zero for none.
	LastAt time.Time
	// Retrying reports whether the newest delivery has failed and will be retried.
	Retrying bool
}

// ServiceForm is the form that adds or updates a service, as a drawer or as a page.
type ServiceForm struct {
	Page Page
	// ID is the service to update, 0 to add one.
	ID int64
	// Drawer renders the form as a dialog for htmx instead of a page.
	Drawer      bool
	SaveURL     string
	CloseURL    string
	BranchesURL string
	// CountURL returns how many open merge requests saving would affect.
	CountURL string
	// Return is the page to return to; see ReturnTo in handlers.
	Return string

	Name, API                string
	NameError, APIError      string
	BranchError, SecretError string
	// Timeout is the time-out as typed.
	Timeout, TimeoutError string
	Informational         bool
	CallbackOnly          bool
	CallbackOnlyError     string
	Headers               []HeaderRow
	HeadersError          string
	// Version is the version that the form edits. Changed are the values that
	// somebody else has saved since, nil for none. Removed reports whether the
	// service was removed since.
	Version string
	Changed []CurrentValue
	Removed bool
	// SaveFailed reports whether saving failed for a reason other than the fields.
	SaveFailed bool
	// BranchesFailed reports whether the branches could not be read.
	BranchesFailed bool
	// BranchesOpen renders the branch selector expanded.
	BranchesOpen bool
	Branches     BranchList
	// TestURL sends a test to what is entered. Test is its result, nil for none.
	TestURL string
	Test    *DraftTest
	// Receivers are programs that receive and answer deliveries.
	Receivers []Receiver
	// HasSecret reports whether a secret is configured, so none can be entered.
	HasSecret bool
	// AlsoApply is the option to apply the service to open merge requests.
	AlsoApply bool
	// Affected is how many open merge requests AlsoApply would affect, -1 if
	// unknown.
	Affected int
}

// focus returns autofocus for the first control with an error, or for the name.
func (f ServiceForm) focus(id string) templ.Attributes {
	return focusOn(id, "status-check-name", fieldFault{"status-check-name", f.NameError}, fieldFault{"status-check-url", f.APIError},
		fieldFault{"branch-button", f.BranchError}, fieldFault{"status-check-secret", f.SecretError},
		fieldFault{"status-check-timeout", f.TimeoutError},
		fieldFault{"status-check-callback-only", f.CallbackOnlyError}, fieldFault{"custom-headers", f.HeadersError})
}

// Insecure reports whether the entered URL uses HTTP without TLS.
func (f ServiceForm) Insecure() bool {
	return len(f.API) >= 7 && strings.EqualFold(f.API[:7], "http://")
}

// choice returns the text of the branch selector's button.
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

// BranchList is the list of the branch selector.
type BranchList struct {
	// Failed reports whether the branches could not be read.
	Failed bool
	// LoadURL, if not empty, is the address from which the list loads all
	// branches. Until then it holds only the selected ones.
	LoadURL string
	// WasAll reports whether all branches were selected when the form was opened.
	// Without JavaScript it decides which of two contradicting choices is new.
	WasAll bool
	// Query is the search term. TooShort reports whether it is too short to
	// search for.
	Query    string
	TooShort bool
	// Total is the number of protected branches, Found how many match Query.
	Total, Found int
	Options      []BranchOption
	RulesURL     string
}

// search returns the search term, empty if it is too short.
func (l BranchList) search() string {
	if l.TooShort {
		return ""
	}
	return l.Query
}

// matched renders a name with the matches of a search highlighted.
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
	// Note is "default" or "wildcard" in the reader's language, or empty.
	Note string
	// Unprotected reports whether the branch is in the scope but not protected.
	Unprotected bool
}

func (b BranchOption) label(ctx context.Context) string {
	if b.Unprotected {
		return text.T(ctx, text.KeyChecksNoLongerProtected, "Name", b.Name)
	}
	return b.Name
}

// ServiceRemoval asks for confirmation before a service is removed.
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
