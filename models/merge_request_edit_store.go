package models

import (
	"context"
	"time"
)

// CreateMergeRequest opens a merge request at the tip of its source branch, copies the
// services that apply and sends them an event. A second open merge request for the same
// branches is KindConflict with CodeAlreadyOpen and the iid of the first in
// Params["iid"].
func (s *Store) CreateMergeRequest(ctx context.Context, by User, projectID int64, in MergeRequestInput) (MergeRequest, error) {
	if err := in.Validate(); err != nil {
		return MergeRequest{}, err
	}
	var mr MergeRequest
	err := s.Transaction(ctx, func(tx *Store) error {
		// The project's lock keeps pushes from being recorded in between.
		var project Project
		if err := tx.lockProject(ctx, projectID, &project); err != nil {
			return err
		}
		head, err := tx.validateBranches(ctx, projectID, in.SourceBranch, in.TargetBranch, true)
		if err != nil {
			return err
		}
		if err := tx.checkNotOpenTwice(ctx, projectID, in.SourceBranch, in.TargetBranch, 0); err != nil {
			return err
		}
		now := tx.Now()
		project.LastMergeRequestIID++
		err = tx.writer(ctx).Model(&Project{}).Where("id = ?", projectID).
			UpdateColumn("last_merge_request_iid", project.LastMergeRequestIID).Error
		if err != nil {
			return err
		}
		mr = MergeRequest{
			ProjectID: projectID, IID: project.LastMergeRequestIID, Title: in.Title, Description: in.Description,
			SourceBranch: in.SourceBranch, TargetBranch: in.TargetBranch, AuthorID: ID(by.ID), Author: &by,
			State: StateOpened, Draft: IsDraftTitle(in.Title), Squash: in.Squash, RemoveSourceBranch: in.RemoveSourceBranch,
			CreatedAt: now, UpdatedAt: now,
		}
		mr.setHead(head)
		if err := tx.writer(ctx).Create(&mr).Error; err != nil {
			return err
		}
		if err := tx.shared.cfg.Git.KeepHead(ctx, projectID, mr.IID, mr.HeadSHA); err != nil {
			return err
		}
		if err := tx.replaceChecks(ctx, mr); err != nil {
			return err
		}
		return tx.recordEvent(ctx, project, mr, eventInput{action: ActionOpen, by: by})
	})
	return mr, err
}

// validateBranches returns the tip of the source branch. A missing branch is a field
// error (CodeUnknownBranch), and with needCommits also a source without commits that
// the target lacks (CodeNoCommits).
func (s *Store) validateBranches(ctx context.Context, projectID int64, source, target string, needCommits bool) (Commit, error) {
	git := s.shared.cfg.Git
	var f fieldErrors
	sourceTip, exists, err := git.BranchTip(ctx, projectID, source)
	if err != nil {
		return Commit{}, err
	}
	if !exists {
		f.add("source_branch", CodeUnknownBranch)
	}
	targetTip, exists, err := git.BranchTip(ctx, projectID, target)
	if err != nil {
		return Commit{}, err
	}
	if !exists {
		f.add("target_branch", CodeUnknownBranch)
	}
	if err := f.err(); err != nil {
		return Commit{}, err
	}
	if needCommits {
		n, err := git.CountCommits(ctx, projectID, targetTip, sourceTip)
		if err != nil {
			return Commit{}, err
		}
		if n == 0 {
			f.add("source_branch", CodeNoCommits)
			return Commit{}, f.err()
		}
	}
	return git.Commit(ctx, projectID, sourceTip)
}

// checkNotOpenTwice returns a conflict if another merge request than except is open for
// the same branches.
func (s *Store) checkNotOpenTwice(ctx context.Context, projectID int64, source, target string, except int64) error {
	var other MergeRequest
	err := s.writer(ctx).
		Take(&other, "project_id = ? AND source_branch = ? AND target_branch = ? AND state = ? AND id <> ?",
			projectID, source, target, StateOpened, except).Error
	if isRecordNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	params := map[string]string{"iid": itoa(other.IID), "source": source, "target": target}
	return &Error{Kind: KindConflict, Code: CodeAlreadyOpen, Params: params}
}

// replaceChecks deletes the checks of a merge request and creates a pending check for
// every service that applies now.
func (s *Store) replaceChecks(ctx context.Context, mr MergeRequest) error {
	if err := s.writer(ctx).Where("merge_request_id = ?", mr.ID).Delete(&MergeRequestCheck{}).Error; err != nil {
		return err
	}
	services, _, err := s.ExternalStatusChecks(ctx, mr.ProjectID, Page{})
	if err != nil {
		return err
	}
	for _, service := range services {
		if !service.AppliesTo(mr.TargetBranch) {
			continue
		}
		check := newCheck(service, mr, s.Now())
		if err := s.writer(ctx).Create(&check).Error; err != nil && !isForeignKeyViolation(err) {
			return err
		}
	}
	return nil
}

// newCheck returns a merge request's copy of a service, pending since now.
func newCheck(service ExternalStatusCheck, mr MergeRequest, now time.Time) MergeRequestCheck {
	check := MergeRequestCheck{
		ProjectID: mr.ProjectID, MergeRequestID: mr.ID, ExternalStatusCheckID: service.ID,
		Name: service.Name, ExternalURL: service.ExternalURL, Scope: service.Scope(), TimeoutSeconds: service.TimeoutSeconds,
		Informational: service.Informational, CreatedAt: now, UpdatedAt: now,
	}
	check.restart(mr.HeadSHA, now)
	if mr.State != StateOpened {
		check.StoppedAt = &now
	}
	return check
}

