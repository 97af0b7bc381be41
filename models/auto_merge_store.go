package models

import (
	"context"
	"errors"
	"time"
)

// errAutoMergeChanged means that auto-merge was cancelled or set again after an attempt
// began.
var errAutoMergeChanged = errors.New("models: auto-merge was changed")

func isAutoMergeChanged(err error) bool { return errors.Is(err, errAutoMergeChanged) }

// AutoMerge merges a merge request if all its checks have passed. Otherwise it sets
// auto-merge for HEAD with these options, which replaces an earlier one; see HasAutoMerge.
// Both also require that all checks pass in projects that do not demand it. The errors
// are those of Merge, except that checks block nothing.
func (s *Store) AutoMerge(ctx context.Context, by User, projectID, iid int64, o MergeOptions) (MergeRequest, error) {
	for {
		mr, set, err := s.setAutoMerge(ctx, by, projectID, iid, o)
		if err != nil || set {
			return mr, err
		}
		o.allChecks = true
		mr, err = s.Merge(ctx, by, projectID, iid, o)
		if reasons := reasonsOf(err); len(reasons) > 0 && reasons[0] == BlockedStatusChecks {
			continue // a check changed after setAutoMerge
		}
		return mr, err
	}
}

// setAutoMerge sets auto-merge. set is false, and nothing changes, if all checks have
// passed.
func (s *Store) setAutoMerge(
	ctx context.Context, by User, projectID, iid int64, o MergeOptions,
) (mr MergeRequest, set bool, err error) {
	if mr, err = s.MergeRequest(ctx, projectID, iid); err != nil {
		return mr, false, err
	}
	project, err := s.Project(ctx, projectID)
	if err != nil {
		return mr, false, err
	}
	o.ignoreChecks = true
	if err := s.checkMergeAllowed(ctx, project, mr, o); err != nil {
		return mr, false, err
	}
	// Reasons that only git knows are reported now and not when the last check passes.
	if _, _, err := s.prepareMerge(ctx, by, project, mr, o); err != nil {
		return mr, false, err
	}
	err = s.Transaction(ctx, func(tx *Store) error {
		set = false
		var err error
		if mr, project, err = tx.lockMergeRequest(ctx, projectID, iid); err != nil {
			return err
		}
		if err := tx.checkMergeAllowed(ctx, project, mr, o); err != nil {
			return err
		}
		checks, err := tx.checksWithLockedServices(ctx, mr.ID)
		if err != nil {
			return err
		}
		now := tx.Now()
		if allPassed(checks, now) {
			return nil
		}
		set = true
		mr.setAutoMerge(by, o, now)
		mr.UpdatedAt = now
		if err := tx.saveMergeRequest(ctx, &mr); err != nil {
			return err
		}
		err = tx.audit(ctx, by, projectID, AuditAutoMergeSet, mr.Title, mr.IID,
			AuditChange{Field: "sha", To: mr.HeadSHA}, AuditChange{Field: "target_branch", To: mr.TargetBranch})
		if err != nil {
			return err
		}
		mr, err = tx.MergeRequest(ctx, projectID, iid)
		return err
	})
	return mr, set, err
}

// CancelAutoMerge removes auto-merge. It returns KindUnprocessable with CodeNotOpen if
// the merge request is not open, and with CodeNoAutoMerge if auto-merge is not set.
func (s *Store) CancelAutoMerge(ctx context.Context, by User, projectID, iid int64) (cancelled MergeRequest, err error) {
	err = s.Transaction(ctx, func(tx *Store) error {
		mr, _, err := tx.lockMergeRequest(ctx, projectID, iid)
		if err != nil {
			return err
		}
		switch {
		case mr.State != StateOpened:
			return unprocessable(CodeNotOpen)
		case !mr.HasAutoMerge():
			return unprocessable(CodeNoAutoMerge)
		}
		mr.endAutoMerge("", tx.Now())
		mr.UpdatedAt = tx.Now()
		if err := tx.saveMergeRequest(ctx, &mr); err != nil {
			return err
		}
		err = tx.audit(ctx, by, projectID, AuditAutoMergeCancelled, mr.Title, mr.IID,
			AuditChange{Field: "sha", To: mr.HeadSHA})
		if err != nil {
			return err
		}
		cancelled, err = tx.MergeRequest(ctx, projectID, iid)
		return err
	})
	return cancelled, err
}

