package handlers

import (
	"cmp"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
)

// mergeFacts is the data of the merge box.
type mergeFacts struct {
	mr     models.MergeRequest
	checks []models.MergeRequestCheck
	// unread means that the checks could not be read, so that it is unknown whether they block
	// the merge.
	unread bool
	// late holds responses that came after the merge, by service id.
	late map[int64]models.StatusCheckResponse
	// targetStamp changes when the target branch moves.
	targetStamp string
	approvals   []models.Approval
	now         time.Time
	// reasons are why the merge request cannot be merged, from the database and from git.
	reasons   []models.BlockReason
	conflicts []string
	// with is what a merge would add. It is empty unless the merge request is open.
	with comparison
	// refusal is why the user may not merge into the target branch, nil if they may.
	refusal *models.BranchRefusal
	// sourceKept means that a merge cannot delete the source branch.
	sourceKept bool
}

// gatherFacts reads everything that the merge box needs.
func (p *pages) gatherFacts(c echo.Context, mr models.MergeRequest) (mergeFacts, error) {
	ctx := c.Request().Context()
	_, checks, err := p.Store.MergeRequestChecks(ctx, mr.ProjectID, mr.IID)
	facts := mergeFacts{mr: mr, checks: checks, now: p.Store.Now(), unread: err != nil}
	if facts.unread {
		p.logFailure(c, "reading status checks failed", err)
	}
	// The stamp of the target is read before git is asked. A push in between then shows as a
	// change in the next poll.
	if err := p.addWidgetFacts(ctx, &facts); err != nil {
		return facts, err
	}
	if err := p.addReasons(c, &facts); err != nil {
		return facts, err
	}
	facts.approvals, err = p.Store.Approvals(ctx, mr.ID)
	return facts, err
}

// addReasons adds the reasons against merging.
func (p *pages) addReasons(c echo.Context, facts *mergeFacts) (err error) {
	ctx, project, mr := c.Request().Context(), request.Project(c), facts.mr
	facts.reasons = models.Mergeable(project, mr, facts.checks, facts.now)
	if mr.State != models.StateOpened {
		return nil
	}
	if facts.refusal, err = p.Store.BranchDecision(ctx, project, request.Role(c), mr.TargetBranch, models.ActionMerge); err != nil {
		return err
	}
	kept, err := p.Store.BranchDecision(ctx, project, models.RoleOwner, mr.SourceBranch, models.ActionDelete)
	if err != nil {
		return err
	}
	facts.sourceKept = mr.SourceBranchDeleted || kept != nil
	return p.addGitReasons(c, facts)
}

// addCounts adds the numbers of commits and changed files for the tabs of a merge request that
// is not open. Errors are only logged.
func (p *pages) addCounts(c echo.Context, facts *mergeFacts) {
	if facts.mr.State == models.StateOpened {
		return // addReasons has counted them
	}
	var err error
	if facts.with, err = p.compare(c, facts.mr); err != nil {
		p.logFailure(c, "counting commits and changes failed", err)
		facts.with = comparison{}
	}
}

// addGitReasons adds the reasons that git knows: missing branches or commits, and conflicts.
func (p *pages) addGitReasons(c echo.Context, facts *mergeFacts) error {
	ctx, mr := c.Request().Context(), facts.mr
	var err error
	if facts.with, err = p.compare(c, mr); err != nil {
		return err
	}
	reasons, files, err := models.RepositoryReasons(facts.with.target != "", facts.with.commits, func() ([]string, error) {
		return p.conflictsOf(ctx, facts.with.commitPair)
	})
	facts.reasons, facts.conflicts = append(facts.reasons, reasons...), files
	return err
}

// blocks reports whether reason is one of the reasons against merging.
func (f mergeFacts) blocks(reason models.BlockReason) bool { return slices.Contains(f.reasons, reason) }

// freshWidget returns the widget for a page that is rendered for the first time.
func (p *pages) freshWidget(c echo.Context, f mergeFacts) views.StatusChecks {
	widget := p.presentWidget(c, f, shownPage{})
	if f.unread && widget.Kind != views.WidgetForbidden {
		return views.StatusChecks{Kind: views.WidgetFailed, RefreshURL: mergeRequestURL(c, f.mr.IID)}
	}
	return widget
}

