package models

import (
	"context"
	"fmt"
	"strings"
	"time"

	"gorm.io/gorm"
)

// CreatePersonalToken creates a personal token. It returns KindConflict with
// CodeFormUsed if the same form has already created one, and KindForbidden with
// CodeTokenEnded if the parent token is no longer active.
func (s *Store) CreatePersonalToken(ctx context.Context, user User, in AccessTokenInput) (AccessToken, error) {
	now := s.Now()
	if err := in.Validate(now); err != nil {
		return AccessToken{}, err
	}
	token := newToken(user, nil, user, in, now)
	err := s.Transaction(ctx, func(tx *Store) error {
		if err := tx.lockParentToken(ctx, in.MadeBy); err != nil {
			return err
		}
		if err := tx.insertToken(ctx, &token, in); err != nil {
			return err
		}
		return tx.audit(ctx, user, 0, AuditTokenCreated, token.Name, token.ID, tokenChanges(AccessToken{}, token)...)
	})
	return token, err
}

// insertToken stores a token together with the text that the session shows once. Both
// are in one transaction: if a form is sent twice, both answers lead to the page that
// shows the token.
func (s *Store) insertToken(ctx context.Context, token *AccessToken, in AccessTokenInput) error {
	err := s.writer(ctx).Create(token).Error
	if isUniqueViolation(err, "access_tokens", "form_id", "form_id") {
		return conflict(CodeFormUsed)
	}
	if err != nil || in.Session == "" {
		return err
	}
	return s.writer(ctx).Model(&Session{}).Where("digest = ?", in.Session).UpdateColumn("shown_once", in.Shown).Error
}

// tokenChanges lists the audited fields of a token that is created or revoked.
func tokenChanges(from, to AccessToken, role ...AuditChange) []AuditChange {
	day := func(t AccessToken) string {
		if t.ExpiresAt.IsZero() {
			return ""
		}
		return t.ExpiresAt.Format(time.DateOnly)
	}
	return append(role,
		AuditChange{Field: "scopes", From: strings.Join(from.Scopes, ", "), To: strings.Join(to.Scopes, ", ")},
		AuditChange{Field: "expires_at", From: day(from), To: day(to)})
}

// CreateProjectToken creates a project token and a bot user that is a member with the
// token's role. A role above byRole is a field error (CodeRoleTooHigh).
func (s *Store) CreateProjectToken(ctx context.Context, by User, byRole Role, projectID int64, in AccessTokenInput) (AccessToken, error) {
	now := s.Now()
	if err := in.validateForProject(now, byRole); err != nil {
		return AccessToken{}, err
	}
	var token AccessToken
	err := s.Transaction(ctx, func(tx *Store) error {
		if err := tx.lockParentToken(ctx, in.MadeBy); err != nil {
			return err
		}
		username := fmt.Sprintf("project_%d_bot_%s", projectID, in.Digest[:min(12, len(in.Digest))])
		bot, err := tx.CreateUser(ctx, by, UserInput{Username: username, Name: in.Name, Bot: true})
		if err != nil {
			return err
		}
		member := Member{ProjectID: projectID, UserID: bot.ID, Role: in.Role, CreatedByID: ID(by.ID), CreatedAt: now, UpdatedAt: now}
		if err := tx.writer(ctx).Create(&member).Error; err != nil {
			return err
		}
		token = newToken(bot, &projectID, by, in, now)
		if err := tx.insertToken(ctx, &token, in); err != nil {
			return err
		}
		return tx.audit(ctx, by, projectID, AuditTokenCreated, token.Name, token.ID,
			tokenChanges(AccessToken{}, token, AuditChange{Field: "role", To: in.Role.String()})...)
	})
	if isForeignKeyViolation(err) {
		return AccessToken{}, notFound("project")
	}
	return token, err
}

func newToken(user User, projectID *int64, by User, in AccessTokenInput, now time.Time) AccessToken {
	token := AccessToken{
		UserID: user.ID, User: user, ProjectID: projectID, CreatedByID: ID(by.ID), Name: in.Name, Digest: in.Digest,
		FormID: in.formID(), Scopes: in.Scopes, ExpiresAt: dbTime(in.ExpiresAt), CreatedAt: now,
	}
	if in.MadeBy != nil {
		token.MadeByTokenID = ID(in.MadeBy.ID)
	}
	return token
}

// lockParentToken locks and reloads the token that creates another one. A concurrent
// revocation then either comes first, which is KindForbidden with CodeTokenEnded, or
// also revokes the new token. A nil parent needs no lock.
func (s *Store) lockParentToken(ctx context.Context, parent *AccessToken) error {
	if parent == nil {
		return nil
	}
	err := s.forUpdate(s.writer(ctx)).Take(parent, parent.ID).Error
	if err := orNotFound(err, "access token"); err != nil && KindOf(err) != KindNotFound {
		return err
	}
	if err != nil || !parent.ActiveAt(s.Now()) {
		return forbidden(CodeTokenEnded)
	}
	return nil
}

// tokenUsageInterval is how often LastUsedAt is written at most.
const tokenUsageInterval = time.Minute

