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
// recognize it.
const TokenPrefix = "mgat-"

const (
	base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	// tokenRandom is the number of random letters. They hold 154 bits, so a
	// fast digest is safe for storing a token.
	tokenRandom = 26
	// tokenCheck is the number of letters of the checksum.
	tokenCheck = 6
)

// NewAccessToken returns a random access token: the prefix, random letters and
// a checksum, which detects mistyped tokens without a database query. Show it
// once and store only its Digest.
func NewAccessToken() string {
	body := TokenPrefix + randomText(base62, tokenRandom)
	return body + checksum(body)
}

// IsAccessToken reports whether the text has the form of an access token and a
// matching checksum. The token may not exist.
func IsAccessToken(text string) bool {
	if !strings.HasPrefix(text, TokenPrefix) || len(text) != len(TokenPrefix)+tokenRandom+tokenCheck {
		return false
	}
	end := len(text) - tokenCheck
	return checksum(text[:end]) == text[end:]
}

// checksum returns the CRC-32 of the text in six base62 letters.
func checksum(text string) string {
	sum := crc32.ChecksumIEEE([]byte(text))
	letters := make([]byte, tokenCheck)
	for i := tokenCheck - 1; i >= 0; i-- {
		letters[i] = base62[sum%62]
		sum /= 62
	}
	return string(letters)
}

// Digest returns the SHA-256 of a token or session id in lower-case hex. The
// database stores the digest instead of the secret. Use it only for random
// values, never for passwords.
func Digest(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// NewSessionID returns a random session id, 256 bits in URL-safe base64. The
// cookie holds the id and the database its Digest.
func NewSessionID() string {
	id := make([]byte, 32)
	rand.Read(id) // it never returns an error
	return base64.RawURLEncoding.EncodeToString(id)
}
