// Package handlers serves the web pages: routes, forms, htmx fragments and error pages. New
// returns the server; routes.go lists all addresses.
package handlers

import (
	"cmp"
	"context"
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

// Deps is what the pages need from the rest of the program.
type Deps struct {
	Store *models.Store
	Git   gitrepo.Readers
	Log   *slog.Logger
	// BaseURL is the public address of this server, such as https://git.example.com.
	BaseURL string
	// SessionKey signs and encrypts cookies. It has at least 32 random bytes and is the same
	// on every instance and after restarts.
	SessionKey []byte
	// TrustedProxies are networks in CIDR notation whose X-Forwarded-For is believed. If
	// empty, the client's address is that of the connection.
	TrustedProxies []string
	// Version is the program's version, and Settings are those in force. The admin area shows
	// them.
	Version  string
	Settings []Setting
	// Sender sends tests of services that are not saved yet.
	Sender Sender
	// Ready returns why the server is not ready, nil if it is. A nil function only checks the
	// database.
	Ready func(*http.Request) error
	// BodyTimeout limits the time to send a request body, except for git; 0 means
	// DefaultBodyTimeout.
	BodyTimeout time.Duration
	// Background starts f beside the requests. The server waits for f at shutdown, and then
	// its context has ended. If Background is nil, nothing waits for f.
	Background func(f func(context.Context))
	// Middleware observes all requests that have a route. It runs after the request id is
	// set, and the response is complete when it returns.
	Middleware []echo.MiddlewareFunc
}

// Sender sends a delivery and shows what it would send. webhook.Client implements it.
type Sender interface {
	Send(context.Context, models.ClaimedDelivery, time.Time) models.AttemptResult
	Preview(models.ClaimedDelivery, time.Time) http.Header
}

// DefaultBodyTimeout is enough for the largest body on a slow connection.
const DefaultBodyTimeout = time.Minute

// pages holds what the handlers share. Handlers are methods on it.
type pages struct {
	Deps
	sessions   *sessions.CookieStore
	markdown   *markdownRenderer
	spans      *lru.Cache[commitPair, span]
	conflicts  *lru.Cache[commitPair, mergeResult]
	submitted  submittedForms
	recoveries recoveryRuns
	// secure means that the public address is https, so that cookies are limited to it.
	secure bool
}

// New returns a server with the pages and with the middleware that all requests share: request
// ids, access log, panic recovery, security headers and error handling. The caller adds the
// routes of the API and of git, which do not get the middleware of pages.
func New(d Deps) (*echo.Echo, error) {
	base, err := url.Parse(d.BaseURL)
	if err != nil || base.Host == "" || (base.Scheme != "http" && base.Scheme != "https") {
		return nil, fmt.Errorf("base URL %q is not an absolute http or https URL", d.BaseURL)
	}
	if len(d.SessionKey) < 32 {
		return nil, fmt.Errorf("the session key must have at least 32 bytes, it has %d", len(d.SessionKey))
	}
	d.BaseURL = strings.TrimSuffix(d.BaseURL, "/")
	if d.Background == nil {
		d.Background = func(f func(context.Context)) { go f(context.Background()) }
	}
	p := &pages{Deps: d, markdown: newMarkdownRenderer(), secure: base.Scheme == "https"}
	if p.spans, err = lru.New[commitPair, span](maxComparisons); err != nil {
		return nil, err
	}
	if p.conflicts, err = lru.New[commitPair, mergeResult](maxComparisons); err != nil {
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
	e.Pre(removeTrailingSlash)
	e.Use(requestID, rememberAddress)
	e.Use(d.Middleware...)
	e.Use(p.accessLog, p.recoverPanic, p.securityHeaders, request.LimitBody(cmp.Or(d.BodyTimeout, DefaultBodyTimeout)))

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

// newCookieStore returns a store of signed and encrypted cookies.
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

// readyz answers 200 if the server can serve requests, otherwise 503. The reason is only
// logged.
func (p *pages) readyz(c echo.Context) error {
	err := p.Store.Ping(c.Request().Context())
	if err == nil && p.Ready != nil {
		err = p.Ready(c.Request())
	}
	if err != nil {
		p.Log.ErrorContext(c.Request().Context(), "readiness check failed", "error", err)
		request.SetRetryAfter(c)
		return c.String(http.StatusServiceUnavailable, "not ready\n")
	}
	return c.String(http.StatusOK, "ready\n")
}
