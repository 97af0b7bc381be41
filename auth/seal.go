package auth

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// SecretKeySize is the least number of bytes of an installation's secret key.
const SecretKeySize = 32

// Errors of ParseSecretKey and NewKeyring. Their texts complete a sentence that
// begins with the name of the setting.
var (
	ErrKeyNotEncoded = errors.New("is neither base64 nor hexadecimal")
	ErrKeyTooShort   = fmt.Errorf("is too short: it must be %d random bytes, for example from `openssl rand -base64 %d`", SecretKeySize, SecretKeySize)
	ErrKeyTooSimple  = errors.New("is too simple: its bytes repeat; use random bytes")
)

// Errors of Sealer.Open.
var (
	ErrSealedMalformed  = errors.New("sealed value is malformed: it must have the form v1.<key>.<data>")
	ErrSealedUnknownKey = errors.New("sealed value needs a secret key that is not configured")
	ErrSealedTampered   = errors.New("sealed value was changed or belongs to another context")
)

// ParseSecretKey decodes a configured secret key: at least 32 bytes, in base64
// (either alphabet, padded or not) or hexadecimal. Errors: ErrKeyNotEncoded,
// ErrKeyTooShort, ErrKeyTooSimple. None of them contains the key.
func ParseSecretKey(text string) ([]byte, error) {
	text = strings.TrimSpace(text)
	key, err := hex.DecodeString(text)
	if err != nil {
		key, err = base64.RawURLEncoding.DecodeString(
			strings.TrimRight(strings.NewReplacer("+", "-", "/", "_").Replace(text), "="))
	}
	if err != nil {
		return nil, ErrKeyNotEncoded
	}
	return key, checkKey(key)
}

// checkKey refuses keys that are not random bytes. Of 32 random bytes fewer
// than 16 are different in one of 10^20 keys.
func checkKey(key []byte) error {
	if len(key) < SecretKeySize {
		return ErrKeyTooShort
	}
	different := map[byte]bool{}
	for _, b := range key {
		different[b] = true
	}
	if len(different) < SecretKeySize/2 {
		return ErrKeyTooSimple
	}
	return nil
}

// NewSecretKey returns a random secret key in the form that ParseSecretKey reads.
func NewSecretKey() string {
	key := make([]byte, SecretKeySize)
	rand.Read(key) // it never returns an error
	return base64.StdEncoding.EncodeToString(key)
}

// Keyring holds the secret keys of an installation: the current one, and older
// ones that stored values may still need.
type Keyring struct {
	secrets [][]byte // the current one first
}

// NewKeyring returns a keyring. New values are sealed with current; older keys
// only open values. Errors: ErrKeyTooShort, ErrKeyTooSimple.
func NewKeyring(current []byte, older ...[]byte) (*Keyring, error) {
	secrets := append([][]byte{current}, older...)
	for _, secret := range secrets {
		if err := checkKey(secret); err != nil {
			return nil, fmt.Errorf("secret key %w", err)
		}
	}
	return &Keyring{secrets: secrets}, nil
}

// Derive returns a 32-byte key for one purpose, such as signing cookies. It is
// derived from the current secret key. Keys of different purposes are
// independent.
func (r *Keyring) Derive(purpose string) []byte { return derive(r.secrets[0], purpose) }

// derive applies HKDF-SHA-256 with the purpose as info.
func derive(secret []byte, purpose string) []byte {
	// hkdf.Key fails only for lengths beyond 255 digests.
	key, err := hkdf.Key(sha256.New, secret, nil, "mergegate "+purpose, 32)
	if err != nil {
		panic(err)
	}
	return key
}

// Sealer returns a sealer for values of one purpose.
func (r *Keyring) Sealer(purpose string) *Sealer {
	s := &Sealer{}
	for _, secret := range r.secrets {
		id := sha256.Sum256(derive(secret, "key id"))
		block, err := aes.NewCipher(derive(secret, "seal "+purpose))
		if err != nil {
			panic(err) // impossible: the key has 32 bytes
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			panic(err) // impossible: the cipher is AES
		}
		s.keys = append(s.keys, sealingKey{id: hex.EncodeToString(id[:4]), aead: aead})
	}
	return s
}

// Sealer encrypts and authenticates values with AES-256-GCM. A sealed value is
// the text `v1.<key id>.<base64url>`. It opens only with the context it was
// sealed with, so a value that is copied to another row or column does not
// open. Sealer implements models.Sealer.
type Sealer struct {
	keys []sealingKey // the current one first
}

type sealingKey struct {
	id   string
	aead cipher.AEAD
}

const sealedVersion = "v1"

// Seal encrypts plain with the current key. The context names where the value
// is stored, for instance "external_status_checks/12/secret"; Open needs the
// same one. The error is always nil.
func (s *Sealer) Seal(plain []byte, context string) ([]byte, error) {
	key := s.keys[0]
	data := key.aead.Seal(nil, nil, plain, []byte(context))
	return []byte(sealedVersion + "." + key.id + "." + base64.RawURLEncoding.EncodeToString(data)), nil
}

// Open decrypts a value that Seal returned for the same context. Errors:
// ErrSealedMalformed, ErrSealedUnknownKey, ErrSealedTampered.
func (s *Sealer) Open(sealed []byte, context string) ([]byte, error) {
	id, data, err := splitSealed(sealed)
	if err != nil {
		return nil, err
	}
	for _, key := range s.keys {
		if key.id != id {
			continue
		}
		plain, err := key.aead.Open(nil, nil, data, []byte(context))
		if err != nil {
			return nil, ErrSealedTampered
		}
		return plain, nil
	}
	return nil, ErrSealedUnknownKey
}

// HasKey reports whether the sealer opens values that were sealed with the key of an id.
func (s *Sealer) HasKey(id string) bool {
	return slices.ContainsFunc(s.keys, func(key sealingKey) bool { return key.id == id })
}

// sealedPattern matches sealed values within a text.
var sealedPattern = regexp.MustCompile(`\bv1\.([0-9a-f]{8})\.`)

// KeyIDs returns the ids of the keys that sealed the values within a text.
func KeyIDs(text []byte) []string {
	var ids []string
	for _, match := range sealedPattern.FindAllSubmatch(text, -1) {
		ids = append(ids, string(match[1]))
	}
	return ids
}

// splitSealed parses a sealed value. Errors: ErrSealedMalformed.
func splitSealed(sealed []byte) (keyID string, data []byte, err error) {
	parts := strings.Split(string(sealed), ".")
	if len(parts) != 3 || parts[0] != sealedVersion {
		return "", nil, ErrSealedMalformed
	}
	data, err = base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return "", nil, ErrSealedMalformed
	}
	return parts[1], data, nil
}
