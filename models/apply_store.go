package models

import (
	"context"
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
	case check.Name != service.Name || check.ExternalURL != service.ExternalURL ||
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
	err := s.q(ctx).Select("id", "target_branch").Find(&open, "project_id = ? AND state = ?", service.ProjectID, StateOpened).Error
	if err != nil {
		return 0, err
	}
	byMR := map[int64]*MergeRequestCheck{}
	if service.ID != 0 {
		var checks []MergeRequestCheck
		if err := s.q(ctx).Find(&checks, "external_status_check_id = ?", service.ID).Error; err != nil {
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

// applyBatch is how many merge requests one step of "Also apply" looks at.
const applyBatch = 50

// ContinueApply takes a service to the open merge requests, in steps of which
// each is a transaction that remembers how far it came: a crash in between
// loses nothing, the sweep goes on.
func (s *Store) ContinueApply(ctx context.Context, checkID int64) error {
	_, err := s.continueApply(ctx, checkID)
	return err
}

// continueApply is ContinueApply, and counts the merge requests it changed.
func (s *Store) continueApply(ctx context.Context, checkID int64) (applied int, err error) {
	for {
		n, more, err := s.applyStep(ctx, checkID)
		applied += n
		if err != nil || !more {
			return applied, err
		}
	}
}

// SweepApplies goes on with every "Also apply" that was cut off.
func (s *Store) SweepApplies(ctx context.Context) error {
	var ids []int64
	before := s.Now().Add(-pushGrace)
	err := s.q(ctx).Model(&ExternalStatusCheck{}).Where("apply_after_id IS NOT NULL AND updated_at <= ?", before).Pluck("id", &ids).Error
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := s.ContinueApply(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) applyStep(ctx context.Context, checkID int64) (applied int, more bool, err error) {
	var service ExternalStatusCheck
	if err := s.q(ctx).Take(&service, checkID).Error; err != nil {
		if isMissing(err) {
			return 0, false, nil // removed meanwhile
		}
		return 0, false, err
	}
	if service.ApplyAfterID == nil {
		return 0, false, nil
	}
	var batch []MergeRequest
	err = s.q(ctx).Select("id", "project_id", "iid").Order("id").Limit(applyBatch).
		Find(&batch, "project_id = ? AND state = ? AND id > ?", service.ProjectID, StateOpened, *service.ApplyAfterID).Error
	if err != nil {
		return 0, false, err
	}
	for _, mr := range batch {
		changed, err := s.applyTo(ctx, checkID, mr)
		if err != nil && KindOf(err) != KindNotFound {
			return applied, false, err
		}
		if err == nil && changed {
			applied++
		}
	}
	last := len(batch) < applyBatch
	change := map[string]any{"apply_after_id": nil, "apply_by_id": nil}
	if !last {
		change = map[string]any{"apply_after_id": batch[len(batch)-1].ID}
	}
	return applied, !last, s.w(ctx).Model(&ExternalStatusCheck{}).Where("id = ? AND apply_after_id = ?", checkID, *service.ApplyAfterID).UpdateColumns(change).Error
}

// applyTo takes a service, as it stands now, to one merge request, and tells
// whether that changed it. Done twice it changes nothing.
func (s *Store) applyTo(ctx context.Context, checkID int64, found MergeRequest) (changed bool, err error) {
	err = s.Transaction(ctx, func(tx *Store) error {
		changed = false
		mr, project, err := tx.lockMergeRequest(ctx, found.ProjectID, found.IID)
		if err != nil || mr.State != StateOpened {
			return err
		}
		service, err := tx.StatusCheck(ctx, mr.ProjectID, checkID)
		if err != nil {
			return err
		}
		var current *MergeRequestCheck
		if check, err := tx.checkOn(ctx, mr, checkID); err == nil {
			current = &check
		} else if KindOf(err) != KindNotFound {
			return err
		}
		change := decideApply(service, mr, current)
		changed = change != applyNothing
		switch change {
		case applyAdd:
			check := copyOf(service, mr, tx.Now())
			if err := tx.w(ctx).Create(&check).Error; err != nil {
				return err
			}
			by, err := tx.applyingUser(ctx, service)
			if err != nil {
				return err
			}
			return tx.tell(ctx, project, mr, happening{action: ActionUpdate, by: by, only: checkID})
		case applyRenew:
			return tx.renew(ctx, project, mr, service, *current)
		case applyRemove:
			if err := tx.w(ctx).Delete(&MergeRequestCheck{}, current.ID).Error; err != nil {
				return err
			}
			return tx.supersede(ctx, mr.ID, checkID, SupersededByRemoval)
		}
		return nil
	})
	return changed, err
}

// renew renews a merge request's copy of a service. The result stays unless
// the URL changed: then another service answers, and is asked.
func (s *Store) renew(ctx context.Context, project Project, mr MergeRequest, service ExternalStatusCheck, check MergeRequestCheck) error {
	moved := check.ExternalURL != service.ExternalURL
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
	return s.tell(ctx, project, mr, happening{action: ActionUpdate, by: by, only: service.ID})
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
