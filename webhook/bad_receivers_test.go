package webhook

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// badReceivers are misbehaving services. Each gets the connection after the first
// byte of the request was read.
var badReceivers = map[string]struct {
	serve  func(net.Conn)
	status int    // recorded status
	kind   string // recorded error, "" for none
}{
	"nothing":                {hold, 0, ErrorTimeout},
	"nothing, unread":        {func(c net.Conn) { time.Sleep(2 * time.Second) }, 0, ErrorTimeout},
	"101, unread":            {answerAnd("HTTP/1.1 101 Switching Protocols\r\n\r\n", func(c net.Conn) { time.Sleep(2 * time.Second) }), 101, ErrorInvalidAnswer},
	"reset":                  {reset, 0, ErrorOther},
	"101 and hold":           {answerAnd("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", hold), 101, ErrorInvalidAnswer},
	"101 and flood":          {answerAnd("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", repeat("x", 1000, 0)), 101, ErrorInvalidAnswer},
	"101 bare":               {answerAnd("HTTP/1.1 101 Switching Protocols\r\n\r\n", hold), 101, ErrorInvalidAnswer},
	"104":                    {answerAnd("HTTP/1.1 104 Upload Resumption Supported\r\n\r\n", hold), 104, ErrorInvalidAnswer},
	"199 and a good answer":  {answerAnd("HTTP/1.1 199 What\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", hold), 199, ErrorInvalidAnswer},
	"102 and a good answer":  {answerAnd("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", hold), 200, ""},
	"1xx flood":              {repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 100, 0), 103, ErrorInvalidAnswer},
	"1xx drip":               {repeat("HTTP/1.1 102 Processing\r\n\r\n", 1, 50*time.Millisecond), 0, ErrorTimeout},
	"status 000":             {answerAnd("HTTP/1.1 000 Nothing\r\n\r\n", hold), 0, ErrorInvalidAnswer},
	"status line drip":       {repeat("H", 1, 20*time.Millisecond), 0, ErrorTimeout},
	"endless status line":    {answerAnd("HTTP/1.1 200 ", repeat("x", 1000, 0)), 0, ErrorOther},
	"endless header":         {answerAnd("HTTP/1.1 200 OK\r\n", repeat("A: b\r\n", 1000, 0)), 0, ErrorOther},
	"header drip":            {answerAnd("HTTP/1.1 200 OK\r\n", repeat("A: b\r\n", 1, 20*time.Millisecond)), 0, ErrorTimeout},
	"endless body":           {answerAnd("HTTP/1.1 200 OK\r\n\r\n", repeat("x", 1000, 0)), 200, ""},
	"body drip":              {answerAnd("HTTP/1.1 200 OK\r\n\r\n", repeat("x", 1, 20*time.Millisecond)), 200, ""},
	"chunk size drip":        {answerAnd("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", repeat("0", 1, 20*time.Millisecond)), 200, ""},
	"endless trailer":        {answerAnd("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", repeat("A: b\r\n", 1000, 0)), 200, ""},
	"body of a failure drip": {answerAnd("HTTP/1.1 500 No\r\n\r\n", repeat("x", 1, 20*time.Millisecond)), 500, ""},
	"HTTP/2":                 {answerAnd("\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64", hold), 0, ErrorTimeout},
	"HTTP/2 preface":         {answerAnd("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", hold), 0, ErrorOther},
}

// hold reads until the peer closes the connection.
func hold(c net.Conn) { io.Copy(io.Discard, c) }

func answerAnd(answer string, next func(net.Conn)) func(net.Conn) {
	return func(c net.Conn) {
		io.WriteString(c, answer)
		next(c)
	}
}

// repeat writes text n times, pauses, and repeats until the connection is closed.
func repeat(text string, n int, pause time.Duration) func(net.Conn) {
	return func(c net.Conn) {
		for {
			if _, err := io.WriteString(c, strings.Repeat(text, n)); err != nil {
				return
			}
			time.Sleep(pause)
		}
	}
}

// reset closes the connection with a TCP reset.
func reset(c net.Conn) {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
}

// TestSend_BadReceiver_EndsInTime sends to every bad receiver over HTTP and
// HTTPS. The attempt and its connection end in time.
func TestSend_BadReceiver_EndsInTime(t *testing.T) {
	certified := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(certified.Close)
	const limit, margin = 500 * time.Millisecond, 2 * time.Second
	for name, c := range badReceivers {
		for _, scheme := range []string{"http", "https"} {
			t.Run(name+" by "+scheme, func(t *testing.T) {
				t.Parallel()
				closed := make(chan time.Time, 1)
				url := rawReceiver(t, func(conn net.Conn) {
					if scheme == "https" {
						conn = tls.Server(conn, certified.TLS)
					}
					conn.Read(make([]byte, 1))
					c.serve(conn)
					closed <- time.Now()
				})
				client := loopback(t)
				client.attempt = limit
				client.transport.TLSClientConfig.RootCAs = certified.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
				delivery := deliveryTo(strings.Replace(url, "http:", scheme+":", 1))
				if strings.HasSuffix(name, "unread") {
					// More than socket buffers hold.
					delivery.Delivery.Payload = make([]byte, 16<<20)
				}
				begin := time.Now()
				result := client.Send(t.Context(), delivery, attemptAt)
				if took := time.Since(begin); took > limit+margin {
					t.Errorf("the attempt took %v", took)
				}
				if result.Error != c.kind || result.HTTPStatus != c.status || result.Succeeded() != (c.kind == "" && c.status < 300) {
					t.Errorf("result %+v", result)
				}
				select {
				case <-closed:
				case <-time.After(limit + margin):
					t.Error("the connection was still open after the attempt")
				}
			})
		}
	}
}

func TestLimitConn_DeadlineCannotBeExtended(t *testing.T) {
	ours, theirs := net.Pipe()
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	conn, err := limitConn(ours, time.Now().Add(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	for name, extend := range map[string]func(time.Time) error{
		"both": conn.SetDeadline, "read": conn.SetReadDeadline, "write": conn.SetWriteDeadline,
	} {
		for _, until := range []time.Time{{}, time.Now().Add(time.Hour)} {
			if err := extend(until); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("read did not fail at the deadline")
	}
	if _, err := conn.Write(make([]byte, 1)); err == nil {
		t.Error("write did not fail at the deadline")
	}
}
