package request

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/labstack/echo/v4"
)

// ErrSlowBody is the error of a read from the request body after the limit of
// LimitBody has passed.
var ErrSlowBody = errors.New("the request body came too slowly")

// LimitBody limits the time in which a client must send the body, counted from
// the end of the header. The limit is a deadline on the connection, so it also
// applies when the server discards a body that no handler read. Handlers that
// need more time, such as git's, set their own deadlines.
func LimitBody(limit time.Duration) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r := c.Request()
			if r.Body == nil || r.Body == http.NoBody {
				return next(c)
			}
			control := http.NewResponseController(c.Response())
			if err := control.SetReadDeadline(time.Now().Add(limit)); err == nil {
				r.Body = &limitedBody{ReadCloser: r.Body, control: control}
			} else if !errors.Is(err, http.ErrNotSupported) { // httptest.ResponseRecorder has no connection
				return err
			}
			return next(c)
		}
	}
}

type limitedBody struct {
	io.ReadCloser
	control *http.ResponseController
}

// Read removes the deadline at the end of the body. Afterwards the server reads
// only to notice a disconnect.
func (b *limitedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	switch {
	case errors.Is(err, io.EOF):
		_ = b.control.SetReadDeadline(time.Time{})
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = fmt.Errorf("%w: %w", ErrSlowBody, err)
	}
	return n, err
}
