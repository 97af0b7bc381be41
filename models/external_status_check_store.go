package models

import (
	"context"
	"crypto/subtle"
	"fmt"
	"strconv"

	"gorm.io/gorm"
)

// ExternalStatusChecks lists a project's services by id, with their scopes, and returns
// their total number.
func (s *Store) ExternalStatusChecks(ctx context.Context, projectID int64, page Page) ([]ExternalStatusCheck, int64, error) {
	query := s.reader(ctx).Model(&ExternalStatusCheck{}).Where("project_id = ?", projectID)
	var total int64
	if err := query.Count(&total).Error; err != nil {
		return nil, 0, err
	}
	var services []ExternalStatusCheck
	err := page.apply(query.Preload("Branches", byBranchName).Order("id")).Find(&services).Error
	if err != nil {
		return nil, 0, err
	}
	return services, total, s.markProtected(ctx, projectID, services)
}

func byBranchName(db *gorm.DB) *gorm.DB { return db.Order("name") }

// ExternalStatusCheck finds a service of a project, with its scope. It returns
// KindNotFound if there is none.
func (s *Store) ExternalStatusCheck(ctx context.Context, projectID, id int64) (ExternalStatusCheck, error) {
	var service ExternalStatusCheck
	err := s.preparedReader(ctx).Preload("Branches", byBranchName).
		Take(&service, "project_id = ? AND id = ?", projectID, id).Error
	if err != nil {
		return service, orNotFound(err, "external status check")
	}
	list := []ExternalStatusCheck{service}
	return service, s.markProtected(ctx, projectID, list)
}

// markProtected sets Protected of every branch in the services' scopes.
func (s *Store) markProtected(ctx context.Context, projectID int64, services []ExternalStatusCheck) error {
	rules, err := s.allProtectedBranches(ctx, projectID)
	if err != nil {
		return err
	}
	names := map[string]bool{}
	for _, rule := range rules {
		names[rule.Name] = true
	}
	for i := range services {
		for j := range services[i].Branches {
			services[i].Branches[j].Protected = names[services[i].Branches[j].Name]
		}
	}
	return nil
}

// CreateExternalStatusCheck creates a service. Its field errors are those of Validate,
// and protected_branch_ids. If apply is set, the service is also added to
// the open merge requests that it applies to; see Applied and Incomplete of the result.
func (s *Store) CreateExternalStatusCheck(ctx context.Context, by User, projectID int64, in ExternalStatusCheckInput, apply bool) (ExternalStatusCheck, error) {
	inputErrs := fieldErrors(FieldErrorsOf(in.Validate()))
	now := s.Now()
	key, _ := URLKey(in.ExternalURL)
	service := ExternalStatusCheck{
		ProjectID: projectID, Name: in.Name, NameKey: foldKey(in.Name), ExternalURL: in.ExternalURL, URLKey: key,
		TimeoutSeconds: int(DefaultTimeout.Seconds()), Informational: in.Informational, CallbackOnly: in.CallbackOnly, CustomHeaders: []CustomHeader{},
		CreatedAt: now, UpdatedAt: now,
	}
	if in.TimeoutSeconds != nil {
		service.TimeoutSeconds = int(*in.TimeoutSeconds)
	}
	err := s.Transaction(ctx, func(tx *Store) error {
		// The project's lock serialises changes of services, so the checks below report
		// all field errors at once instead of the first violated index.
		var project Project
		if err := tx.lockProject(ctx, projectID, &project); err != nil {
			return err
		}
		fieldErrs := append(fieldErrors(nil), inputErrs...)
		scope, err := tx.resolveScope(ctx, &fieldErrs, projectID, 0, in.ProtectedBranchIDs)
		if err != nil {
			return err
		}
		if err := tx.addTakenErrors(ctx, &fieldErrs, service); err != nil {
			return err
		}
		checkCallbackOnly(&fieldErrs, service)
		checkStoredHeaders(&fieldErrs, ExternalStatusCheck{}, in.ExternalURL, in.CustomHeaders)
		if err := fieldErrs.err(); err != nil {
			return err
		}
		if apply {
			service.ApplyAfterID, service.ApplyByID = new(int64), ID(by.ID)
		}
		if err := tx.writer(ctx).Create(&service).Error; err != nil {
			return err
		}
		if err := tx.writer(ctx).Create(&ServiceQueue{ExternalStatusCheckID: service.ID, ProjectID: projectID}).Error; err != nil {
			return err
		}
		if err := tx.setScope(ctx, &service, scope); err != nil {
			return err
		}
		if in.SharedSecret != "" {
			if err := tx.sealSecret(ctx, &service, in.SharedSecret); err != nil {
				return err
			}
		}
		if len(in.CustomHeaders) > 0 {
			if err := tx.setCustomHeaders(ctx, &service, in.CustomHeaders); err != nil {
				return err
			}
		}
		changes := serviceChanges(ExternalStatusCheck{}, service)
		if err := tx.audit(ctx, by, projectID, AuditStatusCheckAdded, service.Name, service.ID, changes...); err != nil {
			return err
		}
		return tx.auditApply(ctx, by, service, apply)
	})
	if err != nil {
		return ExternalStatusCheck{}, err
	}
	return s.applyToOpen(ctx, service, apply), nil
}

