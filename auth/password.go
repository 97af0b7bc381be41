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

// Limits of a password. MinPasswordLength counts characters. MaxPasswordBytes
// counts bytes and bounds the cost of hashing.
const (
	MinPasswordLength = 8
	MaxPasswordBytes  = 1024
)

// Errors of ValidatePassword.
var (
	ErrPasswordTooShort = fmt.Errorf("the password has fewer than %d characters", MinPasswordLength)
	ErrPasswordTooLong  = fmt.Errorf("the password has more than %d bytes", MaxPasswordBytes)
	ErrPasswordNotText  = errors.New("the password is not valid UTF-8")
	ErrPasswordCommon   = errors.New("the password is too common")
)

// passwordParams are the Argon2id parameters that OWASP recommends second:
// 19 MiB, two passes, one lane. A hash takes about 20 ms on a server's core.
var passwordParams = &argon2id.Params{Memory: 19 * 1024, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}

// hashing is a semaphore that allows two hashes at a time, so that many
// sign-ins at once cannot exhaust memory and cores.
var hashing = make(chan struct{}, 2)

// absentDigest is compared when a user has no digest, so that refusing an
// unknown user takes as long as refusing a wrong password. No password matches.
const absentDigest = "$argon2id$v=19$m=19456,t=2,p=1$bWVyZ2VnYXRlYWJzZW50IQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

// ValidatePassword returns nil if a user with the given names may choose the
// password. Errors: ErrPasswordTooShort, ErrPasswordTooLong,
// ErrPasswordNotText, ErrPasswordCommon.
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

// HashPassword returns the digest to store for a password, a PHC string with a
// random salt. It waits while two other hashes are computed. Errors: those of
// ValidatePassword, and the context's.
func HashPassword(ctx context.Context, password string) (string, error) {
	if err := ValidatePassword(password); err != nil {
		return "", err
	}
	if err := acquireHashing(ctx); err != nil {
		return "", err
	}
	defer releaseHashing()
	return argon2id.CreateHash(password, passwordParams)
}

// CheckPassword reports whether the password matches the digest. With an empty
// digest (an unknown user, or one without a password) it takes the same time
// and returns false. Errors: the context's, and one for a malformed digest.
func CheckPassword(ctx context.Context, password, digest string) (bool, error) {
	if len(password) > MaxPasswordBytes {
		return false, nil
	}
	if err := acquireHashing(ctx); err != nil {
		return false, err
	}
	defer releaseHashing()
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

// acquireHashing waits until a hash may be computed. Errors: the context's.
func acquireHashing(ctx context.Context) error {
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

func releaseHashing() { <-hashing }

// passwordLetters omits characters that look alike: 0 o 1 l i.
const passwordLetters = "abcdefghjkmnpqrstuvwxyz23456789"

// NewPassword returns a random password that is easy to type: four groups of
// five letters and digits, 99 bits.
func NewPassword() string {
	groups := make([]string, 4)
	for i := range groups {
		groups[i] = randomText(passwordLetters, 5)
	}
	return strings.Join(groups, "-")
}

// randomText returns n letters of the alphabet, drawn uniformly.
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
