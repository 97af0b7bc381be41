package models

import (
	"context"
	"time"
)

// RevokePersonalToken revokes a personal token of a user and every token that it
// created. Revoking a revoked token does nothing.
func (s *Store) RevokePersonalToken(ctx context.Context, by User, userID, tokenID int64) error {
	return s.revoke(ctx, by, RoleOwner, "id = ? AND user_id = ? AND project_id IS NULL", tokenID, userID)
}

// RevokeProjectToken revokes a project token and every token that it created, and
// removes its bot from the members. byRole is the role of the acting user: a token with
// a higher role is refused as KindForbidden with CodeRoleTooHigh.
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

// lockToken finds and locks a token and returns the role of its bot: RoleNone for
// personal tokens and for bots that are no longer members. A role above byRole is
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

// revokeToken revokes a locked token and, recursively, the tokens that it created. If
// keepBot is set, the bot of a project token stays a member.
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
	changes = tokenChanges(token, AccessToken{}, changes...)
	if err := s.audit(ctx, by, projectID, AuditTokenRevoked, token.Name, token.ID, changes...); err != nil {
		return err
	}
	var children []AccessToken
	err := s.forUpdate(s.writer(ctx)).Where("made_by_token_id = ? AND revoked_at IS NULL", token.ID).
		Order("id").Find(&children).Error
	if err != nil {
		return err
	}
	for _, child := range children {
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

// TokenRotation replaces a token by a new one with the same owner, name and scopes.
type TokenRotation struct {
	// ExpiresAt is when the new token expires. If nil, it is RotatedTokenLifetime from
	// now or the latest allowed time, whichever is earlier.
	ExpiresAt *time.Time
	// Digest is the hash of the new token's secret part.
	Digest string
	// MadeBy is the token that authenticates the request. It may be the rotated token.
	MadeBy AccessToken
}

// RotatePersonalToken replaces a personal token of a user. It revokes the old token and
// every token that the old one created.
//
// A token that rotates itself gets at most its original lifetime, in whole days, and
// keeps its parent token. If a token rotates another one, it becomes the parent of the
// new token, which must not expire later. A later expiry is KindInvalid with
// CodeOutlivesToken. KindForbidden with CodeTokenEnded is returned if one of the tokens
// is expired or revoked, or if the rotation would revoke the token that asks for it.
func (s *Store) RotatePersonalToken(ctx context.Context, by User, userID, tokenID int64, in TokenRotation) (AccessToken, error) {
	return s.rotate(ctx, by, RoleOwner, in, tokenID, "id = ? AND user_id = ? AND project_id IS NULL", tokenID, userID)
}

// RotateProjectToken is RotatePersonalToken for a project token. The bot stays a
// member. byRole is as in RevokeProjectToken.
func (s *Store) RotateProjectToken(ctx context.Context, by User, byRole Role, projectID, tokenID int64, in TokenRotation) (AccessToken, error) {
	return s.rotate(ctx, by, byRole, in, tokenID, "id = ? AND project_id = ?", tokenID, projectID)
}

func (s *Store) rotate(ctx context.Context, by User, byRole Role, in TokenRotation, tokenID int64, where string, args ...any) (AccessToken, error) {
	now := s.Now()
	self := tokenID == in.MadeBy.ID
	parent := &in.MadeBy
	if self {
		parent = nil
		if id := in.MadeBy.MadeByTokenID; id != nil {
			parent = &AccessToken{ID: *id}
		}
	}
	var token AccessToken
	err := s.Transaction(ctx, func(tx *Store) error {
		// Lock parents before children, as revocation does. A parent has the lower id.
		if parent != nil && parent.ID < tokenID {
			if err := tx.lockParentToken(ctx, parent); err != nil {
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
			if parent != nil {
				limit.ID, limit.ExpiresAt = parent.ID, earlier(parent.ExpiresAt, limit.ExpiresAt)
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
		// If the old token created the parent, revoking it has revoked the parent too.
		if err := tx.lockParentToken(ctx, parent); err != nil {
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
