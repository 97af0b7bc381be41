package models

import (
	"context"
	"time"
)

// RevokePersonalToken ends a token of a user at once, and every token that it
// made.
func (s *Store) RevokePersonalToken(ctx context.Context, by User, userID, tokenID int64) error {
	return s.revoke(ctx, by, RoleOwner, "id = ? AND user_id = ? AND project_id IS NULL", tokenID, userID)
}

// RevokeProjectToken ends a token of a project at once; its bot is no longer a
// member. byRole is the role of who does it: a token with a higher role is
// KindForbidden with CodeRoleTooHigh.
func (s *Store) RevokeProjectToken(ctx context.Context, by User, byRole Role, projectID, tokenID int64) error {
	return s.revoke(ctx, by, byRole, "id = ? AND project_id = ?", tokenID, projectID)
}

func (s *Store) revoke(ctx context.Context, by User, byRole Role, where string, args ...any) error {
	return s.Transaction(ctx, func(tx *Store) error {
		token, role, err := tx.lockToken(ctx, byRole, where, args...)
		if err != nil || token.RevokedAt != nil {
			return err
		}
		return tx.revokeToken(ctx, by, token, role, false)
	})
}

// lockToken finds and locks a token, with the role of its bot: RoleNone for
// personal tokens and bots that are no longer members. A role above byRole is
// KindForbidden with CodeRoleTooHigh.
func (s *Store) lockToken(ctx context.Context, byRole Role, where string, args ...any) (AccessToken, Role, error) {
	var token AccessToken
	if err := s.forUpdate(s.writer(ctx)).Where(where, args...).Take(&token).Error; err != nil {
		return token, RoleNone, orNotFound(err, "access token")
	}
	role, err := s.botRole(ctx, token)
	if err == nil && role > byRole {
		err = forbidden(CodeRoleTooHigh)
	}
	return token, role, err
}

func (s *Store) botRole(ctx context.Context, token AccessToken) (Role, error) {
	if token.ProjectID == nil {
		return RoleNone, nil
	}
	member, err := s.Member(ctx, *token.ProjectID, token.UserID)
	if KindOf(err) == KindNotFound {
		return RoleNone, nil
	}
	return member.Role, err
}

// revokeToken revokes a locked token, then the tokens that it made. The bot of a
// project token stays a member if keepBot is set.
func (s *Store) revokeToken(ctx context.Context, by User, token AccessToken, role Role, keepBot bool) error {
	if err := s.writer(ctx).Model(&AccessToken{}).Where("id = ?", token.ID).UpdateColumn("revoked_at", s.Now()).Error; err != nil {
		return err
	}
	var projectID int64
	var changes []AuditChange
	if token.ProjectID != nil {
		projectID = *token.ProjectID
		if role != RoleNone {
			changes = []AuditChange{{Field: "role", From: role.String()}}
		}
		if !keepBot {
			if err := s.writer(ctx).Where("project_id = ? AND user_id = ?", projectID, token.UserID).Delete(&Member{}).Error; err != nil {
				return err
			}
		}
	}
	if err := s.audit(ctx, by, projectID, AuditTokenRevoked, token.Name, token.ID, tokenChanges(token, AccessToken{}, changes...)...); err != nil {
		return err
	}
	var made []AccessToken
	if err := s.forUpdate(s.writer(ctx)).Where("made_by_token_id = ? AND revoked_at IS NULL", token.ID).Order("id").Find(&made).Error; err != nil {
		return err
	}
	for _, child := range made {
		role, err := s.botRole(ctx, child)
		if err != nil {
			return err
		}
		if err := s.revokeToken(ctx, by, child, role, false); err != nil {
			return err
		}
	}
	return nil
}

// TokenRotation replaces a token by a new one with the same owner, name and
// scopes.
type TokenRotation struct {
	// ExpiresAt is the end of the new token; nil for RotatedTokenLifetime from
	// now, or less if the new token may not last that long.
	ExpiresAt *time.Time
	// Digest is the hash of the new token's secret part.
	Digest string
	// MadeBy is the token of the request, which may be the one that is rotated.
	MadeBy AccessToken
}

