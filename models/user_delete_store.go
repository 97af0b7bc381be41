package models

import "context"

// DeleteUser deletes a user with the projects in the user's namespace, approvals and
// personal tokens, and revokes the tokens that these created. Merge requests and
// responses in other projects stay without a user. The user by, the last active administrator, a
// bot and the only Owner of a project in another namespace cannot be deleted
// (CodeOwnAccount, CodeLastAdmin, CodeBotUser, CodeOnlyOwner).
func (s *Store) DeleteUser(ctx context.Context, by User, userID int64) error {
	if by.ID == userID {
		return unprocessable(CodeOwnAccount)
	}
	return s.Transaction(ctx, func(tx *Store) error {
		if err := tx.checkNotLastAdmin(ctx, userID); err != nil {
			return err
		}
		// Projects are locked before users, so that no other Owner leaves meanwhile, and the
		// namespace before them, so that nobody creates a project in it.
		own, err := tx.lockProjectsOf(ctx, userID)
		if err != nil {
			return err
		}
		for _, id := range own {
			if err := tx.DeleteProject(ctx, by, id); err != nil {
				return err
			}
		}
		if err := tx.revokeTokensOf(ctx, by, userID); err != nil {
			return err
		}
		user, err := tx.lockPerson(ctx, userID)
		if err != nil {
			return err
		}
		var only []int64
		err = tx.writer(ctx).Raw(`SELECT m.project_id FROM members m WHERE m.user_id = ? AND m.role = ? AND NOT EXISTS (
			SELECT 1 FROM members o JOIN users u ON u.id = o.user_id
			WHERE o.project_id = m.project_id AND o.role = m.role AND o.user_id <> m.user_id AND NOT u.bot) LIMIT 1`, userID, RoleOwner).Scan(&only).Error
		if err != nil {
			return err
		}
		if len(only) > 0 {
			return unprocessable(CodeOnlyOwner)
		}
		if err := tx.writer(ctx).Delete(&User{}, userID).Error; err != nil {
			return err
		}
		return tx.audit(ctx, by, 0, AuditUserRemoved, user.Username, userID)
	})
}

// lockProjectsOf locks the namespace of a user, its projects, which it returns, and those
// of which the user is an Owner.
func (s *Store) lockProjectsOf(ctx context.Context, userID int64) (own []int64, err error) {
	var namespaces []int64
	err = s.locking(s.writer(ctx).Model(&Namespace{}), "UPDATE").Where("user_id = ?", userID).Pluck("id", &namespaces).Error
	if err != nil {
		return nil, err
	}
	err = s.writer(ctx).Model(&Project{}).Where("namespace_id IN ?", namespaces).Pluck("id", &own).Error
	if err != nil {
		return nil, err
	}
	var locked []int64
	err = s.writer(ctx).Model(&Member{}).Where("user_id = ? AND role = ?", userID, RoleOwner).Pluck("project_id", &locked).Error
	if err != nil {
		return nil, err
	}
	locked = append(locked, own...)
	err = s.forUpdate(s.writer(ctx).Model(&Project{})).Where("id IN ?", locked).Order("id").Pluck("id", &locked).Error
	return own, err
}

// revokeTokensOf revokes the personal tokens of a user, so that the tokens that they
// created leave no bots as members.
func (s *Store) revokeTokensOf(ctx context.Context, by User, userID int64) error {
	for {
		var token []AccessToken // a revocation may have revoked the next one, too
		err := s.forUpdate(s.writer(ctx)).Where("user_id = ? AND project_id IS NULL AND revoked_at IS NULL", userID).
			Order("id").Limit(1).Find(&token).Error
		if err != nil || len(token) == 0 {
			return err
		}
		if err := s.revokeToken(ctx, by, token[0], RoleNone, false); err != nil {
			return err
		}
	}
}
