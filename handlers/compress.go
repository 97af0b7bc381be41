package handlers

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"runtime"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"
)

// minCompressed is the size of the smallest response that is compressed, in bytes.
const minCompressed = 1024

// compress compresses responses. A compressor takes 800 KB, so there are only as many as can
// run at once, and a request takes one only when its response is complete. Downloads are not
// compressed, because they are not kept in memory.
func compress() echo.MiddlewareFunc {
	compressors := make(chan *gzip.Writer, runtime.GOMAXPROCS(0))
	for range cap(compressors) {
		compressors <- gzip.NewWriter(nil) // takes its memory at the first use
	}
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			response := c.Response()
			response.Header().Add(echo.HeaderVary, echo.HeaderAcceptEncoding)
			if !strings.Contains(c.Request().Header.Get(echo.HeaderAcceptEncoding), "gzip") {
				return next(c)
			}
			held := &heldResponse{ResponseWriter: response.Writer}
			response.Writer = held
			defer func() { response.Writer = held.ResponseWriter }()
			err := next(c)
			if held.direct || held.status == 0 {
				return err
			}
			if err != nil {
				response.Committed = false // the error page replaces it
				return err
			}
			return held.send(compressors)
		}
	}
}

// heldResponse keeps a response in memory until it is complete, unless it is a download.
type heldResponse struct {
	http.ResponseWriter
	status int // 0 until the response has one
	body   bytes.Buffer
	direct bool
}

// Unwrap is for http.ResponseController.
func (h *heldResponse) Unwrap() http.ResponseWriter { return h.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (h *heldResponse) WriteHeader(status int) {
	h.status = status
	if h.direct = h.Header().Get(echo.HeaderContentDisposition) != ""; h.direct {
		h.ResponseWriter.WriteHeader(status)
	}
}

// Write implements http.ResponseWriter.
func (h *heldResponse) Write(b []byte) (int, error) {
	if h.direct {
		return h.ResponseWriter.Write(b)
	}
	return h.body.Write(b)
}

// send writes the response, compressed if that is worth it.
func (h *heldResponse) send(compressors chan *gzip.Writer) error {
	body := h.body.Bytes()
	if len(body) >= minCompressed && h.status != http.StatusPartialContent {
		var small bytes.Buffer
		compressor := <-compressors
		compressor.Reset(&small)
		_, err := compressor.Write(body)
		if err == nil {
			err = compressor.Close()
		}
		compressors <- compressor
		if err != nil {
			return err
		}
		body = small.Bytes()
		h.Header().Set(echo.HeaderContentEncoding, "gzip")
		h.Header().Set(echo.HeaderContentLength, strconv.Itoa(len(body)))
	}
	h.ResponseWriter.WriteHeader(h.status)
	if len(body) == 0 {
		return nil
	}
	_, err := h.ResponseWriter.Write(body)
	return err
}
