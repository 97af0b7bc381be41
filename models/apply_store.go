package models

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// applyChange is what "Also apply" does to one merge request.
type applyChange int

const (
	applyNothing applyChange = iota
	applyAdd
	applyRenew
	applyRemove
)

// decideApply decides what applying the current service to an open merge request
// changes. check is the merge request's copy of the service, nil if it has none.
func decideApply(service ExternalStatusCheck, mr MergeRequest, check *MergeRequestCheck) applyChange {
	applies := service.AppliesTo(mr.TargetBranch)
	switch {
	case applies && check == nil:
		return applyAdd
	case check == nil:
		return applyNothing
	case !applies:
		return applyRemove
	case check.Name != service.Name || !sameURL(check.ExternalURL, service.ExternalURL) ||
		check.TimeoutSeconds != service.TimeoutSeconds || check.Informational != service.Informational || !sameScope(check.Scope, service.Scope()):
		return applyRenew
	}
	return applyNothing
}

// sameScope compares two scopes as sets: the databases sort names differently.
func sameScope(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// applyGroup is a number of open merge requests that "Also apply" treats alike.
type applyGroup struct {
	TargetBranch   string
	CheckID        *int64 // one of the group's checks, nil if the merge requests have none
	Name           string
	ExternalURL    string
	Scope          []string `gorm:"serializer:json"`
	TimeoutSeconds int
	Informational  bool
	N              int
}

// CountApply counts the open merge requests that "Also apply" would change if the
// service had the given name, URL, scope, time-out and informational. The ID of a service
// that does not exist yet is 0. In a project with more than a thousand open merge requests
// the count may be half a minute old.
func (s *Store) CountApply(ctx context.Context, service ExternalStatusCheck) (int, error) {
	groups, err := kept(s, fmt.Sprintf("apply %d %d", service.ProjectID, service.ID), func() (groups []applyGroup, rows int64, err error) {
		err = s.reader(ctx).Raw(`SELECT m.target_branch, min(c.id) AS check_id, COALESCE(c.name, '') AS name, COALESCE(c.external_url, '') AS external_url,
				COALESCE(c.scope, '[]') AS scope, COALESCE(c.timeout_seconds, 0) AS timeout_seconds, COALESCE(c.informational, FALSE) AS informational,
				count(*) AS n
			FROM merge_requests m LEFT JOIN merge_request_checks c ON c.merge_request_id = m.id AND c.external_status_check_id = ?
			WHERE m.project_id = ? AND m.state = 'opened'
			GROUP BY m.target_branch, c.name, c.external_url, c.scope, c.timeout_seconds, c.informational`, service.ID, service.ProjectID).
			Scan(&groups).Error
		for _, g := range groups {
			rows += int64(g.N)
		}
		return groups, rows, err
	})
	n := 0
	for _, g := range groups {
		var check *MergeRequestCheck
		if g.CheckID != nil {
			check = &MergeRequestCheck{Name: g.Name, ExternalURL: g.ExternalURL, Scope: g.Scope, TimeoutSeconds: g.TimeoutSeconds, Informational: g.Informational}
		}
		if decideApply(service, MergeRequest{TargetBranch: g.TargetBranch}, check) != applyNothing {
			n += g.N
		}
	}
	return n, err
}

// applyBatchSize is how many merge requests "Also apply" reads at a time.
const applyBatchSize = 50

// continueApply applies a service to the open merge requests and counts those it
// changed. It stores its progress after each batch, so recovery can continue after a
// crash. An error on one merge request does not stop the others; recovery retries it.
func (s *Store) continueApply(ctx context.Context, service ExternalStatusCheck) (applied int, err error) {
	var failed error
	for after := service.ApplyAfterID; after != nil; {
		batch, err := s.applyBatch(ctx, service.ProjectID, *after)
		if err != nil {
			return applied, errors.Join(failed, err)
		}
		for _, mr := range batch {
			changed, err := s.applyTo(ctx, service.ID, mr)
			if err != nil && KindOf(err) != KindNotFound {
				failed = errors.Join(failed, fmt.Errorf("merge request %d: %w", mr.IID, err))
			} else if err == nil && changed {
				applied++
			}
			if ctx.Err() != nil {
				return applied, errors.Join(failed, ctx.Err())
			}
		}
		next := map[string]any{"apply_after_id": nil, "apply_by_id": nil}
		before := *after
		after = nil
		if len(batch) == applyBatchSize {
			after = &batch[len(batch)-1].ID
			next = map[string]any{"apply_after_id": *after}
		}
		if failed != nil {
			continue // recovery retries from the first failed batch
		}
		// The condition keeps a new run that was requested by a concurrent save.
		result := s.writer(ctx).Model(&ExternalStatusCheck{}).
			Where("id = ? AND apply_after_id = ?", service.ID, before).UpdateColumns(next)
		if result.Error != nil || result.RowsAffected == 0 {
			return applied, result.Error
		}
	}
	return applied, failed
}

// applyBatch reads the next open merge requests of a project.
func (s *Store) applyBatch(ctx context.Context, projectID, after int64) (batch []MergeRequest, err error) {
	err = s.reader(ctx).Select("id", "project_id", "iid").Order("id").Limit(applyBatchSize).
		Find(&batch, "project_id = ? AND state = ? AND id > ?", projectID, StateOpened, after).Error
	return batch, err
}

// RecoverApplies continues every interrupted "Also apply". A failure does not stop the
// others; all errors are joined, each as a *ProjectError.
func (s *Store) RecoverApplies(ctx context.Context) error {
	cutOff := s.reader(ctx).Where("apply_after_id IS NOT NULL AND updated_at <= ?", s.Now().Add(-pushGracePeriod))
	return eachRow(ctx, cutOff, func(service ExternalStatusCheck) error {
		_, err := s.continueApply(ctx, service)
		return s.dropIfExpired(err, service.UpdatedAt, func() error {
			return s.writer(ctx).Model(&ExternalStatusCheck{}).Where("id = ?", service.ID).
				UpdateColumns(map[string]any{"apply_after_id": nil, "apply_by_id": nil}).Error
		})
	})
}

// applyTo applies the current service to one merge request and reports whether it
// changed anything. It is idempotent.
func (s *Store) applyTo(ctx context.Context, serviceID int64, candidate MergeRequest) (changed bool, err error) {
	err = s.Transaction(ctx, func(tx *Store) error {
		changed = false
		mr, project, err := tx.lockMergeRequest(ctx, candidate.ProjectID, candidate.IID)
		if err != nil || mr.State != StateOpened {
			return err
		}
		service, err := tx.ExternalStatusCheck(ctx, mr.ProjectID, serviceID)
		if err != nil {
			return err
		}
		var current *MergeRequestCheck
		if check, err := tx.checkOfService(ctx, mr, serviceID); err == nil {
			current = &check
		} else if KindOf(err) != KindNotFound {
			return err
		}
		change := decideApply(service, mr, current)
		changed = change != applyNothing
		switch change {
		case applyAdd:
			check := newCheck(service, mr, tx.Now())
			if err := tx.writer(ctx).Create(&check).Error; err != nil {
				return err
			}
			by, err := tx.applyingUser(ctx, service)
			if err != nil {
				return err
			}
			return tx.recordEvent(ctx, project, mr, eventInput{action: ActionUpdate, by: by, only: []int64{serviceID}})
		case applyRenew:
			return tx.updateCopy(ctx, project, mr, service, *current)
		case applyRemove:
			if err := tx.writer(ctx).Delete(&MergeRequestCheck{}, current.ID).Error; err != nil {
				return err
			}
			if err := tx.supersede(ctx, mr.ID, serviceID, SupersededByRemoval); err != nil || !mr.HasAutoMerge() {
				return err
			}
			return tx.notifyAutoMerges(ctx)
		}
		return nil
	})
	return changed, err
}

// updateCopy updates a merge request's copy of a service. The result is kept unless the
// URL changed: then the check is pending and the new URL gets an event. A check that has
// timed out stays failed under a longer time-out.
func (s *Store) updateCopy(ctx context.Context, project Project, mr MergeRequest, service ExternalStatusCheck, check MergeRequestCheck) error {
	urlChanged := !sameURL(check.ExternalURL, service.ExternalURL)
	if check.Status == StatusPending && check.TimedOutAt(s.Now()) {
		if err := s.auditTimeout(ctx, mr, check); err != nil {
			return err
		}
		check.expire()
	}
	check.Name, check.ExternalURL, check.Scope = service.Name, service.ExternalURL, service.Scope()
	check.TimeoutSeconds, check.Informational = service.TimeoutSeconds, service.Informational
	if !urlChanged {
		return s.saveCheckCopy(ctx, &check)
	}
	check.restart(mr.HeadSHA, s.Now())
	if err := s.saveCheckCopy(ctx, &check); err != nil {
		return err
	}
	by, err := s.applyingUser(ctx, service)
	if err != nil {
		return err
	}
	return s.recordEvent(ctx, project, mr, eventInput{action: ActionUpdate, by: by, only: []int64{service.ID}})
}

func (s *Store) applyingUser(ctx context.Context, service ExternalStatusCheck) (User, error) {
	if service.ApplyByID == nil {
		return User{}, nil
	}
	user, err := s.User(ctx, *service.ApplyByID)
	if KindOf(err) == KindNotFound {
		return User{}, nil
	}
	return user, err
}
