package models

import (
	"context"
)

// ProtectedBranches lists a project's protected branches by name, with their total
// number. search matches parts of names.
func (s *Store) ProtectedBranches(ctx context.Context, projectID int64, search string, page Page) ([]ProtectedBranch, int64, error) {
	query := s.reader(ctx).Model(&ProtectedBranch{}).Where("project_id = ?", projectID)
	if search != "" {
		query = query.Where(`lower(name) LIKE ? ESCAPE '\'`, likeContains(foldKey(cleanText(search))))
	}
	var total int64
	if err := query.Count(&total).Error; err != nil {
		return nil, 0, err
	}
	var rules []ProtectedBranch
	err := page.apply(query.Order("name")).Find(&rules).Error
	return rules, total, err
}

// allProtectedBranches lists all protected branches of a project by name.
func (s *Store) allProtectedBranches(ctx context.Context, projectID int64) ([]ProtectedBranch, error) {
	var rules []ProtectedBranch
	err := s.preparedReader(ctx).Where("project_id = ?", projectID).Order("name").Find(&rules).Error
	return rules, err
}

// ProtectedBranch finds a protected branch by its id. It returns KindNotFound if there
// is none.
func (s *Store) ProtectedBranch(ctx context.Context, projectID, id int64) (ProtectedBranch, error) {
	var rule ProtectedBranch
	err := s.preparedReader(ctx).Take(&rule, "project_id = ? AND id = ?", projectID, id).Error
	return rule, orNotFound(err, "protected branch")
}

// ProtectedBranchByName finds a protected branch by its exact name or pattern. It
// returns KindNotFound if there is none.
func (s *Store) ProtectedBranchByName(ctx context.Context, projectID int64, name string) (ProtectedBranch, error) {
	var rule ProtectedBranch
	err := s.preparedReader(ctx).Take(&rule, "project_id = ? AND name = ?", projectID, cleanText(name)).Error
	return rule, orNotFound(err, "protected branch")
}

// BranchDecision is DecideBranch with the project's protected branches.
func (s *Store) BranchDecision(ctx context.Context, project Project, role Role, branch string, action BranchAction) (*BranchRefusal, error) {
	decide, err := s.BranchDecisions(ctx, project, role)
	if err != nil {
		return nil, err
	}
	return decide(branch, action), nil
}

// BranchDecisions returns BranchDecision for any number of branches. It reads the
// protected branches once.
func (s *Store) BranchDecisions(ctx context.Context, project Project, role Role) (func(branch string, action BranchAction) *BranchRefusal, error) {
	rules, err := s.allProtectedBranches(ctx, project.ID)
	return func(branch string, action BranchAction) *BranchRefusal {
		return DecideBranch(project, rules, role, branch, action)
	}, err
}

// CreateProtectedBranch protects a branch or pattern and reconnects it with the scopes
// of services that name it. A name that is already protected is KindConflict with
// CodeAlreadyProtected.
func (s *Store) CreateProtectedBranch(ctx context.Context, by User, projectID int64, in ProtectedBranchInput) (ProtectedBranch, error) {
	if err := in.Validate(); err != nil {
		return ProtectedBranch{}, err
	}
	now := s.Now()
	rule := ProtectedBranch{
		ProjectID: projectID, Name: in.Name, PushAccessLevel: in.PushAccessLevel,
		MergeAccessLevel: in.MergeAccessLevel, AllowForcePush: in.AllowForcePush, CreatedAt: now, UpdatedAt: now,
	}
	err := s.Transaction(ctx, func(tx *Store) error {
		if err := tx.writer(ctx).Create(&rule).Error; err != nil {
			return err
		}
		err := tx.writer(ctx).Model(&ExternalStatusCheckBranch{}).
			Where("name = ? AND external_status_check_id IN (SELECT id FROM external_status_checks WHERE project_id = ?)", rule.Name, projectID).
			UpdateColumn("protected_branch_id", rule.ID).Error
		if err != nil {
			return err
		}
		return tx.audit(ctx, by, projectID, AuditBranchProtected, rule.Name, rule.ID, levelChanges(ProtectedBranch{}, rule)...)
	})
	if isUniqueViolation(err, "protected_branches", "name", "name") {
		return ProtectedBranch{}, &Error{
			Kind: KindConflict, Code: CodeAlreadyProtected, Fields: []FieldError{{Field: "name", Code: CodeTaken}},
		}
	}
	if isForeignKeyViolation(err) {
		return ProtectedBranch{}, notFound("project")
	}
	return rule, err
}

// UpdateProtectedBranch changes the levels of a protected branch. Its name cannot be
// changed.
func (s *Store) UpdateProtectedBranch(ctx context.Context, by User, projectID, id int64, in ProtectedBranchInput) (ProtectedBranch, error) {
	var rule ProtectedBranch
	err := s.Transaction(ctx, func(tx *Store) error {
		err := tx.forUpdate(tx.writer(ctx)).Take(&rule, "project_id = ? AND id = ?", projectID, id).Error
		if err != nil {
			return orNotFound(err, "protected branch")
		}
		in.Name = rule.Name
		if err := in.Validate(); err != nil {
			return err
		}
		before := rule
		rule.PushAccessLevel, rule.MergeAccessLevel, rule.AllowForcePush = in.PushAccessLevel, in.MergeAccessLevel, in.AllowForcePush
		changes := levelChanges(before, rule)
		if len(changes) == 0 {
			return nil
		}
		if err := checkVersion(in.Version, before.Version(), rule.Version()); err != nil {
			return err
		}
		rule.UpdatedAt = tx.Now()
		if err := tx.writer(ctx).Save(&rule).Error; err != nil {
			return err
		}
		return tx.audit(ctx, by, projectID, AuditBranchChanged, rule.Name, rule.ID, changes...)
	})
	return rule, err
}

func levelChanges(from, to ProtectedBranch) []AuditChange {
	var changes []AuditChange
	if from.ID == 0 || from.PushAccessLevel != to.PushAccessLevel {
		changes = append(changes,
			AuditChange{Field: "push_access_level", From: levelName(from, from.PushAccessLevel), To: to.PushAccessLevel.String()})
	}
	if from.ID == 0 || from.MergeAccessLevel != to.MergeAccessLevel {
		changes = append(changes,
			AuditChange{Field: "merge_access_level", From: levelName(from, from.MergeAccessLevel), To: to.MergeAccessLevel.String()})
	}
	if from.AllowForcePush != to.AllowForcePush {
		changes = append(changes,
			AuditChange{Field: "allow_force_push", From: formatSwitch(from.AllowForcePush), To: formatSwitch(to.AllowForcePush)})
	}
	return changes
}

func levelName(rule ProtectedBranch, level Role) string {
	if rule.ID == 0 {
		return ""
	}
	return level.String()
}

// DeleteProtectedBranch unprotects a branch. Scopes of services keep its name.
func (s *Store) DeleteProtectedBranch(ctx context.Context, by User, projectID, id int64) error {
	return s.Transaction(ctx, func(tx *Store) error {
		rule, err := tx.ProtectedBranch(ctx, projectID, id)
		if err != nil {
			return err
		}
		if err := tx.writer(ctx).Delete(&ProtectedBranch{}, rule.ID).Error; err != nil {
			return err
		}
		return tx.audit(ctx, by, projectID, AuditBranchUnprotected, rule.Name, rule.ID,
			AuditChange{Field: "push_access_level", From: rule.PushAccessLevel.String()},
			AuditChange{Field: "merge_access_level", From: rule.MergeAccessLevel.String()})
	})
}
