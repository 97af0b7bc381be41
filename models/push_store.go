package models

import (
	"context"
	"errors"
	"slices"
)

// PreparePush records a push before its refs move, so that recovery can process it
// after a crash. It returns the id for PushInput.PendingID.
func (s *Store) PreparePush(ctx context.Context, by User, projectID int64, requestID string, updates []RefUpdate, options PushOptions) (int64, error) {
	row := PendingPush{
		ProjectID: projectID, UserID: ID(by.ID), RequestID: requestID,
		Updates: updates, Options: options, CreatedAt: s.Now(),
	}
	err := s.writer(ctx).Create(&row).Error
	if isForeignKeyViolation(err) {
		return 0, notFound("project")
	}
	return row.ID, err
}

// PendingPushID returns the id of a request's pending push, 0 if there is none.
func (s *Store) PendingPushID(ctx context.Context, projectID int64, requestID string) (int64, error) {
	var row PendingPush
	err := s.reader(ctx).Order("id DESC").Take(&row, "project_id = ? AND request_id = ?", projectID, requestID).Error
	if isRecordNotFound(err) {
		return 0, nil
	}
	return row.ID, err
}

// Push processes refs that have moved. For each branch with open merge requests, one
// transaction moves HEAD of those from the branch, resets their checks, records
// deliveries, and marks those into the branch as merged if the push contains their HEAD. Push
// is idempotent and may run late or out of order: HEAD ends at the branch's tip. A push
// option can open a merge request.
func (s *Store) Push(ctx context.Context, in PushInput) ([]PushedBranch, error) {
	var result []PushedBranch
	used, err := s.branchesWithMergeRequests(ctx, in)
	if err != nil {
		return nil, err
	}
	for _, update := range in.Updates {
		branch, ok := update.Branch()
		if !ok {
			continue
		}
		pushed := PushedBranch{Name: branch, Deleted: IsZeroSHA(update.New)}
		if used[branch] {
			if pushed, err = s.pushBranch(ctx, in, branch, update); err != nil {
				return result, err
			}
		}
		if in.Options.Create && !pushed.Deleted {
			if err := s.createFromPushOption(ctx, in, &pushed); err != nil {
				return result, err
			}
		}
		result = append(result, pushed)
	}
	if in.PendingID != 0 {
		if err := s.writer(ctx).Delete(&PendingPush{}, in.PendingID).Error; err != nil {
			return result, err
		}
	}
	return result, nil
}

// pushBatch is how many branches one statement looks up.
const pushBatch = 1000

// branchesWithMergeRequests returns the branches of a push that are the source or target
// of an open merge request. A first push may bring thousands of branches, of which few or
// none are. The lock waits for merge requests that are being created: those created later
// begin with the branch's new tip.
func (s *Store) branchesWithMergeRequests(ctx context.Context, in PushInput) (map[string]bool, error) {
	var branches []string
	for _, update := range in.Updates {
		if branch, ok := update.Branch(); ok {
			branches = append(branches, branch)
		}
	}
	used := map[string]bool{}
	if len(branches) == 0 {
		return used, nil
	}
	err := s.Transaction(ctx, func(tx *Store) error {
		if err := tx.lockProjectShared(ctx, in.ProjectID); err != nil {
			return err
		}
		for batch := range slices.Chunk(branches, pushBatch) {
			for _, column := range []string{"source_branch", "target_branch"} {
				var found []string
				err := tx.writer(ctx).Model(&MergeRequest{}).Where("project_id = ? AND state = 'opened' AND "+column+" IN ?", in.ProjectID, batch).
					Distinct().Pluck(column, &found).Error
				if err != nil {
					return err
				}
				for _, branch := range found {
					used[branch] = true
				}
			}
		}
		project, err := tx.Project(ctx, in.ProjectID)
		if err != nil {
			return err
		}
		tx.recordActivity(ctx, project)
		if hook := s.shared.hooks.BeforePushCommit; hook != nil && len(used) == 0 {
			return hook()
		}
		return nil
	})
	return used, err
}

