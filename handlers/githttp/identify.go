package githttp

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/views/text"
)

// identity is who asks.
type identity struct {
	user     *models.User // nil for a visitor
	mayWrite bool         // false where the token may only read
}

// identify reads Basic credentials: an access token as the password of any
// user name, or a user's own name and password. Credentials that are not good
// are 401, whatever they were for.
func (d *door) identify(c echo.Context) (identity, error) {
	if c.Request().Header.Get(echo.HeaderAuthorization) == "" {
		return identity{}, nil
	}
	name, password, ok := c.Request().BasicAuth()
	if !ok || !utf8.ValidString(name+password) || strings.ContainsRune(name, 0) {
		return identity{}, refuse(http.StatusUnauthorized, text.KeyGitSignIn)
	}
	if auth.IsAccessToken(password) {
		return d.identifyToken(c.Request().Context(), password)
	}
	return d.identifyPassword(c, name, password)
}

// identifyToken finds the owner of an access token.
func (d *door) identifyToken(ctx context.Context, secret string) (identity, error) {
	token, user, err := d.Store.TokenUser(ctx, auth.Digest(secret))
	switch {
	case models.KindOf(err) == models.KindNotFound, err == nil && !token.Has(models.ScopeReadAPI):
		return identity{}, refuse(http.StatusUnauthorized, text.KeyGitSignIn)
	case err != nil:
		return identity{}, err
	}
	return identity{user: &user, mayWrite: token.Has(models.ScopeAPI)}, nil
}

// identifyPassword checks a user's own password. git sends it with each of the
// three requests of a push, so one that was right is remembered for a while.
func (d *door) identifyPassword(c echo.Context, name, password string) (identity, error) {
	ctx := c.Request().Context()
	user, err := d.Store.UserByUsername(ctx, name)
	if err != nil && models.KindOf(err) != models.KindNotFound {
		return identity{}, err
	}
	usable := err == nil && !user.Blocked && !user.Bot && user.PasswordDigest != ""
	if !usable || !d.passwords.remembers(d.Store.Now(), user, password) {
		if err := d.checkPassword(ctx, c.RealIP(), name, user, usable, password); err != nil {
			return identity{}, err
		}
		d.passwords.remember(d.Store.Now(), user, password)
	}
	if user.PasswordChangeRequired {
		return identity{}, refuse(http.StatusForbidden, text.KeyGitNewPassword, "URL", d.BaseURL)
	}
	return identity{user: &user, mayWrite: true}, nil
}

// checkPassword takes its time for unknown users as well, and counts tries
// under the same names as the sign-in form, so that neither is a way round the
// other's limit.
func (d *door) checkPassword(ctx context.Context, address, name string, user models.User, usable bool, password string) error {
	account := cmp.Or(user.UsernameKey, name)
	allowed, err := d.Store.CountSignIn(ctx, account, address)
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
		if err := d.Store.RecordFailedSignIn(ctx, name, address); err != nil {
			return err
		}
		return refuse(http.StatusUnauthorized, text.KeyGitSignIn)
	}
	return d.Store.ForgetSignIn(ctx, account, address)
}

// rememberTime is how long a right password is taken without computing its
// slow digest again.
const rememberTime = 5 * time.Minute

// maxRemembered bounds the memory; beyond it everything is forgotten.
const maxRemembered = 4096

// rememberedPasswords knows passwords that were right a short while ago, as
// keyed digests that mean nothing outside this process. The stored digest is
// part of them, so a changed password is forgotten at once.
type rememberedPasswords struct {
	key  [32]byte
	mu   sync.Mutex
	till map[[sha256.Size]byte]time.Time
}

func newRememberedPasswords() *rememberedPasswords {
	r := &rememberedPasswords{till: map[[sha256.Size]byte]time.Time{}}
	_, _ = rand.Read(r.key[:]) // never fails since Go 1.24
	return r
}

// digest stands for a user's password.
func (r *rememberedPasswords) digest(user models.User, password string) (sum [sha256.Size]byte) {
	mac := hmac.New(sha256.New, r.key[:])
	for _, part := range []string{user.UsernameKey, user.PasswordDigest, password} {
		inner := sha256.Sum256([]byte(part))
		mac.Write(inner[:])
	}
	copy(sum[:], mac.Sum(nil))
	return sum
}

// remembers reports whether the password was right lately.
func (r *rememberedPasswords) remembers(now time.Time, user models.User, password string) bool {
	digest := r.digest(user, password)
	r.mu.Lock()
	defer r.mu.Unlock()
	return now.Before(r.till[digest])
}

// remember keeps a password that was right just now.
func (r *rememberedPasswords) remember(now time.Time, user models.User, password string) {
	digest := r.digest(user, password)
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.till) >= maxRemembered {
		clear(r.till)
	}
	r.till[digest] = now.Add(rememberTime)
}
