package static

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
)

func get(t *testing.T, path string) *http.Response {
	t.Helper()
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Result()
}

func TestHandler_FingerprintedURL_ServesAsset(t *testing.T) {
	for name, contentType := range map[string]string{
		"style.css": "text/css; charset=utf-8", "app.js": "text/javascript; charset=utf-8", "htmx.min.js": "text/javascript; charset=utf-8",
		"icons.svg": "image/svg+xml", "mark.svg": "image/svg+xml",
	} {
		url := URL(name)
		if !regexp.MustCompile(`^/assets/[a-z.]+-[0-9a-f]{16}\.(css|js|svg)$`).MatchString(url) {
			t.Errorf("%s: URL %s", name, url)
		}
		res := get(t, url)
		if res.StatusCode != http.StatusOK {
			t.Fatalf("%s: status %d", url, res.StatusCode)
		}
		if got := res.Header.Get("Content-Type"); got != contentType {
			t.Errorf("%s: Content-Type %q", name, got)
		}
		if got := res.Header.Get("Cache-Control"); got != "public, max-age=31536000, immutable" {
			t.Errorf("%s: Cache-Control %q", name, got)
		}
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if _, err := got.ReadFrom(res.Body); err != nil || !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%s: the body differs from the file: %v", name, err)
		}
	}
}

func TestHandler_OtherURL_IsNotFound(t *testing.T) {
	for _, path := range []string{"/assets/style.css", "/assets/style-0000000000000000.css", "/assets/", "/assets/htmx.LICENSE", "/assets/../static.go"} {
		if res := get(t, path); res.StatusCode != http.StatusNotFound || strings.Contains(res.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: status %d, Cache-Control %q", path, res.StatusCode, res.Header.Get("Cache-Control"))
		}
	}
}

func TestURL_UnknownAsset_Panics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("URL did not panic for an unknown asset")
		}
	}()
	URL("stile.css")
}

// NOTICE contains the licences of the vendored assets.
func TestNotice_NamesVendoredAssets(t *testing.T) {
	notice, err := os.ReadFile("../NOTICE")
	if err != nil {
		t.Fatal(err)
	}
	licence, err := os.ReadFile("htmx.LICENSE")
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(licence), "\n")
	for _, want := range []string{"static/icons.svg", "static/htmx.min.js", "htmx 4.0.1", "Copyright (c) 2011-present GitLab Inc.", first} {
		if !strings.Contains(string(notice), want) {
			t.Errorf("NOTICE lacks %q", want)
		}
	}
	script, err := os.ReadFile("htmx.min.js")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(script), `"4.0.1"`) {
		t.Error("htmx.min.js is not version 4.0.1")
	}
}

// app.js uses nothing that the Content-Security-Policy blocks.
func TestScript_CompliesWithSecurityPolicy(t *testing.T) {
	script, err := os.ReadFile("app.js")
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"eval(", "new Function", ".innerHTML", ".outerHTML =", "insertAdjacentHTML", "document.write", "setAttribute(\"style"} {
		if strings.Contains(string(script), word) {
			t.Errorf("app.js uses %s", word)
		}
	}
}