// abortAutoMerge ends the auto-merge of a locked merge request, if it is set, because of
// a change by a user, or by the zero User for the system. The caller saves the row.
func (s *Store) abortAutoMerge(ctx context.Context, by User, mr *MergeRequest, reason AbortReason) error {
	if !mr.HasAutoMerge() {
		return nil
	}
	mr.endAutoMerge(reason, s.Now())
	return s.audit(ctx, by, mr.ProjectID, AuditAutoMergeAborted, mr.Title, mr.IID,
		AuditChange{Field: "reason", To: string(reason)})
}

// ClaimAutoMerges leases at most limit merge requests whose auto-merge is due: all checks
// have passed and no other process works on it. Run each with RunAutoMerge.
func (s *Store) ClaimAutoMerges(ctx context.Context, limit int) ([]MergeRequest, error) {
	if limit <= 0 {
		return nil, nil
	}
	now := s.Now()
	var due []MergeRequest
	err := s.reader(ctx).
		Where("auto_merge_at IS NOT NULL AND state = ?", StateOpened).
		Where("auto_merge_next_at IS NULL OR auto_merge_next_at <= ?", now).
		Where(`NOT EXISTS (SELECT 1 FROM merge_request_checks c
			WHERE c.merge_request_id = merge_requests.id AND NOT c.informational AND c.status <> ?)`, StatusPassed).
		Order("auto_merge_at, id").Limit(limit).Find(&due).Error
	if err != nil {
		return nil, err
	}
	var claimed []MergeRequest
	for _, mr := range due {
		until := now.Add(autoMergeLease)
		// The number of attempts shows that nobody else has claimed it.
		result := s.writer(ctx).Model(&MergeRequest{}).
			Where("id = ? AND auto_merge_at IS NOT NULL AND auto_merge_attempts = ?", mr.ID, mr.AutoMergeAttempts).
			UpdateColumns(map[string]any{"auto_merge_attempts": mr.AutoMergeAttempts + 1, "auto_merge_next_at": until})
		if result.Error != nil {
			return claimed, result.Error
		}
		if result.RowsAffected == 1 {
			mr.AutoMergeAttempts++
			claimed = append(claimed, mr)
		}
	}
	return claimed, nil
}

// RunAutoMerge merges a merge request that ClaimAutoMerges returned, and reports whether
// it did. The user's rights and all conditions are checked under the lock of the merge.
// If merging is impossible, auto-merge is aborted with the reason. An error means that
// the attempt failed for a technical reason; it is repeated later.
func (s *Store) RunAutoMerge(ctx context.Context, claimed MergeRequest) (merged bool, err error) {
	by, err := s.autoMergeUser(ctx, claimed)
	if err == nil {
		merged, err = s.mergeAutomatically(ctx, by, claimed)
	}
	switch outcome, reason := judgeAutoMerge(err, claimed.AutoMergeAttempts); outcome {
	case autoMergeWaits:
		return false, s.postponeAutoMerge(ctx, claimed, 0, nil)
	case autoMergeRetries:
		next := s.Now().Add(autoMergeDelay(claimed.AutoMergeAttempts))
		return false, errors.Join(err, s.postponeAutoMerge(ctx, claimed, claimed.AutoMergeAttempts, &next))
	case autoMergeAborts:
		if reason != AbortedByError {
			err = nil
		}
		return false, errors.Join(err, s.abortClaimed(ctx, claimed, reason))
	}
	return merged, nil
}