// pushBranch processes one branch of a push.
func (s *Store) pushBranch(ctx context.Context, in PushInput, branch string, update RefUpdate) (PushedBranch, error) {
	git := s.shared.cfg.Git
	reached, err := s.reachedHeads(ctx, in.ProjectID, branch, update)
	if err != nil {
		return PushedBranch{}, err
	}
	var pushed PushedBranch
	err = s.Transaction(ctx, func(tx *Store) error {
		pushed = PushedBranch{Name: branch}
		if err := tx.lockProjectShared(ctx, in.ProjectID); err != nil {
			return err
		}
		project, err := tx.Project(ctx, in.ProjectID)
		if err != nil {
			return err
		}
		var open []MergeRequest
		err = tx.forUpdate(tx.writer(ctx)).
			Where("project_id = ? AND state = 'opened' AND (source_branch = ? OR target_branch = ?)", in.ProjectID, branch, branch).
			Order("id").Find(&open).Error
		if err != nil {
			return err
		}
		// Read the tip under the locks, so the last of several pushes sees the last
		// tip.
		tip, exists := "", !IsZeroSHA(update.New)
		if len(open) > 0 {
			if tip, exists, err = git.BranchTip(ctx, in.ProjectID, branch); err != nil {
				return err
			}
		}
		pushed.Deleted = !exists
		for _, mr := range open {
			if completed, err := tx.completeMerge(ctx, project, &mr); err != nil {
				return err
			} else if completed {
				continue
			}
			if mr.SourceBranch == branch {
				if err := tx.followBranch(ctx, project, &mr, in, update, tip, exists); err != nil {
					return err
				}
				pushed.Open = append(pushed.Open, mr)
				continue
			}
			merged, err := tx.isMergedByPush(ctx, mr, update, reached, tip)
			if err != nil {
				return err
			}
			if merged {
				if err := tx.markMerged(ctx, project, &mr, in.By, "", false); err != nil {
					return err
				}
				pushed.Merged = append(pushed.Merged, mr)
			}
		}
		tx.recordActivity(ctx, project)
		if hook := s.shared.hooks.BeforePushCommit; hook != nil {
			return hook()
		}
		return nil
	})
	return pushed, err
}

// reachedHeads finds, before locks are taken, the HEADs that an update of their target
// branch has made reachable.
func (s *Store) reachedHeads(ctx context.Context, projectID int64, branch string, update RefUpdate) (map[string]bool, error) {
	if IsZeroSHA(update.New) || IsZeroSHA(update.Old) {
		return nil, nil
	}
	var heads []string
	err := s.reader(ctx).Model(&MergeRequest{}).
		Where("project_id = ? AND state = ? AND target_branch = ?", projectID, StateOpened, branch).
		Distinct().Pluck("head_sha", &heads).Error
	if err != nil || len(heads) == 0 {
		return nil, err
	}
	return s.shared.cfg.Git.Reached(ctx, projectID, update.Old, update.New, heads)
}

// isMergedByPush reports whether an update of its target branch merged a merge request:
// HEAD was not reachable before, so the merge request had commits; the update made it
// reachable; and it is reachable from tip, the current tip of the target. Creating or
// deleting the target merges nothing.
func (s *Store) isMergedByPush(ctx context.Context, mr MergeRequest, update RefUpdate, reached map[string]bool, tip string) (bool, error) {
	if IsZeroSHA(update.New) || IsZeroSHA(update.Old) || tip == "" {
		return false, nil
	}
	git := s.shared.cfg.Git
	isReached, known := reached[mr.HeadSHA]
	if !known {
		// HEAD moved between reachedHeads and the lock.
		again, err := git.Reached(ctx, mr.ProjectID, update.Old, update.New, []string{mr.HeadSHA})
		if err != nil {
			return false, err
		}
		isReached = again[mr.HeadSHA]
	}
	if !isReached || tip == update.New {
		return isReached, nil
	}
	return git.IsAncestor(ctx, mr.ProjectID, mr.HeadSHA, tip)
}

// followBranch moves HEAD of an open merge request to the tip of its source branch,
// with one event per step. If HEAD is where the push began, the pushed commit is a step
// of its own. Two pushes in quick succession both produce events.
func (s *Store) followBranch(ctx context.Context, project Project, mr *MergeRequest, in PushInput, update RefUpdate, tip string, exists bool) error {
	if !exists {
		if mr.SourceBranchDeleted {
			return nil
		}
		mr.SourceBranchDeleted = true
		return s.savePush(ctx, mr, in.By, AbortReason(BlockedSourceGone))
	}
	var steps []string
	if in.RecoveredPushAt.IsZero() && mr.HeadSHA == update.Old && !IsZeroSHA(update.New) && update.New != tip {
		steps = append(steps, update.New)
	}
	if mr.HeadSHA != tip || mr.SourceBranchDeleted || len(steps) > 0 {
		steps = append(steps, tip)
	}
	for _, sha := range steps {
		commit, err := s.shared.cfg.Git.Commit(ctx, mr.ProjectID, sha)
		if err != nil {
			return err
		}
		if err := s.advanceHead(ctx, project, mr, commit, in.By); err != nil {
			return err
		}
	}
	return nil
}

