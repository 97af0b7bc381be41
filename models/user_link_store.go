package models

import (
	"context"
	"time"
)

// CreateInvitation creates an invitation for a user and replaces an earlier one. digest
// is the hash of its token. Bots and blocked users cannot be invited (CodeBotUser,
// CodeUserInactive).
func (s *Store) CreateInvitation(ctx context.Context, by User, userID int64, digest string) (UserLink, error) {
	var link UserLink
	err := s.Transaction(ctx, func(tx *Store) error {
		user, err := tx.lockPerson(ctx, userID)
		if err != nil {
			return err
		}
		if user.Blocked {
			return unprocessable(CodeUserInactive)
		}
		if link, err = tx.replaceLink(ctx, &user.ID, digest, InvitationLifetime); err != nil {
			return err
		}
		return tx.audit(ctx, by, 0, AuditUserInvited, user.Username, user.ID)
	})
	return link, err
}

// InviteUser creates a user without a password together with an invitation.
func (s *Store) InviteUser(ctx context.Context, by User, in UserInput, digest string) (user User, err error) {
	in.PasswordDigest, in.PasswordChangeRequired = "", false
	err = s.Transaction(ctx, func(tx *Store) error {
		if user, err = tx.CreateUser(ctx, by, in); err != nil {
			return err
		}
		_, err = tx.CreateInvitation(ctx, by, user.ID, digest)
		return err
	})
	return user, err
}

// replaceLink replaces the link of a user, or the set-up link if userID is nil.
func (s *Store) replaceLink(ctx context.Context, userID *int64, digest string, lifetime time.Duration) (UserLink, error) {
	if err := s.deleteLink(ctx, userID); err != nil {
		return UserLink{}, err
	}
	now := s.Now()
	link := UserLink{Digest: digest, UserID: userID, CreatedAt: now, ExpiresAt: now.Add(lifetime)}
	return link, s.writer(ctx).Create(&link).Error
}

func (s *Store) deleteLink(ctx context.Context, userID *int64) error {
	query := s.writer(ctx).Where("user_id IS NULL")
	if userID != nil {
		query = s.writer(ctx).Where("user_id = ?", *userID)
	}
	return query.Delete(&UserLink{}).Error
}

// Invitation finds the invitation with a digest, and its user. It returns KindNotFound if
// it does not exist, is expired or was used, or if the user is blocked.
func (s *Store) Invitation(ctx context.Context, digest string) (UserLink, User, error) {
	var link UserLink
	err := s.reader(ctx).Take(&link, "digest = ? AND user_id IS NOT NULL AND expires_at > ?", digest, s.Now()).Error
	if err != nil {
		return UserLink{}, User{}, orNotFound(err, "invitation")
	}
	user, err := s.User(ctx, *link.UserID)
	if err == nil && user.Blocked {
		return UserLink{}, User{}, notFound("invitation")
	}
	return link, user, err
}

// InvitedUntil returns until when the invitations of users can be used, by id. Users
// without one are missing.
func (s *Store) InvitedUntil(ctx context.Context, userIDs []int64) (map[int64]time.Time, error) {
	var links []UserLink
	err := s.reader(ctx).Find(&links, "user_id IN ? AND expires_at > ?", userIDs, s.Now()).Error
	until := make(map[int64]time.Time, len(links))
	for _, link := range links {
		until[*link.UserID] = link.ExpiresAt
	}
	return until, err
}

// AcceptInvitation sets the password of the invited user, ends the user's sessions and
// deletes the invitation, so that it works once. It returns KindNotFound as Invitation
// does.
func (s *Store) AcceptInvitation(ctx context.Context, digest, passwordDigest string) (User, error) {
	var user User
	err := s.Transaction(ctx, func(tx *Store) error {
		link, invited, err := tx.Invitation(ctx, digest)
		if err != nil {
			return err
		}
		if user, err = tx.lockPerson(ctx, invited.ID); err != nil {
			return err
		}
		// Of two requests that read the same row, one deletes it.
		deleted := tx.writer(ctx).Where("id = ?", link.ID).Delete(&UserLink{})
		if deleted.Error != nil {
			return deleted.Error
		}
		if deleted.RowsAffected == 0 || user.Blocked {
			return notFound("invitation")
		}
		if err := tx.storePassword(ctx, &user, passwordDigest, false, ""); err != nil {
			return err
		}
		return tx.audit(ctx, user, 0, AuditInvitationAccepted, user.Username, user.ID)
	})
	return user, err
}

// HasUsers reports whether there is a user who can sign in, or an invited one.
func (s *Store) HasUsers(ctx context.Context) (bool, error) {
	var ids []int64
	err := s.reader(ctx).Model(&User{}).Where("NOT bot").Limit(1).Pluck("id", &ids).Error
	return len(ids) > 0, err
}

// CreateSetupLink creates the link that lets somebody create the first administrator. It
// replaces an earlier one unless that is younger than keep: then another instance has
// just created it, and created is false. It is also false once there are users. Only one
// link exists at a time, however many instances start at once.
func (s *Store) CreateSetupLink(ctx context.Context, digest string, keep time.Duration) (created bool, err error) {
	err = s.Transaction(ctx, func(tx *Store) error {
		created = false
		if err := tx.lockSetup(ctx); err != nil {
			return err
		}
		if has, err := tx.HasUsers(ctx); err != nil || has {
			return err
		}
		var recent int64
		err := tx.writer(ctx).Model(&UserLink{}).Where("user_id IS NULL AND created_at > ?", tx.Now().Add(-keep)).Count(&recent).Error
		if err != nil || recent > 0 {
			return err
		}
		created = true
		_, err = tx.replaceLink(ctx, nil, digest, SetupLinkLifetime)
		return err
	})
	return created, err
}

// HasSetupLink reports whether a digest is that of the set-up link and it can be used.
func (s *Store) HasSetupLink(ctx context.Context, digest string) (bool, error) {
	var n int64
	err := s.reader(ctx).Model(&UserLink{}).Where("digest = ? AND user_id IS NULL AND expires_at > ?", digest, s.Now()).Count(&n).Error
	if err != nil || n == 0 {
		return false, err
	}
	has, err := s.HasUsers(ctx)
	return !has, err
}

// AcceptSetup creates the first administrator and deletes the set-up link. It returns
// KindNotFound if the link does not exist, is expired or was used, or if there is a user.
func (s *Store) AcceptSetup(ctx context.Context, digest string, in UserInput) (User, error) {
	in.Admin, in.PasswordChangeRequired = true, false
	var user User
	err := s.Transaction(ctx, func(tx *Store) error {
		if err := tx.lockSetup(ctx); err != nil {
			return err
		}
		usable, err := tx.HasSetupLink(ctx, digest)
		if err != nil {
			return err
		}
		if !usable {
			return notFound("set-up link")
		}
		if user, err = tx.CreateUser(ctx, User{}, in); err != nil {
			return err
		}
		return tx.deleteLink(ctx, nil)
	})
	return user, err
}

// setupLock is the key of the PostgreSQL advisory lock of the first set-up.
const setupLock = 0x6d67_7375

// lockSetup lets one transaction at a time decide about the first set-up. On SQLite the
// write transaction is the lock.
func (s *Store) lockSetup(ctx context.Context) error {
	if !s.postgres() {
		return nil
	}
	return s.writer(ctx).Exec("SELECT pg_advisory_xact_lock(?)", setupLock).Error
}
