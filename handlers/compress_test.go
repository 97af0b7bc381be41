package handlers

import (
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/labstack/echo/v4"
)

// askCompressed requests path from e with gzip allowed.
func askCompressed(e *echo.Echo, method, path string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	r.Header.Set("Accept-Encoding", "gzip, br")
	recorder := httptest.NewRecorder()
	e.ServeHTTP(recorder, r)
	return recorder
}

func TestCompress_CompressesWholePages(t *testing.T) {
	long := strings.Repeat("a line of text\n", 1000)
	e := echo.New()
	e.Use(compress())
	e.GET("/long", func(c echo.Context) error { return c.String(http.StatusNotFound, long) })
	e.GET("/short", func(c echo.Context) error { return c.String(http.StatusOK, "short") })
	e.GET("/none", func(c echo.Context) error { return c.NoContent(http.StatusNoContent) })
	e.GET("/file", func(c echo.Context) error {
		c.Response().Header().Set(echo.HeaderContentDisposition, "attachment")
		return c.String(http.StatusOK, long)
	})
	e.GET("/error", func(c echo.Context) error {
		return errors.Join(c.String(http.StatusOK, long), echo.NewHTTPError(http.StatusTeapot, "late"))
	})
	e.HTTPErrorHandler = func(_ error, c echo.Context) { _ = c.String(http.StatusTeapot, "late") }
	for _, test := range []struct {
		path       string
		status     int
		compressed bool
		body       string
	}{
		{"/long", 404, true, long}, {"/short", 200, false, "short"}, {"/none", 204, false, ""}, {"/file", 200, false, long}, {"/error", 418, false, "late"},
	} {
		got := askCompressed(e, http.MethodGet, test.path)
		var body io.Reader = got.Body
		compressed := got.Header().Get("Content-Encoding") == "gzip"
		if compressed {
			var err error
			if body, err = gzip.NewReader(body); err != nil {
				t.Fatal(err)
			}
		}
		text, err := io.ReadAll(body)
		if err != nil || got.Code != test.status || compressed != test.compressed || string(text) != test.body {
			t.Errorf("%s: %v, status %d, compressed %v, %d bytes", test.path, err, got.Code, compressed, len(text))
		}
		if got.Header().Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s: Vary %q", test.path, got.Header().Get("Vary"))
		}
	}
}

// Many pages that are rendered at once take no compressor each.
func TestCompress_ManyRequests_ShareCompressors(t *testing.T) {
	const requests = 200
	page := strings.Repeat("a line of text\n", 1000)
	var arrived sync.WaitGroup
	arrived.Add(requests)
	e := echo.New()
	e.Use(compress())
	e.GET("/", func(c echo.Context) error {
		arrived.Done()
		arrived.Wait() // all requests are in the handler at once
		return c.String(http.StatusOK, page)
	})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var running sync.WaitGroup
	for range requests {
		running.Go(func() {
			if got := askCompressed(e, http.MethodGet, "/"); got.Header().Get("Content-Encoding") != "gzip" {
				t.Errorf("status %d, not compressed", got.Code)
			}
		})
	}
	running.Wait()
	runtime.ReadMemStats(&after)
	perRequest := (after.TotalAlloc - before.TotalAlloc - uint64(runtime.GOMAXPROCS(0))<<20) / requests
	if perRequest > 200<<10 {
		t.Errorf("each request allocates %d KiB", perRequest>>10)
	}
}
