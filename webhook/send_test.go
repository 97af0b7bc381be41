package webhook

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mergegate/mergegate/models"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// attemptAt is the start of the attempts.
var attemptAt = time.Date(2026, 1, 31, 9, 15, 0, 0, time.UTC)

// loopback returns a client that may reach loopback addresses and has a short
// time limit.
func loopback(t *testing.T) *Client {
	t.Helper()
	c := NewClient(Options{Version: "1.2.3", Allow: parseAllow(t, "127.0.0.0/8")})
	c.attempt = 2 * time.Second
	return c
}

// deliveryTo returns a claimed delivery with a secret.
func deliveryTo(url string) models.ClaimedDelivery {
	return models.ClaimedDelivery{
		Delivery: models.Delivery{UUID: "delivery-1", EventUUID: "event-1", URL: url, Payload: []byte(`{"a":"é"}`)},
		Secret:   "hush",
	}
}

// receiver starts a server with the handler and returns its URL.
func receiver(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

func TestSend_Request(t *testing.T) {
	var got *http.Request
	var body []byte
	url := receiver(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		w.Header().Set("X-Request-Id", "r1")
		w.Header().Set("Set-Cookie", "session=1")
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprint(w, "thanks")
	})
	d := deliveryTo(strings.Replace(url, "://", "://ann:pass@", 1) + "/mr?team=a#part")
	result := loopback(t).Send(t.Context(), d, attemptAt)
	if !result.Succeeded() || result.HTTPStatus != 202 || string(result.ResponseBody) != "thanks" || result.ResponseTruncated {
		t.Fatalf("result %+v", result)
	}
	if got.Method != "POST" || got.RequestURI != "/mr?team=a" || !bytes.Equal(body, d.Delivery.Payload) || got.ContentLength != int64(len(body)) {
		t.Errorf("%s %s with %d bytes: %s", got.Method, got.RequestURI, got.ContentLength, body)
	}
	for name, want := range map[string]string{
		"Content-Type":        "application/json",
		"User-Agent":          "Mergegate/1.2.3",
		"X-Gitlab-Event":      "Merge Request Hook",
		"X-Gitlab-Event-UUID": "event-1",
		"Idempotency-Key":     "delivery-1",
		"Webhook-Id":          "delivery-1",
		"Webhook-Timestamp":   "1769850900",
		"X-Gitlab-Signature":  hexOf(mac([]byte("hush"), body)),
		"Authorization":       "Basic YW5uOnBhc3M=",
		"Accept-Encoding":     "",
	} {
		if value := got.Header.Get(name); value != want {
			t.Errorf("%s: %q, want %q", name, value, want)
		}
	}
	for name, want := range map[string]string{
		"X-Gitlab-Signature": "[masked]", "Webhook-Signature": "[masked]", "Authorization": "[masked]", "Webhook-Id": "delivery-1",
	} {
		if value := http.Header(result.RequestHeader).Get(name); value != want {
			t.Errorf("logged %s: %q, want %q", name, value, want)
		}
	}
	if kept := http.Header(result.ResponseHeader); kept.Get("X-Request-Id") != "r1" || kept.Get("Set-Cookie") != "" {
		t.Errorf("logged answer %v", kept)
	}
}

// TestSend_URL_IsCanonical reads the request line and Host from the socket.
func TestSend_URL_IsCanonical(t *testing.T) {
	heads := make(chan []byte, 1)
	raw := rawReceiver(t, func(c net.Conn) {
		buffer := make([]byte, 1<<16)
		n, _ := c.Read(buffer)
		heads <- buffer[:n]
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	})
	_, port, _ := strings.Cut(strings.TrimPrefix(raw, "http://127.0.0.1"), ":")
	port, _, _ = strings.Cut(port, "/")
	for _, host := range []string{"BÜCHER.test", "bu\u0308cher.test", "ｂücher.TEST", "bücher。test", "XN--BCHER-KVA.test"} {
		client := loopback(t)
		server := &nameServer{answers: map[string][][]string{"xn--bcher-kva.test": {{"127.0.0.1"}}}}
		client.resolver = server.start(t)
		result := client.Send(t.Context(), deliveryTo("HTTP://"+host+":"+port+"/grün?name=Grün&off=5%#x"), attemptAt)
		if !result.Succeeded() {
			t.Fatalf("%s: %+v", host, result)
		}
		head := <-heads
		if want := "POST /gr%C3%BCn?name=Gr%C3%BCn&off=5%25 HTTP/1.1\r\nHost: xn--bcher-kva.test:" + port + "\r\n"; !strings.HasPrefix(string(head), want) {
			t.Errorf("%s: sent %q, want %q", host, head[:min(len(head), 200)], want)
		}
	}
}

