package models

import (
	"context"
	"errors"
	"fmt"
)

// MergeOptions says how to merge.
type MergeOptions struct {
	// SHA, if not empty, must be HEAD (CodeStaleSHA).
	SHA string
	// Role is the role of the user who merges, RoleOwner for administrators. Protected
	// branches are checked against it.
	Role               Role
	Squash             bool
	Message            string
	RemoveSourceBranch bool

	// allChecks requires that all checks have passed, also in projects that do not
	// demand it. ignoreChecks means that no check blocks.
	allChecks, ignoreChecks bool
	// claimed is the merge request of an automatic merge, as ClaimAutoMerges returned
	// it. The user's role is then read at each check, and Role is ignored.
	claimed *MergeRequest
}

// maxMergeAttempts is how often a merge is prepared if its target keeps moving.
const maxMergeAttempts = 3

// errMergeOutdated means that target or HEAD moved after the merge was prepared.
var errMergeOutdated = errors.New("models: the merge must be prepared again")

// Merge merges a merge request. It prepares the commit first. Then, with the merge
// request's row locked, it checks the merge rules, HEAD and the target again, moves the
// target by compare-and-swap and marks the row as merged. Later steps that fail are
// reported in Incomplete, with ErrSourceNotRemoved for the source branch; recovery
// completes them.
//
// Errors: KindForbidden (CodeProtectedBranch) if a protected branch refuses the merge;
// KindConflict (CodeStaleSHA) if o.SHA is not HEAD; KindUnprocessable (CodeMergeBlocked
// with Reasons, CodeConflicts with the files in List); KindConflict (CodeTargetMoved)
// if the target moved three times or the merge request got another target meanwhile.
func (s *Store) Merge(ctx context.Context, by User, projectID, iid int64, o MergeOptions) (MergeRequest, error) {
	for try := 0; try < maxMergeAttempts; try++ {
		mr, err := s.mergeOnce(ctx, by, projectID, iid, o)
		if errors.Is(err, errMergeOutdated) {
			continue
		}
		if err != nil {
			return MergeRequest{}, err
		}
		mr.Incomplete = s.afterMerge(context.WithoutCancel(ctx), by, mr)
		return mr, nil
	}
	return MergeRequest{}, conflict(CodeTargetMoved)
}

// blocked is the error of a merge request that cannot be merged.
func blocked(reasons ...BlockReason) error {
	return &Error{Kind: KindUnprocessable, Code: CodeMergeBlocked, Reasons: reasons}
}

// blockedBy is blocked, or nil without reasons.
func blockedBy(reasons []BlockReason) error {
	if len(reasons) == 0 {
		return nil
	}
	return blocked(reasons...)
}

// checkMergeAllowed returns an error if protected branches, o.SHA or the merge rules
// refuse the merge. It does not look at the repository.
func (s *Store) checkMergeAllowed(ctx context.Context, project Project, mr MergeRequest, o MergeOptions) error {
	role := o.Role
	if o.claimed != nil {
		var err error
		if role, err = s.autoMergeRole(ctx, mr, *o.claimed); err != nil {
			return err
		}
	}
	refusal, err := s.BranchDecision(ctx, project, role, mr.TargetBranch, ActionMerge)
	if err != nil {
		return err
	}
	if refusal != nil {
		params := map[string]string{"rule": refusal.Rule, "branch": mr.TargetBranch}
		return &Error{Kind: KindForbidden, Code: CodeProtectedBranch, Params: params}
	}
	if o.SHA != "" && o.SHA != mr.HeadSHA {
		return &Error{Kind: KindConflict, Code: CodeStaleSHA, Params: map[string]string{"head": mr.HeadSHA}}
	}
	if o.ignoreChecks {
		return blockedBy(stateReasons(mr))
	}
	checks, err := s.checksWithLockedServices(ctx, mr.ID)
	if err != nil {
		return err
	}
	if o.allChecks {
		return blockedBy(autoMergeReasons(mr, checks, s.Now()))
	}
	return blockedBy(Mergeable(project, mr, checks, s.Now()))
}

