package handlers

import (
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/mergegate/mergegate/cmd/mergegate/browsertest"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// The budget of a merge request's page: compressed bytes with headers, and
// requests.
const (
	firstVisitBytes = 60 << 10
	laterVisitBytes = 15 << 10
	visitRequests   = 8
)

// meter counts requests and the bytes of responses with their headers.
type meter struct {
	sync.Mutex
	bytes    int
	requests []string
}

// meteredListener returns connections that count what they send.
type meteredListener struct {
	net.Listener
	*meter
}

type meteredConn struct {
	net.Conn
	*meter
}

func (l meteredListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return meteredConn{conn, l.meter}, err
}

func (c meteredConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.Lock()
	c.bytes += n
	c.Unlock()
	return n, err
}

// take returns what was counted since the last call.
func (m *meter) take() (bytes int, requests []string) {
	m.Lock()
	defer m.Unlock()
	bytes, requests = m.bytes, m.requests
	m.bytes, m.requests = 0, nil
	return bytes, requests
}

// serveMetered starts a server that counts its requests and bytes.
func (v visitor) serveMetered() (url string, m *meter) {
	m = &meter{}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.Lock()
		m.requests = append(m.requests, r.URL.RequestURI())
		m.Unlock()
		r.Header.Add("Cookie", v.cookie)
		v.site.handler.ServeHTTP(w, r)
	}))
	server.Listener = meteredListener{server.Listener, m}
	server.Start()
	v.t.Cleanup(server.Close)
	return server.URL, m
}

// TestBrowserMergeRequest_Transfer_StaysWithinBudget loads the page of a merge
// request with ten finished checks, which polls nothing. The service worker and
// the offline page count too.
func TestBrowserMergeRequest_Transfer_StaysWithinBudget(t *testing.T) {
	t.Parallel()
	s := newTestSite(t, modelstest.SQLite(t))
	var services []models.ExternalStatusCheck
	for _, name := range []string{"licence", "security", "load", "style", "docs", "perf", "legal", "deploy", "audit", "export"} {
		services = append(services, s.Service(name))
	}
	mr := s.openMergeRequest("topic")
	for _, service := range services {
		if err := s.Respond(mr, service, mr.HeadSHA, models.StatusPassed); err != nil {
			t.Fatal(err)
		}
	}
	base, m := s.as(s.Owner).serveMetered()
	p := browsertest.New(t)
	visit := func(what string, budget int, updatesWorker bool) {
		t.Helper()
		p.Go(base + s.mrPath(mr, ""))
		p.WaitFor("the page to be loaded", `performance.getEntriesByType("navigation")[0].loadEventEnd > 0`)
		p.WaitFor("the worker to be active", `(navigator.serviceWorker.ready.then((r) => window.worker = r), window.worker?.active?.state === "activated")`)
		p.WaitFor("the offline page to be cached", "("+cachedPages+`).includes("/-/offline")`)
		if updatesWorker { // as browsers do some time after a visit
			browsertest.Eval[bool](p, `window.worker.update().then(() => window.updated = true), true`)
			p.WaitFor("the worker to be up to date", "!!window.updated")
		}
		bytes, requests := m.take()
		t.Logf("%s: %d bytes in %d requests: %q", what, bytes, len(requests), requests)
		if bytes > budget || bytes == 0 {
			t.Errorf("%s takes %d bytes, the budget is %d", what, bytes, budget)
		}
		if len(requests) > visitRequests {
			t.Errorf("%s takes %d requests, the budget is %d: %q", what, len(requests), visitRequests, requests)
		}
	}
	visit("the first visit", firstVisitBytes, false)
	visit("a later visit", laterVisitBytes, true)
}
