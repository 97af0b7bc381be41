package handlers

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/static"
	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
)

// keptPolicy is the contentPolicy of the offline page. It allows, by digest, the stylesheet
// and script that the page contains.
var keptPolicy = sync.OnceValue(func() string {
	return strings.NewReplacer("script-src 'self'", "script-src 'self' "+static.Digest("app.js"),
		"style-src 'self'", "style-src 'self' "+static.Digest("style.css")).Replace(contentPolicy)
})

// offline shows the page for an unreachable server, in the language and theme of the query. It
// contains nothing about the user.
func (p *pages) offline(c echo.Context) error {
	if lang := c.QueryParam("lang"); text.IsLanguage(lang) {
		setLanguage(c, lang)
	}
	c.Response().Header().Set("Content-Security-Policy", keptPolicy())
	return render(c, http.StatusOK, views.Offline(offlinePage(c.Request().Context(), c.QueryParam("theme"))))
}

// offlinePage returns the frame of the page. An invalid theme means the system's.
func offlinePage(ctx context.Context, theme string) views.Page {
	if theme != "light" && theme != "dark" {
		theme = ""
	}
	return views.Page{Title: text.T(ctx, text.KeyOfflineTitle), Theme: theme, Still: true}
}

// offlineRelease changes whenever the page or its assets change, in any language.
var offlineRelease = sync.OnceValue(func() string {
	var drawn bytes.Buffer
	for _, lang := range text.Languages() {
		ctx := text.WithLanguage(context.Background(), lang)
		if err := views.Offline(offlinePage(ctx, "")).Render(ctx, &drawn); err != nil {
			panic(err) // rendering constants into a buffer does not fail
		}
	}
	sum := sha256.Sum256(append(drawn.Bytes(), keptPolicy()...))
	return hex.EncodeToString(sum[:8])
})

// keptPageURL returns the address of the offline page that browsers keep for a language and
// theme. It changes with the release, so that browsers fetch the new page.
func keptPageURL(lang, theme string) string {
	return offlinePath + "?" + url.Values{"lang": {lang}, "theme": {theme}, "release": {offlineRelease()}}.Encode()
}