// prepareMerge creates the merge commit, to which no ref points yet, and returns it with
// the tip of the target that it merges into.
func (s *Store) prepareMerge(ctx context.Context, by User, project Project, mr MergeRequest, o MergeOptions) (commit, base string, err error) {
	git := s.shared.cfg.Git
	base, exists, err := git.BranchTip(ctx, mr.ProjectID, mr.TargetBranch)
	if err != nil {
		return "", "", err
	}
	if !exists {
		return "", "", blocked(BlockedTargetGone)
	}
	n, err := git.CountCommits(ctx, mr.ProjectID, base, mr.HeadSHA)
	if err != nil {
		return "", "", err
	}
	if n == 0 {
		return "", "", blocked(BlockedNoCommits)
	}
	commit, conflicts, err := git.PrepareMerge(ctx, mr.ProjectID, MergeInput{
		TargetSHA: base, SourceSHA: mr.HeadSHA, Message: mergeMessage(project, mr, o), Squash: o.Squash, By: by, At: s.Now(),
	})
	if err != nil {
		return "", "", err
	}
	if commit == "" {
		return "", "", &Error{Kind: KindUnprocessable, Code: CodeConflicts, List: conflicts, Reasons: []BlockReason{BlockedConflict}}
	}
	return commit, base, nil
}

func (s *Store) mergeOnce(ctx context.Context, by User, projectID, iid int64, o MergeOptions) (MergeRequest, error) {
	mr, err := s.MergeRequest(ctx, projectID, iid)
	if err != nil {
		return mr, err
	}
	project, err := s.Project(ctx, projectID)
	if err != nil {
		return mr, err
	}
	if err := s.checkMergeAllowed(ctx, project, mr, o); err != nil {
		return mr, err
	}
	commit, base, err := s.prepareMerge(ctx, by, project, mr, o)
	if err != nil {
		return mr, err
	}
	if err := s.recordMergeIntent(ctx, by, mr, commit, base, o); err != nil {
		return mr, err
	}
	if hook := s.shared.hooks.BeforeMergeLock; hook != nil {
		hook()
	}
	err = s.Transaction(ctx, func(tx *Store) error {
		prepared := mr
		if mr, project, err = tx.lockMergeRequest(ctx, projectID, iid); err != nil {
			return err
		}
		if err := tx.checkMergeAllowed(ctx, project, mr, o); err != nil {
			return err
		}
		if mr.TargetBranch != prepared.TargetBranch {
			return conflict(CodeTargetMoved)
		}
		if mr.HeadSHA != prepared.HeadSHA || mr.MergingSHA != commit {
			return errMergeOutdated
		}
		if err := tx.moveTarget(ctx, mr, commit, base); err != nil {
			return err
		}
		if hook := s.shared.hooks.AfterMergeMoved; hook != nil {
			if err := hook(); err != nil {
				return err
			}
		}
		if err := tx.finishMerge(ctx, project, &mr, by); err != nil {
			return err
		}
		mr, err = tx.MergeRequest(ctx, projectID, iid)
		return err
	})
	return mr, err
}

// recordMergeIntent stores what the merge is about to do before the target moves, so
// recovery can complete a merge that is interrupted between ref and row.
func (s *Store) recordMergeIntent(ctx context.Context, by User, mr MergeRequest, commit, base string, o MergeOptions) error {
	now := s.Now()
	result := s.writer(ctx).Model(&MergeRequest{}).Where("id = ? AND state = ?", mr.ID, StateOpened).
		UpdateColumns(map[string]any{
			"merging_sha": commit, "merging_head_sha": mr.HeadSHA, "merging_base_sha": base, "merging_squash": o.Squash,
			"merging_remove_source": o.RemoveSourceBranch, "merging_user_id": ID(by.ID), "merging_started_at": now,
		})
	if result.Error == nil && result.RowsAffected == 0 {
		return blocked(BlockedNotOpen)
	}
	return result.Error
}

// moveTarget moves the target by compare-and-swap. If the transaction runs again after
// a deadlock, the target already contains the commit.
func (s *Store) moveTarget(ctx context.Context, mr MergeRequest, commit, base string) error {
	git := s.shared.cfg.Git
	err := git.MoveBranch(ctx, mr.ProjectID, mr.TargetBranch, commit, base)
	if !errors.Is(err, ErrRefMoved) {
		return err
	}
	in, err := s.targetContains(ctx, mr, commit)
	if err != nil || in {
		return err
	}
	return errMergeOutdated
}

