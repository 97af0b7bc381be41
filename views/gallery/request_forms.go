package gallery

import (
	"context"
	"fmt"
	"strings"

	"github.com/a-h/templ"

	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
)

// mergeRequestForms returns entries for the forms that create and edit a merge
// request, and for the branch list.
func mergeRequestForms() []Entry {
	form := func(title text.Key, f views.MergeRequestForm) func(context.Context, string) templ.Component {
		return func(ctx context.Context, theme string) templ.Component {
			p := page(ctx, theme, title, views.SectionMergeRequests)
			p.Narrow = true
			p.Breadcrumbs = append(p.Breadcrumbs[:2:2], views.Crumb{Text: text.T(ctx, text.KeyMergeRequests), URL: requestsPath}, p.Breadcrumbs[2])
			return views.MergeRequestFormPage(p, f)
		}
	}
	failed := newRequest("", "main")
	failed.SourceList.Failed, failed.TargetList.Failed = true, true
	failed.SourceList.Names, failed.TargetList.Names = nil, nil
	many := newRequest("feature/refund", "main")
	many.SourceList.Total, many.TargetList.Total = 5000, 5000
	many.SourceList.Names = append(many.SourceList.Names, longBranch)
	many.Checks = append([]string{longService().Name, "\u202eturned", "בדיקת אבטחה"}, many.Checks...)
	return []Entry{
		{Name: "merge_request_new", Draw: form(text.KeyMRNewMergeRequest, newRequest("feature/refund", "main"))},
		{Name: "merge_request_new_many_branches", Draw: form(text.KeyMRNewMergeRequest, many)},
		{Name: "merge_request_new_no_list", Draw: form(text.KeyMRNewMergeRequest, failed)},
		{Name: "merge_request_form", Draw: form(text.KeyMRNewMergeRequest, RejectedRequest())},
		{Name: "merge_request_duplicate", Draw: form(text.KeyMRNewMergeRequest, duplicateRequest())},
		{Name: "merge_request_edit", Draw: form(text.KeyMREditMergeRequest, views.MergeRequestForm{Action: requestPath, CancelURL: requestPath,
			Source: "feature/refund", Target: "main", TargetList: choices("target_branch", "main"), Title: "Make refunds idempotent", Retargets: true,
			Description: "Retries of a refund no longer pay twice."})},
		{Name: "merge_request_edit_conflict", Draw: form(text.KeyMREditMergeRequest, views.MergeRequestForm{Action: requestPath, CancelURL: requestPath,
			Source: "feature/refund", Target: "main", TargetList: choices("target_branch", "main"), Title: "Make refunds idempotent",
			Changed: []views.CurrentValue{{Label: text.KeyMRTitle, Text: strings.Repeat("Unbreakable", 23)}, {Label: text.KeyMRTargetBranch, Text: "release/4.2"}}})},
		{Name: "branch_choices", Section: views.SectionMergeRequests, Draw: func(context.Context, string) templ.Component {
			c := choices("source_branch", "feature/refund")
			c.Search, c.Names, c.Total = "rel", []string{"release/4.2", "release/4.1"}, 2
			return views.BranchChoicesView(c)
		}},
		{Name: "branch_choices_none", Section: views.SectionMergeRequests, Draw: func(context.Context, string) templ.Component {
			c := choices("source_branch", "")
			c.Search, c.Names, c.Total = "<x>", nil, 0
			return views.BranchChoicesView(c)
		}},
	}
}

// longBranch is a branch name of the greatest length.
var longBranch = "dependabot/" + strings.Repeat("a-very-long-name/", 14) + "2"

// choices returns the list of a branch picker.
func choices(field, chosen string) views.BranchChoices {
	return views.BranchChoices{Field: field, Value: chosen, Default: "main", Total: 4, URL: requestsPath + "/new/branches?field=" + field,
		Names: []string{"main", "feature/refund", "release/4.2", "fix/<b>"}}
}

// newRequest returns the form for a merge request from source into target.
func newRequest(source, target string) views.MergeRequestForm {
	return views.MergeRequestForm{Action: requestsPath, CancelURL: requestsPath, New: true, Source: source, Target: target,
		SourceList: choices("source_branch", source), TargetList: choices("target_branch", target), Title: "Make refunds idempotent",
		Checks: []string{"Change <approval>", "Load test gate"}, ChecksMustPass: true, PreviewURL: requestsPath + "/new"}
}

// RejectedRequest returns the form of a merge request with an error in every field.
func RejectedRequest() views.MergeRequestForm {
	f := newRequest("gone", "main")
	f.Title, f.Description = "", "<textarea>"
	f.Errors = map[string]views.FormFault{
		"source_branch": {Text: "This branch does not exist"}, "target_branch": {Text: "Select another branch than the source branch"},
		"title": {Text: "Enter a title"}, "description": {Text: fmt.Sprintf("Description cannot be longer than %d characters", 1_000_000)},
	}
	return f
}

// duplicateRequest returns the form for branches that already have an open merge
// request.
func duplicateRequest() views.MergeRequestForm {
	f := newRequest("feature/refund", "main")
	f.Errors = map[string]views.FormFault{
		"": {Text: "Another open merge request already exists for these branches:", URL: requestPath, LinkText: "!142"},
	}
	return f
}