// TokenUser finds a token by its digest, with its user. It returns KindNotFound if the
// token does not exist, is expired or revoked, or its user is blocked.
func (s *Store) TokenUser(ctx context.Context, digest string) (AccessToken, User, error) {
	var token AccessToken
	err := s.preparedReader(ctx).Joins("User").Take(&token, "access_tokens.digest = ?", digest).Error
	if err != nil {
		return AccessToken{}, User{}, orNotFound(err, "access token")
	}
	if err := s.useToken(ctx, &token); err != nil {
		return AccessToken{}, User{}, err
	}
	return token, token.User, nil
}

// useToken records that a token is used now. It returns KindNotFound if the token is
// expired or revoked or its user is blocked.
func (s *Store) useToken(ctx context.Context, token *AccessToken) error {
	now := s.Now()
	if !token.ActiveAt(now) || token.User.Blocked {
		return notFound("access token")
	}
	if token.LastUsedAt != nil && now.Sub(*token.LastUsedAt) <= tokenUsageInterval {
		return nil
	}
	token.LastUsedAt = &now
	return s.writer(ctx).Model(&AccessToken{}).Where("id = ?", token.ID).UpdateColumn("last_used_at", now).Error
}

// PersonalTokens lists all personal tokens of a user, newest first, including expired
// and revoked ones.
func (s *Store) PersonalTokens(ctx context.Context, userID int64) ([]AccessToken, error) {
	var tokens []AccessToken
	err := s.reader(ctx).Preload("User").Where("user_id = ? AND project_id IS NULL", userID).Order("id DESC").
		Find(&tokens).Error
	return tokens, err
}

// PersonalToken finds a personal token of any user. It returns KindNotFound if there is
// none.
func (s *Store) PersonalToken(ctx context.Context, tokenID int64) (AccessToken, error) {
	var token AccessToken
	err := s.reader(ctx).Preload("User").Take(&token, "id = ? AND project_id IS NULL", tokenID).Error
	return token, orNotFound(err, "access token")
}

// ProjectTokens lists all tokens of a project, newest first.
func (s *Store) ProjectTokens(ctx context.Context, projectID int64) ([]AccessToken, error) {
	var tokens []AccessToken
	err := s.reader(ctx).Preload("User").Where("project_id = ?", projectID).Order("id DESC").Find(&tokens).Error
	return tokens, err
}

// TokenList selects the tokens of a project or, if ProjectID is 0, the personal tokens
// of a user. Ended selects expired and revoked tokens instead of active ones.
type TokenList struct {
	ProjectID, UserID int64
	Ended             bool
}

// Tokens lists the selected access tokens, newest first, with their total number.
func (s *Store) Tokens(ctx context.Context, list TokenList, page Page) ([]AccessToken, int64, error) {
	query := s.tokens(ctx, list)
	var total int64
	if err := query.Count(&total).Error; err != nil {
		return nil, 0, err
	}
	var tokens []AccessToken
	err := page.apply(query.Order("id DESC")).Find(&tokens).Error
	return tokens, total, err
}

func (s *Store) tokens(ctx context.Context, list TokenList) *gorm.DB {
	query := s.reader(ctx).Model(&AccessToken{})
	if list.ProjectID != 0 {
		query = query.Where("project_id = ?", list.ProjectID)
	} else {
		query = query.Where("user_id = ? AND project_id IS NULL", list.UserID)
	}
	if now := s.Now(); list.Ended {
		query = query.Where("(revoked_at IS NOT NULL OR expires_at <= ?)", now)
	} else {
		query = query.Where("revoked_at IS NULL AND expires_at > ?", now)
	}
	return query
}

// ActiveToken finds an active token of a list. It returns KindNotFound if there is
// none.
func (s *Store) ActiveToken(ctx context.Context, list TokenList, tokenID int64) (AccessToken, error) {
	var token AccessToken
	err := s.tokens(ctx, list).Take(&token, "id = ?", tokenID).Error
	return token, orNotFound(err, "access token")
}

// TokenRoles returns the roles of a project's tokens, by the id of the bot user.
func (s *Store) TokenRoles(ctx context.Context, projectID int64) (map[int64]Role, error) {
	var members []Member
	err := s.reader(ctx).Select("members.user_id", "members.role").Joins("JOIN users ON users.id = members.user_id").
		Where("members.project_id = ? AND users.bot = ?", projectID, true).Find(&members).Error
	roles := make(map[int64]Role, len(members))
	for _, member := range members {
		roles[member.UserID] = member.Role
	}
	return roles, err
}

// AccessOfBot returns a user's access to the project that a bot user belongs to. It
// returns KindNotFound if the bot belongs to no project.
func (s *Store) AccessOfBot(ctx context.Context, user User, botID int64) (Access, error) {
	var token AccessToken
	err := s.reader(ctx).Where("user_id = ? AND project_id IS NOT NULL", botID).Order("id").Take(&token).Error
	if err != nil {
		return Access{}, orNotFound(err, "access token")
	}
	return s.AccessByID(ctx, &user, *token.ProjectID)
}
