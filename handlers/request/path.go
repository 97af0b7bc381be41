package request

import (
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"
)

// PathParam returns a parameter of the route, unescaped. It returns "" if the
// parameter is missing, cannot be unescaped or is not text (see IsText).
//
// If the URL has an escaped path, Echo matches that and leaves parameters escaped.
// Otherwise they are already unescaped.
func PathParam(c echo.Context, name string) string {
	value := c.Param(name)
	if c.Request().URL.RawPath != "" {
		var err error
		if value, err = url.PathUnescape(value); err != nil {
			return ""
		}
	}
	if !IsText(value) {
		return ""
	}
	return value
}

// IsText reports whether a database can store s: valid UTF-8 without NUL.
func IsText(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }
