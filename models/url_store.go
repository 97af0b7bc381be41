package models

import (
	"context"

	"gorm.io/gorm"
)

// RewriteURLs converts the URLs of services that an earlier version stored as typed to
// the form of URLAsSent. If two services of a project get the same URL, one keeps its
// old key and both continue to work. Run it after migrating; it is idempotent.
func (s *Store) RewriteURLs(ctx context.Context) error {
	var batch []ExternalStatusCheck
	return s.writer(ctx).Select("id", "external_url", "url_key").FindInBatches(&batch, 1000, func(*gorm.DB, int) error {
		for _, service := range batch {
			sent, ok := URLAsSent(service.ExternalURL)
			key, _ := URLKey(service.ExternalURL)
			if !ok || sent == service.ExternalURL && key == service.URLKey {
				continue
			}
			err := s.Transaction(ctx, func(tx *Store) error {
				return tx.writer(ctx).Model(&ExternalStatusCheck{}).Where("id = ?", service.ID).
					UpdateColumns(map[string]any{"external_url": sent, "url_key": key}).Error
			})
			if isUniqueViolation(err, "external_status_checks", "url_key", "url_key") {
				err = s.writer(ctx).Model(&ExternalStatusCheck{}).Where("id = ?", service.ID).
					UpdateColumn("external_url", sent).Error
			}
			if err != nil {
				return err
			}
		}
		return nil
	}).Error
}
