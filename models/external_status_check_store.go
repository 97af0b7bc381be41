package models

import (
	"context"
	"crypto/subtle"
	"fmt"
	"strconv"

	"gorm.io/gorm"
)

// ExternalStatusChecks lists a project's services by id, scopes included, with their
// total number.
func (s *Store) ExternalStatusChecks(ctx context.Context, projectID int64, page Page) ([]ExternalStatusCheck, int64, error) {
	query := s.reader(ctx).Model(&ExternalStatusCheck{}).Where("project_id = ?", projectID)
	var total int64
	if err := query.Count(&total).Error; err != nil {
		return nil, 0, err
	}
	var checks []ExternalStatusCheck
	err := page.apply(query.Preload("Branches", byBranchName).Order("id")).Find(&checks).Error
	if err != nil {
		return nil, 0, err
	}
	return checks, total, s.markProtected(ctx, projectID, checks)
}

func byBranchName(db *gorm.DB) *gorm.DB { return db.Order("name") }

// ExternalStatusCheck finds a service of a project. KindNotFound when there is none.
func (s *Store) ExternalStatusCheck(ctx context.Context, projectID, id int64) (ExternalStatusCheck, error) {
	var check ExternalStatusCheck
	err := s.reader(ctx).Preload("Branches", byBranchName).Take(&check, "project_id = ? AND id = ?", projectID, id).Error
	if err != nil {
		return check, orNotFound(err, "external status check")
	}
	list := []ExternalStatusCheck{check}
	return check, s.markProtected(ctx, projectID, list)
}

// markProtected fills in which branches of the scopes are still protected.
func (s *Store) markProtected(ctx context.Context, projectID int64, checks []ExternalStatusCheck) error {
	rules, err := s.allProtectedBranches(ctx, projectID)
	if err != nil {
		return err
	}
	names := map[string]bool{}
	for _, rule := range rules {
		names[rule.Name] = true
	}
	for i := range checks {
		for j := range checks[i].Branches {
			checks[i].Branches[j].Protected = names[checks[i].Branches[j].Name]
		}
	}
	return nil
}

// CreateExternalStatusCheck adds a service. Field errors: name, external_url,
// protected_branch_ids, shared_secret.
func (s *Store) CreateExternalStatusCheck(ctx context.Context, by User, projectID int64, in ExternalStatusCheckInput, apply bool) (ExternalStatusCheck, error) {
	faults := fieldErrors(FieldErrorsOf(in.Validate()))
	now := s.Now()
	key, _ := URLKey(in.ExternalURL)
	check := ExternalStatusCheck{
		ProjectID: projectID, Name: in.Name, NameKey: foldKey(in.Name), ExternalURL: in.ExternalURL, URLKey: key,
		TimeoutSeconds: int(DefaultTimeout.Seconds()), CreatedAt: now, UpdatedAt: now,
	}
	err := s.Transaction(ctx, func(tx *Store) error {
		// The project's lock makes the tests below as good as the indexes,
		// so that every fault can be told at once.
		var project Project
		if err := tx.lockProject(ctx, projectID, &project); err != nil {
			return err
		}
		faults := append(fieldErrors(nil), faults...)
		scope, err := tx.resolveScope(ctx, &faults, projectID, 0, in.ProtectedBranchIDs)
		if err != nil {
			return err
		}
		if err := tx.addTakenErrors(ctx, &faults, check); err != nil {
			return err
		}
		if err := faults.err(); err != nil {
			return err
		}
		if apply {
			check.ApplyAfterID, check.ApplyByID = new(int64), ID(by.ID)
		}
		if err := tx.writer(ctx).Create(&check).Error; err != nil {
			return err
		}
		if err := tx.setScope(ctx, &check, scope); err != nil {
			return err
		}
		if in.SharedSecret != "" {
			if err := tx.sealSecret(ctx, &check, in.SharedSecret); err != nil {
				return err
			}
		}
		if err := tx.audit(ctx, by, projectID, AuditStatusCheckAdded, check.Name, check.ID, serviceChanges(ExternalStatusCheck{}, check)...); err != nil {
			return err
		}
		return tx.auditApply(ctx, by, check, apply)
	})
	if err != nil {
		return ExternalStatusCheck{}, err
	}
	return s.applyToOpen(ctx, check, apply), nil
}

