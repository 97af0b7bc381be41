package models

import (
	"context"
	"encoding/json"
	"slices"
)

// userColumns reads a row u of users into user.
func userColumns(user *User) columns {
	return columns{
		{"u.id", &user.ID},
		{"u.username", &user.Username},
		{"u.username_key", &user.UsernameKey},
		{"u.name", &user.Name},
		{"u.email", &user.Email},
		{"u.password_digest", &user.PasswordDigest},
		{"u.password_change_required", &user.PasswordChangeRequired},
		{"u.admin", &user.Admin},
		{"u.bot", &user.Bot},
		{"u.blocked", &user.Blocked},
		{"u.theme", &user.Theme},
		{"u.language", &user.Language},
		{"u.created_at", &user.CreatedAt},
		{"u.updated_at", &user.UpdatedAt},
	}
}

// accessColumns reads a row p of projects, its row n of namespaces and the row
// m of members, which may be missing, into access.
func accessColumns(access *Access) columns {
	project, namespace := &access.Project, &access.Project.Namespace
	return columns{
		{"p.id", &project.ID},
		{"p.namespace_id", &project.NamespaceID},
		{"p.name", &project.Name},
		{"p.path", &project.Path},
		{"p.path_key", &project.PathKey},
		{"p.description", &project.Description},
		{"p.visibility", &project.Visibility},
		{"p.default_branch", &project.DefaultBranch},
		{"p.only_allow_merge_if_all_status_checks_passed", &project.OnlyAllowMergeIfAllStatusChecksPassed},
		{"p.last_merge_request_iid", &project.LastMergeRequestIID},
		{"p.creator_id", &project.CreatorID},
		{"p.created_at", &project.CreatedAt},
		{"p.updated_at", &project.UpdatedAt},
		{"p.last_activity_at", &project.LastActivityAt},
		{"n.id", &namespace.ID},
		{"n.path", &namespace.Path},
		{"n.path_key", &namespace.PathKey},
		{"n.user_id", &namespace.UserID},
		{"n.created_at", &namespace.CreatedAt},
		{"COALESCE(m.role, 0)", &access.Role},
	}
}

// tokenColumns reads a row t of access_tokens into token, except for its scopes,
// which are JSON.
func tokenColumns(token *AccessToken, scopes *[]byte) columns {
	return columns{
		{"t.id", &token.ID},
		{"t.user_id", &token.UserID},
		{"t.project_id", &token.ProjectID},
		{"t.created_by_id", &token.CreatedByID},
		{"t.made_by_token_id", &token.MadeByTokenID},
		{"t.name", &token.Name},
		{"t.digest", &token.Digest},
		{"t.scopes", scopes},
		{"t.expires_at", &token.ExpiresAt},
		{"t.revoked_at", &token.RevokedAt},
		{"t.last_used_at", &token.LastUsedAt},
		{"t.created_at", &token.CreatedAt},
	}
}

func tokenAccessColumns(token *AccessToken, scopes *[]byte, access *Access) columns {
	return slices.Concat(tokenColumns(token, scopes), userColumns(&token.User), accessColumns(access))
}

var tokenAccessQuery = "SELECT " + tokenAccessColumns(&AccessToken{}, &[]byte{}, &Access{}).sql() + `
	FROM access_tokens t JOIN users u ON u.id = t.user_id CROSS JOIN projects p JOIN namespaces n ON n.id = p.namespace_id
	LEFT JOIN members m ON m.project_id = p.id AND m.user_id = t.user_id
	WHERE t.digest = ? AND `

// TokenAccessByID returns what TokenUser and AccessByID return, in one query.
// It returns KindNotFound if either of the two would; call them to learn which.
func (s *Store) TokenAccessByID(ctx context.Context, digest string, projectID int64) (AccessToken, Access, error) {
	return s.tokenAccess(ctx, "p.id = ?", digest, projectID)
}

// TokenAccessByPath is TokenAccessByID for a project at namespace/path. It
// returns KindNotFound for the former path of a renamed project.
func (s *Store) TokenAccessByPath(ctx context.Context, digest, namespace, path string) (AccessToken, Access, error) {
	return s.tokenAccess(ctx, "n.path_key = ? AND p.path_key = ?", digest, foldKey(namespace), foldKey(path))
}

func (s *Store) tokenAccess(ctx context.Context, where string, args ...any) (token AccessToken, access Access, err error) {
	var scopes []byte
	cols := tokenAccessColumns(&token, &scopes, &access)
	if err := s.queryRow(ctx, "access token or project", cols, tokenAccessQuery+where, args...); err != nil {
		return token, access, err
	}
	if err := json.Unmarshal(scopes, &token.Scopes); err != nil {
		return token, access, err
	}
	access.SignedIn, access.Admin = true, token.User.Admin
	return token, access, s.useToken(ctx, &token)
}

// queryRow scans the first row of a query into the destinations of cols and
// converts times to UTC. It returns KindNotFound with what if there is no row.
// The frequent queries use it instead of GORM's slower scan by reflection.
func (s *Store) queryRow(ctx context.Context, what string, cols columns, query string, args ...any) error {
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
	if err := rows.Scan(cols.dests()...); err != nil {
		return err
	}
	cols.toUTC()
	// Close here frees the connection before the caller writes.
	return rows.Close()
}
