package main

import (
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/mergegate/mergegate/models/modelstest"
)

// databaseProxy is a TCP proxy for PostgreSQL that can cut all connections.
type databaseProxy struct {
	listener net.Listener
	server   string // the address behind it
	network  string

	mu      sync.Mutex
	away    bool
	refused int
	backAt  int // the database is back after so many refusals; 0 for never
	open    map[net.Conn]bool
}

// newDatabaseProxy starts a proxy and changes db to use it.
func newDatabaseProxy(t *testing.T, db modelstest.Database) (*databaseProxy, modelstest.Database) {
	t.Helper()
	u, err := url.Parse(db.DSN)
	if err != nil {
		t.Fatal(err)
	}
	p := &databaseProxy{network: "tcp", server: u.Host, open: map[net.Conn]bool{}}
	if socket := u.Query().Get("host"); socket != "" {
		p.network, p.server = "unix", socket+"/.s.PGSQL.5432"
	}
	if p.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := p.listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { p.serve(conn) })
		}
	})
	t.Cleanup(func() { p.listener.Close(); p.cut(); serving.Wait() })
	u.Host = p.listener.Addr().String()
	query := u.Query()
	query.Del("host")
	u.RawQuery = query.Encode()
	db.DSN = u.String()
	return p, db
}

// refuse makes the proxy refuse connections: all of them if backAt is 0, otherwise until
// it has refused backAt in all.
func (p *databaseProxy) refuse(backAt int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.away, p.backAt = true, backAt
}

func (p *databaseProxy) serve(client net.Conn) {
	defer client.Close()
	p.mu.Lock()
	if p.away {
		p.refused++
		p.away = p.backAt == 0 || p.refused < p.backAt
		p.mu.Unlock()
		return
	}
	server, err := net.Dial(p.network, p.server)
	if err != nil {
		p.mu.Unlock()
		return
	}
	p.open[client], p.open[server] = true, true
	p.mu.Unlock()
	defer server.Close()
	go func() { io.Copy(server, client); server.Close() }()
	io.Copy(client, server)
	p.mu.Lock()
	delete(p.open, client)
	delete(p.open, server)
	p.mu.Unlock()
}

// cut closes all connections and accepts no more.
func (p *databaseProxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.away = true
	for conn := range p.open {
		conn.Close()
	}
}

func (p *databaseProxy) comeBack() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.away = false
}

// TestDatabaseUnavailable_Answers503: pages, the API and git answer 503 with Retry-After while
// the database is unreachable, and work again with the first request after it is back.
func TestDatabaseUnavailable_Answers503(t *testing.T) {
	t.Parallel()
	proxy, db := newDatabaseProxy(t, modelstest.Postgres(t))
	w := newWorld(t, db)
	get := func(path string, header http.Header) (int, string, string) {
		t.Helper()
		req, err := http.NewRequest("GET", w.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header = header
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, resp.Header.Get("Retry-After"), string(body)
	}
	requests := map[string]struct {
		path, says string
		header     http.Header
	}{
		"page":          {"/" + w.project, "unavailable at the moment", http.Header{}},
		"Japanese page": {"/" + w.project, "現在Mergegateを利用できません", http.Header{"Accept-Language": {"ja"}}},
		"API":           {"/api/v4/projects", `{"message":"503 Service Unavailable"}`, http.Header{"Private-Token": {w.api.token}}},
		"git":           {"/" + w.project + ".git/info/refs?service=git-upload-pack", "unavailable at the moment", http.Header{}},
		"readiness":     {"/readyz", "not ready", http.Header{}},
	}
	proxy.cut()
	for name, r := range requests {
		status, retryAfter, body := get(r.path, r.header)
		if status != http.StatusServiceUnavailable || retryAfter == "" || !strings.Contains(body, r.says) {
			t.Errorf("%s: %d, Retry-After %q\n%s", name, status, retryAfter, body)
		}
	}
	if status, _, _ := get("/healthz", http.Header{}); status != http.StatusOK {
		t.Errorf("/healthz: %d", status)
	}
	proxy.comeBack()
	for name, r := range requests {
		if status, _, body := get(r.path, r.header); status >= 500 {
			t.Errorf("%s after the database is back: %d\n%s", name, status, body)
		}
	}
	w.stop()
}

// TestServe_DatabaseStartsLater_Waits: the server starts before its database.
func TestServe_DatabaseStartsLater_Waits(t *testing.T) {
	t.Parallel()
	proxy, db := newDatabaseProxy(t, modelstest.Postgres(t))
	p := newProgram(t, db)
	proxy.refuse(3)
	p.start(nil, "serve")
	for _, line := range []string{"waiting for database", "database reachable"} {
		if !strings.Contains(p.output.String(), line) {
			t.Errorf("the log does not say %q:\n%s", line, p.output)
		}
	}
	p.stop()

	proxy.refuse(0)
	if out, err := p.run([]string{"MERGEGATE_DATABASE_WAIT=1500ms"}, "serve"); err == nil || !strings.Contains(out, "did not answer within 1.5s") {
		t.Errorf("without a database: %v\n%s", err, out)
	}
	proxy.comeBack()
	p.env = append(p.env, "MERGEGATE_DATABASE_URL="+strings.Replace(db.DSN, "/test_", "/missing_", 1))
	if out, err := p.run(nil, "serve"); err == nil || !strings.Contains(out, "connect to the database") {
		t.Errorf("with a database that does not exist: %v\n%s", err, out)
	}
}
