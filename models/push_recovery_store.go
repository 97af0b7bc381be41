package models

import (
	"context"
	"sync"
	"time"
)

// pushGracePeriod is how long a push may take from its pre-receive to the end of its
// post-receive before recovery looks at it.
const pushGracePeriod = 30 * time.Second

// pendingPushMaxAge is the age at which a pending push whose refs have not moved is
// deleted. Until then a git process that outlived its server may still move them.
const pendingPushMaxAge = 15 * time.Minute

// runningPushes holds the request ids of the pushes that this process serves.
type runningPushes struct{ ids sync.Map }

func (r *runningPushes) has(requestID string) bool {
	_, ok := r.ids.Load(requestID)
	return ok
}

// BeginPush marks the push of a request as running, so recovery ignores it. Call end
// after receive-pack has ended: it processes the refs that moved if post-receive has
// not, and deletes the pending push.
func (s *Store) BeginPush(projectID int64, requestID string) (end func(ctx context.Context) error) {
	running := &s.shared.running
	running.ids.Store(requestID, nil)
	return func(ctx context.Context) error {
		running.ids.Delete(requestID)
		var row PendingPush
		err := s.reader(ctx).Take(&row, "project_id = ? AND request_id = ?", projectID, requestID).Error
		if isRecordNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		_, err = s.recoverPush(ctx, row, true)
		return err
	}
}

// RecoverPushes processes pushes that were interrupted between their refs and their
// rows, and returns their number. It looks at pending pushes older than a grace period;
// with atStart, at all of them. Use atStart only when no other process is running. A
// failure does not stop the others; all errors are joined, each as a *ProjectError.
func (s *Store) RecoverPushes(ctx context.Context, atStart bool) (int, error) {
	before := s.Now()
	if !atStart {
		before = before.Add(-pushGracePeriod)
	}
	n := 0
	err := eachRow(ctx, s.reader(ctx).Where("created_at <= ?", before), func(row PendingPush) error {
		if s.shared.running.has(row.RequestID) {
			return nil
		}
		replayed, err := s.recoverPush(ctx, row, s.Now().Sub(row.CreatedAt) > pendingPushMaxAge)
		if replayed {
			n++
		}
		return s.dropIfExpired(err, row.CreatedAt, func() error {
			return s.writer(ctx).Delete(&PendingPush{}, row.ID).Error
		})
	})
	return n, err
}

// recoverPush processes the branches that a pending push has moved. The other updates
// are deleted if over is set, because no process can apply them any more, and kept
// otherwise.
func (s *Store) recoverPush(ctx context.Context, row PendingPush, over bool) (replayed bool, err error) {
	var moved, rest []RefUpdate
	for _, update := range row.Updates {
		branch, ok := update.Branch()
		if !ok {
			continue
		}
		happened, err := s.isUpdateApplied(ctx, row, branch, update)
		if err != nil {
			return false, err
		}
		if happened {
			moved = append(moved, update)
		} else {
			rest = append(rest, update)
		}
	}
	if len(moved) > 0 {
		var by User
		if row.UserID != nil {
			if by, err = s.User(ctx, *row.UserID); err != nil && KindOf(err) != KindNotFound {
				return false, err
			}
		}
		_, err = s.Push(ctx, PushInput{
			ProjectID: row.ProjectID, By: by, Updates: moved, Options: row.Options, RecoveredPushAt: row.CreatedAt,
		})
		if err != nil {
			return false, err
		}
	}
	for _, update := range row.Updates {
		if branch, ok := update.Branch(); ok {
			if err := s.restoreHeadRefs(ctx, row, branch); err != nil {
				return len(moved) > 0, err
			}
		}
	}
	if over || len(rest) == 0 {
		return len(moved) > 0, s.writer(ctx).Delete(&PendingPush{}, row.ID).Error
	}
	if len(moved) > 0 {
		err = s.writer(ctx).Model(&PendingPush{ID: row.ID}).Select("Updates").Updates(PendingPush{Updates: rest}).Error
	}
	return len(moved) > 0, err
}

// isUpdateApplied reports whether a pending push moved a branch and the branch still
// contains the pushed commit.
func (s *Store) isUpdateApplied(ctx context.Context, row PendingPush, branch string, update RefUpdate) (bool, error) {
	if row.RefsMoved {
		return true, nil
	}
	git := s.shared.cfg.Git
	tip, exists, err := git.BranchTip(ctx, row.ProjectID, branch)
	if err != nil {
		return false, err
	}
	var log []BranchMove
	if exists && !IsZeroSHA(update.New) {
		if log, err = git.BranchLog(ctx, row.ProjectID, branch); err != nil {
			return false, err
		}
	}
	if !update.isAppliedBy(row.RequestID, tip, log) {
		return false, nil
	}
	if !exists || tip == update.New {
		return true, nil
	}
	return git.IsAncestor(ctx, row.ProjectID, update.New, tip)
}

// restoreHeadRefs points refs/merge-requests/N/head at HEAD again for merge requests
// that an interrupted push may have touched: the push moves the ref in its transaction,
// which may have been rolled back.
func (s *Store) restoreHeadRefs(ctx context.Context, row PendingPush, branch string) error {
	var touched []MergeRequest
	err := s.reader(ctx).Select("id", "project_id", "iid").Order("id").
		Find(&touched, "project_id = ? AND source_branch = ? AND (state = ? OR closed_at >= ? OR merged_at >= ?)",
			row.ProjectID, branch, StateOpened, row.CreatedAt, row.CreatedAt).Error
	if err != nil {
		return err
	}
	for _, mr := range touched {
		if err := s.setHeadRef(ctx, mr); err != nil {
			return err
		}
	}
	return nil
}

// setHeadRef points refs/merge-requests/N/head at the HeadSHA of the row.
func (s *Store) setHeadRef(ctx context.Context, mr MergeRequest) error {
	return s.Transaction(ctx, func(tx *Store) error {
		mr, _, err := tx.lockMergeRequest(ctx, mr.ProjectID, mr.IID)
		if KindOf(err) == KindNotFound {
			return nil
		}
		if err != nil {
			return err
		}
		return tx.shared.cfg.Git.KeepHead(ctx, mr.ProjectID, mr.IID, mr.HeadSHA)
	})
}