// applyToOpen applies a saved service to the open merge requests if apply is set. It
// stores their number in Applied and an error in Incomplete; recovery continues after
// an error.
func (s *Store) applyToOpen(ctx context.Context, service ExternalStatusCheck, apply bool) ExternalStatusCheck {
	if !apply {
		return service
	}
	service.Applied, service.Incomplete = s.continueApply(context.WithoutCancel(ctx), service)
	return service
}

// auditApply records that a service is applied to open merge requests, if apply is set.
func (s *Store) auditApply(ctx context.Context, by User, service ExternalStatusCheck, apply bool) error {
	if !apply {
		return nil
	}
	return s.audit(ctx, by, service.ProjectID, AuditStatusCheckApplied, service.Name, service.ID)
}

// UpdateExternalStatusCheck changes a service. Open merge requests keep their copy
// unless apply is set. It returns the field errors of CreateExternalStatusCheck,
// CodeGivenAgain for a custom header that keeps its value although the URL changes,
// CodeImmutable for a shared secret that differs from the stored one, and KindConflict
// with CodeChangedMeanwhile if in.Version is outdated.
func (s *Store) UpdateExternalStatusCheck(ctx context.Context, by User, projectID, id int64, in ExternalStatusCheckUpdate, apply bool) (ExternalStatusCheck, error) {
	inputErrs := fieldErrors(FieldErrorsOf(in.Validate()))
	var service ExternalStatusCheck
	err := s.Transaction(ctx, func(tx *Store) error {
		var project Project
		if err := tx.lockProject(ctx, projectID, &project); err != nil {
			return err
		}
		var err error
		if service, err = tx.ExternalStatusCheck(ctx, projectID, id); err != nil {
			return err
		}
		before := service
		fieldErrs := append(fieldErrors(nil), inputErrs...)
		if in.Name != nil {
			service.Name, service.NameKey = *in.Name, foldKey(*in.Name)
		}
		if in.ExternalURL != nil {
			service.ExternalURL = *in.ExternalURL
			service.URLKey, _ = URLKey(*in.ExternalURL)
		}
		if in.TimeoutSeconds != nil {
			service.TimeoutSeconds = int(*in.TimeoutSeconds)
		}
		if in.Informational != nil {
			service.Informational = *in.Informational
		}
		if in.CallbackOnly != nil {
			service.CallbackOnly = *in.CallbackOnly
		}
		if in.SharedSecret != nil && *in.SharedSecret != "" && service.HasSecret() {
			// Declarative clients send the same secret with every update.
			secret, err := tx.openSecret(service)
			if err != nil {
				return err
			}
			if subtle.ConstantTimeCompare([]byte(secret), []byte(*in.SharedSecret)) == 0 {
				fieldErrs.add("shared_secret", CodeImmutable)
			}
		}
		scope := service.Branches
		if in.ProtectedBranchIDs != nil {
			if scope, err = tx.resolveScope(ctx, &fieldErrs, projectID, id, *in.ProtectedBranchIDs); err != nil {
				return err
			}
		}
		if err := tx.addTakenErrors(ctx, &fieldErrs, service); err != nil {
			return err
		}
		headers := before.keptHeaders()
		if in.CustomHeaders != nil {
			headers = *in.CustomHeaders
		}
		checkCallbackOnly(&fieldErrs, service)
		checkStoredHeaders(&fieldErrs, before, service.ExternalURL, headers)
		if err := fieldErrs.err(); err != nil {
			return err
		}
		edited := service
		edited.Branches, edited.CustomHeaders = scope, editedHeaders(before, headers)
		if err := checkVersion(in.Version, before.Version(), edited.Version()); err != nil {
			return err
		}
		if apply {
			service.ApplyAfterID, service.ApplyByID = new(int64), ID(by.ID)
		}
		service.UpdatedAt = tx.Now()
		if err := tx.writer(ctx).Omit("Branches").Save(&service).Error; err != nil {
			return err
		}
		if in.ProtectedBranchIDs != nil {
			if err := tx.setScope(ctx, &service, scope); err != nil {
				return err
			}
		}
		if in.SharedSecret != nil && *in.SharedSecret != "" && !service.HasSecret() {
			if err := tx.sealSecret(ctx, &service, *in.SharedSecret); err != nil {
				return err
			}
		}
		if in.CustomHeaders != nil {
			if err := tx.setCustomHeaders(ctx, &service, headers); err != nil {
				return err
			}
		}
		changes := serviceChanges(before, service)
		if len(changes) > 0 {
			if err := tx.audit(ctx, by, projectID, AuditStatusCheckUpdated, service.Name, service.ID, changes...); err != nil {
				return err
			}
		}
		return tx.auditApply(ctx, by, service, apply)
	})
	if err != nil {
		return ExternalStatusCheck{}, err
	}
	return s.applyToOpen(ctx, service, apply), nil
}

