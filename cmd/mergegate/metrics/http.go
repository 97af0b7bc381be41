package metrics

import (
	"strconv"
	"time"

	"github.com/labstack/echo/v4"
)

// methods are the values of the label method; others are "other".
var methods = map[string]bool{
	"GET": true, "HEAD": true, "POST": true, "PUT": true, "PATCH": true, "DELETE": true, "OPTIONS": true,
}

// Requests measures requests by the pattern of their route. Requests without a route
// share the route "none".
func (m *Metrics) Requests(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		began := time.Now()
		err := next(c)
		method, route := c.Request().Method, c.Path()
		if !methods[method] {
			method = "other"
		}
		if route == "" {
			route = "none"
		}
		m.requestDuration.WithLabelValues(method, route).Observe(time.Since(began).Seconds())
		m.requests.WithLabelValues(method, route, strconv.Itoa(c.Response().Status)).Inc()
		return err
	}
}
