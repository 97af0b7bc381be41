// Package static embeds the CSS, scripts and icons of the pages. [URL] returns the
// address of an asset, which contains a digest of its content, and [Handler] serves
// the assets.
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

//go:embed style.css app.js icons.svg mark.svg mark-failed.svg mark-passed.svg mark-pending.svg htmx.min.js
var files embed.FS

// WorkerPath is the address for WorkerHandler. It has no digest, because browsers
// check the same address for a newer worker.
const WorkerPath = "/-/service-worker.js"

//go:embed service-worker.js
var worker []byte

// asset is an embedded file with its response data.
type asset struct {
	url         string
	contentType string
	body        []byte
}

// assets returns the embedded files by name and by URL. They are read at first use,
// because git hooks run this program, too, and must start fast.
var assets = sync.OnceValues(load)

// load reads the embedded files and computes their URLs. It panics if that fails.
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

// contentType returns the media type for a file name extension. Two types are fixed,
// because the system's table may lack or change them.
func contentType(ext string) string {
	switch ext {
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	}
	return mime.TypeByExtension(ext)
}

// URL returns the address of an asset, such as /assets/style-<digest>.css. It panics
// for an unknown name, which is a mistake in a template.
func URL(name string) string {
	byName, _ := assets()
	a, ok := byName[name]
	if !ok {
		panic(fmt.Sprintf("static: no asset %q", name))
	}
	return a.url
}

// Digest returns the source expression 'sha256-…' of an inlined asset for a
// Content-Security-Policy. It panics for an unknown name.
func Digest(name string) string {
	byName, _ := assets()
	a, ok := byName[name]
	if !ok {
		panic(fmt.Sprintf("static: no asset %q", name))
	}
	sum := sha256.Sum256(a.body)
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// WorkerHandler serves the service worker with the scope of all pages. Browsers must
// revalidate it every time.
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

// Handler serves the assets under their URLs with a cache lifetime of one year. It
// answers 404 to other addresses.
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
			return // the client has disconnected
		}
	})
}
