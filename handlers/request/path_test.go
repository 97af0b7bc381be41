package request_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/handlers/request"
)

func TestPathParam(t *testing.T) {
	for path, want := range map[string]string{
		"/branches/main":            "main",
		"/branches/release%2F1":     "release/1",
		"/branches/a%20b":           "a b",
		"/branches/50%25":           "50%",
		"/branches/%2541":           "%41", // unescaped once
		"/branches/release%2F50%25": "release/50%",
		"/branches/%FF":             "", // not UTF-8
		"/branches/a%00b":           "",
	} {
		t.Run(path, func(t *testing.T) {
			e := echo.New()
			got := "no route"
			e.GET("/branches/:name", func(c echo.Context) error {
				got = request.PathParam(c, "name")
				return nil
			})
			e.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, path, nil))
			if got != want {
				t.Errorf("PathParam = %q, want %q", got, want)
			}
		})
	}
}
