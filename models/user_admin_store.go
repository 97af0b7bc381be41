package models

import (
	"context"
	"time"
)

// userConditions match the partial indexes of the table, one each: SQLite would otherwise
// choose the larger one. Bots are not administrators.
var userConditions = map[UserKind]string{
	UserKindPeople: "NOT bot", UserKindActive: "NOT bot AND NOT blocked", UserKindAdmins: "admin",
	UserKindBlocked: "blocked", UserKindBots: "bot",
}

// ListUsers lists users, newest first, with their number, which is counted to
// MaxListed + 1.
func (s *Store) ListUsers(ctx context.Context, filter UserFilter, page Page) ([]User, int64, error) {
	query := s.reader(ctx).Model(&User{})
	for _, kind := range append([]UserKind{filter.Kind}, filter.Also...) {
		condition, known := userConditions[kind]
		if !known {
			condition = "1 = 0"
		}
		query = query.Where(condition)
	}
	if search := cleanText(filter.Search); search != "" {
		like := likeContains(foldKey(search))
		query = query.Where(`(username_key LIKE ? ESCAPE '\' OR lower(name) LIKE ? ESCAPE '\' OR email = ?)`, like, like, search)
	}
	if filter.Username != "" {
		query = query.Where("username_key = ?", foldKey(cleanText(filter.Username)))
	}
	total, err := countBounded(query)
	if err != nil || total == 0 { // a search that finds nobody reads all users; once is enough
		return nil, 0, err
	}
	var users []User
	err = page.apply(query.Order("id DESC")).Find(&users).Error
	return users, total, err
}

// lockPerson locks a user's row. A bot is refused with CodeBotUser: its token is revoked
// instead.
func (s *Store) lockPerson(ctx context.Context, id int64) (User, error) {
	var user User
	if err := s.forUpdate(s.writer(ctx)).Take(&user, id).Error; err != nil {
		return user, orNotFound(err, "user")
	}
	if user.Bot {
		return user, unprocessable(CodeBotUser)
	}
	return user, nil
}

// checkNotLastAdmin returns CodeLastAdmin if user is the only active administrator. It
// locks all of them, so that two cannot remove each other. Call it before lockPerson.
func (s *Store) checkNotLastAdmin(ctx context.Context, userID int64) error {
	var admins []int64
	err := s.forUpdate(s.writer(ctx).Model(&User{})).Where("admin").Where("NOT bot").Where("NOT blocked").Order("id").Pluck("id", &admins).Error
	if err == nil && len(admins) == 1 && admins[0] == userID {
		return unprocessable(CodeLastAdmin)
	}
	return err
}

// UpdateUser changes a user. The last active administrator stays one (CodeLastAdmin).
func (s *Store) UpdateUser(ctx context.Context, by User, userID int64, in UserUpdate) (User, error) {
	if err := in.Validate(); err != nil {
		return User{}, err
	}
	var user User
	err := s.Transaction(ctx, func(tx *Store) error {
		var err error
		if in.Admin != nil && !*in.Admin {
			if err = tx.checkNotLastAdmin(ctx, userID); err != nil {
				return err
			}
		}
		before, err := tx.lockPerson(ctx, userID)
		if err != nil {
			return err
		}
		user = in.edited(before)
		if err := checkVersion(in.Version, before.Version(), user.Version()); err != nil {
			return err
		}
		var changes []AuditChange
		for _, c := range []AuditChange{
			{"username", before.Username, user.Username}, {"name", before.Name, user.Name}, {"email", before.Email, user.Email},
			{"admin", formatSwitch(before.Admin), formatSwitch(user.Admin)},
		} {
			if c.From != c.To {
				changes = append(changes, c)
			}
		}
		if len(changes) == 0 {
			return nil
		}
		if user.Username != before.Username {
			if err := tx.rename(ctx, &user, user.Username); err != nil {
				return err
			}
		}
		user.UpdatedAt = tx.Now()
		err = tx.writer(ctx).Model(&user).Select("name", "email", "admin", "updated_at").Updates(&user).Error
		if err != nil {
			return err
		}
		return tx.audit(ctx, by, 0, AuditUserUpdated, user.Username, user.ID, changes...)
	})
	if isUniqueViolation(err, "users", "username_key", "username_key") || isUniqueViolation(err, "namespaces", "path_key", "path_key") {
		return User{}, errTaken("username")
	}
	return user, err
}

// BlockUser blocks a user: it ends the user's sessions and invitation, and no token or
// password of the user works any more, from the next request on. The last active
// administrator and the user by cannot be blocked (CodeLastAdmin, CodeOwnAccount).
// Blocking a blocked user does nothing.
func (s *Store) BlockUser(ctx context.Context, by User, userID int64) (User, error) {
	if by.ID == userID {
		return User{}, unprocessable(CodeOwnAccount)
	}
	return s.setBlocked(ctx, by, userID, true)
}

