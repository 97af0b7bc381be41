package views

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"
	"github.com/a-h/templ"

	"github.com/mergegate/mergegate/views/text"
)

// draw renders c and parses the result.
func draw(t *testing.T, c templ.Component) *goquery.Document {
	t.Helper()
	var out strings.Builder
	if err := c.Render(context.Background(), &out); err != nil {
		t.Fatalf("render: %v", err)
	}
	doc, err := goquery.NewDocumentFromReader(strings.NewReader(out.String()))
	if err != nil {
		t.Fatalf("parse: %v", err)
	}
	return doc
}

func TestLayout_Developer_HasNoSettingsLinks(t *testing.T) {
	page := Page{
		Title:       "Ticketing API",
		User:        &CurrentUser{Username: "priya", Name: "Priya <Raman>", Initials: "PR"},
		Project:     &ProjectNav{Name: "Ticketing API", Path: "/northwind/ticketing-api", CanSeeCode: true, OpenMergeRequests: 7},
		Section:     SectionMergeRequests,
		Breadcrumbs: []Crumb{{"northwind", "/"}, {"Merge requests", "/northwind/ticketing-api/-/merge_requests"}},
		Toast:       "Changes saved.",
		Theme:       "dark",
	}
	doc := draw(t, Layout(page))
	if got := doc.Find("title").Text(); got != "Ticketing API · Mergegate" {
		t.Errorf("title = %q", got)
	}
	if got, _ := doc.Find("html").Attr("data-theme"); got != "dark" {
		t.Errorf("data-theme = %q, want dark", got)
	}
	if got := doc.Find(`.sidebar [aria-current="page"]`).Text(); !strings.Contains(got, "Merge requests") || !strings.Contains(got, "7 open") {
		t.Errorf("current sidebar entry = %q", got)
	}
	if n := doc.Find(`.sidebar a[href*="/settings/"]`).Length(); n != 0 {
		t.Errorf("%d settings links for a visitor who may not maintain", n)
	}
	if got := doc.Find(`.breadcrumbs [aria-current="page"]`).Text(); got != "Merge requests" {
		t.Errorf("current breadcrumb = %q", got)
	}
	if got := doc.Find("#toasts .toast > span").Text(); got != "Changes saved." {
		t.Errorf("toast = %q", got)
	}
	if n := doc.Find("style, [style], script:not([src])").Length(); n != 0 {
		t.Errorf("%d inline styles or scripts, which the security policy blocks", n)
	}
}

func TestLayout_NoProject_HasNoSidebar(t *testing.T) {
	doc := draw(t, Layout(Page{Title: "Projects"}))
	if doc.Find(".sidebar, .topbar__menu").Length() != 0 {
		t.Error("a page outside projects has project navigation")
	}
	if !doc.Find(".app").HasClass("app--wide") {
		t.Error("the page reserves space for a sidebar")
	}
}

func TestTimeAgo(t *testing.T) {
	now := time.Date(2026, 11, 22, 9, 42, 0, 0, time.UTC)
	for age, want := range map[time.Duration]string{
		-time.Second:          "now",
		36 * time.Second:      "36 s ago",
		time.Minute:           "1 minute ago",
		59*time.Minute + 59e9: "59 minutes ago",
		time.Hour:             "1 hour ago",
		24 * time.Hour:        "yesterday",
		6 * 24 * time.Hour:    "6 days ago",
		7 * 24 * time.Hour:    "15 Nov 2026",
		400 * 24 * time.Hour:  "18 Oct 2025",
	} {
		el := draw(t, TimeAgo(now.Add(-age), now)).Find("time")
		if got := el.Text(); got != want {
			t.Errorf("%v ago reads %q, want %q", age, got, want)
		}
	}
}

func TestFieldError_EmptyMessage_RendersNothing(t *testing.T) {
	if n := draw(t, FieldError("e", "")).Find(".error").Length(); n != 0 {
		t.Error("an empty message is rendered")
	}
	if got := strings.TrimSpace(draw(t, FieldError("e", "Bad <b>")).Find("#e.error").Text()); got != "Bad <b>" {
		t.Errorf("message = %q", got)
	}
}

func TestText_PluralsAndUnknownKeys(t *testing.T) {
	ctx := text.WithLanguage(context.Background(), "xx")
	if got := text.N(ctx, text.KeyTimeMinutes, 1); got != "1 minute ago" {
		t.Errorf("one = %q", got)
	}
	if got := text.N(ctx, text.KeyTimeMinutes, 2); got != "2 minutes ago" {
		t.Errorf("two = %q", got)
	}
	if got := text.T(ctx, "no.such_key"); got != "no.such_key" {
		t.Errorf("unknown key = %q", got)
	}
}

func TestInitials(t *testing.T) {
	for name, want := range map[string][2]string{
		"Priya Raman": {"PR", "P"}, "Mona <Weiss>": {"MW", "M"}, "release-bot": {"RB", "R"}, "olga": {"O", "O"}, "(System)": {"S", "S"},
		"2 Fast 2": {"2F", "2"}, "Émile Zola": {"ÉZ", "É"}, "山田 太郎": {"山", "山"}, "たろう": {"た", "た"}, "李": {"李", "李"}, "Анна Иванова": {"АИ", "А"},
		"Ada 山田": {"A山", "A"}, "  .-_/ ": {"", ""}, "": {"", ""}, "<>": {"", ""}, "👩‍💻 Dana": {"D", "D"},
	} {
		if got := Initials(name); got != want[0] {
			t.Errorf("initials of %q: %q, want %q", name, got, want[0])
		}
		if got := Initial(name); got != want[1] {
			t.Errorf("initial of %q: %q, want %q", name, got, want[1])
		}
	}
}