func TestSend_Status_DeterminesResult(t *testing.T) {
	cases := map[string]struct {
		status     int
		header     map[string]string
		succeeded  bool
		kind       string
		retryAfter time.Duration
	}{
		"200":                   {status: 200, succeeded: true},
		"204":                   {status: 204, succeeded: true},
		"301":                   {status: 301, header: map[string]string{"Location": "http://ann:pass@127.0.0.1:1/x?token=t"}, kind: ErrorRedirect},
		"307 without location":  {status: 307, kind: ErrorRedirect},
		"304":                   {status: 304},
		"300":                   {status: 300},
		"300 with location":     {status: 300, header: map[string]string{"Location": "/x"}, kind: ErrorRedirect},
		"410":                   {status: 410},
		"500":                   {status: 500, header: map[string]string{"Retry-After": "30"}},
		"429 seconds":           {status: 429, header: map[string]string{"Retry-After": "30"}, retryAfter: 30 * time.Second},
		"503 date":              {status: 503, header: map[string]string{"Retry-After": attemptAt.Add(90 * time.Second).Format(http.TimeFormat)}, retryAfter: 90 * time.Second},
		"503 date long past":    {status: 503, header: map[string]string{"Retry-After": "Sun, 06 Nov 1994 08:49:37 GMT"}},
		"503 date far ahead":    {status: 503, header: map[string]string{"Retry-After": "Fri, 31 Dec 2999 23:59:59 GMT"}, retryAfter: 10 * time.Minute},
		"429 too many seconds":  {status: 429, header: map[string]string{"Retry-After": "601"}, retryAfter: 10 * time.Minute},
		"429 beyond all number": {status: 429, header: map[string]string{"Retry-After": "99999999999999999999999"}, retryAfter: 10 * time.Minute},
		"429 negative":          {status: 429, header: map[string]string{"Retry-After": "-5"}},
		"429 nonsense":          {status: 429, header: map[string]string{"Retry-After": "soon"}},
		"429 nothing":           {status: 429},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			requests := 0
			url := receiver(t, func(w http.ResponseWriter, r *http.Request) {
				requests++
				for k, v := range c.header {
					w.Header().Set(k, v)
				}
				w.WriteHeader(c.status)
			})
			result := loopback(t).Send(t.Context(), deliveryTo(url), attemptAt)
			if result.HTTPStatus != c.status || result.Succeeded() != c.succeeded || result.Error != c.kind || result.RetryAfter != c.retryAfter {
				t.Errorf("result %+v", result)
			}
			if requests != 1 {
				t.Errorf("%d requests", requests)
			}
			if text := fmt.Sprint(result); strings.Contains(text, "token=t") || strings.Contains(text, "pass") {
				t.Errorf("the result contains secrets: %s", text)
			}
		})
	}
}

