package models

import (
	"context"
	"time"

	"gorm.io/gorm"
)

// UnreadableSecret is a service with a shared secret or custom header that the secret
// keys do not open.
type UnreadableSecret struct {
	ProjectID, ServiceID int64
	Err                  error
}

// CheckSecrets opens all stored secrets. It returns how many there are and the services
// of which at least one cannot be opened, in the order of ids.
func (s *Store) CheckSecrets(ctx context.Context) (n int, unreadable []UnreadableSecret, err error) {
	var batch []ExternalStatusCheck
	query := s.reader(ctx).Select("id", "project_id", "sealed_secret", "custom_headers").
		Where("sealed_secret IS NOT NULL OR custom_headers <> '[]'")
	err = query.FindInBatches(&batch, 1000, func(*gorm.DB, int) error {
		for _, service := range batch {
			var fault error
			if service.HasSecret() {
				n++
				_, fault = s.openSecret(service)
			}
			for _, h := range service.CustomHeaders {
				n++
				if _, err := s.openHeader(service.ID, h); err != nil {
					fault = err
				}
			}
			if fault != nil {
				unreadable = append(unreadable, UnreadableSecret{service.ProjectID, service.ID, fault})
			}
		}
		return nil
	}).Error
	return n, unreadable, err
}

// ProjectIDs returns the ids of all projects in their order.
func (s *Store) ProjectIDs(ctx context.Context) ([]int64, error) {
	var ids []int64
	return ids, s.reader(ctx).Model(&Project{}).Order("id").Pluck("id", &ids).Error
}

// RemovedRepositories returns the ids of deleted projects whose repository has not been
// removed yet.
func (s *Store) RemovedRepositories(ctx context.Context) ([]int64, error) {
	var ids []int64
	return ids, s.reader(ctx).Model(&RepositoryRemoval{}).Pluck("project_id", &ids).Error
}

// HeadsOfProject returns, of all merge requests of a project, what the repository must
// agree with: IID, State, HeadSHA, SourceBranch and SourceBranchDeleted.
func (s *Store) HeadsOfProject(ctx context.Context, projectID int64) ([]MergeRequest, error) {
	var heads []MergeRequest
	return heads, s.reader(ctx).Select("iid", "state", "head_sha", "source_branch", "source_branch_deleted").
		Order("iid").Find(&heads, "project_id = ?", projectID).Error
}

// ServiceURLs returns the different URLs of services, at most limit.
func (s *Store) ServiceURLs(ctx context.Context, limit int) ([]string, error) {
	var urls []string
	return urls, s.reader(ctx).Model(&ExternalStatusCheck{}).Distinct().Order("external_url").Limit(limit).
		Pluck("external_url", &urls).Error
}

// TokensExpiringBetween returns the access tokens that expire between two times and are
// not revoked, of users who are not blocked, with their users, by time of expiry, at
// most limit. total is the number of all.
func (s *Store) TokensExpiringBetween(ctx context.Context, from, to time.Time, limit int) (tokens []AccessToken, total int64, err error) {
	query := s.reader(ctx).Model(&AccessToken{}).Joins("JOIN users ON users.id = access_tokens.user_id AND NOT users.blocked").
		Where("revoked_at IS NULL AND expires_at >= ? AND expires_at < ?", dbTime(from), dbTime(to)).Session(&gorm.Session{})
	if err := query.Count(&total).Error; err != nil {
		return nil, 0, err
	}
	return tokens, total, query.Preload("User").Order("expires_at, access_tokens.id").Limit(limit).Find(&tokens).Error
}
