package webhook

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mergegate/mergegate/webhook/badreceivers"
)

// TestSend_BadReceiver_EndsInTime sends to every bad receiver over HTTP and
// HTTPS. The attempt and its connection end in time.
func TestSend_BadReceiver_EndsInTime(t *testing.T) {
	certified := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(certified.Close)
	const margin = 5 * time.Second // for a busy machine
	for name, c := range badreceivers.All {
		for _, scheme := range []string{"http", "https"} {
			t.Run(name+" by "+scheme, func(t *testing.T) {
				t.Parallel()
				closed := make(chan time.Time, 1)
				url := rawReceiver(t, func(conn net.Conn) {
					if scheme == "https" {
						conn = tls.Server(conn, certified.TLS)
					}
					conn.Read(make([]byte, 1))
					c.Serve(conn)
					closed <- time.Now()
				})
				limit := 500 * time.Millisecond
				if c.Error != "timeout" && !strings.Contains(name, "drip") {
					limit = 10 * time.Second // it ends by itself, on a busy machine later
				}
				client := loopback(t)
				client.transport.TLSClientConfig.RootCAs = certified.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
				delivery := deliveryTo(strings.Replace(url, "http:", scheme+":", 1))
				if strings.HasSuffix(name, "unread") {
					// More than socket buffers hold.
					delivery.Delivery.Payload = make([]byte, 16<<20)
					limit *= 3 // it takes a slow machine a while to fill them
				}
				client.attempt = limit
				begin := time.Now()
				result := client.Send(t.Context(), delivery, attemptAt)
				if took := time.Since(begin); took > limit+margin {
					t.Errorf("the attempt took %v", took)
				}
				if result.Error != c.Error || result.HTTPStatus != c.Status || result.Succeeded() != (c.Error == "" && c.Status < 300) {
					t.Errorf("result %+v", result)
				}
				select {
				case <-closed:
				case <-time.After(limit + 4*margin):
					t.Error("the connection was still open after the attempt")
				}
			})
		}
	}
}

// TestSend_BadTLS_EndsInTime sends to receivers that do not complete the handshake.
func TestSend_BadTLS_EndsInTime(t *testing.T) {
	const margin = 5 * time.Second // for a busy machine
	for name, c := range badreceivers.TLS {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			limit := 500 * time.Millisecond
			if c.Error != "timeout" {
				limit = 10 * time.Second // it ends by itself, on a busy machine later
			}
			url := rawReceiver(t, func(conn net.Conn) {
				conn.Read(make([]byte, 1))
				c.Serve(conn)
			})
			client := loopback(t)
			client.attempt = limit
			begin := time.Now()
			result := client.Send(t.Context(), deliveryTo(strings.Replace(url, "http:", "https:", 1)), attemptAt)
			if took := time.Since(begin); took > limit+margin || result.Error != c.Error || result.HTTPStatus != c.Status {
				t.Errorf("after %v: %+v", took, result)
			}
		})
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
