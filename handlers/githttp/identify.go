package githttp

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views/text"
)

// identity is the user who makes a request.
type identity struct {
	user     *models.User // nil without credentials
	mayWrite bool         // false for a token that may only read
}

// identify reads Basic credentials: an access token as password with any user
// name, or a user's name and password. It returns the zero identity without
// credentials and refuses invalid ones with 401.
func (h *handler) identify(c echo.Context) (identity, error) {
	if c.Request().Header.Get(echo.HeaderAuthorization) == "" {
		return identity{}, nil
	}
	name, password, ok := c.Request().BasicAuth()
	if !ok || !utf8.ValidString(name+password) || strings.ContainsRune(name, 0) {
		return identity{}, refuse(http.StatusUnauthorized, text.KeyGitSignIn)
	}
	if auth.IsAccessToken(password) {
		return h.identifyToken(c.Request().Context(), password)
	}
	return h.identifyPassword(c, name, password)
}

// identifyToken finds the owner of an access token.
func (h *handler) identifyToken(ctx context.Context, secret string) (identity, error) {
	token, user, err := h.Store.TokenUser(ctx, auth.Digest(secret))
	switch {
	case models.KindOf(err) == models.KindNotFound, err == nil && !token.Has(models.ScopeReadAPI):
		return identity{}, refuse(http.StatusUnauthorized, text.KeyGitSignIn)
	case err != nil:
		return identity{}, err
	}
	return identity{user: &user, mayWrite: token.Has(models.ScopeAPI)}, nil
}

// identifyPassword checks a user's own password. git sends it with each of the
// three requests of a push, so a correct password is remembered for
// rememberDuration.
func (h *handler) identifyPassword(c echo.Context, name, password string) (identity, error) {
	ctx := c.Request().Context()
	user, err := h.Store.UserByUsername(ctx, name)
	if err != nil && models.KindOf(err) != models.KindNotFound {
		return identity{}, err
	}
	usable := err == nil && !user.Blocked && !user.Bot && user.PasswordDigest != ""
	if !usable || !h.passwords.remembers(h.Store.Now(), user, password) {
		if err := h.checkPassword(ctx, c.RealIP(), name, user, usable, password); err != nil {
			return identity{}, err
		}
		h.passwords.remember(h.Store.Now(), user, password)
	}
	if user.PasswordChangeRequired {
		return identity{}, refuse(http.StatusForbidden, text.KeyGitNewPassword, "URL", h.BaseURL)
	}
	return identity{user: &user, mayWrite: true}, nil
}

// checkPassword compares the password with the user's digest. It takes equally
// long for unknown users (usable is false). Attempts count towards the limit of
// the sign-in form.
func (h *handler) checkPassword(
	ctx context.Context, address, name string, user models.User, usable bool, password string,
) error {
	account := cmp.Or(user.UsernameKey, name)
	allowed, err := h.Store.CountSignInAttempt(ctx, account, address)
	if err != nil {
		return err
	}
	if !allowed {
		return refuse(http.StatusTooManyRequests, text.KeyGitLimited)
	}
	digest := user.PasswordDigest
	if !usable {
		digest = ""
	}
	match, err := auth.CheckPassword(ctx, password, digest)
	if err != nil {
		return err
	}
	if !match {
		if err := h.Store.RecordFailedSignIn(ctx, name, address); err != nil {
			return err
		}
		return refuse(http.StatusUnauthorized, text.KeyGitSignIn)
	}
	return h.Store.ResetSignInAttempts(ctx, account, address)
}

// rememberDuration is how long a correct password is accepted without computing
// its slow digest again.
const rememberDuration = 5 * time.Minute

// maxRemembered is how many passwords are remembered.
const maxRemembered = 4096

// rememberedPasswords is a cache of recently verified passwords. It stores
// digests under a random key of this process. The user's stored digest is part
// of each, so a password change takes effect at once.
type rememberedPasswords struct {
	key     [32]byte
	expires *lru.Cache[[sha256.Size]byte, time.Time]
}

func newRememberedPasswords() *rememberedPasswords {
	expires, err := lru.New[[sha256.Size]byte, time.Time](maxRemembered)
	if err != nil {
		panic(err) // only for a size below 1
	}
	r := &rememberedPasswords{expires: expires}
	_, _ = rand.Read(r.key[:]) // never fails since Go 1.24
	return r
}

// digest returns the cache key for a user and password.
func (r *rememberedPasswords) digest(user models.User, password string) (sum [sha256.Size]byte) {
	mac := hmac.New(sha256.New, r.key[:])
	for _, part := range []string{user.UsernameKey, user.PasswordDigest, password} {
		inner := sha256.Sum256([]byte(part))
		mac.Write(inner[:])
	}
	copy(sum[:], mac.Sum(nil))
	return sum
}

// remembers reports whether the password was verified within rememberDuration.
func (r *rememberedPasswords) remembers(now time.Time, user models.User, password string) bool {
	expires, found := r.expires.Get(r.digest(user, password))
	return found && now.Before(expires)
}

// remember stores a password that was verified at now.
func (r *rememberedPasswords) remember(now time.Time, user models.User, password string) {
	r.expires.Add(r.digest(user, password), now.Add(rememberDuration))
}
