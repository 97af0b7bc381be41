package models

import (
	"context"
	"encoding/json"
	"time"
)

const tokenAccessQuery = `SELECT t.id, t.user_id, t.project_id, t.created_by_id, t.name, t.digest, t.scopes, t.expires_at, t.revoked_at,
	t.last_used_at, t.created_at,
	u.id, u.username, u.username_key, u.name, u.email, u.password_digest, u.password_change_required, u.admin, u.bot, u.blocked,
	u.theme, u.language, u.created_at, u.updated_at,
	p.id, p.namespace_id, p.name, p.path, p.path_key, p.description, p.visibility, p.default_branch,
	p.only_allow_merge_if_all_status_checks_passed, p.last_merge_request_iid, p.creator_id, p.created_at, p.updated_at, p.last_activity_at,
	n.id, n.path, n.path_key, n.user_id, n.created_at,
	COALESCE(m.role, 0)
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
	rows, err := s.hot(ctx).Raw(tokenAccessQuery+where, args...).Rows()
	if err != nil {
		return t, access, err
	}
	defer rows.Close()
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return t, access, err
		}
		return t, access, notFound("access token or project")
	}
	var scopes []byte
	u, p := &t.User, &access.Project
	n := &p.Namespace
	err = rows.Scan(&t.ID, &t.UserID, &t.ProjectID, &t.CreatedByID, &t.Name, &t.Digest, &scopes, &t.ExpiresAt, &t.RevokedAt, &t.LastUsedAt, &t.CreatedAt,
		&u.ID, &u.Username, &u.UsernameKey, &u.Name, &u.Email, &u.PasswordDigest, &u.PasswordChangeRequired, &u.Admin, &u.Bot, &u.Blocked,
		&u.Theme, &u.Language, &u.CreatedAt, &u.UpdatedAt,
		&p.ID, &p.NamespaceID, &p.Name, &p.Path, &p.PathKey, &p.Description, &p.Visibility, &p.DefaultBranch,
		&p.OnlyAllowMergeIfAllStatusChecksPassed, &p.LastMergeRequestIID, &p.CreatorID, &p.CreatedAt, &p.UpdatedAt, &p.LastActivityAt,
		&n.ID, &n.Path, &n.PathKey, &n.UserID, &n.CreatedAt, &access.Role)
	if err != nil {
		return t, access, err
	}
	if err := json.Unmarshal(scopes, &t.Scopes); err != nil {
		return t, access, err
	}
	for _, at := range []*time.Time{&t.ExpiresAt, t.RevokedAt, t.LastUsedAt, &t.CreatedAt, &u.CreatedAt, &u.UpdatedAt, &p.CreatedAt, &p.UpdatedAt, &p.LastActivityAt, &n.CreatedAt} {
		if at != nil {
			*at = at.UTC()
		}
	}
	// Only one connection may be needed at a time: touching writes.
	if err := rows.Close(); err != nil {
		return t, access, err
	}
	access.SignedIn, access.Admin = true, u.Admin
	return t, access, s.useToken(ctx, &t)
}