// mergeAutomatically merges a claimed merge request. Follow-up steps that fail are left
// to recovery.
func (s *Store) mergeAutomatically(ctx context.Context, by User, claimed MergeRequest) (bool, error) {
	if hook := s.shared.hooks.BeforeAutoMerge; hook != nil {
		hook()
	}
	_, err := s.Merge(ctx, by, claimed.ProjectID, claimed.IID, MergeOptions{
		SHA: claimed.AutoMergeSHA, Squash: claimed.AutoMergeSquash, Message: claimed.AutoMergeMessage,
		RemoveSourceBranch: claimed.AutoMergeRemoveSource, allChecks: true, claimed: &claimed,
	})
	return err == nil, err
}

// autoMergeUser returns the user who set auto-merge, or CodeUserInactive if the account
// is blocked or deleted, or is a bot whose token has ended.
func (s *Store) autoMergeUser(ctx context.Context, mr MergeRequest) (User, error) {
	if mr.AutoMergeUserID == nil {
		return User{}, forbidden(CodeUserInactive)
	}
	user, err := s.User(ctx, *mr.AutoMergeUserID)
	if KindOf(err) == KindNotFound || err == nil && user.Blocked {
		return User{}, forbidden(CodeUserInactive)
	}
	if err != nil || !user.Bot {
		return user, err
	}
	var valid int64
	err = s.reader(ctx).Model(&AccessToken{}).Where("user_id = ? AND revoked_at IS NULL AND expires_at > ?", user.ID, s.Now()).Count(&valid).Error
	if err == nil && valid == 0 {
		err = forbidden(CodeUserInactive)
	}
	return user, err
}

// autoMergeRole checks, for an automatic merge of a locked merge request, that auto-merge
// is still the one that was claimed, and returns the current role of its user.
func (s *Store) autoMergeRole(ctx context.Context, mr, claimed MergeRequest) (Role, error) {
	if !mr.HasAutoMerge() || !mr.AutoMergeAt.Equal(*claimed.AutoMergeAt) {
		if mr.State != StateOpened {
			return RoleNone, blocked(BlockedNotOpen)
		}
		return RoleNone, errAutoMergeChanged
	}
	user, err := s.autoMergeUser(ctx, mr)
	if err != nil {
		return RoleNone, err
	}
	access, err := s.AccessByID(ctx, &user, mr.ProjectID)
	return access.EffectiveRole(), err
}

// postponeAutoMerge ends the lease of a claimed auto-merge.
func (s *Store) postponeAutoMerge(ctx context.Context, claimed MergeRequest, attempts int, next *time.Time) error {
	return s.writer(ctx).Model(&MergeRequest{}).
		Where("id = ? AND auto_merge_at IS NOT NULL AND auto_merge_attempts = ?", claimed.ID, claimed.AutoMergeAttempts).
		UpdateColumns(map[string]any{"auto_merge_attempts": attempts, "auto_merge_next_at": next}).Error
}

// abortClaimed aborts a claimed auto-merge unless it was changed meanwhile.
func (s *Store) abortClaimed(ctx context.Context, claimed MergeRequest, reason AbortReason) error {
	return s.Transaction(ctx, func(tx *Store) error {
		mr, _, err := tx.lockMergeRequest(ctx, claimed.ProjectID, claimed.IID)
		if err != nil {
			return err
		}
		if !mr.HasAutoMerge() || !mr.AutoMergeAt.Equal(*claimed.AutoMergeAt) {
			return nil
		}
		if err := tx.abortAutoMerge(ctx, User{}, &mr, reason); err != nil {
			return err
		}
		mr.UpdatedAt = tx.Now()
		return tx.saveMergeRequest(ctx, &mr)
	})
}

// releaseAutoMerges ends the leases of a process that no longer runs.
func (s *Store) releaseAutoMerges(ctx context.Context) error {
	return s.writer(ctx).Model(&MergeRequest{}).Where("auto_merge_at IS NOT NULL").UpdateColumn("auto_merge_next_at", nil).Error
}
