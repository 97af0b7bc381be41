// Package handlers is the front door for people: the pages, their forms and
// fragments, and the errors as people read them.
package handlers

import (
	"cmp"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gorilla/sessions"
	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/gitrepo"
	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/static"
)

// Deps is what the pages need of the rest of the program.
type Deps struct {
	Store *models.Store
	Git   gitrepo.Readers
	Log   *slog.Logger
	// BaseURL is the address under which people reach this server, such as
	// https://git.example.com, without a slash at the end.
	BaseURL string
	// SessionKey signs and encrypts cookies: 32 random bytes that stay the
	// same over restarts and on every instance.
	SessionKey []byte
	// TrustedProxies are the networks whose X-Forwarded-For is believed, as
	// CIDR. Empty: the address of the connection counts.
	TrustedProxies []string
	// Ready tells why the server cannot serve; nil when it can. A nil function
	// asks the database only.
	Ready func(*http.Request) error
	// BodyTimeout is how long a client may take to send the body of a request
	// other than git's; 0 for DefaultBodyTimeout.
	BodyTimeout time.Duration
}

// DefaultBodyTimeout is enough for the largest body on a slow line.
const DefaultBodyTimeout = time.Minute

// pages holds what the handlers share. Each resource's handlers are methods on
// it, in a file of their own.
type pages struct {
	Deps
	sessions  *sessions.CookieStore
	markdown  *markdownRenderer
	spans     *lru.Cache[commitPair, span]
	conflicts *lru.Cache[commitPair, mergeAnswer]
	once      once
	// secure is set where people come by HTTPS: cookies then go no other way.
	secure bool
}

// New makes the server of the pages, with everything that holds for all
// requests: ids, log, recovery, security headers, errors. The command adds the
// API and git to it, whose routes get none of what is meant for pages.
func New(d Deps) (*echo.Echo, error) {
	base, err := url.Parse(d.BaseURL)
	if err != nil || base.Host == "" || (base.Scheme != "http" && base.Scheme != "https") {
		return nil, fmt.Errorf("base URL %q is not an absolute http or https URL", d.BaseURL)
	}
	if len(d.SessionKey) < 32 {
		return nil, fmt.Errorf("the session key has %d bytes, 32 are needed", len(d.SessionKey))
	}
	d.BaseURL = strings.TrimSuffix(d.BaseURL, "/")
	p := &pages{Deps: d, markdown: newMarkdownRenderer(), secure: base.Scheme == "https"}
	if p.spans, err = lru.New[commitPair, span](maxComparisons); err != nil {
		return nil, err
	}
	if p.conflicts, err = lru.New[commitPair, mergeAnswer](maxComparisons); err != nil {
		return nil, err
	}
	if p.sessions, err = newCookieStore(d.SessionKey, p.secure); err != nil {
		return nil, err
	}

	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	if e.IPExtractor, err = ipExtractor(d.TrustedProxies); err != nil {
		return nil, err
	}
	e.HTTPErrorHandler = p.handleError
	e.Pre(forgiveTrailingSlash)
	e.Use(requestID, rememberAddress, p.accessLog, p.recoverPanic, p.securityHeaders, request.LimitBody(cmp.Or(d.BodyTimeout, DefaultBodyTimeout)))

	e.GET("/healthz", func(c echo.Context) error { return c.String(http.StatusOK, "ok\n") })
	e.GET("/readyz", p.readyz)
	assets := echo.WrapHandler(static.Handler())
	e.GET(static.Prefix+"*", assets, compress())
	e.HEAD(static.Prefix+"*", assets)
	e.GET(static.WorkerPath, echo.WrapHandler(static.WorkerHandler()))
	if err := p.addRoutes(e, base); err != nil {
		return nil, err
	}
	return e, nil
}

// newCookieStore keeps sessions' ids in signed and encrypted cookies.
func newCookieStore(key []byte, secure bool) (*sessions.CookieStore, error) {
	derive := func(purpose string) ([]byte, error) {
		return hkdf.Expand(sha256.New, key, "mergegate cookie "+purpose, 32)
	}
	sign, err := derive("signature")
	if err != nil {
		return nil, err
	}
	encrypt, err := derive("encryption")
	if err != nil {
		return nil, err
	}
	store := sessions.NewCookieStore(sign, encrypt)
	store.MaxAge(int(models.SessionLifetime.Seconds()))
	store.Options.HttpOnly = true
	store.Options.SameSite = http.SameSiteLaxMode
	store.Options.Secure = secure
	return store, nil
}

// readyz says whether this server can serve: 200, or 503 with the reason in
// the log only.
func (p *pages) readyz(c echo.Context) error {
	err := p.Store.Ping(c.Request().Context())
	if err == nil && p.Ready != nil {
		err = p.Ready(c.Request())
	}
	if err != nil {
		p.Log.Error("not ready", "error", err)
		request.SetRetryAfter(c)
		return c.String(http.StatusServiceUnavailable, "not ready\n")
	}
	return c.String(http.StatusOK, "ready\n")
}
