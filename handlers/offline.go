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

// keptPolicy lets the kept page bring its stylesheet and script along: they
// stand inside it, known by their digests.
var keptPolicy = sync.OnceValue(func() string {
	return strings.NewReplacer("script-src 'self'", "script-src 'self' "+static.Digest("app.js"),
		"style-src 'self'", "style-src 'self' "+static.Digest("style.css")).Replace(contentPolicy)
})

// offline is the page in the language and theme that its address names. It is
// the same for everybody: nothing of who asks for it is in it.
func (p *pages) offline(c echo.Context) error {
	if lang := c.QueryParam("lang"); text.IsLanguage(lang) {
		setLanguage(c, lang)
	}
	c.Response().Header().Set("Content-Security-Policy", keptPolicy())
	return render(c, http.StatusOK, views.Offline(offlinePage(c.Request().Context(), c.QueryParam("theme"))))
}

// offlinePage is the frame of the page; a theme that is none follows the
// system's.
func offlinePage(ctx context.Context, theme string) views.Page {
	if theme != "light" && theme != "dark" {
		theme = ""
	}
	return views.Page{Title: text.T(ctx, text.KeyOfflineTitle), Theme: theme, Still: true}
}

// offlineRelease changes whenever the page, or anything that it brings along,
// does, in any language.
var offlineRelease = sync.OnceValue(func() string {
	var drawn bytes.Buffer
	for _, lang := range text.Languages() {
		ctx := text.WithLanguage(context.Background(), lang)
		if err := views.Offline(offlinePage(ctx, "")).Render(ctx, &drawn); err != nil {
			panic(err) // neither a component of constants nor a buffer fails
		}
	}
	sum := sha256.Sum256(append(drawn.Bytes(), keptPolicy()...))
	return hex.EncodeToString(sum[:8])
})

// keptPageURL is the page that browsers keep for a language and theme. Another
// language, theme or release is another address, and is fetched anew.
func keptPageURL(lang, theme string) string {
	return offlinePath + "?" + url.Values{"lang": {lang}, "theme": {theme}, "release": {offlineRelease()}}.Encode()
}
