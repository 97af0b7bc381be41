package models

import (
	"context"
	"errors"
	"time"
)

// afterMerge tells the move of the target to the other merge requests, and
// removes the source branch when asked to. All of it may happen again.
func (s *Store) afterMerge(ctx context.Context, by User, mr MergeRequest) error {
	pending, err := s.PendingPushID(ctx, mr.ProjectID, mergeRequestID(mr))
	if err != nil {
		return err
	}
	_, err = s.Push(ctx, PushInput{
		ProjectID: mr.ProjectID, By: by, PendingID: pending,
		Updates: []RefUpdate{{Ref: "refs/heads/" + mr.TargetBranch, Old: mr.MergingBaseSHA, New: mr.MergingSHA}},
	})
	if err != nil || !mr.MergingRemoveSource {
		return err
	}
	return s.removeSource(ctx, by, mr)
}

// removeSource deletes the source branch of a merged merge request, if it still
// stands at HEAD and is neither protected nor the default branch.
func (s *Store) removeSource(ctx context.Context, by User, mr MergeRequest) error {
	project, err := s.Project(ctx, mr.ProjectID)
	if err != nil {
		return err
	}
	refusal, err := s.BranchDecision(ctx, project, RoleOwner, mr.SourceBranch, ActionDelete)
	if err != nil || refusal != nil {
		return err
	}
	err = s.shared.cfg.Git.DeleteBranch(ctx, mr.ProjectID, mr.SourceBranch, mr.HeadSHA)
	if errors.Is(err, ErrRefMoved) {
		return nil // somebody has pushed to it, or removed it already
	}
	if err != nil {
		return err
	}
	_, err = s.Push(ctx, PushInput{ProjectID: mr.ProjectID, By: by, Updates: []RefUpdate{{Ref: "refs/heads/" + mr.SourceBranch, Old: mr.HeadSHA, New: zeroSHA}}})
	return err
}

// completeMerge finishes a locked merge request whose merge was cut off after
// its target had moved. Reports whether it did.
func (s *Store) completeMerge(ctx context.Context, project Project, mr *MergeRequest) (bool, error) {
	if mr.State != StateOpened || mr.MergingSHA == "" {
		return false, nil
	}
	in, err := s.targetHas(ctx, *mr, mr.MergingSHA)
	if err != nil || !in {
		return false, err
	}
	var by User
	if mr.MergingUserID != nil {
		if by, err = s.User(ctx, *mr.MergingUserID); err != nil && KindOf(err) != KindNotFound {
			return false, err
		}
	}
	return true, s.finishMerge(ctx, project, mr, by)
}

// mergeGrace is how long a merge may take between its announcement and its row
// before the sweep looks after it.
const mergeGrace = 30 * time.Second

// SweepMerges completes merges that were cut off between ref and row, each
// with exactly one merge event, and forgets those whose target never moved.
func (s *Store) SweepMerges(ctx context.Context, atStart bool) (int, error) {
	before := s.Now().Add(-mergeGrace)
	if atStart {
		before = s.Now()
	}
	var candidates []MergeRequest
	err := s.q(ctx).Where("merging_sha <> '' AND state = ? AND merging_started_at <= ?", StateOpened, before).Order("id").Limit(100).Find(&candidates).Error
	if err != nil {
		return 0, err
	}
	n := 0
	for _, candidate := range candidates {
		completed := false
		var by User
		var mr MergeRequest
		err := s.Transaction(ctx, func(tx *Store) error {
			var project Project
			var err error
			if mr, project, err = tx.lockMergeRequest(ctx, candidate.ProjectID, candidate.IID); err != nil {
				return err
			}
			if mr.MergingSHA != candidate.MergingSHA {
				return nil // another merge is under way
			}
			if completed, err = tx.completeMerge(ctx, project, &mr); err != nil || completed {
				return err
			}
			return tx.w(ctx).Model(&MergeRequest{}).Where("id = ? AND state = ?", mr.ID, StateOpened).
				UpdateColumns(map[string]any{"merging_sha": "", "merging_started_at": nil}).Error
		})
		if err != nil && KindOf(err) != KindNotFound {
			return n, err
		}
		if !completed {
			continue
		}
		n++
		if mr.MergeUserID != nil {
			by.ID = *mr.MergeUserID
			if user, err := s.User(ctx, by.ID); err == nil {
				by = user
			}
		}
		if err := s.afterMerge(ctx, by, mr); err != nil {
			return n, err
		}
	}
	return n, nil
}
