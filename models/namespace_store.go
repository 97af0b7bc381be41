package models

import "context"

// CreateNamespace creates a free namespace. The caller must check that the user is an
// administrator. A name that a user or namespace already has is a field error of path.
func (s *Store) CreateNamespace(ctx context.Context, by User, path string) (Namespace, error) {
	var f fieldErrors
	checkPath(&f, "path", path)
	if reservedPaths[foldKey(path)] {
		f.add("path", CodeReserved)
	}
	if err := f.err(); err != nil {
		return Namespace{}, err
	}
	ns := Namespace{Path: path, PathKey: foldKey(path), CreatedAt: s.Now()}
	err := s.Transaction(ctx, func(tx *Store) error {
		if err := tx.writer(ctx).Create(&ns).Error; err != nil {
			return err
		}
		return tx.audit(ctx, by, 0, AuditNamespaceCreated, ns.Path, ns.ID)
	})
	if isUniqueViolation(err, "namespaces", "path_key", "path_key") {
		return Namespace{}, errTaken("path")
	}
	return ns, err
}

// DeleteNamespace deletes a free namespace without projects (CodeNotEmpty). The namespace
// of a user is KindNotFound.
func (s *Store) DeleteNamespace(ctx context.Context, by User, id int64) error {
	err := s.Transaction(ctx, func(tx *Store) error {
		var ns Namespace
		if err := tx.forUpdate(tx.writer(ctx)).Take(&ns, "id = ? AND user_id IS NULL", id).Error; err != nil {
			return orNotFound(err, "namespace")
		}
		if err := tx.writer(ctx).Delete(&Namespace{}, ns.ID).Error; err != nil {
			return err
		}
		return tx.audit(ctx, by, 0, AuditNamespaceRemoved, ns.Path, ns.ID)
	})
	if isForeignKeyViolation(err) {
		return unprocessable(CodeNotEmpty)
	}
	return err
}

// FreeNamespace is a namespace that belongs to no user, with its number of projects,
// which is counted to MaxListed + 1.
type FreeNamespace struct {
	Namespace
	Projects int64
}

// FreeNamespaces lists the free namespaces by path with their number, which is counted to
// MaxListed + 1. search matches parts of paths.
func (s *Store) FreeNamespaces(ctx context.Context, search string, page Page) ([]FreeNamespace, int64, error) {
	query := s.reader(ctx).Model(&Namespace{}).Where("user_id IS NULL")
	if search = cleanText(search); search != "" {
		query = query.Where(`path_key LIKE ? ESCAPE '\'`, likeContains(foldKey(search)))
	}
	total, err := countBounded(query)
	if err != nil {
		return nil, 0, err
	}
	var namespaces []Namespace
	if err := page.apply(query.Order("path_key")).Find(&namespaces).Error; err != nil {
		return nil, 0, err
	}
	list := make([]FreeNamespace, len(namespaces))
	for i, ns := range namespaces {
		list[i].Namespace = ns
		if list[i].Projects, err = countBounded(s.reader(ctx).Model(&Project{}).Where("namespace_id = ?", ns.ID)); err != nil {
			return nil, 0, err
		}
	}
	return list, total, nil
}

// Namespace finds a namespace by its path, ignoring case. It returns KindNotFound if
// there is none.
func (s *Store) Namespace(ctx context.Context, path string) (Namespace, error) {
	var ns Namespace
	err := s.preparedReader(ctx).Take(&ns, "path_key = ?", foldKey(path)).Error
	return ns, orNotFound(err, "namespace")
}

// UserNamespaces returns the ids of the namespaces of users, by user id. Bots have none.
func (s *Store) UserNamespaces(ctx context.Context, userIDs []int64) (map[int64]int64, error) {
	var list []Namespace
	err := s.reader(ctx).Find(&list, "user_id IN ?", userIDs).Error
	ids := make(map[int64]int64, len(list))
	for _, ns := range list {
		ids[*ns.UserID] = ns.ID
	}
	return ids, err
}

// NamespaceByID finds a namespace by id. It returns KindNotFound if it does not exist.
func (s *Store) NamespaceByID(ctx context.Context, id int64) (Namespace, error) {
	var ns Namespace
	err := s.preparedReader(ctx).Take(&ns, id).Error
	return ns, orNotFound(err, "namespace")
}

// NamespacesFor lists the namespaces in which a user can create projects: the user's
// own and, for administrators, the free ones.
func (s *Store) NamespacesFor(ctx context.Context, user User) ([]Namespace, error) {
	query := s.reader(ctx).Where("user_id = ?", user.ID)
	if user.Admin {
		query = s.reader(ctx).Where("user_id = ? OR user_id IS NULL", user.ID)
	}
	var list []Namespace
	err := query.Order("path_key").Find(&list).Error
	return list, err
}
