package models

import (
	"encoding/base64"
	"strings"
	"time"
)

// callbackContext separates callback tokens from other sealed values.
const callbackContext = "callback token"

// callbackToken returns the token for a delivery, "" if it gets none: test deliveries
// concern no check, and the token must not be readable on the way.
func (s *Store) callbackToken(d Delivery, service ExternalStatusCheck) (string, error) {
	if d.MergeRequestID == nil || d.Kind == DeliveryOfTest || !MayCarryToken(d.URL) {
		return "", nil
	}
	callback := Callback{
		ProjectID: d.ProjectID, MergeRequestIID: d.MergeRequestIID, ServiceID: d.ExternalStatusCheckID, SHA: d.SHA,
		ExpiresAt: s.Now().Add(max(CallbackLifetime, service.Timeout())),
	}
	sealed, err := s.shared.cfg.Sealer.Seal([]byte(callback.encode()), callbackContext)
	return CallbackTokenPrefix + base64.RawURLEncoding.EncodeToString(sealed), err
}

// OpenCallback returns what a callback token allows. ok is false for a token that was not
// issued by this installation or has expired.
func (s *Store) OpenCallback(token string) (callback Callback, ok bool) {
	encoded, isToken := strings.CutPrefix(token, CallbackTokenPrefix)
	sealed, err := base64.RawURLEncoding.DecodeString(encoded)
	if !isToken || err != nil {
		return Callback{}, false
	}
	plain, err := s.shared.cfg.Sealer.Open(sealed, callbackContext)
	if err != nil {
		return Callback{}, false
	}
	callback, ok = decodeCallback(string(plain))
	return callback, ok && s.Now().Truncate(time.Second).Before(callback.ExpiresAt)
}
