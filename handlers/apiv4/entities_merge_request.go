package apiv4

import (
	"cmp"
	"slices"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/models"
)

type references struct {
	Short    string `json:"short"`
	Relative string `json:"relative"`
	Full     string `json:"full"`
}

type timeStats struct {
	TimeEstimate        int     `json:"time_estimate"`
	TotalTimeSpent      int     `json:"total_time_spent"`
	HumanTimeEstimate   *string `json:"human_time_estimate"`
	HumanTotalTimeSpent *string `json:"human_total_time_spent"`
}

type taskStatus struct {
	Count          int `json:"count"`
	CompletedCount int `json:"completed_count"`
}

type diffRefs struct {
	BaseSHA  *string `json:"base_sha"`
	HeadSHA  string  `json:"head_sha"`
	StartSHA *string `json:"start_sha"`
}

// mergeRequestEntity is a merge request in a list.
type mergeRequestEntity struct {
	ID           int64                    `json:"id"`
	IID          int64                    `json:"iid"`
	ProjectID    int64                    `json:"project_id"`
	Title        string                   `json:"title"`
	Description  string                   `json:"description"`
	State        models.MergeRequestState `json:"state"`
	CreatedAt    timestamp                `json:"created_at"`
	UpdatedAt    timestamp                `json:"updated_at"`
	MergedBy     *userEntity              `json:"merged_by"`
	MergeUser    *userEntity              `json:"merge_user"`
	MergedAt     *timestamp               `json:"merged_at"`
	ClosedBy     *userEntity              `json:"closed_by"`
	ClosedAt     *timestamp               `json:"closed_at"`
	TargetBranch string                   `json:"target_branch"`
	SourceBranch string                   `json:"source_branch"`

	UserNotesCount              int        `json:"user_notes_count"`
	Upvotes                     int        `json:"upvotes"`
	Downvotes                   int        `json:"downvotes"`
	Author                      userEntity `json:"author"`
	Assignees                   []any      `json:"assignees"`
	Assignee                    *any       `json:"assignee"`
	Reviewers                   []any      `json:"reviewers"`
	SourceProjectID             int64      `json:"source_project_id"`
	TargetProjectID             int64      `json:"target_project_id"`
	Labels                      []string   `json:"labels"`
	Draft                       bool       `json:"draft"`
	WorkInProgress              bool       `json:"work_in_progress"`
	Milestone                   *any       `json:"milestone"`
	MergeWhenPipelineSucceeds   bool       `json:"merge_when_pipeline_succeeds"`
	MergeStatus                 string     `json:"merge_status"`
	DetailedMergeStatus         string     `json:"detailed_merge_status"`
	SHA                         string     `json:"sha"`
	MergeCommitSHA              *string    `json:"merge_commit_sha"`
	SquashCommitSHA             *string    `json:"squash_commit_sha"`
	DiscussionLocked            *bool      `json:"discussion_locked"`
	ShouldRemoveSourceBranch    *bool      `json:"should_remove_source_branch"`
	ForceRemoveSourceBranch     bool       `json:"force_remove_source_branch"`
	PreparedAt                  timestamp  `json:"prepared_at"`
	Reference                   string     `json:"reference"`
	References                  references `json:"references"`
	WebURL                      string     `json:"web_url"`
	TimeStats                   timeStats  `json:"time_stats"`
	Squash                      bool       `json:"squash"`
	SquashOnMerge               bool       `json:"squash_on_merge"`
	TaskCompletionStatus        taskStatus `json:"task_completion_status"`
	HasConflicts                bool       `json:"has_conflicts"`
	BlockingDiscussionsResolved bool       `json:"blocking_discussions_resolved"`
	ApprovalsBeforeMerge        *int       `json:"approvals_before_merge"`
	Imported                    bool       `json:"imported"`
	ImportedFrom                string     `json:"imported_from"`
	MergeAfter                  *timestamp `json:"merge_after"`
}

// simpleMergeRequest is a merge request in a list with view=simple.
type simpleMergeRequest struct {
	ID          int64                    `json:"id"`
	IID         int64                    `json:"iid"`
	ProjectID   int64                    `json:"project_id"`
	Title       string                   `json:"title"`
	Description string                   `json:"description"`
	State       models.MergeRequestState `json:"state"`
	CreatedAt   timestamp                `json:"created_at"`
	UpdatedAt   timestamp                `json:"updated_at"`
	WebURL      string                   `json:"web_url"`
}

func newSimpleMergeRequest(m mergeRequestEntity) simpleMergeRequest {
	return simpleMergeRequest{
		ID: m.ID, IID: m.IID, ProjectID: m.ProjectID, Title: m.Title, Description: m.Description, State: m.State,
		CreatedAt: m.CreatedAt, UpdatedAt: m.UpdatedAt, WebURL: m.WebURL,
	}
}

