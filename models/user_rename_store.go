package models

import "context"

// rename gives a locked user another user name, which is also the path of the user's
// namespace. The old path stays as a namespace that belongs to nobody and redirects to the
// user's projects, until an administrator deletes it; without projects it is free at once.
// Returning to an old name takes its namespace back.
func (s *Store) rename(ctx context.Context, user *User, username string) error {
	var ns Namespace
	if err := s.locking(s.writer(ctx), "UPDATE").Take(&ns, "user_id = ?", user.ID).Error; err != nil {
		return orNotFound(err, "namespace")
	}
	old := ns
	user.Username, user.UsernameKey = username, foldKey(username)
	ns.Path, ns.PathKey = user.Username, user.UsernameKey
	// The old name of somebody else is taken.
	err := s.writer(ctx).Exec(`DELETE FROM namespaces WHERE path_key = ? AND user_id IS NULL
		AND NOT EXISTS (SELECT 1 FROM projects p WHERE p.namespace_id = namespaces.id)
		AND EXISTS (SELECT 1 FROM project_redirects r JOIN projects p ON p.id = r.project_id
			WHERE r.namespace_id = namespaces.id AND p.namespace_id = ?)`, ns.PathKey, ns.ID).Error
	if err != nil {
		return err
	}
	if err := s.writer(ctx).Model(&ns).Select("path", "path_key").Updates(&ns).Error; err != nil {
		return err
	}
	if err := s.writer(ctx).Model(user).Select("username", "username_key").Updates(user).Error; err != nil {
		return err
	}
	var projects int64
	if err := s.writer(ctx).Model(&Project{}).Where("namespace_id = ?", ns.ID).Limit(1).Count(&projects).Error; err != nil {
		return err
	}
	if old.PathKey == ns.PathKey || projects == 0 {
		return nil
	}
	kept := Namespace{Path: old.Path, PathKey: old.PathKey, CreatedAt: s.Now()}
	if err := s.writer(ctx).Create(&kept).Error; err != nil {
		return err
	}
	return s.writer(ctx).Exec(`INSERT INTO project_redirects (project_id, namespace_id, path_key, created_at)
		SELECT old.project_id, n.id, old.path_key, n.created_at FROM namespaces n JOIN (
			SELECT id AS project_id, namespace_id, path_key FROM projects
			UNION ALL SELECT project_id, namespace_id, path_key FROM project_redirects
		) old ON old.namespace_id = ? WHERE n.id = ?`, ns.ID, kept.ID).Error
}
