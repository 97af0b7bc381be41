package auth

import (
	"strings"
	"testing"
)

func TestAccessToken(t *testing.T) {
	seen := map[string]bool{}
	for range 200 {
		token := NewAccessToken()
		if seen[token] || !IsAccessToken(token) || !strings.HasPrefix(token, "mgat-") {
			t.Fatalf("token %q", token)
		}
		seen[token] = true
		for i := range token {
			other := byte('A')
			if token[i] == other {
				other = 'B'
			}
			if changed := token[:i] + string(other) + token[i+1:]; IsAccessToken(changed) {
				t.Fatalf("%q, a changed %q, is accepted as a token", changed, token)
			}
		}
	}
}

func TestIsAccessToken_OtherText_ReturnsFalse(t *testing.T) {
	token := NewAccessToken()
	for _, text := range []string{"", "mgat-", "glpat-12345678901234567890", token + "x", token[:len(token)-1], " " + token} {
		if IsAccessToken(text) {
			t.Errorf("%q is accepted as a token", text)
		}
	}
}

func TestDigest(t *testing.T) {
	// The SHA-256 of the empty string.
	if got := Digest(""); got != "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" {
		t.Errorf("Digest = %s", got)
	}
}

func TestNewSessionID(t *testing.T) {
	a, b := NewSessionID(), NewSessionID()
	if a == b || len(a) != 43 {
		t.Errorf("session ids %q and %q", a, b)
	}
}
