package models

import (
	"context"

	"gorm.io/gorm"
)

// RewriteURLs brings the URLs of services that an earlier version stored as
// they were typed into the form of URLAsSent. A service whose URL is then that
// of another one of the project keeps its old key, so that both go on working.
// Run it after migrating; it may run again at any time.
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
				return tx.writer(ctx).Model(&ExternalStatusCheck{}).Where("id = ?", service.ID).UpdateColumns(map[string]any{"external_url": sent, "url_key": key}).Error
			})
			if isUniqueViolation(err, "external_status_checks", "url_key", "url_key") {
				err = s.writer(ctx).Model(&ExternalStatusCheck{}).Where("id = ?", service.ID).UpdateColumn("external_url", sent).Error
			}
			if err != nil {
				return err
			}
		}
		return nil
	}).Error
}
