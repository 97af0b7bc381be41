package auth

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"unicode/utf8"

	"github.com/alexedwards/argon2id"
)

// Limits of a password: MinPasswordLength counts characters, MaxPasswordBytes
// bytes, so that nobody makes us hash megabytes.
const (
	MinPasswordLength = 8
	MaxPasswordBytes  = 1024
)

// Faults of a password somebody chose.
var (
	ErrPasswordTooShort = fmt.Errorf("the password has fewer than %d characters", MinPasswordLength)
	ErrPasswordTooLong  = fmt.Errorf("the password has more than %d bytes", MaxPasswordBytes)
	ErrPasswordNotText  = errors.New("the password is not valid UTF-8")
	ErrPasswordCommon   = errors.New("the password is one of those that are guessed first")
)

// passwordParams is OWASP's second choice for Argon2id: 19 MiB, two passes,
// one lane; about 20 ms on a server's core.
var passwordParams = &argon2id.Params{Memory: 19 * 1024, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}

// hashing holds a place for every hash being computed: two at most, so that a
// flood of sign-ins takes neither all memory nor all cores.
var hashing = make(chan struct{}, 2)

// absentDigest is compared with when there is no digest, so that an unknown
// user takes as long to refuse as a wrong password. Nobody knows its password.
const absentDigest = "$argon2id$v=19$m=19456,t=2,p=1$bWVyZ2VnYXRlYWJzZW50IQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

// ValidatePassword reports whether a password may be chosen by a user with some
// names. Errors: ErrPasswordTooShort, ErrPasswordTooLong, ErrPasswordNotText,
// ErrPasswordCommon.
func ValidatePassword(password string, names ...string) error {
	switch {
	case len(password) > MaxPasswordBytes:
		return ErrPasswordTooLong
	case !utf8.ValidString(password):
		return ErrPasswordNotText
	case utf8.RuneCountInString(password) < MinPasswordLength:
		return ErrPasswordTooShort
	case isCommonPassword(password, names):
		return ErrPasswordCommon
	}
	return nil
}

// HashPassword makes the digest to store for a password: a PHC string with its
// own salt. It waits for a place among the hashes being computed. Errors:
// those of ValidatePassword, and the context's.
func HashPassword(ctx context.Context, password string) (string, error) {
	if err := ValidatePassword(password); err != nil {
		return "", err
	}
	if err := enter(ctx); err != nil {
		return "", err
	}
	defer leave()
	return argon2id.CreateHash(password, passwordParams)
}

// CheckPassword reports whether the password belongs to the digest. With an
// empty digest (no such user, or one who has no password) it takes the same
// time and answers false. Errors: the context's, and a digest that is damaged.
func CheckPassword(ctx context.Context, password, digest string) (bool, error) {
	if len(password) > MaxPasswordBytes {
		return false, nil
	}
	if err := enter(ctx); err != nil {
		return false, err
	}
	defer leave()
	absent := digest == ""
	if absent {
		digest = absentDigest
	}
	match, err := argon2id.ComparePasswordAndHash(password, digest)
	if err != nil {
		return false, fmt.Errorf("stored password digest: %w", err)
	}
	return match && !absent, nil
}

// enter takes a place for one hash, or gives up with the context.
func enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case hashing <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// leave gives the place back.
func leave() { <-hashing }

// passwordLetters leaves out what people mistake for one another: 0 o 1 l i.
const passwordLetters = "abcdefghjkmnpqrstuvwxyz23456789"

// NewPassword makes a random password for somebody to use once and to type:
// four groups of five letters and digits, 99 bits.
func NewPassword() string {
	groups := make([]string, 4)
	for i := range groups {
		groups[i] = randomText(passwordLetters, 5)
	}
	return strings.Join(groups, "-")
}

// randomText draws n letters of the alphabet, each as likely as the others.
func randomText(alphabet string, n int) string {
	size := big.NewInt(int64(len(alphabet)))
	text := make([]byte, n)
	for i := range text {
		// rand.Int cannot fail: crypto/rand's reader ends the program instead.
		k, err := rand.Int(rand.Reader, size)
		if err != nil {
			panic(err)
		}
		text[i] = alphabet[k.Int64()]
	}
	return string(text)
}