// Reading an answer is limited to 16 KiB and to the time of the attempt.
func TestSend_Body_IsLimited(t *testing.T) {
	t.Run("exactly what is kept", func(t *testing.T) {
		url := receiver(t, func(w http.ResponseWriter, r *http.Request) { w.Write(make([]byte, maxResponseBody)) })
		result := loopback(t).Send(t.Context(), deliveryTo(url), attemptAt)
		if len(result.ResponseBody) != maxResponseBody || result.ResponseTruncated {
			t.Errorf("%d bytes kept, truncated %v", len(result.ResponseBody), result.ResponseTruncated)
		}
	})
	t.Run("3 GB", func(t *testing.T) {
		written := make(chan int64, 1)
		url := receiver(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "3221225472")
			n, _ := io.Copy(w, io.LimitReader(zeros{}, 3<<30))
			written <- n
		})
		result := loopback(t).Send(t.Context(), deliveryTo(url), attemptAt)
		if !result.Succeeded() || len(result.ResponseBody) != maxResponseBody || !result.ResponseTruncated {
			t.Errorf("status %d, %d bytes kept, truncated %v", result.HTTPStatus, len(result.ResponseBody), result.ResponseTruncated)
		}
		// The receiver could write only what socket buffers hold.
		if n := <-written; n > 64<<20 {
			t.Errorf("the receiver wrote %d bytes", n)
		}
	})
	t.Run("slow drip", func(t *testing.T) {
		url := receiver(t, func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			for r.Context().Err() == nil {
				fmt.Fprint(w, "x")
				http.NewResponseController(w).Flush()
				time.Sleep(5 * time.Millisecond)
			}
		})
		c := loopback(t)
		c.attempt = 150 * time.Millisecond
		result := c.Send(t.Context(), deliveryTo(url), attemptAt)
		if result.HTTPStatus != 200 || !result.ResponseTruncated || result.Duration > 2*time.Second {
			t.Errorf("result %+v", result)
		}
	})
	t.Run("gzip is kept packed", func(t *testing.T) {
		url := receiver(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			fmt.Fprint(w, "not unpacked")
		})
		if result := loopback(t).Send(t.Context(), deliveryTo(url), attemptAt); string(result.ResponseBody) != "not unpacked" {
			t.Errorf("result %+v", result)
		}
	})
}

// zeros is an endless reader.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// rawReceiver starts a TCP server that passes each connection to serve.
func rawReceiver(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serve(conn)
			conn.Close()
		}
	}()
	t.Cleanup(func() { listener.Close(); <-done })
	return "http://" + listener.Addr().String() + "/?secret=s3cret"
}

func TestSend_Failure_HasErrorKind(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	read := func(c net.Conn) { c.Read(make([]byte, 1<<16)) }
	plain := receiver(t, func(http.ResponseWriter, *http.Request) {})
	untrusted := httptest.NewUnstartedServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0) // it would log the failed handshake
	untrusted.StartTLS()
	t.Cleanup(untrusted.Close)

	cases := map[string]struct{ url, kind string }{
		"refused": {"http://" + closed.Addr().String() + "/?secret=s3cret", ErrorConnectionRefused},
		"reset": {rawReceiver(t, func(c net.Conn) {
			read(c)
			c.(*net.TCPConn).SetLinger(0)
		}), ErrorOther},
		"closed without an answer": {rawReceiver(t, read), ErrorOther},
		"garbage":                  {rawReceiver(t, func(c net.Conn) { read(c); io.WriteString(c, "\x00\xff\r\n\r\n\r\n") }), ErrorOther},
		"endless header": {rawReceiver(t, func(c net.Conn) {
			read(c)
			io.WriteString(c, "HTTP/1.1 200 OK\r\n")
			for _, err := io.WriteString(c, "A: b\r\n"); err == nil; _, err = io.WriteString(c, strings.Repeat("A: b\r\n", 1000)) {
			}
		}), ErrorOther},
		"hang":                  {rawReceiver(t, func(c net.Conn) { io.Copy(io.Discard, c) }), ErrorTimeout},
		"TLS to plain":          {strings.Replace(plain, "http:", "https:", 1), ErrorTLS},
		"unknown authority":     {untrusted.URL + "/?secret=s3cret", ErrorTLS},
		"not an HTTP URL":       {"ftp://127.0.0.1/?secret=s3cret", ErrorInvalidURL},
		"not a URL":             {"http://[::1/?secret=s3cret", ErrorInvalidURL},
		"no host":               {"http:///?secret=s3cret", ErrorInvalidURL},
		"private address":       {"http://10.0.0.1/?secret=s3cret", ErrorRefusedAddress},
		"metadata":              {"http://169.254.169.254/?secret=s3cret", ErrorRefusedAddress},
		"loopback, version 6":   {"http://[::1]:80/?secret=s3cret", ErrorRefusedAddress},
		"mapped":                {"http://[::ffff:10.0.0.1]:80/?secret=s3cret", ErrorRefusedAddress},
		"number for an address": {"http://2852039166/?secret=s3cret", ErrorDNS},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			client := loopback(t)
			client.resolver = (&nameServer{}).start(t)
			if name == "hang" {
				client.attempt = 100 * time.Millisecond
			}
			result := client.Send(t.Context(), deliveryTo(c.url), attemptAt)
			if result.Error != c.kind || result.HTTPStatus != 0 || result.Succeeded() || result.ErrorDetail == "" {
				t.Errorf("result %+v", result)
			}
			if text := fmt.Sprint(result); strings.Contains(text, "s3cret") || strings.Contains(text, "hush") || strings.Contains(text, "127.0.0.1") {
				t.Errorf("the result contains secrets or addresses: %s", text)
			}
		})
	}
}