// advanceHead makes a commit HEAD: all checks become pending, waiting deliveries are
// superseded, and the services get an event.
func (s *Store) advanceHead(ctx context.Context, project Project, mr *MergeRequest, commit Commit, by User) error {
	old := mr.HeadSHA
	mr.setHead(commit)
	mr.SourceBranchDeleted = false
	if err := s.savePush(ctx, mr, by, AbortedByPush); err != nil {
		return err
	}
	if err := s.shared.cfg.Git.KeepHead(ctx, mr.ProjectID, mr.IID, mr.HeadSHA); err != nil {
		return err
	}
	checks, err := s.checksWithLockedServices(ctx, mr.ID)
	if err != nil {
		return err
	}
	for _, check := range checks {
		check.restart(mr.HeadSHA, s.Now())
		if err := s.saveCheckState(ctx, &check); err != nil {
			return err
		}
	}
	if err := s.supersede(ctx, mr.ID, 0, SupersededByHead); err != nil {
		return err
	}
	return s.recordEvent(ctx, project, *mr, eventInput{action: ActionUpdate, oldRev: old, by: by})
}

// pushedColumns are the columns of a merge request that savePush changes if no auto-merge
// is set. Few indexes have them: SQLite writes an index if one of its columns is set, also
// to the same value.
var pushedColumns = []string{
	"head_sha", "head_message", "head_author_name", "head_author_email", "head_committed_at", "source_branch_deleted", "updated_at",
}

// savePush stores what a push has changed of a merge request, and aborts its auto-merge.
func (s *Store) savePush(ctx context.Context, mr *MergeRequest, by User, reason AbortReason) error {
	mr.UpdatedAt = s.Now()
	if !mr.HasAutoMerge() {
		return s.writer(ctx).Select(pushedColumns).UpdateColumns(mr).Error
	}
	if err := s.abortAutoMerge(ctx, by, mr, reason); err != nil {
		return err
	}
	return s.saveMergeRequest(ctx, mr)
}

// createFromPushOption opens the merge request that a push option asks for. A refusal
// is reported in CreateErr and does not fail the push. Recovery opens none if the push
// had already opened it.
func (s *Store) createFromPushOption(ctx context.Context, in PushInput, pushed *PushedBranch) error {
	project, err := s.Project(ctx, in.ProjectID)
	if err != nil {
		return err
	}
	target := in.Options.Target
	if target == "" {
		target = project.DefaultBranch
	}
	if i := slices.IndexFunc(pushed.Open, func(mr MergeRequest) bool { return mr.TargetBranch == target }); i >= 0 {
		return nil
	}
	if !in.RecoveredPushAt.IsZero() {
		var n int64
		err := s.reader(ctx).Model(&MergeRequest{}).
			Where("project_id = ? AND source_branch = ? AND target_branch = ? AND created_at >= ?",
				in.ProjectID, pushed.Name, target, in.RecoveredPushAt).Count(&n).Error
		if err != nil || n > 0 {
			return err
		}
	}
	title, draft := in.Options.Title, in.Options.Draft
	if title == "" {
		if tip, exists, err := s.shared.cfg.Git.BranchTip(ctx, in.ProjectID, pushed.Name); err == nil && exists {
			if commit, err := s.shared.cfg.Git.Commit(ctx, in.ProjectID, tip); err == nil {
				var marked bool
				title, marked = commit.SuggestedTitle()
				draft = draft || marked
			}
		}
	}
	if title == "" {
		title = pushed.Name
	}
	if draft {
		title = WithDraft(title, true)
	}
	mr, err := s.CreateMergeRequest(ctx, in.By, in.ProjectID, MergeRequestInput{
		Title: title, Description: in.Options.Description, SourceBranch: pushed.Name, TargetBranch: target,
	})
	var refused *Error
	switch {
	case err == nil:
		pushed.Created = &mr
		pushed.Open = append(pushed.Open, mr)
	case errors.As(err, &refused):
		pushed.CreateErr = err
	default:
		return err
	}
	return nil
}
