// Package static holds the assets that every page loads, embedded in the
// binary and served under URLs that change with their content.
package static

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"mime"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"
)

// Prefix is the path under which Handler serves every asset.
const Prefix = "/assets/"

// fingerprintLength is the number of hexadecimal digits of an asset's SHA-256
// that its URL carries.
const fingerprintLength = 16

//go:embed style.css app.js icons.svg mark.svg htmx.min.js
var files embed.FS

// WorkerPath is where WorkerHandler is to be served. Its address stays the same
// over releases: browsers ask it for a newer worker.
const WorkerPath = "/-/service-worker.js"

//go:embed service-worker.js
var worker []byte

// asset is one embedded file as it is served.
type asset struct {
	url         string
	contentType string
	body        []byte
}

// assets are the embedded files by name and by URL, read at first use: git's
// hooks run this program too, and have no time to lose.
var assets = sync.OnceValues(load)

// load reads the embedded files and computes their URLs.
func load() (byName, byURL map[string]asset) {
	entries, err := files.ReadDir(".")
	if err != nil {
		panic(fmt.Sprintf("static: embedded files: %v", err))
	}
	byName, byURL = map[string]asset{}, map[string]asset{}
	for _, entry := range entries {
		body, err := files.ReadFile(entry.Name())
		if err != nil {
			panic(fmt.Sprintf("static: embedded file: %v", err))
		}
		sum := sha256.Sum256(body)
		ext := path.Ext(entry.Name())
		a := asset{
			url: fmt.Sprintf("%s%s-%s%s", Prefix, strings.TrimSuffix(entry.Name(), ext),
				hex.EncodeToString(sum[:])[:fingerprintLength], ext),
			contentType: contentType(ext),
			body:        body,
		}
		byName[entry.Name()] = a
		byURL[a.url] = a
	}
	return byName, byURL
}

// contentType is the media type for a file name extension. The two that the
// machine's own table may lack or name differently are fixed here.
func contentType(ext string) string {
	switch ext {
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	}
	return mime.TypeByExtension(ext)
}

// URL is the address of the named asset, such as /assets/style-<hash>.css. It
// panics for a name that is not embedded: that is a mistake in a template.
func URL(name string) string {
	byName, _ := assets()
	a, ok := byName[name]
	if !ok {
		panic(fmt.Sprintf("static: no asset %q", name))
	}
	return a.url
}

// Digest is how a Content-Security-Policy names the content of an asset that
// stands inside a page: 'sha256-…'. It panics as URL does.
func Digest(name string) string {
	byName, _ := assets()
	a, ok := byName[name]
	if !ok {
		panic(fmt.Sprintf("static: no asset %q", name))
	}
	sum := sha256.Sum256(a.body)
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// WorkerHandler serves the service worker, which may look after every page.
// Browsers are to ask every time whether it is still the same.
func WorkerHandler() http.Handler {
	sum := sha256.Sum256(worker)
	tag := `"` + hex.EncodeToString(sum[:])[:fingerprintLength] + `"`
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-cache")
		w.Header().Set("Content-Type", contentType(".js"))
		w.Header().Set("ETag", tag)
		w.Header().Set("Service-Worker-Allowed", "/")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(worker))
	})
}

// Handler serves the assets under their fingerprinted URLs, to be kept by
// browsers for a year, and answers 404 to everything else.
func Handler() http.Handler {
	_, byURL := assets()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a, ok := byURL[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		w.Header().Set("Content-Type", a.contentType)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Content-Length", fmt.Sprint(len(a.body)))
		if r.Method == http.MethodHead {
			return
		}
		if _, err := w.Write(a.body); err != nil {
			return // the browser has gone; there is nobody left to tell
		}
	})
}