func TestSend_ContextEnds_IsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	url := receiver(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // the server notices a closed connection only after this
		cancel()
		<-r.Context().Done()
	})
	if result := loopback(t).Send(ctx, deliveryTo(url), attemptAt); result.Error != models.ErrorInterrupted {
		t.Errorf("result %+v", result)
	}
}

func TestSend_HTTPS(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	t.Cleanup(server.Close)
	c := loopback(t)
	c.transport.TLSClientConfig.RootCAs = server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	if result := c.Send(t.Context(), deliveryTo(server.URL), attemptAt); !result.Succeeded() {
		t.Errorf("result %+v", result)
	}
}

func TestSend_ProxyEnvironment_IsIgnored(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://10.0.0.1:3128")
	url := receiver(t, func(http.ResponseWriter, *http.Request) {})
	if result := loopback(t).Send(t.Context(), deliveryTo(url), attemptAt); !result.Succeeded() {
		t.Errorf("result %+v", result)
	}
}

func TestSend_CallbackAndCustomHeaders_AreSentAndMasked(t *testing.T) {
	var got http.Header
	url := receiver(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.Header
		w.Header().Set("X-Request-Id", r.Header.Get("X-Key"))
		fmt.Fprint(w, "key=", r.Header.Get("X-Key"), " team=", r.Header.Get("X-Team"), " token=", r.Header.Get("X-Mergegate-Callback-Token"))
	})
	c := loopback(t)
	c.baseURL = "https://git.example.test"
	d := deliveryTo(url)
	d.Delivery.ProjectID, d.Delivery.MergeRequestIID, d.Delivery.ExternalStatusCheckID = 9, 17, 31
	d.CallbackToken = "mgcb-token"
	d.Headers = []models.HeaderValue{{Name: "X-Key", Value: "very secret"}, {Name: "X-Team", Value: "pears"}, {Name: "authorization", Value: "Bearer abc"}}
	result := c.Send(t.Context(), d, attemptAt)
	for name, want := range map[string]string{
		"X-Key": "very secret", "X-Team": "pears", "Authorization": "Bearer abc", "X-Mergegate-Callback-Token": "mgcb-token",
		"X-Mergegate-Callback-URL": "https://git.example.test/api/v4/projects/9/merge_requests/17/status_checks/31/callback",
	} {
		if got.Get(name) != want {
			t.Errorf("%s: %q, want %q", name, got.Get(name), want)
		}
	}
	for _, name := range []string{"X-Key", "X-Team", "Authorization", "X-Mergegate-Callback-Token"} {
		if logged := result.RequestHeader[http.CanonicalHeaderKey(name)]; len(logged) != 1 || logged[0] != masked {
			t.Errorf("logged %s: %v", name, logged)
		}
	}
	// Short values would mask what is not secret.
	if body := string(result.ResponseBody); body != "key=[masked] team=pears token=[masked]" {
		t.Errorf("logged body %q", body)
	}
	if id := result.ResponseHeader["X-Request-Id"]; len(id) != 1 || id[0] != masked {
		t.Errorf("logged header %v", id)
	}
	if got := c.Send(t.Context(), deliveryTo(url), attemptAt).RequestHeader; len(got["X-Mergegate-Callback-Url"]) != 0 {
		t.Errorf("a delivery without token has %v", got)
	}
}
