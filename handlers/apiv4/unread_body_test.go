package apiv4_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models/modelstest"
)

// zeros reads as zeros without end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// A client that reads only after it has sent its body gets the answer of a request that is
// refused before the body is read.
func TestRefusedRequest_BodyUpToTheLimit_ClientGetsAnswer(t *testing.T) {
	s := newSite(t, modelstest.SQLite(t))
	server := httptest.NewServer(s.plain)
	t.Cleanup(server.Close)
	const maxBody = 8 << 20
	for name, test := range map[string]struct {
		path, token string
		status      int
	}{
		"no valid token": {"/api/v4/projects", "glpat-unknown", 401},
		"role too low":   {"/api/v4/projects/1/external_status_checks", s.tokens["developer"], 403},
		"hidden project": {"/api/v4/projects/1/external_status_checks", s.tokens["outsider"], 404},
		"no such route":  {"/api/v4/oranges", "", 404},
		"wrong method":   {"/api/v4/version", "", 405},
	} {
		conn := dial(t, server)
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nPRIVATE-TOKEN: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", test.path, test.token, maxBody)
		if _, err := io.CopyN(conn, zeros{}, maxBody); err != nil {
			t.Errorf("%s: send the body: %v", name, err)
			continue
		}
		if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || resp.StatusCode != test.status {
			t.Errorf("%s: %v, %v, want status %d", name, resp, err, test.status)
		}
	}
}

// What the server reads of a body that it refuses is bounded.
func TestRefusedRequest_EndlessBody_IsCutOff(t *testing.T) {
	s := newSite(t, modelstest.SQLite(t))
	server := httptest.NewServer(s.plain)
	t.Cleanup(server.Close)
	for name, head := range map[string]string{
		"announced": fmt.Sprintf("Content-Length: %d", 1<<40), "chunked": "Transfer-Encoding: chunked",
	} {
		conn := dial(t, server)
		fmt.Fprintf(conn, "POST /api/v4/projects HTTP/1.1\r\nHost: x\r\nPRIVATE-TOKEN: none\r\n%s\r\n\r\n", head)
		if name == "chunked" {
			fmt.Fprintf(conn, "%x\r\n", 1<<40)
		}
		// Socket buffers take some more than what the server reads.
		if sent, err := io.CopyN(conn, zeros{}, 64<<20); err == nil {
			t.Errorf("%s: the server took %d bytes", name, sent)
		}
	}
}

// A client that waits for "100 Continue" is refused without sending the body.
func TestRefusedRequest_ExpectContinue_IsAnsweredAtOnce(t *testing.T) {
	s := newSite(t, modelstest.SQLite(t))
	server := httptest.NewServer(s.plain)
	t.Cleanup(server.Close)
	conn := dial(t, server)
	fmt.Fprint(conn, "POST /api/v4/projects HTTP/1.1\r\nHost: x\r\nPRIVATE-TOKEN: none\r\nExpect: 100-continue\r\nContent-Length: 5000\r\n\r\n")
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || !strings.Contains(line, "401") {
		t.Errorf("answer %q, %v", line, err)
	}
}

func dial(t *testing.T, server *httptest.Server) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}
