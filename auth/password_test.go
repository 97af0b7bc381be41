package auth

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestHashPassword(t *testing.T) {
	digest, err := HashPassword(t.Context(), "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(digest, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("digest with other parameters: %s", digest)
	}
	again, err := HashPassword(t.Context(), "correct horse")
	if err != nil || again == digest {
		t.Errorf("two hashes of the same password are equal (error %v)", err)
	}
	for password, want := range map[string]bool{
		"correct horse":                         true,
		"correct hors":                          false,
		"":                                      false,
		"correct horse" + string(rune(0)):       false,
		strings.Repeat("x", MaxPasswordBytes+1): false,
	} {
		if got, err := CheckPassword(t.Context(), password, digest); err != nil || got != want {
			t.Errorf("%.20q: %v, %v", password, got, err)
		}
	}
}

func TestCheckPassword_NoDigest_TakesAsLong(t *testing.T) {
	// Hash once, so that the first comparison does not include allocating memory.
	digest, err := HashPassword(t.Context(), "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if _, err := CheckPassword(t.Context(), "wrong horse", digest); err != nil {
		t.Fatal(err)
	}
	wrong := time.Since(start)
	start = time.Now()
	match, err := CheckPassword(t.Context(), "wrong horse", "")
	absent := time.Since(start)
	if match || err != nil {
		t.Errorf("no digest: %v, %v", match, err)
	}
	// A comparison that is skipped takes microseconds; a factor of ten leaves
	// room for a busy machine.
	if absent < wrong/10 {
		t.Errorf("unknown user refused in %v, wrong password in %v", absent, wrong)
	}
}

func TestCheckPassword_MalformedDigest_ReturnsError(t *testing.T) {
	if match, err := CheckPassword(t.Context(), "correct horse", "plain text"); match || err == nil {
		t.Errorf("malformed digest: %v, %v", match, err)
	}
}

func TestValidatePassword_Common(t *testing.T) {
	if !slices.IsSorted(commonPasswords) {
		t.Error("the list of common passwords is not sorted")
	}
	names := []string{"jonas-weber", "Jonas Weber", "jonas@orchard.test"}
	for _, password := range []string{
		"password", "Password1!", "P@ssw0rd2026", "iloveyou", "qwertyuiop", "QWERTY123", "letmein!!", "Mergegate1", "87654321", "abcdefgh", "1234567890",
		"aaaabbbb", "jonas-weber", "JonasWeber", "jonas_weber_99", "jonas@orchard.test",
	} {
		if err := ValidatePassword(password, names...); err != ErrPasswordCommon {
			t.Errorf("%s: %v", password, err)
		}
	}
	for _, password := range []string{"correct horse battery", "jonas likes pears", "password of the orchard", "kx7-qm2-vd9", "梨の木の下で会おう", "x9!Km2@p"} {
		if err := ValidatePassword(password, names...); err != nil {
			t.Errorf("%s: %v", password, err)
		}
	}
	if err := ValidatePassword("jonas-weber"); err != nil {
		t.Errorf("another user's name: %v", err)
	}
}

func TestValidatePassword(t *testing.T) {
	for password, want := range map[string]error{
		"":                                      ErrPasswordTooShort,
		"1234567":                               ErrPasswordTooShort,
		"ééééééé":                               ErrPasswordTooShort,
		"12345678":                              ErrPasswordCommon,
		"ééèèêêëë":                              ErrPasswordCommon,
		"ééèèêêëëa":                             nil,
		strings.Repeat("pear!", 200):            nil,
		strings.Repeat("x", MaxPasswordBytes+1): ErrPasswordTooLong,
		"12345678\xff":                          ErrPasswordNotText,
	} {
		if got := ValidatePassword(password); !errors.Is(got, want) {
			t.Errorf("%.20q: %v, want %v", password, got, want)
		}
		if _, err := HashPassword(t.Context(), password); want != nil && !errors.Is(err, want) {
			t.Errorf("hashing %.20q: %v, want %v", password, err, want)
		}
	}
}

// While two hashes are computed, a third waits until one ends or its context
// ends.
func TestHashPassword_TwoInProgress_Waits(t *testing.T) {
	hashing <- struct{}{}
	hashing <- struct{}{}
	freed := false
	defer func() {
		if !freed {
			releaseHashing()
		}
		releaseHashing()
	}()
	// A hash does not check its context once it has begun, so a hash that did not wait would succeed.
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := HashPassword(ctx, "correct horse"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("hash while two are computed: %v", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := CheckPassword(ctx, "correct horse", ""); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("check while two are computed: %v", err)
	}
	releaseHashing()
	freed = true
	if _, err := HashPassword(t.Context(), "correct horse"); err != nil {
		t.Errorf("hash while one is computed: %v", err)
	}
}

func TestNewPassword(t *testing.T) {
	seen := map[string]bool{}
	for range 200 {
		password := NewPassword()
		if len(password) != 23 || ValidatePassword(password) != nil || seen[password] {
			t.Fatalf("password %q", password)
		}
		if strings.ContainsAny(password, "0o1li") {
			t.Fatalf("password %q has letters that look alike", password)
		}
		seen[password] = true
	}
}
