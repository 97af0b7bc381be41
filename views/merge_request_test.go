package views

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/a-h/templ"
)

var mrNow = time.Date(2026, 11, 22, 9, 42, 10, 0, time.UTC)

const (
	mrURL  = "/northwind/ticketing-api/-/merge_requests/142"
	mrHead = "8f3c2a1d5b7e9c0f1a2b3c4d5e6f708192a3b4c5"
)

func mixedChecks() StatusChecks {
	return StatusChecks{
		Kind: WidgetRows, SHA: "8f3c2a1d", URL: mrURL + "/status_checks", Rev: "1x", Shown: "34f.31p.33p.32s", Polls: true, Now: mrNow,
		ServicesURL: "/northwind/ticketing-api/-/settings/merge_requests/status_checks",
		Rows: []CheckRow{
			{ID: 34, Name: "Security sign-off", State: CheckFailed, SHA: "8f3c2a1d", Since: mrNow.Add(-21 * time.Second), Limit: 2 * time.Minute,
				Linked: true, Retryable: true, Description: "2 findings <above> the threshold", TargetURL: "https://sec.example.test/1?a=1&b=2",
				Delivery: CheckDelivery{State: DeliveryDelivered, HTTPStatus: 200, At: mrNow.Add(-50 * time.Second)}},
			{ID: 31, Name: "Change approval", State: CheckPending, SHA: "8f3c2a1d", Since: mrNow.Add(-36 * time.Second), Limit: 2 * time.Minute,
				Deadline: mrNow.Add(84 * time.Second), Delivery: CheckDelivery{State: DeliveryDelivered, HTTPStatus: 202, At: mrNow.Add(-36 * time.Second)}},
			{ID: 33, Name: "Load test gate", State: CheckPending, SHA: "8f3c2a1d", Since: mrNow.Add(-103 * time.Second), Limit: 2 * time.Minute, Retried: true,
				Deadline: mrNow.Add(17 * time.Second),
				Delivery: CheckDelivery{State: DeliveryRetrying, HTTPStatus: 503, Attempt: 3, Attempts: 12, NextAt: mrNow.Add(12 * time.Second)}},
			{ID: 32, Name: "Licence scan", State: CheckPassed, SHA: "8f3c2a1d", Since: mrNow.Add(-40 * time.Second), Limit: 2 * time.Minute},
		},
	}
}

func TestGoldenWidget(t *testing.T) {
	passed := mixedChecks()
	passed.Rows, passed.Polls, passed.Shown, passed.Final = passed.Rows[3:], false, "32s", true
	timedOut := mixedChecks()
	timedOut.Rows, timedOut.Polls = timedOut.Rows[2:3], false
	timedOut.Rows[0].State, timedOut.Rows[0].TimedOut, timedOut.Rows[0].Retried = CheckFailed, true, false
	timedOut.Rows[0].Delivery = CheckDelivery{State: DeliveryGaveUp, Failure: KeyMRFailureRefused, Attempt: 12, Attempts: 12}
	for name, w := range map[string]StatusChecks{
		"widget_mixed": mixedChecks(), "widget_all_passed_final": passed, "widget_timed_out": timedOut,
		"widget_forbidden": {Kind: WidgetForbidden},
		"widget_none":      {Kind: WidgetNone, AddURL: "/northwind/ticketing-api/-/settings/merge_requests/status_checks/new"},
	} {
		t.Run(name, func(t *testing.T) { golden(t, name, StatusChecksWidget(w)) })
	}
	if html := drawText(t, StatusChecksWidget(StatusChecks{})); strings.TrimSpace(html) != "" {
		t.Errorf("a hidden widget draws %q", html)
	}
}

func TestGoldenWidgetUpdate(t *testing.T) {
	w := mixedChecks()
	w.Changes = []CheckChange{{Name: "Licence scan", State: CheckPassed}, {Name: "Load test gate", State: CheckPending}}
	box := openBox(w)
	golden(t, "widget_update", StatusChecksUpdate(w, box))
	box.State, box.DoneBy, box.DoneAt, w.Polls = MergeRequestMerged, "Jonas Lindqvist", mrNow, false
	golden(t, "widget_update_merged", StatusChecksUpdate(w, box))
}

func openBox(w StatusChecks) MergeBox {
	return MergeBox{
		State: MergeRequestOpen, Checks: w, MergeURL: mrURL + "/merge", SHA: mrHead, ShortSHA: "8f3c2a1d", Target: "main", Commits: 3, Now: mrNow,
		GateFailed: 1, GatePending: 2,
		Approvals: Approvals{By: []Approval{{Person: Person{Name: "Jonas Lindqvist"}, At: mrNow.Add(-30 * time.Second)}}, ApproveURL: mrURL + "/approve"},
		Conditions: []MergeCondition{
			{Kind: ConditionChecks}, {Kind: ConditionConflicts, Files: []string{"a <b>.go", "c.go"}}, {Kind: ConditionDraft, Met: true},
			{Kind: ConditionSource}, {Kind: ConditionTarget}, {Kind: ConditionCommits}, {Kind: ConditionRight, Branch: "main"},
		},
	}
}

