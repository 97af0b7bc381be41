package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"hash/crc32"
	"strings"
)

// TokenPrefix begins every access token, so that people and secret scanners
// know one when they see it.
const TokenPrefix = "mgat-"

const (
	base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	// tokenRandom letters are 154 bits: out of reach of guessing, so a fast
	// digest is enough to store a token.
	tokenRandom = 26
	// tokenCheck letters hold a CRC-32 of what stands before them.
	tokenCheck = 6
)

// NewAccessToken makes an access token: the prefix, random letters, and a
// checksum that tells typing mistakes and look-alikes without a database. It
// is shown once; only its Digest is kept.
func NewAccessToken() string {
	body := TokenPrefix + randomText(base62, tokenRandom)
	return body + checksum(body)
}

// IsAccessToken reports whether the text has the form of an access token of
// ours. It says nothing on whether the token exists.
func IsAccessToken(text string) bool {
	if !strings.HasPrefix(text, TokenPrefix) || len(text) != len(TokenPrefix)+tokenRandom+tokenCheck {
		return false
	}
	end := len(text) - tokenCheck
	return checksum(text[:end]) == text[end:]
}

// checksum is the CRC-32 of the text in six base62 letters.
func checksum(text string) string {
	sum := crc32.ChecksumIEEE([]byte(text))
	letters := make([]byte, tokenCheck)
	for i := tokenCheck - 1; i >= 0; i-- {
		letters[i] = base62[sum%62]
		sum /= 62
	}
	return string(letters)
}

// Digest is what is stored and looked up in place of a token or session id:
// SHA-256 in lower-case hex. Only for values with enough randomness of their
// own, never for passwords.
func Digest(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// NewSessionID makes the random id of a session, 256 bits in URL-safe base64.
// The cookie holds it; only its Digest is kept.
func NewSessionID() string {
	id := make([]byte, 32)
	rand.Read(id) // never fails: it ends the program instead
	return base64.RawURLEncoding.EncodeToString(id)
}
