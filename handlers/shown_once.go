package handlers

import (
	"crypto/hmac"
	"crypto/sha256"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/handlers/request"
)

// A new token is shown once, on the page that its form redirects to, so that a reload does not
// submit the form again. The token is not sent in a URL or a cookie. It is stored encrypted in
// the session's row; the key is derived from the browser's cookie and the secret of this
// installation. The page that shows it deletes it.

// shownOnceLifetime is how long the token waits for its page.
const shownOnceLifetime = time.Minute

const shownOnceContext = "sessions/shown_once"

// shownOnceSealer returns the sealer for the session of this request.
func (p *pages) shownOnceSealer(c echo.Context) (*auth.Sealer, error) {
	mac := hmac.New(sha256.New, p.SessionKey)
	mac.Write([]byte("shown once\n" + p.sessionID(c)))
	ring, err := auth.NewKeyring(mac.Sum(nil))
	if err != nil {
		return nil, err
	}
	return ring.Sealer("shown once"), nil
}

// sealShownOnce encrypts what the page at path will show once.
func (p *pages) sealShownOnce(c echo.Context, path, secret string) ([]byte, error) {
	sealer, err := p.shownOnceSealer(c)
	if err != nil {
		return nil, err
	}
	until := p.Store.Now().Add(shownOnceLifetime).Unix()
	return sealer.Seal([]byte(strconv.FormatInt(until, 10)+"\n"+path+"\n"+secret), shownOnceContext)
}

// takeShownOnce returns and deletes what the page at path shows once. It is "" if there is
// nothing, it is expired, or it cannot be decrypted.
func (p *pages) takeShownOnce(c echo.Context, path string) (string, error) {
	if c.Request().Method != http.MethodGet {
		return "", nil // there is no page to show it
	}
	ctx, digest := c.Request().Context(), request.Session(c).Digest
	sealed, err := p.Store.ShownOnce(ctx, digest)
	if err != nil || sealed == nil {
		return "", err
	}
	sealer, err := p.shownOnceSealer(c)
	if err != nil {
		return "", err
	}
	plain, err := sealer.Open(sealed, shownOnceContext)
	if err != nil {
		return "", nil // encrypted with another key: the user must create a new token
	}
	parts := strings.SplitN(string(plain), "\n", 3)
	if len(parts) != 3 || parts[1] != path {
		return "", nil // it belongs to another page
	}
	until, err := strconv.ParseInt(parts[0], 10, 64)
	if err != nil {
		return "", nil
	}
	mine, err := p.Store.ClearShownOnce(ctx, digest, sealed)
	if err != nil || !mine || p.Store.Now().Unix() > until {
		return "", err
	}
	return parts[2], nil
}
