package handlers

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/models"
)

// testPassword is the password of users made by withPassword.
const testPassword = "correct horse battery"

// browser keeps cookies from answer to answer, as people's do.
type browser struct {
	t       testing.TB
	handler http.Handler
	cookies map[string]string
	// header is added to every request.
	header http.Header
	// address is where the requests come from, "" for the usual one.
	address string
}

// exampleAgent is what the tests' browsers call themselves.
const exampleAgent = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"

func newBrowser(t testing.TB, handler http.Handler) *browser {
	return &browser{t: t, handler: handler, cookies: map[string]string{}, header: http.Header{"User-Agent": {exampleAgent}}}
}

func (b *browser) get(path string) answer { return b.send(http.MethodGet, path, "", nil) }

func (b *browser) post(path string, form url.Values) answer {
	return b.send(http.MethodPost, path, "application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
}

func (b *browser) send(method, path, contentType string, body io.Reader) answer {
	b.t.Helper()
	r := httptest.NewRequest(method, path, body)
	r.Host = "mergegate.test"
	if b.address != "" {
		r.RemoteAddr = b.address
	}
	for name, values := range b.header {
		r.Header[name] = values
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	for _, cookie := range w.Result().Cookies() {
		if cookie.MaxAge < 0 {
			delete(b.cookies, cookie.Name)
		} else {
			b.cookies[cookie.Name] = cookie.Value
		}
	}
	text := w.Body.String()
	doc, err := goquery.NewDocumentFromReader(strings.NewReader(text))
	if err != nil {
		b.t.Fatal(err)
	}
	return answer{Document: doc, t: b.t, status: w.Code, header: w.Header(), body: text}
}

// follow sends the form and opens the page that it leads to.
func (b *browser) follow(path string, form url.Values) answer {
	b.t.Helper()
	to := b.post(path, form).want(http.StatusSeeOther).header.Get("Location")
	return b.get(to).want(http.StatusOK)
}

// withPassword makes a user who can sign in with testPassword.
func (s *mrSite) withPassword(name string, mustChange bool) models.User {
	s.T.Helper()
	return s.userWithPassword(models.UserInput{Username: name, PasswordChangeRequired: mustChange})
}

// userWithPassword is withPassword for any kind of user.
func (s *mrSite) userWithPassword(in models.UserInput) models.User {
	s.T.Helper()
	digest, err := auth.HashPassword(s.T.Context(), testPassword)
	if err != nil {
		s.T.Fatal(err)
	}
	in.Name, in.PasswordDigest = in.Username, digest
	user, err := s.Store.CreateUser(s.T.Context(), models.User{}, in)
	if err != nil {
		s.T.Fatal(err)
	}
	return user
}

// signedIn is a browser that has signed in through the form.
func (s *mrSite) signedIn(name string) *browser {
	s.T.Helper()
	b := newBrowser(s.T, s.handler)
	b.post(signInPath, url.Values{"login": {name}, "password": {testPassword}}).want(http.StatusSeeOther)
	return b
}

func itoa(id int64) string { return strconv.FormatInt(id, 10) }
