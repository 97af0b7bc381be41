package webhook

import (
	"encoding/base64"
	"net/http"
	"strconv"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// TestSign_GitLabSignature uses RFC 4231's second test case for HMAC-SHA256.
func TestSign_GitLabSignature(t *testing.T) {
	h := http.Header{}
	sign(h, "Jefe", "id", time.Unix(0, 0), []byte("what do ya want for nothing?"))
	want := "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
	if got := h.Get("X-Gitlab-Signature"); got != want {
		t.Errorf("X-Gitlab-Signature = %s", got)
	}
}

func TestSign_EmptySecret_SetsNothing(t *testing.T) {
	h := http.Header{}
	sign(h, "", "id", time.Now(), []byte("{}"))
	if len(h) != 0 {
		t.Errorf("headers without a secret: %v", h)
	}
}

// TestSign_StandardWebhooks verifies signatures with the specification's library.
func TestSign_StandardWebhooks(t *testing.T) {
	key := []byte("thirty-two bytes of key material")
	body := []byte(`{"object_kind":"merge_request"}`)
	cases := map[string]struct {
		secret string
		key    []byte
	}{
		"as typed":               {"hush", []byte("hush")},
		"text beyond ASCII":      {"hüsh", []byte("hüsh")},
		"base64 without prefix":  {base64.StdEncoding.EncodeToString(key), []byte(base64.StdEncoding.EncodeToString(key))},
		"whsec_":                 {"whsec_" + base64.StdEncoding.EncodeToString(key), key},
		"whsec_ unpadded":        {"whsec_" + base64.RawStdEncoding.EncodeToString(key), key},
		"whsec_ without base64":  {"whsec_not base64", []byte("whsec_not base64")},
		"whsec_ without a key":   {"whsec_", []byte("whsec_")},
		"whsec_ in upper case":   {"WHSEC_aGVsbG8=", []byte("WHSEC_aGVsbG8=")},
		"whsec_ not at the head": {"x whsec_aGVsbG8=", []byte("x whsec_aGVsbG8=")},
	}
	for name, c := range cases {
		at := time.Now()
		h := http.Header{}
		sign(h, c.secret, "3f0e-1", at, body)
		verifier, err := standardwebhooks.NewWebhookRaw(c.key)
		if err != nil {
			t.Fatal(err)
		}
		if err := verifier.Verify(body, h); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := verifier.Verify(append(body, ' '), h); err == nil {
			t.Errorf("%s: a changed body is accepted", name)
		}
		h.Set("webhook-timestamp", strconv.FormatInt(at.Unix()-1, 10))
		if err := verifier.Verify(body, h); err == nil {
			t.Errorf("%s: another time is accepted", name)
		}
		// The key of X-Gitlab-Signature is always the secret as typed.
		if want := mac([]byte(c.secret), body); h.Get("X-Gitlab-Signature") != hexOf(want) {
			t.Errorf("%s: X-Gitlab-Signature %s", name, h.Get("X-Gitlab-Signature"))
		}
	}
}

// hexOf formats bytes in lower-case hexadecimal, independently of encoding/hex.
func hexOf(b []byte) string {
	const digits = "0123456789abcdef"
	text := ""
	for _, c := range b {
		text += string(digits[c>>4]) + string(digits[c&15])
	}
	return text
}
