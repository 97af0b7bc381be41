package handlers

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"syscall"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/handlers/request"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
	"github.com/mergegate/mergegate/static"
)

// requestIDs adds the request id to log lines, as the program does.
type requestIDs struct{ slog.Handler }

func (h requestIDs) Handle(ctx context.Context, r slog.Record) error {
	r.AddAttrs(slog.String("request_id", models.RequestID(ctx)))
	return h.Handler.Handle(ctx, r)
}

// newLoggedSite returns a site with changed dependencies, its router and its
// log.
func newLoggedSite(t *testing.T, change func(*Deps)) (*testSite, *echo.Echo, *bytes.Buffer) {
	t.Helper()
	s := newTestSite(t, modelstest.SQLite(t))
	var log bytes.Buffer
	d := Deps{
		Store: s.Store, Git: s.git, Log: slog.New(requestIDs{slog.NewJSONHandler(&log, nil)}), BaseURL: "http://mergegate.test",
		SessionKey: []byte("an example key of thirty-two bytes!!"),
	}
	if change != nil {
		change(&d)
	}
	e, err := New(d)
	if err != nil {
		t.Fatal(err)
	}
	s.handler = e
	return s, e, &log
}

func TestResponses_HaveSecurityHeaders(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	for _, path := range []string{"/", pearPath, signInPath, "/healthz", static.URL("style.css"), "/assets/nothing.css"} {
		a := s.as(s.Owner).get(path)
		policy := a.header.Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: security policy %q", path, policy)
		}
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin",
		} {
			if got := a.header.Get(name); got != want {
				t.Errorf("%s: %s = %q, want %q", path, name, got, want)
			}
		}
		if !strings.HasPrefix(a.header.Get("X-Request-Id"), "req_") {
			t.Errorf("%s: no request id", path)
		}
	}
	if got := s.as(s.Owner).get("/").header.Get("Cache-Control"); got != "private, no-store" {
		t.Errorf("pages: Cache-Control = %q", got)
	}
	s.signedOut().get("/assets/nothing.css").wantStatus(http.StatusNotFound)
}

func TestHTTPSBaseURL_SetsSecureCookieAndHSTS(t *testing.T) {
	s, _, _ := newLoggedSite(t, func(d *Deps) { d.BaseURL = "https://mergegate.test/" })
	s.userWithPassword("priya")
	in := newBrowserClient(t, s.handler).post(signInPath, url.Values{"login": {"priya"}, "password": {testPassword}}).wantStatus(http.StatusSeeOther)
	if !strings.Contains(in.header.Get("Set-Cookie"), "Secure") {
		t.Errorf("cookie %q lacks Secure", in.header.Get("Set-Cookie"))
	}
	if in.header.Get("Strict-Transport-Security") == "" {
		t.Error("no Strict-Transport-Security")
	}
}

func TestForms_CrossOriginRequest_IsForbidden(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	s.userWithPassword("priya")
	form := url.Values{"login": {"priya"}, "password": {testPassword}}
	for name, value := range map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"} {
		b := newBrowserClient(t, s.handler)
		b.header.Set(name, value)
		page := b.post(signInPath, form).wantStatus(http.StatusForbidden)
		if !strings.Contains(page.text("main"), "sent from another site") {
			t.Errorf("%s: %s", name, page.text("main"))
		}
		if b.cookies[sessionCookie] != "" {
			t.Errorf("%s: the response has a session cookie", name)
		}
	}
	b := newBrowserClient(t, s.handler)
	b.header.Set("Sec-Fetch-Site", "same-origin")
	b.post(signInPath, form).wantStatus(http.StatusSeeOther)
}

func TestForms_TooLargeOrMalformed_AreRejected(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	s.userWithPassword("priya")
	b := s.signIn("priya")
	const urlencoded = "application/x-www-form-urlencoded"
	page := b.send(http.MethodPost, "/projects", urlencoded, strings.NewReader("description="+strings.Repeat("a", maxForm)))
	if got := page.wantStatus(http.StatusRequestEntityTooLarge).text("h1"); got != "This form is too large" {
		t.Errorf("heading %q", got)
	}
	// Without a Content-Length the size is known only while reading.
	b.send(http.MethodPost, "/projects", urlencoded, io.MultiReader(strings.NewReader("description="), strings.NewReader(strings.Repeat("a", maxForm)))).
		wantStatus(http.StatusRequestEntityTooLarge)
	b.send(http.MethodPost, "/projects", urlencoded, strings.NewReader("name=%zz")).wantStatus(http.StatusBadRequest)
	b.send(http.MethodPost, "/projects", "multipart/form-data; boundary=x", strings.NewReader("--y")).wantStatus(http.StatusBadRequest)
}

