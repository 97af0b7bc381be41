package gallery

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
)

// mergeBoxes returns entries for the page of a merge request with its merge box in
// every state.
func mergeBoxes() []Entry {
	overview := func(name string, change func(*views.MergeRequestPage)) Entry {
		return Entry{Name: name, Draw: func(ctx context.Context, theme string) templ.Component {
			m := views.MergeRequestPage{Head: requestHead(views.TabOverview), Box: box(mixed()),
				Description: views.Prose{HTML: "<p>Retries of a refund no longer pay twice.</p><ul><li>Events carry a key.</li><li>The key is checked before the payment.</li></ul>" + prose}}
			change(&m)
			if m.Refused != "" { // change sets a key because it has no language
				m.Refused = text.T(ctx, text.Key(m.Refused))
			}
			m.Box.State = m.Head.State
			return views.MergeRequestOverview(onePage(ctx, theme), m)
		}}
	}
	// blocked changes a merge request so that one condition is not met.
	blocked := func(name string, unmet views.MergeCondition, more func(*views.MergeRequestPage)) Entry {
		return overview("merge_request_"+name, func(m *views.MergeRequestPage) {
			ready(m)
			for i, condition := range m.Box.Conditions {
				if condition.Kind == unmet.Kind {
					m.Box.Conditions[i] = unmet
				}
			}
			more(m)
		})
	}
	conflicts := views.MergeCondition{Kind: views.ConditionConflicts, Files: []string{"a <b>.go", "internal/payments/refund.go"}}
	for i := range 30 {
		conflicts.Files = append(conflicts.Files, fmt.Sprintf("generated/%02d-%s.go", i, strings.Repeat("long-name-", 12)))
	}
	return []Entry{
		// All conditions unmet, after an action was refused.
		overview("merge_request", func(m *views.MergeRequestPage) {
			m.Head.Title, m.Head.Draft, m.Refused = "Draft: Make <refunds> idempotent", true, string(text.KeyMRRefusedBlocked)
			m.Box.Conditions = []views.MergeCondition{{Kind: views.ConditionChecks}, {Kind: views.ConditionConflicts, Files: conflicts.Files[:2]},
				{Kind: views.ConditionDraft}, {Kind: views.ConditionSource}, {Kind: views.ConditionCommits, Met: true}, {Kind: views.ConditionRight, Branch: "main"}}
		}),
		overview("merge_request_ready", ready),
		overview("merge_request_ready_checks_inform", func(m *views.MergeRequestPage) {
			ready(m)
			m.Box.Checks, m.Box.Conditions, m.Box.InformFailed, m.Box.InformPending = mixed(), m.Box.Conditions[1:], 1, 2
		}),
		overview("merge_request_ready_informational_failed", func(m *views.MergeRequestPage) {
			ready(m)
			m.Box.Checks, m.Box.InformFailed = informational(), 1
			m.Box.Checks.Rows = slices.DeleteFunc(m.Box.Checks.Rows, func(r views.CheckRow) bool { return r.State == views.CheckPending })
		}),
		overview("merge_request_pending", func(m *views.MergeRequestPage) {
			ready(m)
			m.Box.Checks = only(mixed(), views.CheckPending)
			m.Box.Conditions[0].Met, m.Box.GatePending, m.Box.OnlyGate = false, 2, true
		}),
		overview("merge_request_failed", func(m *views.MergeRequestPage) {
			ready(m)
			m.Box.Checks = only(mixed(), views.CheckFailed)
			m.Box.Conditions[0].Met, m.Box.GateFailed, m.Box.OnlyGate = false, 1, true
		}),
		overview("merge_request_can_auto_merge", func(m *views.MergeRequestPage) {
			ready(m)
			m.Box.Checks = only(mixed(), views.CheckPending)
			m.Box.Conditions, m.Box.InformPending, m.Box.CanAutoMerge = m.Box.Conditions[1:], 2, true
		}),
		overview("merge_request_auto_merge", func(m *views.MergeRequestPage) {
			ready(m)
			m.Box.Checks = only(mixed(), views.CheckPending)
			m.Box.Conditions[0].Met, m.Box.GatePending, m.Box.OnlyGate = false, 2, true
			m.Box.CancelURL = requestPath + "/cancel_auto_merge"
			m.Box.AutoMerge = &views.AutoMerge{By: "Jonas Lindqvist", At: ago(time.Minute), Squash: true, RemoveSource: true}
		}),
		overview("merge_request_auto_merge_aborted", func(m *views.MergeRequestPage) {
			ready(m)
			m.Box.Checks = only(mixed(), views.CheckPending)
			m.Box.Conditions[0].Met, m.Box.GatePending, m.Box.OnlyGate, m.Box.CanAutoMerge = false, 2, true, true
			m.Box.AutoMerge = &views.AutoMerge{By: "Jonas Lindqvist", At: ago(time.Minute), Aborted: text.KeyMRAbortPush}
		}),
		overview("merge_request_new_commits", func(m *views.MergeRequestPage) {
			ready(m)
			m.Box.Checks.NewCommits = true
			m.Box.Conditions = append(m.Box.Conditions, views.MergeCondition{Kind: views.ConditionHead})
		}),
		blocked("draft", views.MergeCondition{Kind: views.ConditionDraft}, func(m *views.MergeRequestPage) {
			m.Head.Title, m.Head.Draft = "Draft: Make refunds idempotent", true
		}),
		blocked("conflicts", conflicts, func(*views.MergeRequestPage) {}),
		blocked("source_gone", views.MergeCondition{Kind: views.ConditionSource}, func(m *views.MergeRequestPage) {
			m.Head.SourceGone, m.Box.SourceKept = true, true
		}),
		blocked("no_commits", views.MergeCondition{Kind: views.ConditionCommits}, func(m *views.MergeRequestPage) {
			m.Head.Commits, m.Box.Commits = 0, 0
			m.Box.Conditions = append(m.Box.Conditions[:1:1], m.Box.Conditions[2:]...) // without the condition about conflicts
		}),
		blocked("target_gone", views.MergeCondition{Kind: views.ConditionCommits}, func(m *views.MergeRequestPage) {
			m.Head.Commits, m.Box.Commits = -1, -1
			m.Box.Conditions = []views.MergeCondition{{Kind: views.ConditionChecks, Met: true}, {Kind: views.ConditionDraft, Met: true},
				{Kind: views.ConditionSource, Met: true}, {Kind: views.ConditionTarget}, {Kind: views.ConditionRight, Met: true, Branch: "main"}}
		}),
		blocked("no_right", views.MergeCondition{Kind: views.ConditionRight, Branch: "main"}, func(*views.MergeRequestPage) {}),
		overview("merge_request_merged", func(m *views.MergeRequestPage) {
			end(m, views.MergeRequestMerged)
			m.Box.Checks, m.Box.MergeSHA, m.Box.Rule = final(allPassed()), "5d02b7aa", text.KeyMRRuleOn
			m.Box.Checks.Merged = true
			m.Box.Checks.Rows[0].Late = &views.LateAnswer{State: views.CheckFailed, At: ago(time.Minute), Description: "1 licence was withdrawn", TargetURL: "https://licences.example.test/215"}
		}),
		overview("merge_request_closed", func(m *views.MergeRequestPage) { end(m, views.MergeRequestClosed) }),
		overview("merge_request_blind", func(m *views.MergeRequestPage) {
			m.Head.CanEdit, m.Box = false, views.MergeBox{Blind: true, Target: "main", SHA: head, ShortSHA: "8f3c2a1d", Commits: 3, Now: Now,
				Approvals: views.Approvals{By: m.Box.Approvals.By}, Checks: views.StatusChecks{Kind: views.WidgetForbidden}}
		}),
		overview("merge_request_unread", func(m *views.MergeRequestPage) {
			m.Box.Blind, m.Box.Conditions, m.Box.GateFailed, m.Box.GatePending = true, nil, 0, 0
			m.Box.Checks = views.StatusChecks{Kind: views.WidgetFailed, RefreshURL: requestPath}
		}),
		overview("merge_request_right_to_left", func(m *views.MergeRequestPage) {
			m.Head.Title, m.Head.Author.Name, m.Head.Source = "إصلاح المبالغ المستردة", "ליאת כהן", "ميزة/استرداد"
			m.Description.HTML = "<p>تمت إضافة مفتاح لكل حدث.</p>"
			m.Box.Checks = rightToLeft()
		}),
		overview("merge_request_long", func(m *views.MergeRequestPage) {
			m.Head.Title, m.Head.Source, m.Head.Target = strings.Repeat("Unbreakable", 23), longBranch, longBranch
			m.Head.Author.Name = strings.Repeat("Priya-Raman-", 21)
			m.Description = views.Prose{HTML: "<p>" + strings.Repeat("nobreak", 100) + "</p><pre><code>" + strings.Repeat("code ", 100) + "</code></pre>", Cut: true}
			m.Box.Checks, m.Box.Target = long(), longBranch
		}),
	}
}