// mergeRequestDetail is a single merge request.
type mergeRequestDetail struct {
	mergeRequestEntity
	Subscribed        bool            `json:"subscribed"`
	ChangesCount      *string         `json:"changes_count"`
	LatestBuildAt     *timestamp      `json:"latest_build_started_at"`
	Pipeline          *any            `json:"pipeline"`
	HeadPipeline      *any            `json:"head_pipeline"`
	DiffRefs          diffRefs        `json:"diff_refs"`
	MergeError        *string         `json:"merge_error"`
	FirstContribution bool            `json:"first_contribution"`
	User              map[string]bool `json:"user"`
	RebaseInProgress  *bool           `json:"rebase_in_progress,omitempty"`
	DivergedCommits   *int            `json:"diverged_commits_count,omitempty"`
	// Incomplete names the parameters that are not fully applied yet.
	Incomplete      []string     `json:"incomplete,omitempty"`
	DescriptionHTML *string      `json:"description_html,omitempty"`
	TitleHTML       *string      `json:"title_html,omitempty"`
	Changes         []diffEntity `json:"changes,omitempty"`
	Overflow        *bool        `json:"overflow,omitempty"`
}

// ghost replaces an author whose account was deleted.
var ghost = userEntity{Username: "ghost", Name: "Ghost User", State: "blocked"}

// mergeRequest returns the entity of a merge request. blocked are the reasons why
// it cannot be merged, none if it can.
func (c *call) mergeRequest(p models.Project, mr models.MergeRequest, blocked []models.BlockReason) mergeRequestEntity {
	iid := itoa(mr.IID)
	author := ghost
	if mr.Author != nil {
		author = c.api.user(*mr.Author)
	}
	merger := c.api.userOrNull(mr.MergeUser)
	mergeUser := merger
	// That it is set tells that a check has not passed.
	autoMerge := mr.HasAutoMerge() && c.can(auth.ReadStatusChecks)
	if autoMerge {
		mergeUser = c.api.userOrNull(mr.AutoMergeUser)
	}
	detailed := c.detailedMergeStatus(blocked)
	status := "can_be_merged"
	cannotMerge := func(r models.BlockReason) bool { return isConflict(r) || r == models.BlockedNoCommits }
	if slices.ContainsFunc(blocked, cannotMerge) {
		status = "cannot_be_merged"
	}
	return mergeRequestEntity{
		ID: mr.ID, IID: mr.IID, ProjectID: p.ID, Title: mr.Title, Description: mr.Description, State: mr.State,
		CreatedAt: timestamp(mr.CreatedAt), UpdatedAt: timestamp(mr.UpdatedAt), MergedBy: merger, MergeUser: mergeUser,
		MergedAt: timestampOrNull(mr.MergedAt), ClosedBy: c.api.userOrNull(mr.ClosedBy), ClosedAt: timestampOrNull(mr.ClosedAt),
		TargetBranch: mr.TargetBranch, SourceBranch: mr.SourceBranch, Author: author,
		Assignees: []any{}, Reviewers: []any{}, SourceProjectID: p.ID, TargetProjectID: p.ID, Labels: []string{},
		Draft: mr.Draft, WorkInProgress: mr.Draft, MergeStatus: status, DetailedMergeStatus: detailed, SHA: mr.HeadSHA,
		MergeCommitSHA: textOrNull(mr.MergeCommitSHA), SquashCommitSHA: textOrNull(mr.SquashCommitSHA),
		MergeWhenPipelineSucceeds: autoMerge, ForceRemoveSourceBranch: mr.RemoveSourceBranch, PreparedAt: timestamp(mr.CreatedAt),
		Reference: "!" + iid, References: references{"!" + iid, "!" + iid, p.FullPath() + "!" + iid},
		WebURL: c.api.url("/" + p.FullPath() + "/-/merge_requests/" + iid),
		Squash: mr.Squash, SquashOnMerge: mr.Squash,
		HasConflicts: slices.ContainsFunc(blocked, isConflict), BlockingDiscussionsResolved: true, ImportedFrom: "none",
	}
}

// isConflict reports whether GitLab would call the reason a conflict: git itself
// cannot merge.
func isConflict(reason models.BlockReason) bool {
	return reason == models.BlockedConflict || mergeErrors[reason] != ""
}

// mergeErrors are the messages for reasons that GitLab's merge status cannot express.
var mergeErrors = map[models.BlockReason]string{
	models.BlockedUnrelated: "The source and target branch have no history in common",
	models.BlockedTooLarge:  "The changes are too large to be merged by the server",
}

// mergeError returns the message of the first reason that has one, else nil.
func mergeError(blocked []models.BlockReason) *string {
	for _, reason := range blocked {
		if text := mergeErrors[reason]; text != "" {
			return &text
		}
	}
	return nil
}

