package models

import (
	"context"
	"errors"
	"time"
)

// stepKind is the kind of a MergeRequestStep.
type stepKind string

const (
	// stepRemoveSourceBranch deletes the source branch of a merged merge request.
	stepRemoveSourceBranch stepKind = "remove_source"
	// stepKeepHead points refs/merge-requests/N/head at HEAD.
	stepKeepHead stepKind = "keep_head"
)

// MergeRequestStep is a pending change of a repository that follows from a committed
// change of a merge request.
type MergeRequestStep struct {
	ID             int64
	ProjectID      int64
	MergeRequestID int64
	Kind           stepKind
	CreatedAt      time.Time
}

func (m MergeRequestStep) recoveryIDs() (id, projectID int64) { return m.ID, m.ProjectID }

// ErrSourceNotRemoved is in MergeRequest.Incomplete if the source branch could not be
// deleted yet.
var ErrSourceNotRemoved = errors.New("models: the source branch is not removed yet")

// createStep records a step in the transaction of the change that it follows from.
func (s *Store) createStep(ctx context.Context, mr MergeRequest, kind stepKind) error {
	return s.writer(ctx).
		Create(&MergeRequestStep{ProjectID: mr.ProjectID, MergeRequestID: mr.ID, Kind: kind, CreatedAt: s.Now()}).Error
}

// finishSteps carries out the recorded steps of one kind and then deletes them.
func (s *Store) finishSteps(ctx context.Context, mr MergeRequest, kind stepKind) error {
	var n int64
	steps := s.writer(ctx).Model(&MergeRequestStep{}).Where("merge_request_id = ? AND kind = ?", mr.ID, kind)
	if err := steps.Count(&n).Error; err != nil || n == 0 {
		return err
	}
	var err error
	switch kind {
	case stepRemoveSourceBranch:
		err = s.removeSourceBranch(ctx, mr)
	case stepKeepHead:
		err = s.setHeadRef(ctx, mr)
	}
	if err != nil {
		return err
	}
	return s.writer(ctx).Delete(&MergeRequestStep{}, "merge_request_id = ? AND kind = ?", mr.ID, kind).Error
}

// recoverSteps finishes interrupted steps that were created before a time.
func (s *Store) recoverSteps(ctx context.Context, before time.Time) error {
	return eachRow(ctx, s.reader(ctx).Where("created_at <= ?", before), func(step MergeRequestStep) error {
		var mr MergeRequest
		err := s.reader(ctx).Take(&mr, step.MergeRequestID).Error
		if isRecordNotFound(err) {
			return nil // deleting the merge request deleted the step
		}
		if err == nil {
			err = s.finishSteps(ctx, mr, step.Kind)
		}
		return s.dropIfExpired(err, step.CreatedAt, func() error {
			return s.writer(ctx).Delete(&MergeRequestStep{}, step.ID).Error
		})
	})
}

// removeSourceBranch deletes the source branch of a merged merge request if it still is
// at HEAD and is neither protected nor the default branch.
func (s *Store) removeSourceBranch(ctx context.Context, mr MergeRequest) error {
	project, err := s.Project(ctx, mr.ProjectID)
	if err != nil {
		return err
	}
	refusal, err := s.BranchDecision(ctx, project, RoleOwner, mr.SourceBranch, ActionDelete)
	if err != nil || refusal != nil {
		return err
	}
	git := s.shared.cfg.Git
	err = git.DeleteBranch(ctx, mr.ProjectID, mr.SourceBranch, mr.HeadSHA)
	if errors.Is(err, ErrRefMoved) {
		// The branch was pushed to, or deleted without recording it.
		_, exists, err := git.BranchTip(ctx, mr.ProjectID, mr.SourceBranch)
		if err != nil || exists {
			return err
		}
	} else if err != nil {
		return errors.Join(ErrSourceNotRemoved, err)
	}
	by, err := s.mergeUser(ctx, mr)
	if err != nil {
		return err
	}
	update := RefUpdate{Ref: "refs/heads/" + mr.SourceBranch, Old: mr.HeadSHA, New: zeroSHA}
	_, err = s.Push(ctx, PushInput{ProjectID: mr.ProjectID, By: by, Updates: []RefUpdate{update}})
	return err
}

// mergeUser returns the user who merged, the zero User if the account was deleted.
func (s *Store) mergeUser(ctx context.Context, mr MergeRequest) (User, error) {
	if mr.MergeUserID == nil {
		return User{}, nil
	}
	user, err := s.User(ctx, *mr.MergeUserID)
	if KindOf(err) == KindNotFound {
		return User{}, nil
	}
	return user, err
}

// RepositoryRemoval is the repository of a deleted project that has not been removed
// yet.
type RepositoryRemoval struct {
	ID        int64
	ProjectID int64
	CreatedAt time.Time
}

func (r RepositoryRemoval) recoveryIDs() (id, projectID int64) { return r.ID, r.ProjectID }

// removeRepository removes the repository of a deleted project.
func (s *Store) removeRepository(ctx context.Context, removal RepositoryRemoval) error {
	if err := s.shared.cfg.Git.DeleteRepository(ctx, removal.ProjectID); err != nil {
		return err
	}
	return s.writer(ctx).Delete(&RepositoryRemoval{}, removal.ID).Error
}

// recoverRemovals removes repositories whose removal was interrupted.
func (s *Store) recoverRemovals(ctx context.Context, before time.Time) error {
	return eachRow(ctx, s.reader(ctx).Where("created_at <= ?", before), func(removal RepositoryRemoval) error {
		return s.dropIfExpired(s.removeRepository(ctx, removal), removal.CreatedAt, func() error {
			return s.writer(ctx).Delete(&RepositoryRemoval{}, removal.ID).Error
		})
	})
}