func mrHeadView(tab string) MergeRequestHead {
	return MergeRequestHead{
		IID: 142, Title: "Draft: Make <refunds> idempotent", State: MergeRequestOpen, Draft: true, Author: Person{Name: "Priya Raman"},
		At: mrNow.Add(-3 * time.Hour), Source: "feature/refund", Target: "main", URL: mrURL, Commits: 3, Changes: -1, Tab: tab, CanEdit: true, Now: mrNow,
	}
}

func TestGoldenMergeRequestPages(t *testing.T) {
	page := Page{Title: "Make refunds idempotent (!142)", Section: SectionMergeRequests}
	golden(t, "merge_request", MergeRequestOverview(page, MergeRequestPage{
		Head: mrHeadView(TabOverview), DescriptionHTML: "<p>Sanitised.</p>", Box: openBox(mixedChecks()), Refused: "The merge request is no longer open.",
	}))
	golden(t, "merge_request_commits", MergeRequestCommits(page, CommitList{
		Head: mrHeadView(TabCommits), More: 12,
		Commits: []CommitRow{{SHA: "8f3c2a1d", Title: "Key events <once>", Body: "Why.", Author: "Priya Raman", At: mrNow.Add(-time.Hour)}},
	}))
	golden(t, "merge_request_changes", MergeRequestChanges(page, ChangeList{
		Head: mrHeadView(TabChanges), Additions: 2, Deletions: 1, MoreFiles: 3,
		Files: []ChangedFile{
			{ID: "file-1", Path: "a.go", Status: FileModified, Additions: 1, Deletions: 1, Lines: []DiffLine{
				{Kind: LineHunk, Text: "@@ -1,2 +1,2 @@"}, {Kind: LineDeleted, Old: 1, Text: "<old>"}, {Kind: LineAdded, New: 1, Text: "\tnew"},
			}},
			{ID: "file-2", Path: "new.go", OldPath: "old.go", Status: FileRenamed},
			{ID: "file-3", Path: "big.sql", Status: FileAdded, Additions: 90000, TooLarge: true},
		},
	}))
	golden(t, "merge_requests", MergeRequests(page, MergeRequestList{
		URL: "/northwind/ticketing-api/-/merge_requests", NewURL: "/northwind/ticketing-api/-/merge_requests/new", State: "opened", Search: `"x"`, Now: mrNow,
		Tabs: []ListTab{{Text: KeyMRTabOpen, URL: "?state=opened", Count: 3, Current: true}, {Text: KeyMRTabAll, URL: "?state=all", Count: 9}},
		Rows: []MergeRequestRow{
			{IID: 142, Title: "Make <refunds> idempotent", URL: mrURL, State: MergeRequestOpen, Author: "Priya Raman", At: mrNow.Add(-time.Hour),
				Source: "feature/refund", Target: "main", ShowChecks: true, Failed: 1, Pending: 2},
			{IID: 141, Title: "Hidden", URL: mrURL, State: MergeRequestClosed, Author: "Former user", At: mrNow, Source: "a", Target: "main", Failed: 1},
			{IID: 140, Title: "None", URL: mrURL, State: MergeRequestMerged, Author: "Ada", At: mrNow, Source: "b", Target: "main", ShowChecks: true},
		},
		Pages: PageLinks{First: 1, Last: 3, Total: 3},
	}))
	form := MergeRequestForm{
		Action: "/northwind/ticketing-api/-/merge_requests", CancelURL: "/northwind/ticketing-api/-/merge_requests", New: true,
		Branches: []string{"main", "feature/refund"}, Source: "gone", Target: "main", Title: "", Description: "<textarea>",
		Errors: map[string]FormFault{
			"title": {Text: "Enter a title"}, "source_branch": {Text: "This branch does not exist"},
			"": {Text: "Another open merge request already exists for these branches:", URL: mrURL, LinkText: "!142"},
		},
	}
	golden(t, "merge_request_form", MergeRequestFormPage(page, form))
	for len(form.Branches) <= manyBranches {
		form.Branches = append(form.Branches, "topic")
	}
	if html := drawText(t, MergeRequestFormPage(page, form)); !strings.Contains(html, `<datalist id="source_branch-list">`) || strings.Contains(html, "<select") {
		t.Error("many branches are not typed and completed")
	}
}

func TestBlindBoxSaysOneThing(t *testing.T) {
	box := openBox(StatusChecks{Kind: WidgetForbidden})
	box.Blind = true
	doc := draw(t, MergeBoxSection(box))
	if got := strings.Join(strings.Fields(doc.Find("#merge-state").Text()), " "); got != "Merging is blocked" {
		t.Errorf("headline = %q", got)
	}
	if doc.Find("#merge-checks li").Length() != 0 {
		t.Error("conditions are listed")
	}
}

func TestCountdownNeverShowsZeroWhilePending(t *testing.T) {
	row := CheckRow{Deadline: mrNow}
	for left, want := range map[time.Duration]string{
		2 * time.Minute: "2:00", 119999 * time.Millisecond: "2:00", 84 * time.Second: "1:24", time.Millisecond: "0:01", 0: "0:00", -time.Second: "0:00",
	} {
		if got := clock(row.left(mrNow.Add(-left))); got != want {
			t.Errorf("%v left reads %q, want %q", left, got, want)
		}
	}
}

func drawText(t *testing.T, c templ.Component) string {
	t.Helper()
	var out strings.Builder
	if err := c.Render(context.Background(), &out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}
