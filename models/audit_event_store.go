package models

import (
	"context"
	"strings"

	"gorm.io/gorm"
)

// SystemName is the author of events that no user caused, as in GitLab.
const SystemName = "(System)"

type addressKey struct{}

// WithAddress returns a context that carries the client's address for audit events.
func WithAddress(ctx context.Context, ip string) context.Context {
	return context.WithValue(ctx, addressKey{}, ip)
}

// audit records an audit event in the transaction of the change.
func (s *Store) audit(ctx context.Context, by User, projectID int64, action AuditAction, target string, targetID int64, details ...AuditChange) error {
	name := by.Username
	if name == "" {
		name = SystemName
	}
	event := AuditEvent{
		ProjectID: ID(projectID), UserID: ID(by.ID), UserName: name, Action: action,
		Target: target, TargetID: targetID, Details: details, CreatedAt: s.Now(),
	}
	if by.Username != "" {
		event.IP, _ = ctx.Value(addressKey{}).(string)
	}
	if event.Details == nil {
		event.Details = []AuditChange{}
	}
	return s.writer(ctx).Create(&event).Error
}

// AuditEvents lists the audit events of a project, or those outside projects if
// projectID is 0, newest first, with their total number. It counts at most MaxListed; a
// total of MaxListed+1 means that there are more.
func (s *Store) AuditEvents(ctx context.Context, projectID int64, filter AuditFilter, page Page) ([]AuditEvent, int64, error) {
	total, err := s.count(s.auditEvents(ctx, projectID, filter).Session(&gorm.Session{}))
	if err != nil {
		return nil, 0, err
	}
	var events []AuditEvent
	err = page.apply(s.newestAuditEvents(ctx, projectID, filter, 0, max(page.Number, 1)*page.Size)).Find(&events).Error
	return events, total, err
}

// newestAuditEvents selects the newest events of a filter with an id below a limit, unless
// it is 0, newest first. It finds at least the first n. The events of a kind are the
// newest of each of its actions, which an index has in their order.
func (s *Store) newestAuditEvents(ctx context.Context, projectID int64, filter AuditFilter, below int64, n int) *gorm.DB {
	matching := func(filter AuditFilter) *gorm.DB {
		query := s.auditEvents(ctx, projectID, filter)
		if below != 0 {
			query = query.Where("id < ?", below)
		}
		return query
	}
	newest := matching(filter)
	if actions := auditKinds[filter.Kind]; len(actions) > 0 && n > 0 {
		filter.Kind = ""
		var branches []*gorm.DB
		for _, action := range actions {
			branches = append(branches, matching(filter).Where("action = ?", action).Select("id").Order("id DESC").Limit(n))
		}
		newest = s.reader(ctx).Model(&AuditEvent{}).Where("id IN (?)", s.unionOf(ctx, branches))
	}
	return newest.Preload("User").Order("id DESC")
}

// unionOf returns the query for the ids that any of some queries finds. Each may have its
// own order and limit.
func (s *Store) unionOf(ctx context.Context, queries []*gorm.DB) *gorm.DB {
	parts, args := make([]string, len(queries)), make([]any, len(queries))
	for i, query := range queries {
		parts[i], args[i] = "SELECT id FROM (?) AS found", query
	}
	return s.reader(ctx).Raw(strings.Join(parts, " UNION ALL "), args...)
}

// EachAuditEvent calls each for the events that AuditEvents lists, newest first, at most
// limit. It reads them in batches and stops at the first error. more reports whether
// there are more.
func (s *Store) EachAuditEvent(ctx context.Context, projectID int64, filter AuditFilter, limit int, each func(AuditEvent) error) (more bool, err error) {
	const batch = 500
	below := int64(0)
	for n := 0; ; {
		var events []AuditEvent
		if err := s.newestAuditEvents(ctx, projectID, filter, below, batch).Limit(batch).Find(&events).Error; err != nil {
			return false, err
		}
		for _, event := range events {
			if n++; n > limit {
				return true, nil
			}
			if err := each(event); err != nil {
				return false, err
			}
			below = event.ID
		}
		if len(events) < batch {
			return false, nil
		}
	}
}

func (s *Store) auditEvents(ctx context.Context, projectID int64, filter AuditFilter) *gorm.DB {
	query := s.reader(ctx).Model(&AuditEvent{})
	switch {
	case filter.Everywhere:
	case projectID == 0:
		query = query.Where("project_id IS NULL")
	default:
		query = query.Where("project_id = ?", projectID)
	}
	if filter.Author != "" {
		query = query.Where("user_name = ?", cleanText(filter.Author))
	}
	switch filter.Entity {
	case "":
	case AuditEntityProject:
		query = query.Where("project_id IS NOT NULL")
		if filter.EntityID != 0 {
			query = query.Where("project_id = ?", filter.EntityID)
		}
	case AuditEntityUser:
		query = query.Where("project_id IS NULL AND action IN ?", userActions)
		if filter.EntityID != 0 {
			query = query.Where("target_id = ?", filter.EntityID)
		}
	case AuditEntityInstance:
		query = query.Where("project_id IS NULL AND action NOT IN ?", userActions)
	default:
		query = query.Where("1 = 0")
	}
	if filter.Kind != "" {
		query = query.Where("action IN ?", auditKinds[filter.Kind])
	}
	if !filter.From.IsZero() {
		query = query.Where("created_at >= ?", dbTime(filter.From))
	}
	if !filter.Before.IsZero() {
		query = query.Where("created_at < ?", dbTime(filter.Before))
	}
	return query
}

// AuditEvent finds an audit event. It returns KindNotFound if no event has the id.
func (s *Store) AuditEvent(ctx context.Context, id int64) (AuditEvent, error) {
	var event AuditEvent
	err := s.reader(ctx).Preload("User").Take(&event, id).Error
	return event, orNotFound(err, "audit event")
}

// ProjectPaths returns the paths, namespace/name, of projects by id.
func (s *Store) ProjectPaths(ctx context.Context, ids []int64) (map[int64]string, error) {
	paths := make(map[int64]string, len(ids))
	if len(ids) == 0 {
		return paths, nil
	}
	var rows []struct {
		ID   int64
		Path string
	}
	err := s.reader(ctx).Raw(`SELECT p.id, n.path || '/' || p.path AS path FROM projects p
		JOIN namespaces n ON n.id = p.namespace_id WHERE p.id IN ?`, ids).Scan(&rows).Error
	for _, row := range rows {
		paths[row.ID] = row.Path
	}
	return paths, err
}
