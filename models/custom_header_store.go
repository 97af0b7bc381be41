package models

import (
	"context"
	"crypto/subtle"
	"fmt"
	"strconv"
	"strings"
)

// headerContext binds a sealed header value to its row and name.
func headerContext(serviceID int64, name string) string {
	return "external_status_checks.custom_headers:" + strconv.FormatInt(serviceID, 10) + ":" + strings.ToLower(name)
}

// setCustomHeaders replaces the custom headers of a stored service. A header without a
// value, or with the stored one, keeps its sealed value.
func (s *Store) setCustomHeaders(ctx context.Context, service *ExternalStatusCheck, headers []CustomHeaderInput) error {
	sealed := make([]CustomHeader, 0, len(headers))
	for _, h := range headers {
		if stored := service.customHeader(h.Name); stored != nil {
			same := h.Value == ""
			if !same {
				value, err := s.openHeader(service.ID, *stored)
				same = err == nil && subtle.ConstantTimeCompare([]byte(value), []byte(h.Value)) == 1
			}
			if same {
				sealed = append(sealed, CustomHeader{Name: h.Name, Sealed: stored.Sealed})
				continue
			}
		}
		value, err := s.shared.cfg.Sealer.Seal([]byte(h.Value), headerContext(service.ID, h.Name))
		if err != nil {
			return fmt.Errorf("models: seal header %s of service %d: %w", h.Name, service.ID, err)
		}
		sealed = append(sealed, CustomHeader{Name: h.Name, Sealed: string(value)})
	}
	service.CustomHeaders = sealed
	return s.writer(ctx).Model(&ExternalStatusCheck{}).Where("id = ?", service.ID).
		Select("custom_headers").UpdateColumns(ExternalStatusCheck{CustomHeaders: sealed}).Error
}

func (s *Store) openHeader(serviceID int64, h CustomHeader) (string, error) {
	plain, err := s.shared.cfg.Sealer.Open([]byte(h.Sealed), headerContext(serviceID, h.Name))
	if err != nil {
		return "", fmt.Errorf("models: open header %s of service %d: %w", h.Name, serviceID, err)
	}
	return string(plain), nil
}

// credentialColumns returns the columns of a service, with the alias s of its table, that
// setCredentials needs.
func (s *Store) credentialColumns(service *ExternalStatusCheck) columns {
	return columns{
		{"s.id", &service.ID}, {"s.external_url", &service.ExternalURL}, {"s.sealed_secret", &service.SealedSecret},
		{"s.custom_headers", jsonColumn{&service.CustomHeaders}}, {"s.timeout_seconds", &service.TimeoutSeconds},
	}
}

// setCredentials adds what a delivery is signed and sent with, and the token to answer it,
// which is new for each attempt. The values of custom
// headers go only to the server of the service's current URL. If something cannot be
// decrypted, SecretError is set.
func (s *Store) setCredentials(c *ClaimedDelivery, service ExternalStatusCheck) {
	if c.CallbackToken, c.SecretError = s.callbackToken(c.Delivery, service); c.SecretError != nil {
		return
	}
	if c.Secret, c.SecretError = s.openSecret(service); c.SecretError != nil || !sameServer(c.Delivery.URL, service.ExternalURL) {
		return
	}
	for _, h := range service.CustomHeaders {
		value, err := s.openHeader(service.ID, h)
		if err != nil {
			c.SecretError = err
			return
		}
		c.Headers = append(c.Headers, HeaderValue{Name: h.Name, Value: value})
	}
}
