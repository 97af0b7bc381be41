package apiv4

import (
	"errors"
	"net/http"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/models"
)

// mergeMergeRequest merges at once or, with auto_merge, as soon as all checks have
// passed. merge_when_pipeline_succeeds is GitLab's former name of auto_merge.
func mergeMergeRequest(c *call) error {
	sha, squash, removeSource := c.text("sha"), c.boolean("squash"), c.boolean("should_remove_source_branch")
	auto := isTrue(c.boolean("auto_merge")) || isTrue(c.boolean("merge_when_pipeline_succeeds"))
	text := c.text("merge_commit_message")
	if isTrue(squash) {
		if squashText := c.text("squash_commit_message"); squashText != nil {
			text = squashText
		}
	}
	if err := c.paramError(); err != nil {
		return err
	}
	options := models.MergeOptions{
		SHA: orEmpty(sha), Role: c.role(), Squash: c.mr.Squash, Message: orEmpty(text),
		RemoveSourceBranch: c.mr.RemoveSourceBranch,
	}
	if squash != nil {
		options.Squash = *squash
	}
	if removeSource != nil {
		options.RemoveSourceBranch = *removeSource
	}
	merge := c.api.Store.Merge
	if auto {
		merge = c.api.Store.AutoMerge
	}
	mr, err := merge(c.ctx(), c.me, c.access.Project.ID, c.mr.IID, options)
	if err != nil {
		return c.mergeRefusal(err)
	}
	return c.replyMergeRequest(http.StatusOK, mr)
}

// cancelAutoMerge removes auto-merge.
func cancelAutoMerge(c *call) error {
	mr, err := c.api.Store.CancelAutoMerge(c.ctx(), c.me, c.access.Project.ID, c.mr.IID)
	switch models.CodeOf(err) {
	case models.CodeNoAutoMerge:
		return message(http.StatusNotAcceptable, "Can't cancel the automatic merge")
	case models.CodeNotOpen:
		return message(http.StatusMethodNotAllowed, "405 Method Not Allowed")
	}
	if err != nil {
		return err
	}
	return c.replyMergeRequest(http.StatusCreated, mr)
}

// mergeRefusal answers 405 for a merge request that cannot be merged, as GitLab
// does. The body also has the detailed merge status and the conflicting files.
func (c *call) mergeRefusal(err error) error {
	var e *models.Error
	if !errors.As(err, &e) || len(e.Reasons) == 0 {
		return err
	}
	body := map[string]any{"message": "405 Method Not Allowed", "detailed_merge_status": c.detailedMergeStatus(e.Reasons)}
	if text := mergeError(e.Reasons); text != nil {
		body["merge_error"] = *text
	}
	if len(e.List) > 0 {
		body["conflicts"] = e.List
	}
	return &failure{http.StatusMethodNotAllowed, body}
}

// mayMerge reports whether the owner of the token may merge into the target.
func (c *call) mayMerge() bool {
	if !c.can(auth.Merge) {
		return false
	}
	refusal, err := c.api.Store.BranchDecision(c.ctx(), c.access.Project, c.role(), c.mr.TargetBranch, models.ActionMerge)
	return err == nil && refusal == nil
}

func approve(c *call) error {
	sha := c.text("sha")
	if err := c.paramError(); err != nil {
		return err
	}
	if err := c.api.Store.ApproveMergeRequest(c.ctx(), c.me, c.access.Project.ID, c.mr.IID, orEmpty(sha)); err != nil {
		return err
	}
	return c.replyApprovals(http.StatusCreated)
}

func unapprove(c *call) error {
	if err := c.api.Store.UnapproveMergeRequest(c.ctx(), c.me, c.access.Project.ID, c.mr.IID); err != nil {
		return err
	}
	return c.replyApprovals(http.StatusCreated)
}

func getApprovals(c *call) error { return c.replyApprovals(http.StatusOK) }

func (c *call) replyApprovals(status int) error {
	var err error
	if c.mr, err = c.api.Store.MergeRequest(c.ctx(), c.access.Project.ID, c.mr.IID); err != nil {
		return err
	}
	approvals, err := c.api.Store.Approvals(c.ctx(), c.mr.ID)
	if err != nil {
		return err
	}
	return c.reply(status, c.approvals(approvals))
}

// getApprovalState answers that there are no approval rules.
func getApprovalState(c *call) error {
	return c.reply(http.StatusOK, map[string]any{"approval_rules_overwritten": false, "rules": []any{}})
}
