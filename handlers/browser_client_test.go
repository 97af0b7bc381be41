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

// testPassword is the password of users made by userWithPassword.
const testPassword = "correct horse battery"

// browserClient sends requests to the site and keeps cookies, as a browser does.
// It runs no script.
type browserClient struct {
	t       testing.TB
	handler http.Handler
	cookies map[string]string
	// header is sent with every request.
	header http.Header
	// address is the remote address of the requests; "" means the default of
	// httptest.
	address string
}

// exampleAgent is the User-Agent of every browserClient.
const exampleAgent = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"

func newBrowserClient(t testing.TB, handler http.Handler) *browserClient {
	return &browserClient{t: t, handler: handler, cookies: map[string]string{}, header: http.Header{"User-Agent": {exampleAgent}}}
}

func (b *browserClient) get(path string) response { return b.send(http.MethodGet, path, "", nil) }

func (b *browserClient) post(path string, form url.Values) response {
	return b.send(http.MethodPost, path, "application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
}

func (b *browserClient) send(method, path, contentType string, body io.Reader) response {
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
	return response{Document: doc, t: b.t, status: w.Code, header: w.Header(), body: text}
}

// postAndFollow posts the form, expects a redirect and returns its target.
func (b *browserClient) postAndFollow(path string, form url.Values) response {
	b.t.Helper()
	to := b.post(path, form).wantStatus(http.StatusSeeOther).header.Get("Location")
	return b.get(to).wantStatus(http.StatusOK)
}

// userWithPassword creates a user who can sign in with testPassword.
func (s *testSite) userWithPassword(name string) models.User {
	s.T.Helper()
	return s.createUser(models.UserInput{Username: name})
}

// createUser creates a user who can sign in with testPassword.
func (s *testSite) createUser(in models.UserInput) models.User {
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

// signIn returns a browserClient that signed in through the form.
func (s *testSite) signIn(name string) *browserClient {
	s.T.Helper()
	b := newBrowserClient(s.T, s.handler)
	b.post(signInPath, url.Values{"login": {name}, "password": {testPassword}}).wantStatus(http.StatusSeeOther)
	return b
}

// itoa formats an id.
func itoa(id int64) string { return strconv.FormatInt(id, 10) }