// targetContains reports whether the target branch contains a commit.
func (s *Store) targetContains(ctx context.Context, mr MergeRequest, commit string) (bool, error) {
	git := s.shared.cfg.Git
	tip, exists, err := git.BranchTip(ctx, mr.ProjectID, mr.TargetBranch)
	if err != nil || !exists {
		return false, err
	}
	if tip == commit {
		return true, nil
	}
	return git.IsAncestor(ctx, mr.ProjectID, commit, tip)
}

// finishMerge marks a merge request as merged after its target has moved.
func (s *Store) finishMerge(ctx context.Context, project Project, mr *MergeRequest, by User) error {
	updates := []RefUpdate{{Ref: "refs/heads/" + mr.TargetBranch, Old: mr.MergingBaseSHA, New: mr.MergingSHA}}
	// For other merge requests, the move of the target is a push. afterMerge or
	// recovery processes it.
	row := PendingPush{
		ProjectID: mr.ProjectID, UserID: ID(by.ID), RequestID: mergePushRequestID(*mr),
		Updates: updates, RefsMoved: true, CreatedAt: s.Now(),
	}
	if err := s.writer(ctx).Create(&row).Error; err != nil {
		return err
	}
	if mr.MergingRemoveSource {
		if err := s.createStep(ctx, *mr, stepRemoveSourceBranch); err != nil {
			return err
		}
	}
	return s.markMerged(ctx, project, mr, by, mr.MergingSHA, mr.MergingSquash)
}

// mergePushRequestID is the RequestID of the pending push that a merge creates.
func mergePushRequestID(mr MergeRequest) string { return fmt.Sprintf("merge-%d", mr.ID) }

// markMerged sets the state to merged: time-outs stop, waiting deliveries are
// superseded, and the services get an event.
func (s *Store) markMerged(ctx context.Context, project Project, mr *MergeRequest, by User, commit string, squash bool) error {
	now, before := s.Now(), mr.UpdatedAt
	mr.State, mr.MergedAt, mr.MergeUserID, mr.UpdatedAt = StateMerged, &now, ID(by.ID), now
	mr.MergeCommitSHA = commit
	required := project.OnlyAllowMergeIfAllStatusChecksPassed
	mr.ChecksRequired = &required
	if squash {
		mr.SquashCommitSHA = commit
	}
	mr.MergingStartedAt = nil
	mr.MergeUser = nil
	details := []AuditChange{{Field: "sha", To: mr.HeadSHA}, {Field: "target_branch", To: mr.TargetBranch}}
	if mr.HasAutoMerge() && mr.AutoMergeUserID != nil && *mr.AutoMergeUserID == by.ID {
		details = append(details, AuditChange{Field: "auto_merge", To: "on"})
	}
	mr.endAutoMerge("", now)
	if err := s.saveMergeRequest(ctx, mr); err != nil {
		return err
	}
	if err := s.stopClocks(ctx, *mr); err != nil {
		return err
	}
	if err := s.supersede(ctx, mr.ID, 0, SupersededByMerge); err != nil {
		return err
	}
	if err := s.audit(ctx, by, mr.ProjectID, AuditMergeRequestMerged, mr.Title, mr.IID, details...); err != nil {
		return err
	}
	changes := []Change{{"state_id", stateID(StateOpened), stateID(StateMerged)}, {"updated_at", before, now}}
	return s.recordEvent(ctx, project, *mr, eventInput{action: ActionMerged, by: by, changes: changes})
}

const zeroSHA = "0000000000000000000000000000000000000000"

// mergeMessage returns the message of the merge commit, by default the one of GitLab.
func mergeMessage(project Project, mr MergeRequest, o MergeOptions) string {
	if o.Message != "" {
		return o.Message
	}
	if o.Squash {
		return mr.Title + "\n"
	}
	return fmt.Sprintf("Merge branch '%s' into '%s'\n\n%s\n\nSee merge request %s!%d\n", mr.SourceBranch, mr.TargetBranch, mr.Title, project.FullPath(), mr.IID)
}
