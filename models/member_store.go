package models

import (
	"context"
)

// Members lists a project's members by descending role, then user name, with their
// total number. search matches parts of user names and names. RoleNone selects all
// roles.
func (s *Store) Members(ctx context.Context, projectID int64, search string, role Role, page Page) ([]Member, int64, error) {
	query := s.reader(ctx).Model(&Member{}).Joins("JOIN users ON users.id = members.user_id").
		Where("members.project_id = ?", projectID)
	if search != "" {
		like := likeContains(foldKey(cleanText(search)))
		query = query.Where(`(users.username_key LIKE ? ESCAPE '\' OR lower(users.name) LIKE ? ESCAPE '\')`, like, like)
	}
	if role != RoleNone {
		query = query.Where("members.role = ?", role)
	}
	var total int64
	if err := query.Count(&total).Error; err != nil {
		return nil, 0, err
	}
	var members []Member
	err := page.apply(query.Select(s.columnNames("members", &Member{})).Preload("User").Preload("CreatedBy").Order("members.role DESC, users.username_key")).Find(&members).Error
	return members, total, err
}

// Member finds a user's membership. It returns KindNotFound if there is none.
func (s *Store) Member(ctx context.Context, projectID, userID int64) (Member, error) {
	var member Member
	err := s.reader(ctx).Preload("User").Preload("CreatedBy").
		Take(&member, "project_id = ? AND user_id = ?", projectID, userID).Error
	return member, orNotFound(err, "member")
}

// AddMember adds a user to a project. byRole is the role of the acting user, RoleOwner
// for administrators: only Owners can add an Owner (CodeOwnerOnly). An existing
// membership is KindConflict with CodeMemberExists.
func (s *Store) AddMember(ctx context.Context, by User, byRole Role, projectID, userID int64, role Role) (Member, error) {
	if err := checkRole(byRole, role); err != nil {
		return Member{}, err
	}
	now := s.Now()
	member := Member{ProjectID: projectID, UserID: userID, Role: role, CreatedByID: ID(by.ID), CreatedAt: now, UpdatedAt: now}
	err := s.Transaction(ctx, func(tx *Store) error {
		user, err := tx.User(ctx, userID)
		if err != nil {
			return err
		}
		if user.Bot {
			return notFound("user")
		}
		if err := tx.writer(ctx).Create(&member).Error; err != nil {
			return err
		}
		member.User = user
		if member.CreatedByID != nil {
			member.CreatedBy = &by
		}
		return tx.audit(ctx, by, projectID, AuditMemberAdded, user.Username, user.ID, AuditChange{Field: "role", To: role.String()})
	})
	if isUniqueViolation(err, "members", "user_id", "user_id") {
		return Member{}, conflict(CodeMemberExists)
	}
	if isForeignKeyViolation(err) {
		return Member{}, notFound("project")
	}
	return member, err
}

func checkRole(byRole, role Role) error {
	if !role.Valid() {
		return &Error{Kind: KindInvalid, Code: CodeInvalid, Fields: []FieldError{{Field: "access_level", Code: CodeInvalid}}}
	}
	if role == RoleOwner && byRole < RoleOwner {
		return forbidden(CodeOwnerOnly)
	}
	return nil
}