// applyToOpen takes a service that has been saved to the open merge requests,
// where that was asked for, and counts them in Applied. What fails is in
// Incomplete; recovery goes on with it.
func (s *Store) applyToOpen(ctx context.Context, check ExternalStatusCheck, apply bool) ExternalStatusCheck {
	if !apply {
		return check
	}
	check.Applied, check.Incomplete = s.continueApply(context.WithoutCancel(ctx), check)
	return check
}

// auditApply records that a service is taken to open merge requests too, where
// it is.
func (s *Store) auditApply(ctx context.Context, by User, check ExternalStatusCheck, apply bool) error {
	if !apply {
		return nil
	}
	return s.audit(ctx, by, check.ProjectID, AuditStatusCheckApplied, check.Name, check.ID)
}

// UpdateExternalStatusCheck changes a service; merge requests that are open keep their
// copy, unless apply takes the change to them too.
func (s *Store) UpdateExternalStatusCheck(ctx context.Context, by User, projectID, id int64, in ExternalStatusCheckUpdate, apply bool) (ExternalStatusCheck, error) {
	invalid := fieldErrors(FieldErrorsOf(in.Validate()))
	var check ExternalStatusCheck
	err := s.Transaction(ctx, func(tx *Store) error {
		var project Project
		if err := tx.lockProject(ctx, projectID, &project); err != nil {
			return err
		}
		var err error
		if check, err = tx.ExternalStatusCheck(ctx, projectID, id); err != nil {
			return err
		}
		before := check
		faults := append(fieldErrors(nil), invalid...)
		if in.Name != nil {
			check.Name, check.NameKey = *in.Name, foldKey(*in.Name)
		}
		if in.ExternalURL != nil {
			check.ExternalURL = *in.ExternalURL
			check.URLKey, _ = URLKey(*in.ExternalURL)
		}
		if in.SharedSecret != nil && *in.SharedSecret != "" && check.HasSecret() {
			// Declarative clients send what they sent before, every time.
			secret, err := tx.openSecret(check)
			if err != nil {
				return err
			}
			if subtle.ConstantTimeCompare([]byte(secret), []byte(*in.SharedSecret)) == 0 {
				faults.add("shared_secret", CodeImmutable)
			}
		}
		scope := check.Branches
		if in.ProtectedBranchIDs != nil {
			if scope, err = tx.resolveScope(ctx, &faults, projectID, id, *in.ProtectedBranchIDs); err != nil {
				return err
			}
		}
		if err := tx.addTakenErrors(ctx, &faults, check); err != nil {
			return err
		}
		if err := faults.err(); err != nil {
			return err
		}
		edited := check
		edited.Branches = scope
		if err := checkVersion(in.Version, before.Version(), edited.Version()); err != nil {
			return err
		}
		if apply {
			check.ApplyAfterID, check.ApplyByID = new(int64), ID(by.ID)
		}
		check.UpdatedAt = tx.Now()
		if err := tx.writer(ctx).Omit("Branches").Save(&check).Error; err != nil {
			return err
		}
		if in.ProtectedBranchIDs != nil {
			if err := tx.setScope(ctx, &check, scope); err != nil {
				return err
			}
		}
		if in.SharedSecret != nil && *in.SharedSecret != "" && !check.HasSecret() {
			if err := tx.sealSecret(ctx, &check, *in.SharedSecret); err != nil {
				return err
			}
		}
		changes := serviceChanges(before, check)
		if len(changes) > 0 {
			if err := tx.audit(ctx, by, projectID, AuditStatusCheckUpdated, check.Name, check.ID, changes...); err != nil {
				return err
			}
		}
		return tx.auditApply(ctx, by, check, apply)
	})
	if err != nil {
		return ExternalStatusCheck{}, err
	}
	return s.applyToOpen(ctx, check, apply), nil
}

// DeleteExternalStatusCheck removes a service with its deliveries and its checks on
// every merge request, at once and for good.
func (s *Store) DeleteExternalStatusCheck(ctx context.Context, by User, projectID, id int64) error {
	return s.Transaction(ctx, func(tx *Store) error {
		check, err := tx.ExternalStatusCheck(ctx, projectID, id)
		if err != nil {
			return err
		}
		result := tx.writer(ctx).Delete(&ExternalStatusCheck{}, check.ID)
		if result.Error != nil {
			return result.Error
		}
		if result.RowsAffected == 0 {
			return notFound("external status check")
		}
		// A delivery that waited behind one of the removed may go now.
		if err := tx.notifyDeliveries(ctx); err != nil {
			return err
		}
		return tx.audit(ctx, by, projectID, AuditStatusCheckRemoved, check.Name, check.ID, serviceChanges(check, ExternalStatusCheck{})...)
	})
}

