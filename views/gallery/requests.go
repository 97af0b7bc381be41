package gallery

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
)

// mergeRequests returns entries for the list of merge requests and their tabs.
func mergeRequests() []Entry {
	return []Entry{
		{Name: "merge_requests", Draw: func(ctx context.Context, theme string) templ.Component {
			return views.MergeRequests(requestPage(ctx, theme), requestList())
		}},
		{Name: "merge_requests_empty", Draw: func(ctx context.Context, theme string) templ.Component {
			l := requestList()
			l.Rows, l.Search, l.Pages = nil, "", views.PageLinks{}
			return views.MergeRequests(requestPage(ctx, theme), l)
		}},
		{Name: "merge_requests_none_found", Draw: func(ctx context.Context, theme string) templ.Component {
			l := requestList()
			l.Rows, l.Pages = nil, views.PageLinks{}
			return views.MergeRequests(requestPage(ctx, theme), l)
		}},
		{Name: "merge_request_commits", Draw: func(ctx context.Context, theme string) templ.Component {
			return views.MergeRequestCommits(onePage(ctx, theme), views.CommitList{Head: requestHead(views.TabCommits), Pages: views.PageLinks{First: 1, Last: 2, Total: 52, NextURL: requestPath + "/commits?page=2"},
				Commits: []views.CommitRow{
					{SHA: "8f3c2a1d", Title: "Key events <once>", Body: "Why: the queue delivers at least once.", Author: "Priya Raman", At: ago(time.Hour), URL: commitPath + head},
					{SHA: "1b77e0c4", Title: "Add the key to the table of refunds", Author: "Priya Raman", At: ago(26 * time.Hour), URL: commitPath + head},
				}})
		}},
		{Name: "merge_request_changes", Draw: func(ctx context.Context, theme string) templ.Component {
			return views.MergeRequestChanges(onePage(ctx, theme), changes())
		}},
	}
}

// commits returns entries for commits and comparisons.
func commits() []Entry {
	commit := func(change func(*views.CommitDetail)) func(context.Context, string) templ.Component {
		return func(ctx context.Context, theme string) templ.Component {
			v := views.CommitDetail{SHA: head, Title: "Key events <once>", Body: "Why: the queue delivers at least once.\n\nSigned-off-by: Priya Raman", Author: "Priya Raman",
				At: ago(26 * time.Hour), Parents: []views.Crumb{{Text: "5d02b7aa", URL: commitPath + head}}, Changes: changes(), Now: Now}
			v.Changes.Command = "git fetch origin && git show 8f3c2a1d"
			change(&v)
			p := page(ctx, theme, text.KeyMRCommit, "")
			p.Title = v.Title + " · 8f3c2a1d"
			p.Breadcrumbs[2] = views.Crumb{Text: "8f3c2a1d", URL: commitPath + head}
			return views.CommitPage(p, v)
		}
	}
	return []Entry{
		{Name: "commit", Draw: commit(func(*views.CommitDetail) {})},
		{Name: "commit_merge", Draw: commit(func(v *views.CommitDetail) {
			v.Title, v.Body, v.Merge, v.Changes = strings.Repeat("Unbreakable", 23), "", true, views.ChangeList{}
			v.Author = strings.Repeat("Priya-Raman-", 21)
			v.Parents = append(v.Parents, views.Crumb{Text: "1b77e0c4", URL: commitPath + head})
		})},
		{Name: "commit_first", Draw: commit(func(v *views.CommitDetail) { v.Body, v.Parents = "", nil })},
		{Name: "comparison", Draw: func(ctx context.Context, theme string) templ.Component {
			v := views.Comparison{From: "main", To: longBranch, Changes: changes(), Now: Now,
				Pages: views.PageLinks{First: 1, Last: 1, Total: 51, NextURL: projectPath + "/-/compare/main...refund?page=2"},
				Commits: []views.CommitRow{
					{SHA: "8f3c2a1d", Title: "Key events <once>", Author: "Priya Raman", At: ago(time.Hour), URL: commitPath + head},
				}}
			return views.ComparePage(page(ctx, theme, text.KeyMRCompare, ""), v)
		}},
	}
}

// requestPage returns the view model of the list's page.
func requestPage(ctx context.Context, theme string) views.Page {
	return page(ctx, theme, text.KeyMergeRequests, views.SectionMergeRequests)
}

// onePage returns the view model of a page of one merge request.
func onePage(ctx context.Context, theme string) views.Page {
	p := requestPage(ctx, theme)
	p.Title = text.T(ctx, text.KeyMRPageTitle, "Title", "Make refunds idempotent", "IID", 142)
	p.Breadcrumbs = append(p.Breadcrumbs[:2:2], views.Crumb{Text: text.T(ctx, text.KeyMergeRequests), URL: requestsPath}, views.Crumb{Text: "!142", URL: requestPath})
	return p
}