// ChangeMember changes a member's role. Only Owners can promote to or demote from Owner
// (CodeOwnerOnly), and the last Owner cannot be demoted (CodeLastOwner). The bot of a
// project token is KindForbidden with CodeBotMember. from is the member's Version that
// the form showed; "" disables the check for concurrent edits.
func (s *Store) ChangeMember(ctx context.Context, by User, byRole Role, projectID, userID int64, role Role, from string) (Member, error) {
	if err := checkRole(byRole, role); err != nil {
		return Member{}, err
	}
	var member Member
	err := s.Transaction(ctx, func(tx *Store) error {
		var err error
		if member, err = tx.lockMember(ctx, projectID, userID); err != nil {
			return err
		}
		if member.Role == role {
			return nil
		}
		if err := checkVersion(from, member.Version(), ""); err != nil {
			return err
		}
		if member.Role == RoleOwner {
			if err := tx.checkOwnerRemovable(ctx, byRole, member); err != nil {
				return err
			}
		}
		before := member.Role
		member.Role, member.UpdatedAt = role, tx.Now()
		err = tx.writer(ctx).Model(&Member{}).Where("id = ?", member.ID).
			Updates(map[string]any{"role": member.Role, "updated_at": member.UpdatedAt}).Error
		if err != nil {
			return err
		}
		change := AuditChange{Field: "role", From: before.String(), To: role.String()}
		return tx.audit(ctx, by, projectID, AuditMemberChanged, member.User.Username, userID, change)
	})
	return member, err
}

// RemoveMember removes a member. Only Owners can remove an Owner, and the last Owner
// cannot be removed (CodeLastOwner). The bot of a project token is KindForbidden with
// CodeBotMember: revoke its token instead.
func (s *Store) RemoveMember(ctx context.Context, by User, byRole Role, projectID, userID int64) error {
	return s.Transaction(ctx, func(tx *Store) error {
		member, err := tx.lockMember(ctx, projectID, userID)
		if err != nil {
			return err
		}
		if member.Role == RoleOwner {
			if err := tx.checkOwnerRemovable(ctx, byRole, member); err != nil {
				return err
			}
		}
		if err := tx.writer(ctx).Delete(&Member{}, member.ID).Error; err != nil {
			return err
		}
		change := AuditChange{Field: "role", From: member.Role.String()}
		return tx.audit(ctx, by, projectID, AuditMemberRemoved, member.User.Username, userID, change)
	})
}

// lockMember finds a membership under the project's lock, so that two Owners cannot
// demote each other at the same time. The bot of a project token is KindForbidden with
// CodeBotMember.
func (s *Store) lockMember(ctx context.Context, projectID, userID int64) (Member, error) {
	var project Project
	if err := s.lockProject(ctx, projectID, &project); err != nil {
		return Member{}, err
	}
	member, err := s.Member(ctx, projectID, userID)
	if err == nil && member.User.Bot {
		err = forbidden(CodeBotMember)
	}
	return member, err
}

// checkOwnerRemovable returns an error if byRole may not remove an Owner or if member
// is the last one.
func (s *Store) checkOwnerRemovable(ctx context.Context, byRole Role, member Member) error {
	if byRole < RoleOwner {
		return forbidden(CodeOwnerOnly)
	}
	last, isLast, err := s.LastOwner(ctx, member.ProjectID)
	if err != nil {
		return err
	}
	if isLast && last == member.UserID {
		return unprocessable(CodeLastOwner)
	}
	return nil
}

// LastOwner returns the only Owner of a project; ok is false if there are several. Bots
// are not counted.
func (s *Store) LastOwner(ctx context.Context, projectID int64) (userID int64, ok bool, err error) {
	var owners []int64
	err = s.reader(ctx).Model(&Member{}).Joins("JOIN users ON users.id = members.user_id").
		Where("members.project_id = ? AND members.role = ? AND users.bot = ?", projectID, RoleOwner, false).
		Limit(2).Pluck("members.user_id", &owners).Error
	if err != nil || len(owners) != 1 {
		return 0, false, err
	}
	return owners[0], true, nil
}

// CountMembers counts a project's members by role.
func (s *Store) CountMembers(ctx context.Context, projectID int64) (map[Role]int, error) {
	var rows []struct {
		Role Role
		N    int
	}
	err := s.reader(ctx).Model(&Member{}).Select("role, count(*) AS n").Where("project_id = ?", projectID).
		Group("role").Scan(&rows).Error
	counts := map[Role]int{}
	for _, row := range rows {
		counts[row.Role] = row.N
	}
	return counts, err
}
