package models

import (
	"context"
	"errors"
	"time"

	"gorm.io/gorm"
)

// CreateProject creates a project and its repository. The creator becomes Owner, and
// the default branch is protected for Maintainers. With readme, the default branch has
// a first commit. A path that the namespace already has is a field error (CodeTaken).
func (s *Store) CreateProject(ctx context.Context, by User, in ProjectInput, readme bool) (Project, error) {
	if err := in.Validate(); err != nil {
		return Project{}, err
	}
	ns, err := s.NamespaceByID(ctx, in.NamespaceID)
	if err != nil {
		return Project{}, err
	}
	now := s.Now()
	project := Project{
		NamespaceID: ns.ID, Namespace: ns, Name: in.Name, Path: in.Path, PathKey: foldKey(in.Path),
		Description: in.Description, Visibility: in.Visibility, DefaultBranch: in.DefaultBranch,
		OnlyAllowMergeIfAllStatusChecksPassed: in.OnlyAllowMergeIfAllStatusChecksPassed,
		CreatorID:                             ID(by.ID), CreatedAt: now, UpdatedAt: now, LastActivityAt: now,
	}
	err = s.Transaction(ctx, func(tx *Store) error {
		if err := tx.writer(ctx).Create(&project).Error; err != nil {
			return err
		}
		// The new project takes the path over from a redirect.
		err := tx.writer(ctx).Where("namespace_id = ? AND path_key = ?", ns.ID, project.PathKey).
			Delete(&ProjectRedirect{}).Error
		if err != nil {
			return err
		}
		member := Member{ProjectID: project.ID, UserID: by.ID, Role: RoleOwner, CreatedByID: ID(by.ID), CreatedAt: now, UpdatedAt: now}
		if err := tx.writer(ctx).Create(&member).Error; err != nil {
			return err
		}
		branch := ProtectedBranch{
			ProjectID: project.ID, Name: project.DefaultBranch, PushAccessLevel: RoleMaintainer,
			MergeAccessLevel: RoleMaintainer, CreatedAt: now, UpdatedAt: now,
		}
		if err := tx.writer(ctx).Create(&branch).Error; err != nil {
			return err
		}
		if err := tx.audit(ctx, by, project.ID, AuditProjectCreated, project.FullPath(), project.ID); err != nil {
			return err
		}
		// Create the repository last: if it fails, the rows are rolled back.
		return tx.shared.cfg.Git.CreateRepository(ctx, project, readme, by, now)
	})
	if isUniqueViolation(err, "projects", "path_key", "path_key") {
		return Project{}, errTaken("path")
	}
	return project, err
}

// Project finds a project by id. It returns KindNotFound if there is none.
func (s *Store) Project(ctx context.Context, id int64) (Project, error) {
	var project Project
	err := s.preparedReader(ctx).Preload("Namespace").Take(&project, id).Error
	return project, orNotFound(err, "project")
}

var accessQuery = "SELECT " + accessColumns(&Access{}).sql() + `
	FROM projects p JOIN namespaces n ON n.id = p.namespace_id
	LEFT JOIN members m ON m.project_id = p.id AND m.user_id = ? WHERE `

func (s *Store) access(ctx context.Context, user *User, where string, args ...any) (Access, error) {
	access := Access{SignedIn: user != nil}
	var userID int64
	if user != nil {
		userID, access.Admin = user.ID, user.Admin
	}
	args = append([]any{userID}, args...)
	if err := s.queryRow(ctx, "project", accessColumns(&access), accessQuery+where, args...); err != nil {
		return Access{}, err
	}
	return access, nil
}

// AccessByID finds a project and the access that user (nil if signed out) has to it, in
// one query. It returns KindNotFound if the project does not exist, but does not check
// whether the user can see it.
func (s *Store) AccessByID(ctx context.Context, user *User, projectID int64) (Access, error) {
	return s.access(ctx, user, "p.id = ?", projectID)
}

// AccessByPath is AccessByID for a project at namespace/path, ignoring case. If the
// path is the former path of a renamed project, redirected is true.
func (s *Store) AccessByPath(ctx context.Context, user *User, namespace, path string) (access Access, redirected bool, err error) {
	access, err = s.access(ctx, user, "n.path_key = ? AND p.path_key = ?", foldKey(namespace), foldKey(path))
	if KindOf(err) != KindNotFound {
		return access, false, err
	}
	access, err = s.access(ctx, user, `p.id = (SELECT r.project_id FROM project_redirects r JOIN namespaces old ON old.id = r.namespace_id
		WHERE old.path_key = ? AND r.path_key = ?)`, foldKey(namespace), foldKey(path))
	return access, err == nil, err
}

