// Package views draws the pages: templ components, the plain structs they
// draw, and the catalogue of every text that people read. It knows nothing of
// the domain; handlers turn the domain into these structs.
package views

import (
	"context"
	"strings"
	"time"
	"unicode"

	"github.com/mergegate/mergegate/views/text"
)

// Page is what the frame around every page shows.
type Page struct {
	// Title names the page in the browser's tab, where the project's name and
	// "Mergegate" follow.
	Title string
	// User is nil for a signed-out visitor.
	User *CurrentUser
	// Project is nil on pages outside a project, which have no sidebar.
	Project *ProjectNav
	// Section is the entry of the sidebar that is current, one of Section…
	Section string
	// Breadcrumbs lead from the projects to this page, which is the last one.
	Breadcrumbs []Crumb
	// Toast is a short message shown once, "" for none.
	Toast string
	// Theme is "light" or "dark"; "" follows the system.
	Theme string
	// Wide leaves the sidebar out inside a project, too.
	Wide bool
	// Narrow keeps the content at reading width, for forms.
	Narrow bool
	// KeptPageURL is the page for a server out of reach that the browser keeps, in
	// the language and theme of this page; "" for none.
	KeptPageURL string
	// Still leaves htmx out, on a page that asks for nothing.
	Still bool
	// SignInURL is where a signed-out visitor signs in, with the way back.
	SignInURL string
	// Now is the moment of the answer on the server's clock, from which the
	// browser goes on counting.
	Now time.Time
}

// tabTitle names the page in the browser's tab and history: the page, the
// project, the product.
func (p Page) tabTitle(ctx context.Context) string {
	title := p.Title
	if p.Project != nil && p.Project.Name != title {
		title += " · " + p.Project.Name
	}
	return text.T(ctx, text.KeyPageTitle, "Title", title)
}

// apiDocsPath is the description of the API for people.
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
)

// CurrentUser is the signed-in user as the top bar shows them.
type CurrentUser struct {
	Username, Name, Initials string
	Admin                    bool
}

// ProjectNav is the project as the sidebar shows it, and what of it the
// visitor may open.
type ProjectNav struct {
	Name string
	// Path is "/namespace/project".
	Path              string
	Initials          string
	OpenMergeRequests int
	// CanSeeCode shows branches and merge requests, CanMaintain members and
	// settings; CanOwn is for renaming and deleting.
	CanSeeCode, CanMaintain, CanOwn bool
}

// Crumb is one level of the breadcrumbs.
type Crumb struct{ Text, URL string }

// PageLinks is the line under a list that is shown in pages.
type PageLinks struct {
	// First and Last are the numbers of the first and last row shown, from 1.
	First, Last, Total int
	// PreviousURL and NextURL are "" at the ends.
	PreviousURL, NextURL string
}

// Initials are the one or two letters of an avatar for a person's name: the
// first letter or digit of each of its first words. A name in a script without
// capitals, such as Japanese, gives its first character alone, which says more
// than the first of each word does.
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

// Initial is the letter of an avatar for a project's name.
func Initial(name string) string {
	for _, word := range words(name) {
		return string(unicode.ToUpper([]rune(word)[0]))
	}
	return ""
}

// words are the runs of letters and digits of a name.
func words(name string) []string {
	return strings.FieldsFunc(name, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) })
}

// AvatarClass is the colour class of an avatar, always the same for a name.
func AvatarClass(name string) string {
	sum := 0
	for _, r := range name {
		sum += int(r)
	}
	return []string{"", "avatar--a", "avatar--b", "avatar--c", "avatar--d", "avatar--e"}[sum%6]
}

// relativeDays is how long a time is told relative to now; older ones as date.
const relativeDays = 7

// timeAgo is at as people read it at now, the same words that app.js uses when
// it goes on counting.
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

// dayText is the day of at as people read it, in UTC.
func dayText(ctx context.Context, at time.Time) string {
	return at.UTC().Format(text.T(ctx, text.KeyLayoutDate))
}

// Day is dayText for sentences that are put together elsewhere.
func Day(ctx context.Context, at time.Time) string { return dayText(ctx, at) }

// minuteText is at as people read it, to the minute and in UTC.
func minuteText(ctx context.Context, at time.Time) string {
	return at.UTC().Format(text.T(ctx, text.KeyLayoutMinute))
}

// fullTime is at as the title of a relative time shows it, to the second and
// in UTC.
func fullTime(ctx context.Context, at time.Time) string {
	return at.UTC().Format(text.T(ctx, text.KeyLayoutSecond))
}