func TestSearch_InvalidUTF8_FindsNothing(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *testSite) {
		for _, path := range []string{"/?search=%ff%00", "/olga/pear/-/branches?search=%ff%00", "/olga/pear/-/project_members?search=%ff%00&page=-3", "/?page=99999999999999999999"} {
			s.as(s.Owner).get(path).wantStatus(http.StatusOK)
		}
	})
}

func TestRequestLog_OmitsQueryString(t *testing.T) {
	s, _, log := newLoggedSite(t, nil)
	s.as(s.Owner).get("/olga/pear?private_token=mgat-secret").wantStatus(http.StatusOK)
	line := log.String()
	for _, want := range []string{`"path":"/olga/pear"`, `"status":200`, `"method":"GET"`, `"request_id":"req_`, `"user_id":`} {
		if !strings.Contains(line, want) {
			t.Errorf("the log lacks %s: %s", want, line)
		}
	}
	if strings.Contains(line, "mgat-secret") {
		t.Errorf("the log contains a token: %s", line)
	}
}

func TestServerErrors_AreLoggedWithRequestID(t *testing.T) {
	s, e, log := newLoggedSite(t, nil)
	e.GET("/-/panic", func(echo.Context) error { panic("a mistake") })
	e.GET("/-/failure", func(echo.Context) error { return errors.New("disk full") })
	page := s.signedOut().get("/-/panic").wantStatus(http.StatusInternalServerError)
	id := page.text("code")
	if !strings.HasPrefix(id, "req_") || page.header.Get("X-Request-Id") != id {
		t.Errorf("request id %q on the page, %q in the header", id, page.header.Get("X-Request-Id"))
	}
	if !strings.Contains(log.String(), "middleware_test.go") || !strings.Contains(log.String(), id) {
		t.Errorf("the log lacks the stack or the request id: %s", log)
	}
	if body := s.signedOut().get("/-/failure").wantStatus(http.StatusInternalServerError).body; strings.Contains(body, "disk full") {
		t.Error("the page shows the internal error")
	}
	fragment := s.signedOut().withHTMX().get("/-/failure").wantStatus(http.StatusInternalServerError)
	if trigger := fragment.header.Get("HX-Trigger"); !strings.Contains(trigger, "showToast") || fragment.body != "" {
		t.Errorf("failed fragment: body %q, HX-Trigger %q", fragment.body, trigger)
	}
}

func TestStatusOf_MapsErrorKinds(t *testing.T) {
	for _, test := range []struct {
		err  error
		want int
	}{
		{&models.Error{Kind: models.KindInvalid}, 422},
		{&models.Error{Kind: models.KindUnprocessable}, 422},
		{&models.Error{Kind: models.KindNotFound}, 404},
		{&models.Error{Kind: models.KindForbidden}, 403},
		{&models.Error{Kind: models.KindConflict}, 409},
		{&models.Error{Kind: models.KindInternal}, 500},
		{errors.New("anything else"), 500},
		{request.ErrHidden, 404},
		{request.ErrForbidden, 403},
		{errFormTooBig, 413},
		{echo.ErrNotFound, 404},
	} {
		if got := statusOf(test.err); got != test.want {
			t.Errorf("%v: status %d, want %d", test.err, got, test.want)
		}
	}
}

func TestTriggerToast_Header_IsASCII(t *testing.T) {
	e := echo.New()
	w := httptest.NewRecorder()
	c := e.NewContext(httptest.NewRequest(http.MethodGet, "/", nil), w)
	triggerToast(c, "Größe “n” 🍐", true)
	want := `{"closeModal":{"target":"body"},"showToast":{"target":"body","text":"Gr\u00f6\u00dfe \u201cn\u201d \ud83c\udf50"}}`
	if got := w.Header().Get("HX-Trigger"); got != want {
		t.Errorf("HX-Trigger = %s, want %s", got, want)
	}
}

func TestHealthAndReadiness_NotReady_HidesReason(t *testing.T) {
	broken := errors.New("no space left on device")
	var reason error
	s, _, log := newLoggedSite(t, func(d *Deps) { d.Ready = func(*http.Request) error { return reason } })
	s.signedOut().get("/healthz").wantStatus(http.StatusOK)
	s.signedOut().get("/readyz").wantStatus(http.StatusOK)
	reason = broken
	if body := s.signedOut().get("/readyz").wantStatus(http.StatusServiceUnavailable).body; strings.Contains(body, "space") {
		t.Errorf("the response contains the reason: %s", body)
	}
	if !strings.Contains(log.String(), broken.Error()) {
		t.Error("the log lacks the reason")
	}
}

