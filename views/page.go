// Package views renders the HTML pages. It holds the templ components and the view
// models that they render; their texts are in package text. [Layout] renders the
// frame of a page.
//
// The package does not import the domain: package handlers converts models to
// view models. Package gallery shows every component with examples.
package views

import (
	"context"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/mergegate/mergegate/views/text"
)

// Page is the view model of Layout and Bare.
type Page struct {
	// Title is the name of the page in the browser's tab. The names of the project
	// and of the product are added.
	Title string
	// User is nil for a signed-out visitor.
	User *CurrentUser
	// Project is nil on pages outside a project.
	Project *ProjectNav
	// AdminArea shows the navigation of the admin area.
	AdminArea bool
	// Section is the current entry of the sidebar, one of SectionOverview and
	// the following.
	Section string
	// Breadcrumbs end with this page.
	Breadcrumbs []Crumb
	// Toast is a short message shown once, empty for none.
	Toast string
	// Theme is "light" or "dark"; empty follows the system.
	Theme string
	// Wide hides the sidebar in a project.
	Wide bool
	// Narrow limits the width of the content, for forms.
	Narrow bool
	// KeptPageURL is the address of the offline page that the browser caches, in
	// the language and theme of this page; empty for none.
	KeptPageURL string
	// Still omits htmx on a page that makes no requests.
	Still bool
	// SignInURL is the sign-in page for a visitor, with this page as its return
	// address.
	SignInURL string
	// Tab is the state that the browser's tab shows.
	Tab TabState
	// Now is the server's time of the answer. app.js counts from it.
	Now time.Time
}

// tabTitle returns the title for the browser's tab: state, page, project, product.
func (p Page) tabTitle(ctx context.Context) string {
	title := p.Title
	if p.Project != nil && p.Project.Name != title {
		title += " · " + p.Project.Name
	}
	return p.Tab.title(ctx, text.T(ctx, text.KeyPageTitle, "Title", title))
}

// apiDocsPath is the address of the API documentation.
const apiDocsPath = "/api/docs"

// The values of Page.Section.
const (
	SectionOverview              = "overview"
	SectionMembers               = "members"
	SectionMergeRequests         = "merge_requests"
	SectionBranches              = "branches"
	SectionSettingsGeneral       = "settings_general"
	SectionSettingsMergeRequests = "settings_merge_requests"
	SectionBranchRules           = "branch_rules"
	SectionAccessTokens          = "access_tokens"
	SectionAuditEvents           = "audit_events"
	SectionAdminUsers            = "admin_users"
	SectionAdminNamespaces       = "admin_namespaces"
	SectionAdminProjects         = "admin_projects"
	SectionAdminWork             = "admin_background_work"
	SectionAdminAuditEvents      = "admin_audit_events"
	SectionAdminSettings         = "admin_settings"
)

// CurrentUser is the signed-in user in the top bar.
type CurrentUser struct {
	Username, Name, Initials string
	Admin                    bool
}

// ProjectNav is the project in the sidebar, and what the reader may open.
type ProjectNav struct {
	Name string
	// Path is "/namespace/project".
	Path              string
	Initials          string
	OpenMergeRequests int
	// CanSeeCode shows branches and merge requests, CanMaintain shows members and
	// settings, and CanOwn allows renaming and deleting.
	CanSeeCode, CanMaintain, CanOwn bool
}

// Crumb is one level of the breadcrumbs.
type Crumb struct{ Text, URL string }

// PageLinks is the pagination of a list.
type PageLinks struct {
	// First and Last are the numbers of the first and last row shown, counted
	// from 1.
	First, Last, Total int
	// More reports whether there are more than Total rows.
	More bool
	// PreviousURL is empty on the first page, NextURL on the last.
	PreviousURL, NextURL string
}

// total returns the number of rows, such as "64" or "10,000+".
func (p PageLinks) total() string {
	if p.More {
		return withCommas(int64(p.Total)) + "+"
	}
	return strconv.Itoa(p.Total)
}

// MaxCounted is up to which number a page counts, MaxRowCounted the same for the counts in
// the rows of a list.
const (
	MaxCounted    = 10_000
	MaxRowCounted = 1_000
)

// counted returns a number that was counted up to MaxCounted+1, such as "64" or "10,000+".
func counted(n int) string { return countedTo(MaxCounted, n) }

func countedTo(limit, n int) string { return PageLinks{Total: min(n, limit), More: n > limit}.total() }

// withCommas formats a number with a comma before each group of three digits.
func withCommas(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// Initials returns one or two letters for a person's avatar: the first letter or
// digit of the first two words. For a script without capitals, such as Japanese,
// it returns only the first character. It returns an empty string if the name
// has no letters or digits.
func Initials(name string) string {
	var letters []rune
	for _, word := range words(name) {
		first := []rune(word)[0]
		upper := unicode.ToUpper(first)
		if letters = append(letters, upper); len(letters) == 2 || unicode.IsLetter(first) && !unicode.IsUpper(upper) {
			break
		}
	}
	return string(letters)
}

// Initial returns the letter for a project's avatar, empty if the name has no
// letters or digits.
func Initial(name string) string {
	for _, word := range words(name) {
		return string(unicode.ToUpper([]rune(word)[0]))
	}
	return ""
}

// words returns the runs of letters and digits in a name.
func words(name string) []string {
	return strings.FieldsFunc(name, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) })
}

// AvatarClass returns the CSS class for the colour of an avatar. It depends only on
// the name.
func AvatarClass(name string) string {
	sum := 0
	for _, r := range name {
		sum += int(r)
	}
	return []string{"", "avatar--a", "avatar--b", "avatar--c", "avatar--d", "avatar--e"}[sum%6]
}

// relativeDays is the age in days from which a time is shown as a date.
const relativeDays = 7

// timeAgo formats a time relative to now. app.js uses the same texts.
func timeAgo(ctx context.Context, at, now time.Time) string {
	switch age := now.Sub(at); {
	case age < time.Second:
		return text.T(ctx, text.KeyTimeNow)
	case age < time.Minute:
		return text.N(ctx, text.KeyTimeSeconds, int(age/time.Second))
	case age < time.Hour:
		return text.N(ctx, text.KeyTimeMinutes, int(age/time.Minute))
	case age < 24*time.Hour:
		return text.N(ctx, text.KeyTimeHours, int(age/time.Hour))
	case age < 48*time.Hour:
		return text.T(ctx, text.KeyTimeYesterday)
	case age < relativeDays*24*time.Hour:
		return text.N(ctx, text.KeyTimeDays, int(age/(24*time.Hour)))
	}
	return dayText(ctx, at)
}

// dayText formats a day in the reader's language and UTC.
func dayText(ctx context.Context, at time.Time) string {
	return at.UTC().Format(text.T(ctx, text.KeyLayoutDate))
}

// Day formats a day in the reader's language and UTC.
func Day(ctx context.Context, at time.Time) string { return dayText(ctx, at) }

// minuteText formats a time to the minute in the reader's language and UTC.
func minuteText(ctx context.Context, at time.Time) string {
	return at.UTC().Format(text.T(ctx, text.KeyLayoutMinute))
}

// fullTime formats a time to the second in the reader's language and UTC.
func fullTime(ctx context.Context, at time.Time) string {
	return at.UTC().Format(text.T(ctx, text.KeyLayoutSecond))
}
