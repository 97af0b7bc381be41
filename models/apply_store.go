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

// decideApply decides what taking a service as it stands now to an open merge
// request changes; check is the copy it has, nil for none.
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
		check.TimeoutSeconds != service.TimeoutSeconds || !sameScope(check.Scope, service.Scope()):
		return applyRenew
	}
	return applyNothing
}

// sameScope compares two scopes as the sets they are: the databases sort names
// each in their own way.
func sameScope(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// CountApply counts the open merge requests that "Also apply" would touch if a
// service (ID 0 for one not yet made) had the name, URL and scope given.
func (s *Store) CountApply(ctx context.Context, service ExternalStatusCheck) (int, error) {
	var open []MergeRequest
	err := s.reader(ctx).Select("id", "target_branch").Find(&open, "project_id = ? AND state = ?", service.ProjectID, StateOpened).Error
	if err != nil {
		return 0, err
	}
	byMR := map[int64]*MergeRequestCheck{}
	if service.ID != 0 {
		var checks []MergeRequestCheck
		if err := s.reader(ctx).Find(&checks, "external_status_check_id = ?", service.ID).Error; err != nil {
			return 0, err
		}
		for i := range checks {
			byMR[checks[i].MergeRequestID] = &checks[i]
		}
	}
	n := 0
	for _, mr := range open {
		if decideApply(service, mr, byMR[mr.ID]) != applyNothing {
			n++
		}
	}
	return n, nil
}

// applyBatchSize is how many merge requests "Also apply" reads at a time.
const applyBatchSize = 50

// continueApply takes a service to the open merge requests and counts those it
// changed. Each batch remembers how far it came, so a crash loses nothing. A
// merge request that fails does not stop the others; recovery comes back to it.
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
			continue // the row stays at the first that failed
		}
		// A save meanwhile asked for a new round; it is not overwritten.
		result := s.writer(ctx).Model(&ExternalStatusCheck{}).Where("id = ? AND apply_after_id = ?", service.ID, before).UpdateColumns(next)
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

// RecoverApplies goes on with every "Also apply" that was cut off. One that fails
// does not stop the others: the errors come joined, each a *ProjectError.
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

// applyTo takes a service, as it stands now, to one merge request, and tells
// whether that changed it. Done twice it changes nothing.
func (s *Store) applyTo(ctx context.Context, serviceID int64, found MergeRequest) (changed bool, err error) {
	err = s.Transaction(ctx, func(tx *Store) error {
		changed = false
		mr, project, err := tx.lockMergeRequest(ctx, found.ProjectID, found.IID)
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
			return tx.recordEvent(ctx, project, mr, eventInput{action: ActionUpdate, by: by, only: serviceID})
		case applyRenew:
			return tx.updateCopy(ctx, project, mr, service, *current)
		case applyRemove:
			if err := tx.writer(ctx).Delete(&MergeRequestCheck{}, current.ID).Error; err != nil {
				return err
			}
			return tx.supersede(ctx, mr.ID, serviceID, SupersededByRemoval)
		}
		return nil
	})
	return changed, err
}

// updateCopy renews a merge request's copy of a service. The result stays unless
// the URL changed: then another service answers, and is asked.
func (s *Store) updateCopy(ctx context.Context, project Project, mr MergeRequest, service ExternalStatusCheck, check MergeRequestCheck) error {
	moved := !sameURL(check.ExternalURL, service.ExternalURL)
	check.Name, check.ExternalURL, check.Scope, check.TimeoutSeconds = service.Name, service.ExternalURL, service.Scope(), service.TimeoutSeconds
	if !moved {
		return s.saveCheck(ctx, &check)
	}
	check.restart(mr.HeadSHA, s.Now())
	if err := s.saveCheck(ctx, &check); err != nil {
		return err
	}
	by, err := s.applyingUser(ctx, service)
	if err != nil {
		return err
	}
	return s.recordEvent(ctx, project, mr, eventInput{action: ActionUpdate, by: by, only: service.ID})
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
