package models

import (
	"context"
)

// CloseMergeRequest closes an open merge request: time-outs stop, waiting deliveries
// are superseded, and the services get an event.
func (s *Store) CloseMergeRequest(ctx context.Context, by User, projectID, iid int64) (closed MergeRequest, err error) {
	err = s.Transaction(ctx, func(tx *Store) error {
		mr, project, err := tx.lockMergeRequest(ctx, projectID, iid)
		if err != nil {
			return err
		}
		// An interrupted merge counts as merged; recovery completes it.
		interrupted, err := tx.isMergeInterrupted(ctx, mr)
		if err != nil {
			return err
		}
		if mr.State != StateOpened || interrupted {
			return unprocessable(CodeNotOpen)
		}
		now, before := tx.Now(), mr.UpdatedAt
		mr.State, mr.ClosedAt, mr.ClosedByID = StateClosed, &now, ID(by.ID)
		mr.UpdatedAt, mr.UpdatedByID = now, ID(by.ID)
		if err := tx.abortAutoMerge(ctx, by, &mr, AbortedByClose); err != nil {
			return err
		}
		if err := tx.saveMergeRequest(ctx, &mr); err != nil {
			return err
		}
		if err := tx.stopClocks(ctx, mr); err != nil {
			return err
		}
		if err := tx.supersede(ctx, mr.ID, 0, SupersededByClose); err != nil {
			return err
		}
		if err := tx.audit(ctx, by, projectID, AuditMergeRequestClosed, mr.Title, mr.IID); err != nil {
			return err
		}
		changes := []Change{{"state_id", stateID(StateOpened), stateID(StateClosed)}, {"updated_at", before, now}}
		if err := tx.recordEvent(ctx, project, mr, eventInput{action: ActionClose, by: by, changes: changes}); err != nil {
			return err
		}
		closed, err = tx.MergeRequest(ctx, projectID, iid)
		return err
	})
	return closed, err
}

// stateID is GitLab's number for a state in the payload's changes.
func stateID(state MergeRequestState) int {
	return map[MergeRequestState]int{StateOpened: 1, StateClosed: 2, StateMerged: 3}[state]
}

// StateID returns GitLab's state_id.
func (state MergeRequestState) StateID() int { return stateID(state) }

// stopClocks stops the time-outs of a merge request's pending checks.
func (s *Store) stopClocks(ctx context.Context, mr MergeRequest) error {
	checks, err := s.checksWithLockedServices(ctx, mr.ID)
	if err != nil {
		return err
	}
	for _, check := range checks {
		if check.Status != StatusPending {
			continue
		}
		check.stop(s.Now())
		if err := s.saveCheckState(ctx, &check); err != nil {
			return err
		}
	}
	return nil
}

// ReopenMergeRequest opens a closed merge request at the tip of its source branch.
// Pending checks restart; if HEAD changed, all checks become pending.
func (s *Store) ReopenMergeRequest(ctx context.Context, by User, projectID, iid int64) (reopened MergeRequest, err error) {
	err = s.Transaction(ctx, func(tx *Store) error {
		var project Project
		if err := tx.lockProject(ctx, projectID, &project); err != nil {
			return err
		}
		mr, _, err := tx.lockMergeRequest(ctx, projectID, iid)
		if err != nil {
			return err
		}
		if mr.State != StateClosed {
			return unprocessable(CodeNotClosed)
		}
		head, err := tx.validateBranches(ctx, projectID, mr.SourceBranch, mr.TargetBranch, false)
		if err != nil {
			return reopenError(err)
		}
		if err := tx.checkNotOpenTwice(ctx, projectID, mr.SourceBranch, mr.TargetBranch, mr.ID); err != nil {
			return err
		}
		now, before := tx.Now(), mr.UpdatedAt
		headChanged := head.SHA != mr.HeadSHA
		mr.State, mr.ClosedAt, mr.ClosedByID = StateOpened, nil, nil
		mr.UpdatedAt, mr.UpdatedByID = now, ID(by.ID)
		mr.SourceBranchDeleted = false
		mr.setHead(head)
		if err := tx.saveMergeRequest(ctx, &mr); err != nil {
			return err
		}
		if headChanged {
			// Move the head ref after the commit: if the transaction is rolled back,
			// the ref must not be ahead of HEAD.
			if err := tx.createStep(ctx, mr, stepKeepHead); err != nil {
				return err
			}
			tx.afterCommit(func() {
				// After an error the step stays for recovery.
				_ = tx.root.finishSteps(context.WithoutCancel(ctx), mr, stepKeepHead)
			})
		}
		checks, err := tx.checksWithLockedServices(ctx, mr.ID)
		if err != nil {
			return err
		}
		for _, check := range checks {
			if headChanged || check.Status == StatusPending {
				check.restart(mr.HeadSHA, now)
				if err := tx.saveCheckState(ctx, &check); err != nil {
					return err
				}
			}
		}
		if headChanged {
			if err := tx.supersede(ctx, mr.ID, 0, SupersededByHead); err != nil {
				return err
			}
		}
		if err := tx.audit(ctx, by, projectID, AuditMergeRequestReopened, mr.Title, mr.IID); err != nil {
			return err
		}
		changes := []Change{{"state_id", stateID(StateClosed), stateID(StateOpened)}, {"updated_at", before, now}}
		if err := tx.recordEvent(ctx, project, mr, eventInput{action: ActionReopen, by: by, changes: changes}); err != nil {
			return err
		}
		reopened, err = tx.MergeRequest(ctx, projectID, iid)
		return err
	})
	return reopened, err
}

// reopenError turns field errors about missing branches into errors of the operation,
// because reopening has no form.
func reopenError(err error) error {
	for _, f := range FieldErrorsOf(err) {
		if f.Code == CodeUnknownBranch && f.Field == "source_branch" {
			return unprocessable(CodeSourceBranchGone)
		}
		if f.Code == CodeUnknownBranch {
			return unprocessable(CodeTargetBranchGone)
		}
	}
	return err
}
