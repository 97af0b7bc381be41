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

// What is shown once, a new token, has to get from the answer to its form to
// the page that the answer leads to, so that a reload shows a page and not the
// form's answer again. It travels in no URL and no cookie: it waits in the
// session's row, sealed with a key that only the browser's cookie and this
// installation's secret yield together, and the page that shows it clears it.

// shownOnceLifetime is how long it waits for its page.
const shownOnceLifetime = time.Minute

const shownOnceContext = "sessions/shown_once"

// shownOnceSealer seals for the session of this request.
func (p *pages) shownOnceSealer(c echo.Context) (*auth.Sealer, error) {
	mac := hmac.New(sha256.New, p.SessionKey)
	mac.Write([]byte("shown once\n" + p.sessionID(c)))
	ring, err := auth.NewKeyring(mac.Sum(nil))
	if err != nil {
		return nil, err
	}
	return ring.Sealer("shown once"), nil
}

// sealShownOnce seals what the page at path is to show once.
func (p *pages) sealShownOnce(c echo.Context, path, secret string) ([]byte, error) {
	sealer, err := p.shownOnceSealer(c)
	if err != nil {
		return nil, err
	}
	until := p.Store.Now().Add(shownOnceLifetime).Unix()
	return sealer.Seal([]byte(strconv.FormatInt(until, 10)+"\n"+path+"\n"+secret), shownOnceContext)
}

// takeShownOnce is what the page at path shows this once, "" for nothing. What
// cannot be opened, or has waited too long, is never shown.
func (p *pages) takeShownOnce(c echo.Context, path string) (string, error) {
	if c.Request().Method != http.MethodGet {
		return "", nil // nobody would see it
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
		return "", nil // of another key: the token has to be made anew
	}
	parts := strings.SplitN(string(plain), "\n", 3)
	if len(parts) != 3 || parts[1] != path {
		return "", nil // it waits for its own page
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
