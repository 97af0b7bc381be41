package models

import (
	"context"
	"time"
)

// CreateSession stores a session of a user who has just signed in.
func (s *Store) CreateSession(ctx context.Context, user User, digest, userAgent, ip string) (Session, error) {
	now := s.Now()
	session := Session{
		Digest: digest, UserID: user.ID, UserAgent: cutText(cleanText(userAgent), 255), IP: ip,
		CreatedAt: now, LastSeenAt: now, ExpiresAt: now.Add(SessionLifetime),
	}
	err := s.Transaction(ctx, func(tx *Store) error {
		if err := tx.writer(ctx).Create(&session).Error; err != nil {
			return err
		}
		return tx.audit(WithAddress(ctx, ip), user, 0, AuditSignedIn, user.Username, user.ID)
	})
	return session, err
}

// sessionRefreshInterval is how often LastSeenAt and ExpiresAt are written at most.
// Widgets poll every few seconds.
const sessionRefreshInterval = 10 * time.Minute

// sessionColumns reads a row s of sessions and its user, except for the digest,
// which the caller knows.
func sessionColumns(session *Session, user *User) columns {
	return append(userColumns(user), columns{
		{"s.id", &session.ID},
		{"s.created_at", &session.CreatedAt},
		{"s.last_seen_at", &session.LastSeenAt},
		{"s.expires_at", &session.ExpiresAt},
	}...)
}

var sessionQuery = "SELECT " + sessionColumns(&Session{}, &User{}).sql() + `
	FROM sessions s JOIN users u ON u.id = s.user_id
	WHERE s.digest = ? AND s.expires_at > ? AND u.blocked = ?`

// SessionUser finds the session with a digest, and its user, in one query. It extends
// the session. It returns KindNotFound if the session does not exist or is expired, or
// if the user is blocked.
func (s *Store) SessionUser(ctx context.Context, digest string) (Session, User, error) {
	now := s.Now()
	var user User
	session := Session{Digest: digest}
	if err := s.queryRow(ctx, "session", sessionColumns(&session, &user), sessionQuery, digest, now, false); err != nil {
		return Session{}, User{}, err
	}
	session.UserID = user.ID
	if now.Sub(session.LastSeenAt) > sessionRefreshInterval {
		session.LastSeenAt, session.ExpiresAt = now, now.Add(SessionLifetime)
		err := s.writer(ctx).Model(&Session{}).Where("id = ?", session.ID).
			Updates(map[string]any{"last_seen_at": session.LastSeenAt, "expires_at": session.ExpiresAt}).Error
		if err != nil {
			return Session{}, User{}, err
		}
	}
	return session, user, nil
}

// Sessions lists a user's active sessions, most recently used first.
func (s *Store) Sessions(ctx context.Context, userID int64) ([]Session, error) {
	var sessions []Session
	err := s.reader(ctx).Where("user_id = ? AND expires_at > ?", userID, s.Now()).
		Order("last_seen_at DESC, id DESC").Find(&sessions).Error
	return sessions, err
}

// DeleteSession signs a session of a user out. A session that does not exist is no
// error.
func (s *Store) DeleteSession(ctx context.Context, user User, digest string) error {
	return s.Transaction(ctx, func(tx *Store) error {
		result := tx.writer(ctx).Where("digest = ? AND user_id = ?", digest, user.ID).Delete(&Session{})
		if result.Error != nil || result.RowsAffected == 0 {
			return result.Error
		}
		return tx.audit(ctx, user, 0, AuditSignedOut, user.Username, user.ID)
	})
}

// EndSessions ends the session of a user with an id or, if id is 0, all sessions of the
// user. The session with the digest keep is never ended. by is the user or an
// administrator. It returns the number of ended sessions.
func (s *Store) EndSessions(ctx context.Context, by, user User, id int64, keep string) (int, error) {
	var ended []Session
	err := s.Transaction(ctx, func(tx *Store) error {
		query := tx.writer(ctx).Where("user_id = ? AND digest <> ?", user.ID, keep)
		if id != 0 {
			query = query.Where("id = ?", id)
		}
		if err := query.Order("id").Find(&ended).Error; err != nil {
			return err
		}
		for _, session := range ended {
			if err := tx.writer(ctx).Where("id = ?", session.ID).Delete(&Session{}).Error; err != nil {
				return err
			}
			change := AuditChange{Field: "ip", From: session.IP}
			if err := tx.audit(ctx, by, 0, AuditSessionEnded, user.Username, user.ID, change); err != nil {
				return err
			}
		}
		return nil
	})
	return len(ended), err
}

// ShownOnce returns the sealed text that a session's next page shows, nil if there is
// none.
func (s *Store) ShownOnce(ctx context.Context, digest string) ([]byte, error) {
	var session Session
	err := s.preparedReader(ctx).Select("shown_once").Where("digest = ?", digest).Limit(1).Find(&session).Error
	return session.ShownOnce, err
}

// SetShownOnce stores the sealed text that a session's next page shows, replacing any
// other.
func (s *Store) SetShownOnce(ctx context.Context, digest string, sealed []byte) error {
	return s.writer(ctx).Model(&Session{}).Where("digest = ?", digest).UpdateColumn("shown_once", sealed).Error
}

// ClearShownOnce removes the sealed text and reports whether it was still there. Of two
// concurrent pages only one shows it.
func (s *Store) ClearShownOnce(ctx context.Context, digest string, sealed []byte) (bool, error) {
	result := s.writer(ctx).Model(&Session{}).Where("digest = ? AND shown_once = ?", digest, sealed).
		UpdateColumn("shown_once", nil)
	return result.RowsAffected == 1, result.Error
}
