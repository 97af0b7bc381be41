package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Headers with which a receiver verifies a delivery.
const (
	// headerGitLabSignature is the signature of GitLab's external status checks.
	headerGitLabSignature = "X-Gitlab-Signature"
	// The headers of Standard Webhooks. Their signature also covers the id and
	// the time, so that receivers can refuse replays.
	headerWebhookID        = "Webhook-Id"
	headerWebhookTimestamp = "Webhook-Timestamp"
	headerWebhookSignature = "Webhook-Signature"
)

// standardSecretPrefix begins secrets in the form of Standard Webhooks. The key
// follows in base64.
const standardSecretPrefix = "whsec_"

// sign sets the signature headers for a body. id is the delivery's UUID, the same
// for all its attempts; at is the start of this attempt. With an empty secret it
// sets nothing.
func sign(header http.Header, secret, id string, at time.Time, body []byte) {
	if secret == "" {
		return
	}
	header.Set(headerGitLabSignature, hex.EncodeToString(mac([]byte(secret), body)))
	timestamp := strconv.FormatInt(at.Unix(), 10)
	header.Set(headerWebhookID, id)
	header.Set(headerWebhookTimestamp, timestamp)
	signature := mac(standardKey(secret), []byte(id), []byte("."), []byte(timestamp), []byte("."), body)
	header.Set(headerWebhookSignature, "v1,"+base64.StdEncoding.EncodeToString(signature))
}

// standardKey returns the key for Webhook-Signature: the decoded key of a valid
// `whsec_` secret, or else the secret itself.
func standardKey(secret string) []byte {
	if encoded, ok := strings.CutPrefix(secret, standardSecretPrefix); ok {
		key, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(encoded, "="))
		if err == nil && len(key) > 0 {
			return key
		}
	}
	return []byte(secret)
}

// mac returns the HMAC-SHA256 of the concatenated parts.
func mac(key []byte, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, key)
	for _, part := range parts {
		h.Write(part)
	}
	return h.Sum(nil)
}