// ready sets all conditions as met.
func ready(m *views.MergeRequestPage) {
	for i := range m.Box.Conditions {
		m.Box.Conditions[i] = views.MergeCondition{Kind: m.Box.Conditions[i].Kind, Met: true, Branch: "main"}
	}
	m.Box.GateFailed, m.Box.GatePending = 0, 0
	m.Box.Checks = allPassed()
}

// end sets the state of a merge request that is merged or closed. Its box has no
// conditions and no actions.
func end(m *views.MergeRequestPage, state views.MergeRequestState) {
	m.Head.State, m.Head.CanEdit = state, true
	m.Box = views.MergeBox{Checks: final(mixed()), Approvals: views.Approvals{By: m.Box.Approvals.By}, SHA: head, ShortSHA: "8f3c2a1d",
		Target: "main", DoneBy: "Jonas Lindqvist", DoneAt: ago(time.Minute), Now: Now}
}

// box returns the merge box of an open merge request with two pending checks and
// one failed check.
func box(w views.StatusChecks) views.MergeBox {
	return views.MergeBox{State: views.MergeRequestOpen, Checks: w, MergeURL: requestPath + "/merge", SHA: head, ShortSHA: "8f3c2a1d", Target: "main",
		Commits: 3, Now: Now, GateFailed: 1, GatePending: 2, RemoveSource: true,
		Approvals: views.Approvals{By: []views.Approval{{Person: views.Person{Name: "Jonas Lindqvist"}, At: ago(30 * time.Second)}}, ApproveURL: requestPath + "/approve"},
		Conditions: []views.MergeCondition{{Kind: views.ConditionChecks}, {Kind: views.ConditionConflicts, Met: true}, {Kind: views.ConditionDraft, Met: true},
			{Kind: views.ConditionSource, Met: true}, {Kind: views.ConditionCommits, Met: true}, {Kind: views.ConditionRight, Met: true, Branch: "main"}}}
}

// prose returns a description with many Markdown elements.
const prose = `<ol><li>first</li><li>second</li></ol><ul><li>☑ done</li></ul>` +
	"<pre><code>func main() {}\n</code></pre><blockquote><p>Quoted</p></blockquote>" +
	"<table><thead><tr><th>Before</th><th>After</th></tr></thead><tbody><tr><td>2</td><td>1</td></tr></tbody></table>"
