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
	"strings"
)

// SecretKeySize is how many bytes the secret key of an installation has at
// least.
const SecretKeySize = 32

// Faults of a secret key that an operator configured. Their texts complete a
// sentence that begins with the setting's name.
var (
	ErrKeyNotEncoded = errors.New("is neither base64 nor hexadecimal")
	ErrKeyTooShort   = fmt.Errorf("is too short: it needs %d random bytes, as `openssl rand -base64 %d` makes them", SecretKeySize, SecretKeySize)
	ErrKeyTooSimple  = errors.New("is too simple: its bytes repeat; take random ones")
)

// Faults of a sealed value.
var (
	ErrSealedMalformed  = errors.New("sealed value is damaged: it has not the form v1.<key>.<data>")
	ErrSealedUnknownKey = errors.New("sealed value was sealed with a secret key that is no longer configured")
	ErrSealedTampered   = errors.New("sealed value does not belong here or was changed")
)

// ParseSecretKey reads an operator's secret key: at least 32 bytes, in base64
// (either alphabet, padded or not) or hexadecimal. Errors: ErrKeyNotEncoded,
// ErrKeyTooShort, ErrKeyTooSimple; none of them repeats the key.
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

// checkKey refuses keys that cannot be the random bytes they should be. Of 32
// random bytes fewer than 16 different ones turn up once in 10^20 keys.
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

// NewSecretKey makes a random secret key as text that ParseSecretKey reads.
func NewSecretKey() string {
	key := make([]byte, SecretKeySize)
	rand.Read(key) // never fails: it ends the program instead
	return base64.StdEncoding.EncodeToString(key)
}

// Keyring holds the secret keys of an installation: the current one, and older
// ones that values may still be sealed with.
type Keyring struct {
	secrets [][]byte
}

// NewKeyring makes a ring. Everything new is sealed with current; older keys
// only open. Errors: ErrKeyTooShort, ErrKeyTooSimple.
func NewKeyring(current []byte, older ...[]byte) (*Keyring, error) {
	secrets := append([][]byte{current}, older...)
	for _, secret := range secrets {
		if err := checkKey(secret); err != nil {
			return nil, fmt.Errorf("secret key %w", err)
		}
	}
	return &Keyring{secrets: secrets}, nil
}

// Derive makes a 32-byte key of the current secret key for one purpose, such
// as signing cookies. Keys of different purposes tell nothing of each other.
func (r *Keyring) Derive(purpose string) []byte { return derive(r.secrets[0], purpose) }

// derive is HKDF-SHA-256 with the purpose as its info.
func derive(secret []byte, purpose string) []byte {
	// hkdf.Key fails only for lengths beyond 255 digests.
	key, err := hkdf.Key(sha256.New, secret, nil, "mergegate "+purpose, 32)
	if err != nil {
		panic(err)
	}
	return key
}

// Sealer seals and opens values of one purpose.
func (r *Keyring) Sealer(purpose string) *Sealer {
	s := &Sealer{}
	for _, secret := range r.secrets {
		id := sha256.Sum256(derive(secret, "key id"))
		block, err := aes.NewCipher(derive(secret, "seal "+purpose))
		if err != nil {
			panic(err) // only for keys of another length
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			panic(err) // only for block sizes other than AES's
		}
		s.keys = append(s.keys, sealingKey{id: hex.EncodeToString(id[:4]), aead: aead})
	}
	return s
}

// Sealer encrypts and authenticates values with AES-256-GCM. A sealed value is
// text, `v1.<key id>.<base64url>`, and opens only with the context it was
// sealed with, so that it cannot be moved to another row or column. It is the
// models.Sealer of the shipped binary.
type Sealer struct {
	keys []sealingKey
}

type sealingKey struct {
	id   string
	aead cipher.AEAD
}

const sealedVersion = "v1"

// Seal encrypts plain with the current key. The context names where the value
// stays, for instance "external_status_checks/12/secret"; Open needs it again.
// The error is always nil.
func (s *Sealer) Seal(plain []byte, context string) ([]byte, error) {
	key := s.keys[0]
	data := key.aead.Seal(nil, nil, plain, []byte(context))
	return []byte(sealedVersion + "." + key.id + "." + base64.RawURLEncoding.EncodeToString(data)), nil
}

// Open decrypts what Seal made for the same context. Errors:
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

// splitSealed takes a sealed value apart.
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