// presentBox returns the merge box with the widget, as the user may see it.
func presentBox(c echo.Context, f mergeFacts, widget views.StatusChecks) views.MergeBox {
	box := views.MergeBox{
		State: views.MergeRequestState(f.mr.State), Blind: !request.Can(c, auth.ReadStatusChecks) || f.unread,
		Checks: widget,
		SHA:    cmp.Or(widget.Page.Head, f.mr.HeadSHA), ShortSHA: shortSHA(f.mr.HeadSHA), Target: f.mr.TargetBranch, Now: f.now,
	}
	box.Approvals = presentApprovals(c, f, box.SHA)
	switch f.mr.State {
	case models.StateMerged:
		box.DoneBy, box.MergeSHA = userName(c, f.mr.MergeUser), shortSHA(f.mr.MergeCommitSHA)
		if f.mr.MergedAt != nil {
			box.DoneAt = *f.mr.MergedAt
		}
		if f.mr.ChecksRequired != nil && widget.Kind == views.WidgetRows {
			box.Rule = text.KeyMRRuleOff
			if *f.mr.ChecksRequired {
				box.Rule = text.KeyMRRuleOn
			}
		}
		return box
	case models.StateClosed:
		box.DoneBy = userName(c, f.mr.ClosedBy)
		if f.mr.ClosedAt != nil {
			box.DoneAt = *f.mr.ClosedAt
		}
		return box
	}
	if request.Can(c, auth.Merge) {
		box.MergeURL = mergeRequestURL(c, f.mr.IID) + "/merge"
		box.CancelURL = mergeRequestURL(c, f.mr.IID) + "/cancel_auto_merge"
	}
	box.Commits, box.SourceKept = f.with.commits, f.sourceKept
	box.RemoveSource, box.Squash = f.mr.RemoveSourceBranch, f.mr.Squash
	if !box.Blind {
		addConditions(c, &box, f)
		addAutoMerge(c, &box, f)
	}
	return box
}

// addAutoMerge adds the automatic merge that is set or was aborted, or that the user may set.
func addAutoMerge(c echo.Context, box *views.MergeBox, f mergeFacts) {
	mr := f.mr
	switch {
	case mr.HasAutoMerge():
		box.AutoMerge = &views.AutoMerge{
			By: userName(c, mr.AutoMergeUser), At: *mr.AutoMergeAt, Squash: mr.AutoMergeSquash, RemoveSource: mr.AutoMergeRemoveSource,
		}
		return
	case mr.AutoMergeAborted != "" && mr.AutoMergeAbortedAt != nil:
		box.AutoMerge = &views.AutoMerge{
			By: userName(c, mr.AutoMergeUser), At: *mr.AutoMergeAbortedAt, Aborted: abortText(mr.AutoMergeAborted),
		}
	}
	onlyChecks := !slices.ContainsFunc(f.reasons, func(r models.BlockReason) bool { return r != models.BlockedStatusChecks })
	box.CanAutoMerge = box.MergeURL != "" && f.refusal == nil && onlyChecks && box.SHA == mr.HeadSHA &&
		models.AwaitsChecks(mr, f.checks, f.now)
}

// abortTexts are the reasons why auto-merge was aborted.
var abortTexts = map[models.AbortReason]text.Key{
	models.AbortedByPush:                         text.KeyMRAbortPush,
	models.AbortedByClose:                        text.KeyMRAbortClose,
	models.AbortedByRetarget:                     text.KeyMRAbortRetarget,
	models.AbortedByUser:                         text.KeyMRAbortUser,
	models.AbortedByRole:                         text.KeyMRAbortRole,
	models.AbortedByTarget:                       text.KeyMRAbortTarget,
	models.AbortedByError:                        text.KeyMRAbortError,
	models.AbortReason(models.BlockedDraft):      text.KeyMRAbortDraft,
	models.AbortReason(models.BlockedSourceGone): text.KeyMRReasonSource,
	models.AbortReason(models.BlockedTargetGone): text.KeyMRReasonTarget,
	models.AbortReason(models.BlockedNoCommits):  text.KeyMRReasonCommits,
	models.AbortReason(models.BlockedConflict):   text.KeyMRReasonConflicts,
	models.AbortReason(models.BlockedUnrelated):  text.KeyMRReasonRelated,
	models.AbortReason(models.BlockedTooLarge):   text.KeyMRReasonSize,
}

// abortText returns the text for a reason, that of a technical error if it is unknown.
func abortText(reason models.AbortReason) text.Key {
	if key, known := abortTexts[reason]; known {
		return key
	}
	return text.KeyMRAbortError
}

