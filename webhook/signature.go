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

// The header lines that prove where a delivery comes from.
const (
	// headerGitLabSignature is GitLab's for external status checks.
	headerGitLabSignature = "X-Gitlab-Signature"
	// The three of Standard Webhooks, which also cover id and time, so that
	// receivers can refuse replays.
	headerWebhookID        = "Webhook-Id"
	headerWebhookTimestamp = "Webhook-Timestamp"
	headerWebhookSignature = "Webhook-Signature"
)

// standardSecretPrefix marks secrets in the notation of Standard Webhooks,
// base64 of the key's bytes.
const standardSecretPrefix = "whsec_"

// sign sets the signature headers for a body. id is the delivery's, the same
// over attempts; at is when this attempt begins. Nothing is set without a
// secret.
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

// standardKey is the key of webhook-signature: the secret as it was typed, or
// the bytes that a well-formed `whsec_` secret stands for.
func standardKey(secret string) []byte {
	if encoded, ok := strings.CutPrefix(secret, standardSecretPrefix); ok {
		key, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(encoded, "="))
		if err == nil && len(key) > 0 {
			return key
		}
	}
	return []byte(secret)
}

// mac is the HMAC-SHA256 of the parts one after another.
func mac(key []byte, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, key)
	for _, part := range parts {
		h.Write(part)
	}
	return h.Sum(nil)
}