// abortErrors are the messages for the reasons that end auto-merge.
var abortErrors = map[models.AbortReason]string{
	models.AbortedByPush:                         "new commits were pushed",
	models.AbortedByClose:                        "the merge request was closed",
	models.AbortedByRetarget:                     "the target branch was changed",
	models.AbortedByUser:                         "the user who set it is blocked or deleted, or the token has ended",
	models.AbortedByRole:                         "the user who set it may no longer merge",
	models.AbortedByTarget:                       "the target branch kept moving",
	models.AbortedByError:                        "merging failed",
	models.AbortReason(models.BlockedDraft):      "the merge request was marked as draft",
	models.AbortReason(models.BlockedSourceGone): "the source branch does not exist",
	models.AbortReason(models.BlockedTargetGone): "the target branch does not exist",
	models.AbortReason(models.BlockedNoCommits):  "there are no commits to merge",
	models.AbortReason(models.BlockedConflict):   "there are conflicts",
	models.AbortReason(models.BlockedUnrelated):  "the branches have no history in common",
	models.AbortReason(models.BlockedTooLarge):   "the changes are too large",
}

// autoMergeError returns why auto-merge of an open merge request ended without a merge,
// nil if it did not. Users who may not see checks do not learn of auto-merge.
func (c *call) autoMergeError() *string {
	reason := c.mr.AutoMergeAborted
	if reason == "" || c.mr.State != models.StateOpened || !c.can(auth.ReadStatusChecks) {
		return nil
	}
	message := "Auto-merge was cancelled: " + cmp.Or(abortErrors[reason], abortErrors[models.AbortedByError])
	return &message
}

// detailedMergeStatus returns GitLab's status for the first reason. It does not
// mention status checks to users who may not see them.
func (c *call) detailedMergeStatus(blocked []models.BlockReason) string {
	if len(blocked) == 0 {
		return "mergeable"
	}
	switch blocked[0] {
	case models.BlockedStatusChecks:
		if !c.can(auth.ReadStatusChecks) {
			return "merge_request_blocked"
		}
	case models.BlockedSourceGone, models.BlockedTargetGone:
		return "commits_status"
	case models.BlockedUnrelated, models.BlockedTooLarge:
		return string(models.BlockedConflict) // GitLab has no other status for this
	}
	return string(blocked[0])
}

type approverEntity struct {
	User       userEntity `json:"user"`
	ApprovedAt timestamp  `json:"approved_at"`
}

type approvalsEntity struct {
	ID                int64                    `json:"id"`
	IID               int64                    `json:"iid"`
	ProjectID         int64                    `json:"project_id"`
	Title             string                   `json:"title"`
	Description       string                   `json:"description"`
	State             models.MergeRequestState `json:"state"`
	CreatedAt         timestamp                `json:"created_at"`
	UpdatedAt         timestamp                `json:"updated_at"`
	MergeStatus       string                   `json:"merge_status"`
	Approved          bool                     `json:"approved"`
	ApprovalsRequired int                      `json:"approvals_required"`
	ApprovalsLeft     int                      `json:"approvals_left"`
	RequirePassword   bool                     `json:"require_password_to_approve"`
	ApprovedBy        []approverEntity         `json:"approved_by"`
	Suggested         []any                    `json:"suggested_approvers"`
	Approvers         []any                    `json:"approvers"`
	ApproverGroups    []any                    `json:"approver_groups"`
	UserHasApproved   bool                     `json:"user_has_approved"`
	UserCanApprove    bool                     `json:"user_can_approve"`
	RulesLeft         []any                    `json:"approval_rules_left"`
	HasRules          bool                     `json:"has_approval_rules"`
}

func (c *call) approvals(approvals []models.Approval) approvalsEntity {
	entity := approvalsEntity{
		ID: c.mr.ID, IID: c.mr.IID, ProjectID: c.mr.ProjectID, Title: c.mr.Title, Description: c.mr.Description,
		State: c.mr.State, CreatedAt: timestamp(c.mr.CreatedAt), UpdatedAt: timestamp(c.mr.UpdatedAt),
		MergeStatus: "can_be_merged", Approved: true, ApprovedBy: []approverEntity{},
		Suggested: []any{}, Approvers: []any{}, ApproverGroups: []any{}, RulesLeft: []any{},
	}
	for _, approval := range approvals {
		entity.ApprovedBy = append(entity.ApprovedBy, approverEntity{c.api.user(approval.User), timestamp(approval.CreatedAt)})
		entity.UserHasApproved = entity.UserHasApproved || approval.UserID == c.me.ID
	}
	entity.UserCanApprove = c.can(auth.Approve) && !entity.UserHasApproved && c.mr.State == models.StateOpened
	return entity
}

type versionEntity struct {
	ID             int64          `json:"id"`
	HeadCommitSHA  string         `json:"head_commit_sha"`
	BaseCommitSHA  *string        `json:"base_commit_sha"`
	StartCommitSHA *string        `json:"start_commit_sha"`
	PatchIDSHA     *string        `json:"patch_id_sha"`
	CreatedAt      timestamp      `json:"created_at"`
	MergeRequestID int64          `json:"merge_request_id"`
	State          string         `json:"state"`
	RealSize       string         `json:"real_size"`
	Commits        []commitEntity `json:"commits,omitempty"`
	Diffs          []diffEntity   `json:"diffs,omitempty"`
}
