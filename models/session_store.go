package models

import (
	"context"
	"time"
)

// CreateSession keeps a session for a user who has just proved who they are.
func (s *Store) CreateSession(ctx context.Context, user User, digest, userAgent, ip string) (Session, error) {
	now := s.Now()
	session := Session{
		Digest: digest, UserID: user.ID, UserAgent: cutBytes(cleanText(userAgent), 255), IP: ip,
		CreatedAt: now, LastSeenAt: now, ExpiresAt: now.Add(SessionLifetime),
	}
	err := s.Transaction(ctx, func(tx *Store) error {
		if err := tx.w(ctx).Create(&session).Error; err != nil {
			return err
		}
		return tx.audit(ctx, user, 0, AuditSignedIn, user.Username, user.ID, AuditChange{Field: "ip", To: ip})
	})
	return session, err
}

// sessionTouch is how stale LastSeenAt may be: a poll every three seconds must
// not write every three seconds.
const sessionTouch = 10 * time.Minute

// SessionUser finds the session with a digest, and its user, in one query.
// KindNotFound when there is none, it has expired, or the user is blocked.
func (s *Store) SessionUser(ctx context.Context, digest string) (Session, User, error) {
	var row struct {
		User             `gorm:"embedded"`
		SessionID        int64
		SessionCreated   time.Time
		SessionLastSeen  time.Time
		SessionExpiresAt time.Time
	}
	now := s.Now()
	result := s.hot(ctx).Raw(`SELECT users.*, sessions.id AS session_id, sessions.created_at AS session_created,
			sessions.last_seen_at AS session_last_seen, sessions.expires_at AS session_expires_at
		FROM sessions JOIN users ON users.id = sessions.user_id
		WHERE sessions.digest = ? AND sessions.expires_at > ? AND users.blocked = ?`, digest, now, false).Scan(&row)
	if result.Error != nil {
		return Session{}, User{}, result.Error
	}
	if result.RowsAffected == 0 {
		return Session{}, User{}, notFound("session")
	}
	session := Session{
		ID: row.SessionID, Digest: digest, UserID: row.User.ID,
		CreatedAt: row.SessionCreated, LastSeenAt: row.SessionLastSeen, ExpiresAt: row.SessionExpiresAt,
	}
	if now.Sub(session.LastSeenAt) > sessionTouch {
		session.LastSeenAt, session.ExpiresAt = now, now.Add(SessionLifetime)
		err := s.w(ctx).Model(&Session{}).Where("id = ?", session.ID).
			Updates(map[string]any{"last_seen_at": session.LastSeenAt, "expires_at": session.ExpiresAt}).Error
		if err != nil {
			return Session{}, User{}, err
		}
	}
	return session, row.User, nil
}

// Sessions lists a user's live sessions, the newest first.
func (s *Store) Sessions(ctx context.Context, userID int64) ([]Session, error) {
	var sessions []Session
	err := s.q(ctx).Where("user_id = ? AND expires_at > ?", userID, s.Now()).Order("last_seen_at DESC, id DESC").Find(&sessions).Error
	return sessions, err
}

// DeleteSession ends a session of a user.
func (s *Store) DeleteSession(ctx context.Context, user User, digest string) error {
	return s.Transaction(ctx, func(tx *Store) error {
		result := tx.w(ctx).Where("digest = ? AND user_id = ?", digest, user.ID).Delete(&Session{})
		if result.Error != nil || result.RowsAffected == 0 {
			return result.Error
		}
		return tx.audit(ctx, user, 0, AuditSignedOut, user.Username, user.ID)
	})
}

// EndSessions ends sessions of a user: the one with an id, or with id 0 all but
// the one whose digest is keep, which no id ends either. It tells how many.
func (s *Store) EndSessions(ctx context.Context, user User, id int64, keep string) (int, error) {
	var ended []Session
	err := s.Transaction(ctx, func(tx *Store) error {
		query := tx.w(ctx).Where("user_id = ? AND digest <> ?", user.ID, keep)
		if id != 0 {
			query = query.Where("id = ?", id)
		}
		if err := query.Order("id").Find(&ended).Error; err != nil {
			return err
		}
		for _, session := range ended {
			if err := tx.w(ctx).Where("id = ?", session.ID).Delete(&Session{}).Error; err != nil {
				return err
			}
			if err := tx.audit(ctx, user, 0, AuditSessionEnded, user.Username, user.ID, AuditChange{Field: "ip", From: session.IP}); err != nil {
				return err
			}
		}
		return nil
	})
	return len(ended), err
}