// resolveScope turns ids of protected branches into names. An id that a scope
// of this service remembers stays good after the branch was unprotected.
func (s *Store) resolveScope(ctx context.Context, faults *fieldErrors, projectID, serviceID int64, ids []int64) ([]ExternalStatusCheckBranch, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var rules []ProtectedBranch
	if err := s.reader(ctx).Find(&rules, "project_id = ? AND id IN ?", projectID, ids).Error; err != nil {
		return nil, err
	}
	names := map[int64]string{}
	for _, rule := range rules {
		names[rule.ID] = rule.Name
	}
	if serviceID != 0 && len(names) < len(ids) {
		var remembered []ExternalStatusCheckBranch
		if err := s.reader(ctx).Find(&remembered, "external_status_check_id = ? AND protected_branch_id IN ?", serviceID, ids).Error; err != nil {
			return nil, err
		}
		for _, b := range remembered {
			if _, ok := names[b.ProtectedBranchID]; !ok {
				names[b.ProtectedBranchID] = b.Name
			}
		}
	}
	var scope []ExternalStatusCheckBranch
	seen := map[string]bool{}
	for _, id := range ids {
		name, ok := names[id]
		if !ok {
			faults.add("protected_branch_ids", CodeForeignBranch)
			return nil, nil
		}
		if !seen[name] {
			seen[name] = true
			scope = append(scope, ExternalStatusCheckBranch{ProtectedBranchID: id, Name: name})
		}
	}
	return scope, nil
}

// addTakenErrors finds a name or URL that another service of the project has. A name
// that is faulty anyway is not looked up: the database may not even take it.
func (s *Store) addTakenErrors(ctx context.Context, faults *fieldErrors, check ExternalStatusCheck) error {
	nameKey := check.NameKey
	if faults.has("name") {
		nameKey = ""
	}
	var others []ExternalStatusCheck
	err := s.reader(ctx).Select("id", "name_key", "url_key").
		Find(&others, "project_id = ? AND id <> ? AND (name_key = ? OR url_key = ?)", check.ProjectID, check.ID, nameKey, check.URLKey).Error
	if err != nil {
		return err
	}
	for _, other := range others {
		if other.NameKey == nameKey {
			faults.add("name", CodeTaken)
		}
		if other.URLKey == check.URLKey && !faults.has("external_url") {
			faults.add("external_url", CodeTaken)
		}
	}
	return nil
}

func (s *Store) setScope(ctx context.Context, check *ExternalStatusCheck, scope []ExternalStatusCheckBranch) error {
	if err := s.writer(ctx).Where("external_status_check_id = ?", check.ID).Delete(&ExternalStatusCheckBranch{}).Error; err != nil {
		return err
	}
	check.Branches = nil
	for _, b := range scope {
		check.Branches = append(check.Branches, ExternalStatusCheckBranch{ExternalStatusCheckID: check.ID, ProtectedBranchID: b.ProtectedBranchID, Name: b.Name})
	}
	if len(check.Branches) == 0 {
		return nil
	}
	if err := s.writer(ctx).Create(&check.Branches).Error; err != nil {
		return err
	}
	return s.markProtected(ctx, check.ProjectID, []ExternalStatusCheck{*check})
}

// secretContext binds a sealed secret to its row.
func secretContext(serviceID int64) string {
	return "external_status_checks.sealed_secret:" + strconv.FormatInt(serviceID, 10)
}

func (s *Store) sealSecret(ctx context.Context, check *ExternalStatusCheck, secret string) error {
	sealed, err := s.shared.cfg.Sealer.Seal([]byte(secret), secretContext(check.ID))
	if err != nil {
		return fmt.Errorf("models: seal the shared secret of service %d: %w", check.ID, err)
	}
	check.SealedSecret = sealed
	return s.writer(ctx).Model(&ExternalStatusCheck{}).Where("id = ?", check.ID).UpdateColumn("sealed_secret", sealed).Error
}

func (s *Store) openSecret(check ExternalStatusCheck) (string, error) {
	if !check.HasSecret() {
		return "", nil
	}
	plain, err := s.shared.cfg.Sealer.Open(check.SealedSecret, secretContext(check.ID))
	if err != nil {
		return "", fmt.Errorf("models: open the shared secret of service %d: %w", check.ID, err)
	}
	return string(plain), nil
}
