package handlers

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"
)

// visitor is a browser; its user may be nobody.
type visitor struct {
	t      testing.TB
	site   *testSite
	cookie string
	htmx   bool
	// language is the browser's Accept-Language.
	language string
}

// reading is the visitor's browser with another language.
func (v visitor) withLanguage(acceptLanguage string) visitor { v.language = acceptLanguage; return v }

// withHTMX is the visitor's browser with script.
func (v visitor) withHTMX() visitor { v.htmx = true; return v }

func (v visitor) get(path string) response { return v.do(http.MethodGet, path, nil) }

func (v visitor) post(path string, form url.Values) response {
	return v.do(http.MethodPost, path, form)
}

func (v visitor) do(method, path string, form url.Values) response {
	v.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r := httptest.NewRequest(method, path, body)
	r.Host = "mergegate.test"
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if v.cookie != "" {
		r.Header.Set("Cookie", v.cookie)
	}
	if v.htmx {
		r.Header.Set("HX-Request", "true")
	}
	if v.language != "" {
		r.Header.Set("Accept-Language", v.language)
	}
	w := httptest.NewRecorder()
	v.site.handler.ServeHTTP(w, r)
	text := w.Body.String()
	doc, err := goquery.NewDocumentFromReader(strings.NewReader(text))
	if err != nil {
		v.t.Fatal(err)
	}
	return response{Document: doc, t: v.t, status: w.Code, header: w.Header(), body: text}
}