// addConditions adds the conditions of a merge and counts the checks that have not passed.
func addConditions(c echo.Context, box *views.MergeBox, f mergeFacts) {
	gate := request.Project(c).OnlyAllowMergeIfAllStatusChecksPassed
	blocking, informing := models.SplitChecks(f.checks, gate)
	if gate {
		box.Conditions = append(box.Conditions, views.MergeCondition{Kind: views.ConditionChecks, Met: !f.blocks(models.BlockedStatusChecks)})
		counts := models.CountStatuses(blocking, f.now)
		box.GateFailed, box.GatePending = counts.Failed, counts.Pending
	}
	counts := models.CountStatuses(informing, f.now)
	box.InformFailed, box.InformPending = counts.Failed, counts.Pending
	add := func(kind views.ConditionKind, met bool) {
		box.Conditions = append(box.Conditions, views.MergeCondition{Kind: kind, Met: met})
	}
	if f.with.commits > 0 {
		box.Conditions = append(box.Conditions, mergeCondition(f))
	}
	add(views.ConditionDraft, !f.blocks(models.BlockedDraft))
	add(views.ConditionSource, !f.blocks(models.BlockedSourceGone))
	if f.blocks(models.BlockedTargetGone) {
		add(views.ConditionTarget, false)
	} else {
		add(views.ConditionCommits, !f.blocks(models.BlockedNoCommits))
	}
	box.Conditions = append(box.Conditions, views.MergeCondition{Kind: views.ConditionRight, Met: f.refusal == nil, Branch: f.mr.TargetBranch})
	moved := box.SHA != f.mr.HeadSHA
	if moved {
		add(views.ConditionHead, false)
	}
	box.OnlyGate = !moved && len(f.reasons) == 1 && f.blocks(models.BlockedStatusChecks) && f.refusal == nil
}

// mergeCondition says whether git can merge, or why not.
func mergeCondition(f mergeFacts) views.MergeCondition {
	switch {
	case f.blocks(models.BlockedUnrelated):
		return views.MergeCondition{Kind: views.ConditionRelated}
	case f.blocks(models.BlockedTooLarge):
		return views.MergeCondition{Kind: views.ConditionSize}
	}
	return views.MergeCondition{Kind: views.ConditionConflicts, Met: !f.blocks(models.BlockedConflict), Files: f.conflicts}
}

// presentApprovals returns the approvals and what the user can do about them. sha is the HEAD
// that the page shows.
func presentApprovals(c echo.Context, f mergeFacts, sha string) views.Approvals {
	v := views.Approvals{SHA: sha}
	mine := false
	user := request.User(c)
	for _, approval := range f.approvals {
		v.By = append(v.By, views.Approval{Person: presentPerson(c, &approval.User), At: approval.CreatedAt})
		mine = mine || user != nil && user.ID == approval.UserID
	}
	if f.mr.State == models.StateOpened && request.Can(c, auth.Approve) {
		if mine {
			v.UnapproveURL = mergeRequestURL(c, f.mr.IID) + "/unapprove"
		} else {
			v.ApproveURL = mergeRequestURL(c, f.mr.IID) + "/approve"
		}
	}
	return v
}

// presentPerson returns a user, or a placeholder for a deleted one.
func presentPerson(c echo.Context, user *models.User) views.Person {
	if user == nil || user.ID == 0 {
		return views.Person{Name: translate(c, text.KeyMRFormerUser)}
	}
	return views.Person{Name: user.Name, Username: user.Username}
}

func userName(c echo.Context, user *models.User) string { return presentPerson(c, user).Name }

// presentHead returns what is above the tabs.
func (p *pages) presentHead(c echo.Context, mr models.MergeRequest, tab string, with comparison) views.MergeRequestHead {
	head := views.MergeRequestHead{
		IID: mr.IID, Title: mr.Title, State: views.MergeRequestState(mr.State), Draft: mr.Draft, Author: presentPerson(c, mr.Author),
		At: mr.CreatedAt, Source: mr.SourceBranch, Target: mr.TargetBranch, SourceGone: mr.SourceBranchDeleted,
		URL: mergeRequestURL(c, mr.IID), Commits: -1, Changes: -1, Tab: tab,
		CanEdit: request.Can(c, auth.UpdateMergeRequest), Now: p.Store.Now(),
	}
	if with.target != "" {
		head.Commits = with.commits
	}
	if with.base != "" {
		head.Changes = with.files
	}
	return head
}

// presentRow returns a row of a list of merge requests, in a project with the given access.
func presentRow(c echo.Context, access models.Access, mr models.MergeRequest, checks []models.MergeRequestCheck, now time.Time) views.MergeRequestRow {
	counts := models.CountStatuses(checks, now)
	return views.MergeRequestRow{
		IID: mr.IID, Title: mr.Title, URL: withID(urlOfProject(access.Project)+mergeRequestsPath, mr.IID), State: views.MergeRequestState(mr.State),
		Author: userName(c, mr.Author), At: mr.CreatedAt, Source: mr.SourceBranch, Target: mr.TargetBranch,
		ShowChecks: auth.Can(auth.SubjectOf(access), auth.ReadStatusChecks),
		Passed:     counts.Passed, Pending: counts.Pending, Failed: counts.Failed,
	}
}
