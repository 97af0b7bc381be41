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

// ErrSlowBody is returned by reads of a request's body that takes longer than
// LimitBody allows.
var ErrSlowBody = errors.New("the request body came too slowly")

// LimitBody gives the client a time limit to send the body of a request, from
// the end of the header. The limit is a deadline on the connection, so that it
// also bounds what the server reads of a body that no handler wanted. A handler
// that reads for longer, such as git's, sets deadlines of its own.
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
			} else if !errors.Is(err, http.ErrNotSupported) { // a recorder of a test has no connection
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

// Read removes the deadline at the end of the body: from then on the server
// reads only to notice that the client has gone, which has no limit.
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
