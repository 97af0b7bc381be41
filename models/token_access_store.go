package models

import (
	"context"
	"encoding/json"
	"slices"
	"time"
)

// What the hot queries read of users u, and of projects p with namespaces n;
// userFields and projectFields take it up. GORM's own scan is too slow for polls.
const (
	userColumns = `u.id, u.username, u.username_key, u.name, u.email, u.password_digest, u.password_change_required, u.admin, u.bot,
	u.blocked, u.theme, u.language, u.created_at, u.updated_at`
	projectColumns = `p.id, p.namespace_id, p.name, p.path, p.path_key, p.description, p.visibility, p.default_branch,
	p.only_allow_merge_if_all_status_checks_passed, p.last_merge_request_iid, p.creator_id, p.created_at, p.updated_at, p.last_activity_at,
	n.id, n.path, n.path_key, n.user_id, n.created_at`
)

func userFields(u *User) []any {
	return []any{&u.ID, &u.Username, &u.UsernameKey, &u.Name, &u.Email, &u.PasswordDigest, &u.PasswordChangeRequired, &u.Admin, &u.Bot,
		&u.Blocked, &u.Theme, &u.Language, &u.CreatedAt, &u.UpdatedAt}
}

func projectFields(p *Project) []any {
	n := &p.Namespace
	return []any{&p.ID, &p.NamespaceID, &p.Name, &p.Path, &p.PathKey, &p.Description, &p.Visibility, &p.DefaultBranch,
		&p.OnlyAllowMergeIfAllStatusChecksPassed, &p.LastMergeRequestIID, &p.CreatorID, &p.CreatedAt, &p.UpdatedAt, &p.LastActivityAt,
		&n.ID, &n.Path, &n.PathKey, &n.UserID, &n.CreatedAt}
}

const tokenAccessQuery = `SELECT t.id, t.user_id, t.project_id, t.created_by_id, t.made_by_token_id, t.name, t.digest, t.scopes, t.expires_at, t.revoked_at,
	t.last_used_at, t.created_at, ` + userColumns + ", " + projectColumns + `, COALESCE(m.role, 0)
	FROM access_tokens t JOIN users u ON u.id = t.user_id CROSS JOIN projects p JOIN namespaces n ON n.id = p.namespace_id
	LEFT JOIN members m ON m.project_id = p.id AND m.user_id = t.user_id
	WHERE t.digest = ? AND `

// TokenAccessByID is TokenUser and AccessByID in one query. KindNotFound when
// either finds nothing; those two tell which.
func (s *Store) TokenAccessByID(ctx context.Context, digest string, projectID int64) (AccessToken, Access, error) {
	return s.tokenAccess(ctx, "p.id = ?", digest, projectID)
}

// TokenAccessByPath is TokenAccessByID for namespace/path. Paths that renamed
// projects had are not found.
func (s *Store) TokenAccessByPath(ctx context.Context, digest, namespace, path string) (AccessToken, Access, error) {
	return s.tokenAccess(ctx, "n.path_key = ? AND p.path_key = ?", digest, foldKey(namespace), foldKey(path))
}

func (s *Store) tokenAccess(ctx context.Context, where string, args ...any) (t AccessToken, access Access, err error) {
	var scopes []byte
	fields := []any{&t.ID, &t.UserID, &t.ProjectID, &t.CreatedByID, &t.MadeByTokenID, &t.Name, &t.Digest, &scopes, &t.ExpiresAt, &t.RevokedAt, &t.LastUsedAt, &t.CreatedAt}
	fields = append(slices.Concat(fields, userFields(&t.User), projectFields(&access.Project)), &access.Role)
	if err := s.takeRow(ctx, "access token or project", fields, tokenAccessQuery+where, args...); err != nil {
		return t, access, err
	}
	if err := json.Unmarshal(scopes, &t.Scopes); err != nil {
		return t, access, err
	}
	access.SignedIn, access.Admin = true, t.User.Admin
	return t, access, s.useToken(ctx, &t)
}

// takeRow reads the one row of a hot query into fields, times in UTC.
// KindNotFound of what when there is none. Its connection is free afterwards.
func (s *Store) takeRow(ctx context.Context, what string, fields []any, query string, args ...any) error {
	rows, err := s.preparedReader(ctx).Raw(query, args...).Rows()
	if err != nil {
		return err
	}
	defer rows.Close()
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return err
		}
		return notFound(what)
	}
	if err := rows.Scan(fields...); err != nil {
		return err
	}
	for _, field := range fields {
		switch at := field.(type) {
		case *time.Time:
			*at = at.UTC()
		case **time.Time:
			if *at != nil {
				**at = (*at).UTC()
			}
		}
	}
	return rows.Close()
}
