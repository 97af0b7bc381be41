package models

import (
	"context"
	"errors"
	"time"

	"gorm.io/gorm"
)

// afterMerge processes the consequences of a merge: it records the move of the target
// as a push for other merge requests and deletes the source branch if requested. It is
// idempotent; recovery retries what fails.
func (s *Store) afterMerge(ctx context.Context, by User, mr MergeRequest) error {
	pending, err := s.PendingPushID(ctx, mr.ProjectID, mergePushRequestID(mr))
	if err == nil {
		_, err = s.Push(ctx, PushInput{
			ProjectID: mr.ProjectID, By: by, PendingID: pending,
			Updates: []RefUpdate{{Ref: "refs/heads/" + mr.TargetBranch, Old: mr.MergingBaseSHA, New: mr.MergingSHA}},
		})
	}
	return errors.Join(err, s.finishSteps(ctx, mr, stepRemoveSourceBranch))
}

// isMergeInterrupted reports whether the merge of a locked, open merge request was
// interrupted after its target moved: the target contains the commit that was prepared
// for this merge only.
func (s *Store) isMergeInterrupted(ctx context.Context, mr MergeRequest) (bool, error) {
	if mr.State != StateOpened || mr.MergingSHA == "" || mr.MergingHeadSHA != mr.HeadSHA {
		return false, nil
	}
	return s.targetContains(ctx, mr, mr.MergingSHA)
}

// completeMerge completes an interrupted merge of a locked merge request and reports
// whether there was one.
func (s *Store) completeMerge(ctx context.Context, project Project, mr *MergeRequest) (bool, error) {
	interrupted, err := s.isMergeInterrupted(ctx, *mr)
	if err != nil || !interrupted {
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

// mergeGracePeriod is how long a merge may take before recovery looks at it.
const mergeGracePeriod = 30 * time.Second

// RecoverMerges completes merges that were interrupted between ref and row, each with
// exactly one merge event, and returns their number. It clears those whose target never
// moved. It also finishes pending steps and repository removals. With atStart it does
// not wait for the grace period; use that only when no other process is running. A
// failure does not stop the others; all errors are joined, each as a *ProjectError.
func (s *Store) RecoverMerges(ctx context.Context, atStart bool) (int, error) {
	before := s.Now()
	if !atStart {
		before = before.Add(-mergeGracePeriod)
	}
	n := 0
	cutOff := startedMerges(s.reader(ctx)).Where("merging_started_at <= ?", before)
	err := eachRow(ctx, cutOff, func(candidate MergeRequest) error {
		completed, err := s.recoverMerge(ctx, candidate)
		if completed {
			n++
		}
		return s.dropIfExpired(err, *candidate.MergingStartedAt, func() error { return s.clearMergeIntent(ctx, candidate) })
	})
	return n, errors.Join(err, s.recoverSteps(ctx, before), s.recoverRemovals(ctx, before))
}

// recoverMerge completes an interrupted merge whose target has moved, and clears its
// intent otherwise.
func (s *Store) recoverMerge(ctx context.Context, candidate MergeRequest) (completed bool, err error) {
	var mr MergeRequest
	err = s.Transaction(ctx, func(tx *Store) error {
		completed = false
		var project Project
		var err error
		if mr, project, err = tx.lockMergeRequest(ctx, candidate.ProjectID, candidate.IID); err != nil {
			return err
		}
		if mr.MergingSHA != candidate.MergingSHA {
			return nil // another merge has started
		}
		if completed, err = tx.completeMerge(ctx, project, &mr); err != nil || completed {
			return err
		}
		return tx.clearMergeIntent(ctx, mr)
	})
	if KindOf(err) == KindNotFound {
		return false, nil
	}
	if err != nil || !completed {
		return false, err
	}
	by, err := s.mergeUser(ctx, mr)
	if err != nil {
		return true, err
	}
	return true, s.afterMerge(ctx, by, mr)
}

// clearMergeIntent removes the recorded intent of a merge that did not happen.
func (s *Store) clearMergeIntent(ctx context.Context, mr MergeRequest) error {
	return s.writer(ctx).Model(&MergeRequest{}).
		Where("id = ? AND state = ? AND merging_sha = ?", mr.ID, StateOpened, mr.MergingSHA).
		UpdateColumns(map[string]any{"merging_sha": "", "merging_started_at": nil}).Error
}

// startedMerges selects the merge requests whose merge has begun and not ended. For state
// = ?, SQLite reads all open merge requests instead of the index of begun merges.
func startedMerges(db *gorm.DB) *gorm.DB {
	return db.Where("merging_sha <> '' AND state || '' = ?", StateOpened)
}
