package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models/modelstest"
)

// TestSlowBodies_AreDisconnected sends bodies byte by byte to a page, to the
// API, to git and to addresses that want no body: each connection ends soon
// after the time limit, though the client never stops.
func TestSlowBodies_AreDisconnected(t *testing.T) {
	t.Parallel()
	p := newProgram(t, modelstest.SQLite(t))
	p.useTestBinary()
	admin := p.admin()
	const limit = 500 * time.Millisecond
	p.start([]string{bodyTimeoutVariable + "=" + limit.String()}, "serve")
	for name, c := range map[string]struct {
		path, header string
		status       int
	}{
		"page":             {"/users/sign_in", "Content-Type: application/x-www-form-urlencoded\r\nSec-Fetch-Site: same-origin\r\n", http.StatusRequestTimeout},
		"API":              {"/api/v4/projects", "Content-Type: application/json\r\nPRIVATE-TOKEN: " + admin.token + "\r\n", http.StatusRequestTimeout},
		"API, signed out":  {"/api/v4/projects", "Content-Type: application/json\r\n", http.StatusUnauthorized},
		"unknown address":  {"/nothing/here/at/all", "Sec-Fetch-Site: same-origin\r\n", 0},
		"git, signed out":  {"/ada/pear.git/git-receive-pack", "Content-Type: application/x-git-receive-pack-request\r\n", http.StatusUnauthorized},
		"probe":            {"/healthz", "", 0},
		"unknown API path": {"/api/v4/nothing", "PRIVATE-TOKEN: " + admin.token + "\r\n", http.StatusNotFound},
	} {
		for _, framing := range []string{"Content-Length: 100000\r\n", "Transfer-Encoding: chunked\r\n"} {
			t.Run(name+" "+strings.ToLower(framing[:7]), func(t *testing.T) {
				t.Parallel()
				status, took := dribble(t, p.url, "POST "+c.path+" HTTP/1.1\r\nHost: localhost\r\n"+c.header+framing+"\r\n")
				if took > limit+10*time.Second {
					t.Errorf("the connection was open for %v", took)
				}
				if c.status != 0 && status != c.status {
					t.Errorf("status %d, want %d", status, c.status)
				}
			})
		}
	}
}

// dribble sends a request whose body never ends, and says with which status
// and when the server ended the connection.
func dribble(t *testing.T, url, head string) (status int, took time.Duration) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	begin := time.Now()
	if _, err := fmt.Fprint(conn, head); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	done := make(chan struct{})
	defer func() { close(stop); <-done }()
	go func() {
		defer close(done)
		part := "a"
		if strings.Contains(head, "chunked") {
			part = "1\r\na\r\n"
		}
		for {
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
				if _, err := fmt.Fprint(conn, part); err != nil {
					return
				}
			}
		}
	}()
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, nil)
	if err == nil {
		status = response.StatusCode
		response.Body.Close()
	}
	for err == nil {
		_, err = reader.ReadByte()
	}
	return status, time.Since(begin)
}
