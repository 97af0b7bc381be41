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

// visitor sends requests to the site with the session of one user, or without a
// session. It does not keep cookies; see browserClient for that.
type visitor struct {
	t      testing.TB
	site   *testSite
	cookie string
	// htmx sends the header of htmx.
	htmx bool
	// language is sent as Accept-Language unless it is empty.
	language string
}

// withLanguage returns the visitor with another Accept-Language.
func (v visitor) withLanguage(acceptLanguage string) visitor { v.language = acceptLanguage; return v }

// withHTMX returns the visitor as htmx sends its requests.
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

// serve starts a server with the session of v and returns its URL.
func (v visitor) serve() string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Add("Cookie", v.cookie)
		v.site.handler.ServeHTTP(w, r)
	}))
	v.t.Cleanup(server.Close)
	return server.URL
}
