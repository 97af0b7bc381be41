package auth

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/mergegate/mergegate/models"
)

// secretKey returns the bytes of a new secret key.
func secretKey(t *testing.T) []byte {
	t.Helper()
	key, err := ParseSecretKey(NewSecretKey())
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newKeyring(t *testing.T, current []byte, older ...[]byte) *Keyring {
	t.Helper()
	r, err := NewKeyring(current, older...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var _ models.Sealer = (*Sealer)(nil)

func seal(t *testing.T, s *Sealer, context, plain string) string {
	t.Helper()
	sealed, err := s.Seal([]byte(plain), context)
	if err != nil {
		t.Fatal(err)
	}
	return string(sealed)
}

func TestOpen_SealedValue_ReturnsPlain(t *testing.T) {
	s := newKeyring(t, secretKey(t)).Sealer("service secret")
	for _, plain := range []string{"", "hush", strings.Repeat("é", 255)} {
		sealed := seal(t, s, "row 1", plain)
		if plain != "" && strings.Contains(sealed, plain) {
			t.Errorf("%q is readable in %q", plain, sealed)
		}
		if seal(t, s, "row 1", plain) == sealed {
			t.Error("sealing the same value twice gave equal texts")
		}
		if got, err := s.Open([]byte(sealed), "row 1"); err != nil || string(got) != plain {
			t.Errorf("opened %q, %v", got, err)
		}
	}
}

func TestOpen_InvalidValue_ReturnsError(t *testing.T) {
	key := secretKey(t)
	r := newKeyring(t, key)
	s := r.Sealer("service secret")
	sealed := seal(t, s, "row 1", "hush")
	head := sealed[:strings.LastIndex(sealed, ".")+1]
	cases := map[string]struct {
		sealer          *Sealer
		context, sealed string
		want            error
	}{
		"another row":          {s, "row 2", sealed, ErrSealedTampered},
		"another purpose":      {r.Sealer("cookies"), "row 1", sealed, ErrSealedTampered},
		"another key":          {newKeyring(t, secretKey(t)).Sealer("service secret"), "row 1", sealed, ErrSealedUnknownKey},
		"cut short":            {s, "row 1", head + "AAAA", ErrSealedTampered},
		"changed":              {s, "row 1", changeData(sealed), ErrSealedTampered},
		"empty":                {s, "row 1", "", ErrSealedMalformed},
		"plain text":           {s, "row 1", "hush", ErrSealedMalformed},
		"unknown version":      {s, "row 1", "v2" + sealed[2:], ErrSealedMalformed},
		"data is not base64":   {s, "row 1", head + "!!", ErrSealedMalformed},
		"one part too many":    {s, "row 1", sealed + ".x", ErrSealedMalformed},
		"key id taken as path": {s, "row 1", "v1../../etc.AAAA", ErrSealedMalformed},
	}
	for name, c := range cases {
		plain, err := c.sealer.Open([]byte(c.sealed), c.context)
		if !errors.Is(err, c.want) || plain != nil {
			t.Errorf("%s: %q, %v; want %v", name, plain, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: the error contains the value: %v", name, err)
		}
	}
}

// changeData changes the first letter of the sealed data. The last letter may
// hold bits that base64 ignores.
func changeData(sealed string) string {
	i := strings.LastIndex(sealed, ".") + 1
	letter := byte('A')
	if sealed[i] == letter {
		letter = 'B'
	}
	return sealed[:i] + string(letter) + sealed[i+1:]
}

func TestOpen_AfterKeyRotation(t *testing.T) {
	before, after := secretKey(t), secretKey(t)
	sealed := seal(t, newKeyring(t, before).Sealer("p"), "c", "hush")
	rotated := newKeyring(t, after, before).Sealer("p")
	if plain, err := rotated.Open([]byte(sealed), "c"); err != nil || string(plain) != "hush" {
		t.Errorf("old value with both keys: %q, %v", plain, err)
	}
	renewed := seal(t, rotated, "c", "hush")
	if plain, err := newKeyring(t, after).Sealer("p").Open([]byte(renewed), "c"); err != nil || string(plain) != "hush" {
		t.Errorf("new value with the new key alone: %q, %v", plain, err)
	}
}

func TestDerive(t *testing.T) {
	r := newKeyring(t, secretKey(t))
	a, b := r.Derive("cookie signature"), r.Derive("cookie encryption")
	if len(a) != 32 || bytes.Equal(a, b) || !bytes.Equal(a, r.Derive("cookie signature")) {
		t.Errorf("derived keys %x and %x", a, b)
	}
}

func TestParseSecretKey(t *testing.T) {
	key := secretKey(t)
	for name, text := range map[string]string{
		"base64":          base64.StdEncoding.EncodeToString(key),
		"base64 unpadded": base64.RawStdEncoding.EncodeToString(key),
		"base64url":       base64.URLEncoding.EncodeToString(key),
		"hex":             hex.EncodeToString(key),
		"HEX":             strings.ToUpper(hex.EncodeToString(key)),
		"with newline":    base64.StdEncoding.EncodeToString(key) + "\n",
	} {
		if got, err := ParseSecretKey(text); err != nil || !bytes.Equal(got, key) {
			t.Errorf("%s: %x, %v", name, got, err)
		}
	}
	for text, want := range map[string]error{
		"":                          ErrKeyTooShort,
		"c2VjcmV0":                  ErrKeyTooShort,
		hex.EncodeToString(key[1:]): ErrKeyTooShort,
		"pass word!":                ErrKeyNotEncoded,
		strings.Repeat("0", 64):     ErrKeyTooSimple,
		strings.Repeat("abcd", 16):  ErrKeyTooSimple,
	} {
		if _, err := ParseSecretKey(text); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", text, err, want)
		}
	}
	if _, err := NewKeyring(key, []byte("short")); !errors.Is(err, ErrKeyTooShort) {
		t.Errorf("keyring with a short old key: %v", err)
	}
}
