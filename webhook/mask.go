package webhook

import (
	"bytes"
	"net/http"
	"strings"

	"github.com/mergegate/mergegate/models"
)

// masked replaces secrets in the delivery log.
const masked = "[masked]"

// maskedRequestHeaders hold credentials from the URL, and signatures, from which
// a weak secret could be guessed offline.
var maskedRequestHeaders = []string{"Authorization", headerGitLabSignature, headerWebhookSignature}

// minMaskedValue is the length in bytes from which a secret value is masked in an
// answer. Shorter values occur in answers by chance.
const minMaskedValue = 8

// secrets are the parts of a request that the delivery log must not show.
type secrets struct {
	// names are headers, in canonical form.
	names []string
	// values are masked wherever an answer repeats them.
	values []string
}

// secretsOf returns the secrets of a delivery.
func secretsOf(claimed models.ClaimedDelivery) secrets {
	s := secrets{names: maskedRequestHeaders}
	for _, h := range claimed.Headers {
		s.add(h.Name, h.Value)
	}
	if claimed.CallbackToken != "" {
		s.add(models.CallbackHeader, claimed.CallbackToken)
	}
	return s
}

func (s *secrets) add(name, value string) {
	s.names = append(s.names[:len(s.names):len(s.names)], http.CanonicalHeaderKey(name))
	if len(value) >= minMaskedValue {
		s.values = append(s.values, value)
	}
}

// requestHeader returns a request's header for the log, with secrets masked.
func (s secrets) requestHeader(header http.Header) models.Header {
	if header == nil {
		return nil
	}
	kept := models.Header(header.Clone())
	for _, name := range s.names {
		if _, set := kept[name]; set {
			kept[name] = []string{masked}
		}
	}
	return kept
}

// maskHeader masks the secrets that an answer repeats in its headers.
func (s secrets) maskHeader(header models.Header) models.Header {
	for _, values := range header {
		for i := range values {
			for _, secret := range s.values {
				values[i] = strings.ReplaceAll(values[i], secret, masked)
			}
		}
	}
	return header
}

// maskBody masks the secrets that an answer repeats in its body.
func (s secrets) maskBody(body []byte) []byte {
	for _, secret := range s.values {
		body = bytes.ReplaceAll(body, []byte(secret), []byte(masked))
	}
	return body
}