// RotatePersonalToken replaces a personal token of a user. It ends the old token
// and every token that the old one made.
//
// A token that rotates itself gets at most the lifetime that it was made with,
// in whole days, and is still bound to the token that made it. A token that
// rotates another makes the new one: the new one does not outlive it. A later
// expiry is KindInvalid with CodeOutlivesToken. A token that has expired or was
// revoked, or that is ended by the rotation it asks for, is KindForbidden with
// CodeTokenEnded.
func (s *Store) RotatePersonalToken(ctx context.Context, by User, userID, tokenID int64, in TokenRotation) (AccessToken, error) {
	return s.rotate(ctx, by, RoleOwner, in, tokenID, "id = ? AND user_id = ? AND project_id IS NULL", tokenID, userID)
}

// RotateProjectToken is RotatePersonalToken for a token of a project, whose bot
// stays a member. byRole is as for RevokeProjectToken.
func (s *Store) RotateProjectToken(ctx context.Context, by User, byRole Role, projectID, tokenID int64, in TokenRotation) (AccessToken, error) {
	return s.rotate(ctx, by, byRole, in, tokenID, "id = ? AND project_id = ?", tokenID, projectID)
}

func (s *Store) rotate(ctx context.Context, by User, byRole Role, in TokenRotation, tokenID int64, where string, args ...any) (AccessToken, error) {
	now := s.Now()
	self := tokenID == in.MadeBy.ID
	maker := &in.MadeBy
	if self {
		maker = nil
		if id := in.MadeBy.MadeByTokenID; id != nil {
			maker = &AccessToken{ID: *id}
		}
	}
	var token AccessToken
	err := s.Transaction(ctx, func(tx *Store) error {
		// A token is locked before those that it made, as revoking does: its id
		// is lower.
		if maker != nil && maker.ID < tokenID {
			if err := tx.lockParentToken(ctx, maker); err != nil {
				return err
			}
		}
		old, role, err := tx.lockToken(ctx, byRole, where, args...)
		if err != nil {
			return err
		}
		if !old.ActiveAt(now) {
			return forbidden(CodeTokenEnded)
		}
		limit := in.MadeBy
		if self {
			limit = AccessToken{ExpiresAt: now.Add(old.lifetime()), Scopes: old.Scopes}
			if maker != nil {
				limit.ID, limit.ExpiresAt = maker.ID, earlier(maker.ExpiresAt, limit.ExpiresAt)
			}
		}
		next := AccessTokenInput{Name: old.Name, Scopes: old.Scopes, Digest: in.Digest, MadeBy: &limit}
		if in.ExpiresAt != nil {
			next.ExpiresAt = *in.ExpiresAt
		} else {
			next.ExpiresAt = earlier(now.Add(RotatedTokenLifetime), limit.ExpiresAt)
		}
		if err := next.Validate(now); err != nil {
			return err
		}
		if err := tx.revokeToken(ctx, by, old, role, true); err != nil {
			return err
		}
		// Ending the old token has ended the maker if the old one made it.
		if err := tx.lockParentToken(ctx, maker); err != nil {
			return err
		}
		user, err := tx.User(ctx, old.UserID)
		if err != nil {
			return err
		}
		token = newToken(user, old.ProjectID, by, next, now)
		if self {
			token.CreatedByID = old.CreatedByID
		}
		if err := tx.insertToken(ctx, &token, next); err != nil {
			return err
		}
		var changes []AuditChange
		var projectID int64
		if old.ProjectID != nil {
			projectID, changes = *old.ProjectID, []AuditChange{{Field: "role", To: role.String()}}
		}
		return tx.audit(ctx, by, projectID, AuditTokenCreated, token.Name, token.ID, tokenChanges(AccessToken{}, token, changes...)...)
	})
	return token, err
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