// UpdateMergeRequest edits a merge request. An edit sends at most one event, and none
// if it changes nothing. A new target branch replaces the checks; a merged merge
// request keeps its target (CodeNotOpen).
func (s *Store) UpdateMergeRequest(ctx context.Context, by User, projectID, iid int64, in MergeRequestUpdate) (MergeRequest, error) {
	if err := in.Validate(); err != nil {
		return MergeRequest{}, err
	}
	var mr MergeRequest
	err := s.Transaction(ctx, func(tx *Store) error {
		if in.TargetBranch != nil {
			// checkNotOpenTwice needs the project's lock, which is always taken before
			// that of a merge request.
			var project Project
			if err := tx.lockProject(ctx, projectID, &project); err != nil {
				return err
			}
		}
		var project Project
		var err error
		if mr, project, err = tx.lockMergeRequest(ctx, projectID, iid); err != nil {
			return err
		}
		if err := tx.edit(ctx, by, project, &mr, in); err != nil {
			return err
		}
		mr, err = tx.MergeRequest(ctx, projectID, iid)
		return err
	})
	return mr, err
}

func (s *Store) edit(ctx context.Context, by User, project Project, mr *MergeRequest, in MergeRequestUpdate) error {
	before := mr.Version()
	var changes []Change
	change := func(field string, from, to any) bool {
		if from == to {
			return false
		}
		changes = append(changes, Change{Field: field, Previous: from, Current: to})
		return true
	}
	title := mr.Title
	if in.Title != nil {
		title = *in.Title
	}
	if in.Draft != nil {
		title = WithDraft(title, *in.Draft)
		var f fieldErrors
		if checkTitle(&f, title); len(f) > 0 {
			return f.err()
		}
	}
	change("title", mr.Title, title)
	mr.Title = title
	change("draft", mr.Draft, IsDraftTitle(title))
	mr.Draft = IsDraftTitle(title)
	if in.Description != nil {
		change("description", mr.Description, *in.Description)
		mr.Description = *in.Description
	}
	retargeted := false
	if in.TargetBranch != nil && *in.TargetBranch != mr.TargetBranch {
		if err := s.checkRetarget(ctx, *mr, *in.TargetBranch); err != nil {
			return err
		}
		retargeted = change("target_branch", mr.TargetBranch, *in.TargetBranch)
		mr.TargetBranch = *in.TargetBranch
	}
	preferences := map[string]any{}
	if in.Squash != nil && *in.Squash != mr.Squash {
		mr.Squash, preferences["squash"] = *in.Squash, *in.Squash
	}
	if in.RemoveSourceBranch != nil && *in.RemoveSourceBranch != mr.RemoveSourceBranch {
		mr.RemoveSourceBranch, preferences["remove_source_branch"] = *in.RemoveSourceBranch, *in.RemoveSourceBranch
	}
	if err := checkVersion(in.Version, before, mr.Version()); err != nil {
		return err
	}
	if len(changes) == 0 {
		if len(preferences) == 0 {
			return nil
		}
		return s.writer(ctx).Model(&MergeRequest{}).Where("id = ?", mr.ID).Updates(preferences).Error
	}
	now := s.Now()
	change("updated_at", mr.UpdatedAt, now)
	change("last_edited_at", value(mr.LastEditedAt), now)
	change("last_edited_by_id", value(mr.LastEditedByID), by.ID)
	change("updated_by_id", value(mr.UpdatedByID), by.ID)
	mr.UpdatedAt, mr.LastEditedAt, mr.LastEditedByID, mr.UpdatedByID = now, &now, ID(by.ID), ID(by.ID)
	if retargeted {
		if err := s.abortAutoMerge(ctx, by, mr, AbortedByRetarget); err != nil {
			return err
		}
		if err := s.replaceChecks(ctx, *mr); err != nil {
			return err
		}
		if err := s.supersedeRemovedServices(ctx, mr.ID); err != nil {
			return err
		}
	}
	if mr.Draft {
		if err := s.abortAutoMerge(ctx, by, mr, AbortReason(BlockedDraft)); err != nil {
			return err
		}
	}
	if err := s.saveMergeRequest(ctx, mr); err != nil {
		return err
	}
	return s.recordEvent(ctx, project, *mr, eventInput{action: ActionUpdate, changes: changes, by: by})
}

// value returns what p points to, nil for nil, so that two values can be compared.
func value[T any](p *T) any {
	if p == nil {
		return nil
	}
	return *p
}

func (s *Store) checkRetarget(ctx context.Context, mr MergeRequest, target string) error {
	// An interrupted merge counts as merged; recovery completes it.
	interrupted, err := s.isMergeInterrupted(ctx, mr)
	if err != nil {
		return err
	}
	if mr.State == StateMerged || interrupted {
		return unprocessable(CodeNotOpen)
	}
	var f fieldErrors
	if target == mr.SourceBranch {
		f.add("target_branch", CodeSameBranch)
		return f.err()
	}
	if _, exists, err := s.shared.cfg.Git.BranchTip(ctx, mr.ProjectID, target); err != nil {
		return err
	} else if !exists {
		f.add("target_branch", CodeUnknownBranch)
		return f.err()
	}
	if mr.State == StateOpened {
		return s.checkNotOpenTwice(ctx, mr.ProjectID, mr.SourceBranch, target, mr.ID)
	}
	return nil
}