// UpdateProject changes a project. A new path leaves a redirect from the old one. A new
// default branch must exist (CodeUnknownBranch).
func (s *Store) UpdateProject(ctx context.Context, by User, projectID int64, in ProjectUpdate) (Project, error) {
	if err := in.Validate(); err != nil {
		return Project{}, err
	}
	var project Project
	err := s.Transaction(ctx, func(tx *Store) error {
		if err := tx.lockProject(ctx, projectID, &project); err != nil {
			return err
		}
		edited := in.edited(project)
		if err := checkVersion(in.BasicsVersion, project.BasicsVersion(), edited.BasicsVersion()); err != nil {
			return err
		}
		if err := checkVersion(in.IdentityVersion, project.IdentityVersion(), edited.IdentityVersion()); err != nil {
			return err
		}
		var changes []AuditChange
		addChange := func(field, from, to string) bool {
			if from != to {
				changes = append(changes, AuditChange{Field: field, From: cutText(from, 255), To: cutText(to, 255)})
			}
			return from != to
		}
		if in.Name != nil && addChange("name", project.Name, *in.Name) {
			project.Name = *in.Name
		}
		if in.Path != nil && addChange("path", project.Path, *in.Path) {
			if err := tx.changePath(ctx, &project, *in.Path); err != nil {
				return err
			}
		}
		if in.Description != nil && addChange("description", project.Description, *in.Description) {
			project.Description = *in.Description
		}
		if in.Visibility != nil && addChange("visibility", project.Visibility.String(), in.Visibility.String()) {
			project.Visibility = *in.Visibility
		}
		if required := in.OnlyAllowMergeIfAllStatusChecksPassed; required != nil {
			addChange("only_allow_merge_if_all_status_checks_passed",
				formatSwitch(project.OnlyAllowMergeIfAllStatusChecksPassed), formatSwitch(*required))
			project.OnlyAllowMergeIfAllStatusChecksPassed = *required
		}
		if in.DefaultBranch != nil && addChange("default_branch", project.DefaultBranch, *in.DefaultBranch) {
			git := tx.shared.cfg.Git
			if _, exists, err := git.BranchTip(ctx, projectID, *in.DefaultBranch); err != nil {
				return err
			} else if !exists {
				return &Error{Kind: KindInvalid, Code: CodeInvalid, Fields: []FieldError{{Field: "default_branch", Code: CodeUnknownBranch}}}
			}
			if err := git.SetDefaultBranch(ctx, projectID, *in.DefaultBranch); err != nil {
				return err
			}
			project.DefaultBranch = *in.DefaultBranch
		}
		if len(changes) == 0 {
			return nil
		}
		project.UpdatedAt = tx.Now()
		if err := tx.writer(ctx).Save(&project).Error; err != nil {
			return err
		}
		return tx.audit(ctx, by, project.ID, AuditProjectUpdated, project.FullPath(), project.ID, changes...)
	})
	if isUniqueViolation(err, "projects", "path_key", "path_key") {
		return Project{}, errTaken("path")
	}
	return project, err
}

// changePath gives a locked project a new path and creates a redirect.
func (s *Store) changePath(ctx context.Context, project *Project, path string) error {
	oldKey, newKey := project.PathKey, foldKey(path)
	project.Path, project.PathKey = path, newKey
	if oldKey == newKey {
		return nil
	}
	err := s.writer(ctx).
		Where("namespace_id = ? AND path_key IN ?", project.NamespaceID,
			[]string{oldKey, newKey}).Delete(&ProjectRedirect{}).Error
	if err != nil {
		return err
	}
	redirect := ProjectRedirect{
		ProjectID: project.ID, NamespaceID: project.NamespaceID, PathKey: oldKey, CreatedAt: s.Now(),
	}
	return s.writer(ctx).Create(&redirect).Error
}

// lockProject locks a project's row. Opening and reopening merge requests, and pushes
// to the project, are serialised by it.
func (s *Store) lockProject(ctx context.Context, id int64, project *Project) error {
	err := s.forUpdate(s.writer(ctx)).Take(project, id).Error
	if err != nil {
		return orNotFound(err, "project")
	}
	return orNotFound(s.writer(ctx).Take(&project.Namespace, project.NamespaceID).Error, "namespace")
}

// lockProjectShared locks a project's row against lockProject, but not against other
// shared locks.
func (s *Store) lockProjectShared(ctx context.Context, id int64) error {
	var project Project
	return orNotFound(s.locking(s.writer(ctx), "SHARE").Select("id").Take(&project, id).Error, "project")
}

// DeleteProject deletes a project with all its rows, then its repository. If the
// repository cannot be removed, recovery retries it.
func (s *Store) DeleteProject(ctx context.Context, by User, projectID int64) error {
	return s.Transaction(ctx, func(tx *Store) error {
		var project Project
		if err := tx.lockProject(ctx, projectID, &project); err != nil {
			return err
		}
		// The bots of the project's tokens are deleted with it.
		var bots []int64
		err := tx.writer(ctx).Model(&AccessToken{}).Where("project_id = ?", projectID).Distinct().
			Pluck("user_id", &bots).Error
		if err != nil {
			return err
		}
		if err := tx.writer(ctx).Delete(&Project{}, projectID).Error; err != nil {
			return err
		}
		removal := RepositoryRemoval{ProjectID: projectID, CreatedAt: tx.Now()}
		if err := tx.writer(ctx).Create(&removal).Error; err != nil {
			return err
		}
		tx.afterCommit(func() {
			// After an error the row stays for recovery, which reports it.
			_ = tx.root.removeRepository(context.WithoutCancel(ctx), removal)
		})
		if len(bots) > 0 {
			if err := tx.writer(ctx).Where("bot = ?", true).Delete(&User{}, bots).Error; err != nil {
				return err
			}
		}
		return tx.audit(ctx, by, 0, AuditProjectRemoved, project.FullPath(), projectID)
	})
}

// activityInterval is how often a project's last activity is written at most.
const activityInterval = time.Minute

// recordActivity updates the last activity of a project after the transaction: inside
// it, locking the project's row after a merge request's row could deadlock.
func (s *Store) recordActivity(ctx context.Context, project Project) {
	now := s.Now()
	if now.Sub(project.LastActivityAt) < activityInterval {
		return
	}
	s.afterCommit(func() {
		// An error only affects the order of a list.
		_ = s.root.writer(context.WithoutCancel(ctx)).Model(&Project{}).Where("id = ?", project.ID).
			UpdateColumn("last_activity_at", now).Error
	})
}

// isRecordNotFound reports whether err is GORM's ErrRecordNotFound.
func isRecordNotFound(err error) bool { return errors.Is(err, gorm.ErrRecordNotFound) }