func requestHead(tab string) views.MergeRequestHead {
	return views.MergeRequestHead{IID: 142, Title: "Make refunds idempotent", State: views.MergeRequestOpen, Author: views.Person{Name: "Priya Raman"},
		At: ago(3 * time.Hour), Source: "feature/refund", Target: "main", URL: requestPath, Commits: 3, Changes: 8, Tab: tab, CanEdit: true, Now: Now}
}

func requestList() views.MergeRequestList {
	row := func(iid int64, title string, state views.MergeRequestState, passed, pending, failed int) views.MergeRequestRow {
		return views.MergeRequestRow{IID: iid, Title: title, URL: fmt.Sprintf("%s/%d", requestsPath, iid), State: state, Author: "Priya Raman",
			At: ago(time.Duration(150-iid) * time.Hour), Source: "feature/refund", Target: "main", ShowChecks: true, Passed: passed, Pending: pending, Failed: failed}
	}
	blind := row(139, "Checks of others are not shown", views.MergeRequestClosed, 0, 0, 1)
	blind.ShowChecks = false
	return views.MergeRequestList{FiltersChecks: true, Sort: "updated_desc", URL: requestsPath, NewURL: requestsPath + "/new", State: "opened", Search: `"x"`, Now: Now,
		Tabs: []views.ListTab{{Text: text.KeyMRTabOpen, URL: "?state=opened", Count: 3, Current: true}, {Text: text.KeyMRTabMerged, URL: "?state=merged", Count: 5},
			{Text: text.KeyMRTabClosed, URL: "?state=closed", Count: 1}, {Text: text.KeyMRTabAll, URL: "?state=all", Count: 9}},
		Rows: []views.MergeRequestRow{row(142, "Make <refunds> idempotent", views.MergeRequestOpen, 1, 2, 1), row(141, "Upgrade the tax tables", views.MergeRequestOpen, 1, 2, 0),
			row(140, "No service asks about this one", views.MergeRequestMerged, 0, 0, 0), row(138, strings.Repeat("LOGSLOWREQUESTS", 17), views.MergeRequestMerged, 4, 0, 0), blind},
		Pages: views.PageLinks{First: 1, Last: 5, Total: 9, NextURL: requestsPath + "?page=2"}}
}

func changes() views.ChangeList {
	return views.ChangeList{Head: requestHead(views.TabChanges), Additions: 2, Deletions: 1, MoreFiles: 3, CutFiles: 2, Command: "git fetch origin refs/merge-requests/142/head && git diff 5d02b7aa FETCH_HEAD", Files: []views.ChangedFile{
		{ID: "file-1", Path: "internal/payments/refund.go", Status: views.FileModified, Additions: 2, Deletions: 1, Lines: []views.DiffLine{
			{Kind: views.LineHunk, Text: "@@ -11,3 +11,4 @@ func Refund(ctx context.Context, id string) error {"},
			{Kind: views.LineContext, Old: 11, New: 11, Text: "\torder := load(ctx, id)"},
			{Kind: views.LineDeleted, Old: 12, Text: "\treturn pay(ctx, order) // <twice>"},
			{Kind: views.LineAdded, New: 12, Text: "\tkey := order.RefundKey()"},
			{Kind: views.LineAdded, New: 13, Text: "\treturn payOnce(ctx, key, order)"},
			{Kind: views.LineContext, Old: 13, New: 14, Text: "}"},
			{Kind: views.LineNoNewline},
		}},
		{ID: "file-2", Path: "new.go", OldPath: "old.go", Status: views.FileRenamed},
		{ID: "file-3", Path: "big.sql", Status: views.FileAdded, Additions: 90000, Cut: true},
		{ID: "file-4", Path: "logo.png", Status: views.FileDeleted, Binary: true},
		{ID: "file-5", Path: "deploy.sh", Status: views.FileModified, OldMode: "100644", NewMode: "100755", Additions: 2, Deletions: 1, Cut: true, Lines: []views.DiffLine{
			{Kind: views.LineHunk, Text: "@@ -1 +1,2000 @@"},
			{Kind: views.LineDeleted, Old: 1, Text: "#!/bin/sh", Return: true},
			{Kind: views.LineAdded, New: 1, Text: "#!/bin/sh"},
			{Kind: views.LineAdded, New: 2, Text: "echo ⟦U+202E⟧ " + strings.Repeat("very long ", 60)},
		}},
	}}
}
