package models

import (
	"context"
	"errors"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// CreateUser creates a user and, unless it is a bot, the namespace of the same name. A
// name that a user or namespace already has is a field error (CodeTaken).
func (s *Store) CreateUser(ctx context.Context, by User, in UserInput) (User, error) {
	if err := in.Validate(); err != nil {
		return User{}, err
	}
	now := s.Now()
	user := User{
		Username: in.Username, UsernameKey: foldKey(in.Username), Name: in.Name, Email: in.Email,
		PasswordDigest: in.PasswordDigest, PasswordChangeRequired: in.PasswordChangeRequired,
		Admin: in.Admin, Bot: in.Bot, CreatedAt: now, UpdatedAt: now,
	}
	err := s.Transaction(ctx, func(tx *Store) error {
		if err := tx.writer(ctx).Create(&user).Error; err != nil {
			return err
		}
		if !in.Bot {
			ns := Namespace{Path: user.Username, PathKey: user.UsernameKey, UserID: &user.ID, CreatedAt: now}
			if err := tx.writer(ctx).Create(&ns).Error; err != nil {
				return err
			}
		}
		return tx.audit(ctx, by, 0, AuditUserCreated, user.Username, user.ID)
	})
	if isUniqueViolation(err, "users", "username_key", "username_key") || isUniqueViolation(err, "namespaces", "path_key", "path_key") {
		return User{}, errTaken("username")
	}
	return user, err
}

// errTaken is the error for a field whose value is already in use.
func errTaken(field string) error {
	return &Error{Kind: KindInvalid, Code: CodeInvalid, Fields: []FieldError{{Field: field, Code: CodeTaken}}}
}

// User finds a user by id. It returns KindNotFound if there is none.
func (s *Store) User(ctx context.Context, id int64) (User, error) {
	var user User
	err := s.preparedReader(ctx).Take(&user, id).Error
	return user, orNotFound(err, "user")
}

// UserByUsername finds a user by name, ignoring case. It returns KindNotFound if there
// is none.
func (s *Store) UserByUsername(ctx context.Context, username string) (User, error) {
	var user User
	err := s.preparedReader(ctx).Take(&user, "username_key = ?", foldKey(username)).Error
	return user, orNotFound(err, "user")
}

// SetPassword sets a user's password digest and ends all sessions of the user except
// the one with the digest keepSession, which may be "".
func (s *Store) SetPassword(ctx context.Context, user User, digest, keepSession string, changeRequired bool) error {
	return s.Transaction(ctx, func(tx *Store) error {
		if err := tx.storePassword(ctx, &user, digest, changeRequired, keepSession); err != nil {
			return err
		}
		return tx.audit(ctx, user, 0, AuditPasswordChanged, user.Username, user.ID)
	})
}

// SetTheme sets a user's theme ("" for the system's, "light" or "dark") and language
// ("" for the browser's). An unknown theme is KindInvalid with field "theme"; the
// caller must check the language.
func (s *Store) SetTheme(ctx context.Context, userID int64, theme, language string) error {
	if err := CheckTheme(theme); err != nil {
		return err
	}
	return s.writer(ctx).Model(&User{}).Where("id = ?", userID).
		Updates(map[string]any{"theme": theme, "language": language, "updated_at": s.Now()}).Error
}

// CountAttempt counts an attempt under a name and reports whether it is within limit
// for its window. Counters are in the database, so all instances share them.
func (s *Store) CountAttempt(ctx context.Context, name string, limit int, window time.Duration) (bool, error) {
	now := s.Now()
	var count int64
	err := s.Transaction(ctx, func(tx *Store) error {
		row := RateCounter{Name: cutText(cleanText(name), 255), Count: 1, WindowEndsAt: now.Add(window)}
		err := tx.writer(ctx).Clauses(clause.OnConflict{
			Columns: []clause.Column{{Name: "name"}},
			DoUpdates: clause.Assignments(map[string]any{
				"count":          gorm.Expr("CASE WHEN rate_counters.window_ends_at <= ? THEN 1 ELSE rate_counters.count + 1 END", now),
				"window_ends_at": gorm.Expr("CASE WHEN rate_counters.window_ends_at <= ? THEN ? ELSE rate_counters.window_ends_at END", now, row.WindowEndsAt),
			}),
		}).Create(&row).Error
		if err != nil {
			return err
		}
		return tx.writer(ctx).Model(&RateCounter{}).Where("name = ?", row.Name).Select("count").Scan(&count).Error
	})
	return count <= int64(limit), err
}

// ResetAttempts clears a counter.
func (s *Store) ResetAttempts(ctx context.Context, name string) error {
	return s.writer(ctx).Where("name = ?", cutText(cleanText(name), 255)).Delete(&RateCounter{}).Error
}

// RecordFailedSignIn records a rejected sign-in as an audit event.
func (s *Store) RecordFailedSignIn(ctx context.Context, username, ip string) error {
	username = cutText(cleanText(username), 255)
	return s.audit(WithAddress(ctx, ip), User{Username: username}, 0, AuditSignInFailed, username, 0)
}

var errNoPayload = errors.New("models: Config.Payload must be set to record events")