func TestIPExtractor_TrustsConfiguredProxies(t *testing.T) {
	for _, test := range []struct {
		trusted []string
		want    string
	}{
		{nil, "192.0.2.1"},
		{[]string{"192.0.2.0/24"}, "203.0.113.7"},
		{[]string{"10.0.0.0/8"}, "192.0.2.1"},
	} {
		extract, err := ipExtractor(test.trusted)
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodGet, "/", nil) // from 192.0.2.1
		r.Header.Set("X-Forwarded-For", "198.51.100.1, 203.0.113.7")
		if got := extract(r); got != test.want {
			t.Errorf("trusting %v: address %s, want %s", test.trusted, got, test.want)
		}
	}
	if _, err := ipExtractor([]string{"everybody"}); err == nil {
		t.Error("an invalid network is accepted")
	}
}

func TestNew_InvalidSettings_ReturnsError(t *testing.T) {
	key := []byte("an example key of thirty-two bytes!!")
	for name, d := range map[string]Deps{
		"short key": {BaseURL: "http://mergegate.test", SessionKey: []byte("short")},
		"no host":   {BaseURL: "mergegate.test", SessionKey: key},
		"scheme":    {BaseURL: "ftp://mergegate.test", SessionKey: key},
		"proxy":     {BaseURL: "http://mergegate.test", SessionKey: key, TrustedProxies: []string{"x"}},
	} {
		if _, err := New(d); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestTheme_WithoutScript_TogglesCookie(t *testing.T) {
	s := newTestSite(t, modelstest.SQLite(t))
	b := newBrowserClient(t, s.handler)
	b.header.Set("Referer", "http://mergegate.test/users/../olga/pear?x=1")
	for _, want := range []string{"dark", "light", "dark"} {
		b.post("/-/theme", nil).wantStatus(http.StatusSeeOther)
		if got := b.get("/").wantStatus(http.StatusOK).attr("html", "data-theme"); got != want {
			t.Errorf("theme %q, want %q", got, want)
		}
	}
	b.cookies[themeCookie] = "neon"
	if got := b.get("/").wantStatus(http.StatusOK).attr("html", "data-theme"); got != "" {
		t.Errorf("theme %q from a forged cookie", got)
	}
}

func TestRequestLog_ProbesAssetsAndUnchangedPolls_AreLeftOut(t *testing.T) {
	s, _, log := newLoggedSite(t, nil)
	service := s.Service("licence")
	page := s.as(s.Owner).get(servicePath(service)).wantStatus(http.StatusOK)
	if !strings.Contains(log.String(), `"path":"`+servicePath(service)+`"`) {
		t.Fatalf("the page is not in the log: %s", log)
	}
	log.Reset()
	poll, _ := page.Find("#service").Attr("data-url")
	s.as(s.Owner).withHTMX().get(poll).wantStatus(http.StatusNoContent)
	for _, path := range []string{"/healthz", static.WorkerPath, static.URL("app.js")} {
		s.signedOut().get(path).wantStatus(http.StatusOK)
	}
	if log.Len() != 0 {
		t.Errorf("logged: %s", log)
	}
}

// A client that went away is no failure of the server: neither in the log nor in the status
// that metrics count.
func TestPages_ClientGone_IsNoServerError(t *testing.T) {
	s, e, log := newLoggedSite(t, nil)
	s.MergeRequest("feature", "main")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, path := range []string{pearPath, pearPath + "/-/merge_requests/1", pearPath + "/-/merge_requests/1/status_checks"} {
		w := httptest.NewRecorder()
		e.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, path, nil))
		if w.Code != request.StatusClientGone || strings.Contains(log.String(), `"level":"ERROR"`) {
			t.Errorf("%s: status %d, log %s", path, w.Code, log)
		}
	}
}

// abortedResponse fails to write as a connection to a client does that has gone away.
type abortedResponse struct {
	*httptest.ResponseRecorder
	remote net.Addr
}

func (w abortedResponse) Write([]byte) (int, error) {
	return 0, &net.OpError{Op: "write", Net: "tcp", Addr: w.remote, Err: syscall.EPIPE}
}

// A failure to write to another connection than the client's is logged.
func TestPages_WriteFails_IsLoggedUnlessClientGone(t *testing.T) {
	s, e, log := newLoggedSite(t, nil)
	cookie := s.as(s.Owner).cookie
	for port, want := range map[int]bool{1234: false, 5432: true} {
		log.Reset()
		r := httptest.NewRequest(http.MethodGet, pearPath, nil)
		r.Header.Set("Cookie", cookie)
		r.RemoteAddr = "192.0.2.1:1234"
		e.ServeHTTP(abortedResponse{httptest.NewRecorder(), &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: port}}, r)
		if got := strings.Contains(log.String(), "response aborted"); got != want {
			t.Errorf("port %d: log %s", port, log)
		}
	}
}