// DeleteExternalStatusCheck deletes a service with its deliveries and its checks on all
// merge requests, permanently.
func (s *Store) DeleteExternalStatusCheck(ctx context.Context, by User, projectID, id int64) error {
	return s.Transaction(ctx, func(tx *Store) error {
		service, err := tx.ExternalStatusCheck(ctx, projectID, id)
		if err != nil {
			return err
		}
		result := tx.writer(ctx).Delete(&ExternalStatusCheck{}, service.ID)
		if result.Error != nil {
			return result.Error
		}
		if result.RowsAffected == 0 {
			return notFound("external status check")
		}
		// Deliveries that waited behind a deleted one may be due now.
		if err := tx.notifyDeliveries(ctx); err != nil {
			return err
		}
		// Auto-merges may have waited for the service only.
		if err := tx.notifyAutoMerges(ctx); err != nil {
			return err
		}
		changes := serviceChanges(service, ExternalStatusCheck{})
		return tx.audit(ctx, by, projectID, AuditStatusCheckRemoved, service.Name, service.ID, changes...)
	})
}

// resolveScope resolves ids of protected branches to names. An id in the current scope
// of the service stays valid after the branch was unprotected. An unknown id is a field
// error (CodeForeignBranch).
func (s *Store) resolveScope(ctx context.Context, fieldErrs *fieldErrors, projectID, serviceID int64, ids []int64) ([]ExternalStatusCheckBranch, error) {
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
		err := s.reader(ctx).
			Find(&remembered, "external_status_check_id = ? AND protected_branch_id IN ?", serviceID, ids).Error
		if err != nil {
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
			fieldErrs.add("protected_branch_ids", CodeForeignBranch)
			return nil, nil
		}
		if !seen[name] {
			seen[name] = true
			scope = append(scope, ExternalStatusCheckBranch{ProtectedBranchID: id, Name: name})
		}
	}
	return scope, nil
}

// addTakenErrors adds an error for a name or URL that another service of the project
// has. An invalid name is not looked up, because PostgreSQL may reject its bytes.
func (s *Store) addTakenErrors(ctx context.Context, fieldErrs *fieldErrors, service ExternalStatusCheck) error {
	nameKey := service.NameKey
	if fieldErrs.has("name") {
		nameKey = ""
	}
	var others []ExternalStatusCheck
	err := s.reader(ctx).Select("id", "name_key", "url_key").
		Find(&others, "project_id = ? AND id <> ? AND (name_key = ? OR url_key = ?)", service.ProjectID,
			service.ID, nameKey, service.URLKey).Error
	if err != nil {
		return err
	}
	for _, other := range others {
		if other.NameKey == nameKey {
			fieldErrs.add("name", CodeTaken)
		}
		if other.URLKey == service.URLKey && !fieldErrs.has("external_url") {
			fieldErrs.add("external_url", CodeTaken)
		}
	}
	return nil
}

func (s *Store) setScope(ctx context.Context, service *ExternalStatusCheck, scope []ExternalStatusCheckBranch) error {
	if err := s.writer(ctx).Where("external_status_check_id = ?", service.ID).Delete(&ExternalStatusCheckBranch{}).Error; err != nil {
		return err
	}
	service.Branches = nil
	for _, b := range scope {
		b.ID, b.ExternalStatusCheckID, b.Protected = 0, service.ID, false
		service.Branches = append(service.Branches, b)
	}
	if len(service.Branches) == 0 {
		return nil
	}
	if err := s.writer(ctx).Create(&service.Branches).Error; err != nil {
		return err
	}
	return s.markProtected(ctx, service.ProjectID, []ExternalStatusCheck{*service})
}

// secretContext binds a sealed secret to its row.
func secretContext(serviceID int64) string {
	return "external_status_checks.sealed_secret:" + strconv.FormatInt(serviceID, 10)
}

func (s *Store) sealSecret(ctx context.Context, service *ExternalStatusCheck, secret string) error {
	sealed, err := s.shared.cfg.Sealer.Seal([]byte(secret), secretContext(service.ID))
	if err != nil {
		return fmt.Errorf("models: seal the shared secret of service %d: %w", service.ID, err)
	}
	service.SealedSecret = sealed
	return s.writer(ctx).Model(&ExternalStatusCheck{}).Where("id = ?", service.ID).
		UpdateColumn("sealed_secret", sealed).Error
}

func (s *Store) openSecret(service ExternalStatusCheck) (string, error) {
	if !service.HasSecret() {
		return "", nil
	}
	plain, err := s.shared.cfg.Sealer.Open(service.SealedSecret, secretContext(service.ID))
	if err != nil {
		return "", fmt.Errorf("models: open the shared secret of service %d: %w", service.ID, err)
	}
	return string(plain), nil
}