// UnblockUser lets a blocked user sign in again and tokens that have not ended work
// again. Sessions stay ended.
func (s *Store) UnblockUser(ctx context.Context, by User, userID int64) (User, error) {
	return s.setBlocked(ctx, by, userID, false)
}

func (s *Store) setBlocked(ctx context.Context, by User, userID int64, blocked bool) (User, error) {
	var user User
	err := s.Transaction(ctx, func(tx *Store) error {
		var err error
		if blocked {
			if err = tx.checkNotLastAdmin(ctx, userID); err != nil {
				return err
			}
		}
		if user, err = tx.lockPerson(ctx, userID); err != nil || user.Blocked == blocked {
			return err
		}
		user.Blocked, user.UpdatedAt = blocked, tx.Now()
		if err := tx.writer(ctx).Model(&user).Select("blocked", "updated_at").Updates(&user).Error; err != nil {
			return err
		}
		// A sign-in that began before the block may have stored its session after it, so
		// unblocking deletes sessions, too.
		if err := tx.writer(ctx).Where("user_id = ?", user.ID).Delete(&Session{}).Error; err != nil {
			return err
		}
		if err := tx.deleteLink(ctx, &user.ID); err != nil {
			return err
		}
		action := AuditUserBlocked
		if !blocked {
			action = AuditUserUnblocked
		}
		return tx.audit(ctx, by, 0, action, user.Username, user.ID)
	})
	return user, err
}

// ResetPassword gives a user a one-time password, which must be changed at the next
// sign-in, and ends all sessions and the invitation of the user.
func (s *Store) ResetPassword(ctx context.Context, by User, userID int64, digest string) (User, error) {
	var user User
	err := s.Transaction(ctx, func(tx *Store) error {
		var err error
		if user, err = tx.lockPerson(ctx, userID); err != nil {
			return err
		}
		if err := tx.deleteLink(ctx, &user.ID); err != nil {
			return err
		}
		if err := tx.storePassword(ctx, &user, digest, true, ""); err != nil {
			return err
		}
		return tx.audit(ctx, by, 0, AuditPasswordReset, user.Username, user.ID)
	})
	return user, err
}

// storePassword sets the password of a user and ends all sessions but that with the
// digest keepSession.
func (s *Store) storePassword(ctx context.Context, user *User, digest string, changeRequired bool, keepSession string) error {
	user.PasswordDigest, user.PasswordChangeRequired, user.UpdatedAt = digest, changeRequired, s.Now()
	err := s.writer(ctx).Model(user).Select("password_digest", "password_change_required", "updated_at").Updates(user).Error
	if err != nil {
		return err
	}
	return s.writer(ctx).Where("user_id = ? AND digest <> ?", user.ID, keepSession).Delete(&Session{}).Error
}

// ProjectTokensBy lists the active project tokens that a user created, newest first, at
// most limit. Blocking the user does not stop them: they belong to their projects.
func (s *Store) ProjectTokensBy(ctx context.Context, userID int64, limit int) ([]AccessToken, error) {
	var tokens []AccessToken
	err := s.reader(ctx).Preload("User").
		Where("created_by_id = ? AND project_id IS NOT NULL AND revoked_at IS NULL AND expires_at > ?", userID, s.Now()).
		Order("id DESC").Limit(limit).Find(&tokens).Error
	return tokens, err
}

// LastSeen returns when users were last active in a browser or with a personal token, by
// id. Users without a session that has not expired and without a used token are missing.
func (s *Store) LastSeen(ctx context.Context, userIDs []int64) (map[int64]time.Time, error) {
	if len(userIDs) == 0 {
		return nil, nil
	}
	var rows []struct {
		ID                 int64
		SessionAt, TokenAt *time.Time
	}
	err := s.reader(ctx).Raw(`SELECT u.id,
		(SELECT s.last_seen_at FROM sessions s WHERE s.user_id = u.id ORDER BY s.last_seen_at DESC LIMIT 1) AS session_at,
		(SELECT t.last_used_at FROM access_tokens t WHERE t.user_id = u.id AND t.last_used_at IS NOT NULL
			ORDER BY t.last_used_at DESC LIMIT 1) AS token_at
		FROM users u WHERE u.id IN ?`, userIDs).Scan(&rows).Error
	seen := make(map[int64]time.Time, len(rows))
	for _, row := range rows {
		switch {
		case row.SessionAt != nil && (row.TokenAt == nil || row.SessionAt.After(*row.TokenAt)):
			seen[row.ID] = row.SessionAt.UTC()
		case row.TokenAt != nil:
			seen[row.ID] = row.TokenAt.UTC()
		}
	}
	return seen, err
}
