package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models/modelstest"
)

// previousVariable names a binary of the previous version for TestRollingUpgrade. Without
// it, the test uses this version, and one with another migration as the next.
const previousVariable = "MERGEGATE_TEST_PREVIOUS"

// nextMigration returns what a later version may do to the schema while this one serves:
// a new table, a column in every table, an index.
func nextMigration() string {
	var sql strings.Builder
	sql.WriteString("-- +goose NO TRANSACTION\n-- +goose Up\n" +
		"CREATE TABLE upgrade_notes (id bigint PRIMARY KEY, merge_request_id bigint NOT NULL REFERENCES merge_requests (id) ON DELETE CASCADE);\n" +
		"CREATE INDEX CONCURRENTLY deliveries_upgrade ON deliveries (created_at);\n")
	for table := range strings.FieldsSeq(`users namespaces sessions rate_counters projects project_redirects members access_tokens
		protected_branches external_status_checks external_status_check_branches merge_requests approvals deliveries delivery_attempts
		merge_request_checks status_check_responses pending_pushes audit_events service_queues arrived_deliveries delivery_leases merge_request_steps repository_removals user_links`) {
		sql.WriteString("ALTER TABLE " + table + " ADD COLUMN upgrade_text text NOT NULL DEFAULT '';\n")
	}
	return sql.String()
}

// buildNext builds this version with another migration.
func buildNext(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	migration, overlay := filepath.Join(dir, "next.sql"), filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(migration, []byte(nextMigration()), 0o600); err != nil {
		t.Fatal(err)
	}
	target, err := filepath.Abs("../../migrations/postgres/99999_next.sql")
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]any{"Replace": map[string]string{target: migration}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(overlay, text, 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "next")
	cmd := exec.Command("go", "build", "-overlay", overlay, "-trimpath", "-ldflags=-w", "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// balancer is a reverse proxy in front of instances. It asks each instance whether it is
// ready, and sends requests in turn to those that are.
type balancer struct {
	*httptest.Server
	t        *testing.T
	backends []*backend
	turn     atomic.Int64
	requests atomic.Int64
	failed   atomic.Int64
}

type backend struct {
	address *url.URL
	ready   atomic.Bool
	// removed means that it gets no requests although it is ready.
	removed atomic.Bool
	served  atomic.Int64
}

// askEvery is the interval at which a balancer asks whether an instance is ready.
const askEvery = 20 * time.Millisecond

func newBalancer(t *testing.T, instances []*program) *balancer {
	t.Helper()
	b := &balancer{t: t}
	ctx, cancel := context.WithCancel(context.Background())
	for _, p := range instances {
		address, err := url.Parse(p.url)
		if err != nil {
			t.Fatal(err)
		}
		one := &backend{address: address}
		one.ask(ctx)
		b.backends = append(b.backends, one)
		go func() {
			for ctx.Err() == nil {
				one.ask(ctx)
				time.Sleep(askEvery)
			}
		}()
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(r.In.Context().Value(b).(*backend).address) },
		FlushInterval: -1,
		ModifyResponse: func(r *http.Response) error {
			if r.StatusCode >= 500 {
				b.fail("%s %s: %d", r.Request.Method, r.Request.URL, r.StatusCode)
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if !errors.Is(err, context.Canceled) { // the test has ended
				b.fail("%s %s: %v", r.Method, r.URL, err)
			}
			w.WriteHeader(http.StatusBadGateway)
		},
		ErrorLog: log.New(t.Output(), "", 0),
	}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.requests.Add(1)
		one := b.next()
		if one == nil {
			b.fail("%s %s: no instance is ready", r.Method, r.URL)
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		one.served.Add(1)
		proxy.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), b, one)))
	}))
	t.Cleanup(func() { cancel(); b.Close() })
	return b
}

func (b *balancer) fail(format string, args ...any) {
	b.failed.Add(1)
	b.t.Errorf(format, args...)
}

// next returns an instance that is ready, or nil.
func (b *balancer) next() *backend {
	for range b.backends {
		one := b.backends[int(b.turn.Add(1))%len(b.backends)]
		if one.ready.Load() && !one.removed.Load() {
			return one
		}
	}
	return nil
}

// poll requests an address of the API until ctx ends. Each answer must be 200.
func (b *balancer) poll(ctx context.Context, path, token string) {
	for ctx.Err() == nil {
		request, err := http.NewRequest(http.MethodGet, b.URL+path, nil)
		if err != nil {
			b.fail("%v", err)
			return
		}
		request.Header.Set("PRIVATE-TOKEN", token)
		response, err := http.DefaultClient.Do(request)
		switch {
		case err != nil:
			b.fail("%s: %v", path, err)
		case response.StatusCode != http.StatusOK:
			b.fail("%s: %d", path, response.StatusCode)
		}
		if err == nil {
			_, _ = io.Copy(io.Discard, response.Body)
			response.Body.Close()
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (one *backend) ask(ctx context.Context) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, one.address.String()+"/readyz", nil)
	if err != nil {
		return
	}
	response, err := http.DefaultClient.Do(request)
	if err == nil {
		response.Body.Close()
	}
	one.ready.Store(err == nil && response.StatusCode == http.StatusOK)
}

// Three instances are replaced one after the other while users push, poll, answer and
// merge. No request fails, and nothing is lost.
func TestRollingUpgrade(t *testing.T) {
	t.Parallel()
	previous, isPrevious := os.LookupEnv(previousVariable)
	next, err := shipped()
	if err != nil {
		t.Fatal(err)
	}
	if !isPrevious {
		next = buildNext(t)
	}
	r := newFaultRun(t, modelstest.EmptyPostgres(t), faultOptions{
		instances: 3, users: 3, services: 2, program: previous, env: []string{"MERGEGATE_SHUTDOWN_DELAY=500ms"},
	})
	proxy := newBalancer(t, r.instances)
	r.entry = proxy.URL
	polling, stopPolling := context.WithCancel(t.Context())
	var polls sync.WaitGroup
	for _, path := range []string{
		"/api/v4/projects", "/api/v4/projects/1/members/all", "/api/v4/projects/1/external_status_checks", "/api/v4/projects/1/protected_branches",
		"/api/v4/projects/1/merge_requests?state=all", "/api/v4/projects/1/repository/branches", "/api/v4/user",
	} {
		polls.Go(func() { proxy.poll(polling, path, r.api.token) })
	}
	replaced := 0
	r.during(0, int64(len(r.instances)), func(rng *rand.Rand) {
		r.progress(rng)
		p, one := r.instances[replaced], proxy.backends[replaced]
		if isPrevious {
			one.removed.Store(true) // version 0.1.0 stops at once
		}
		p.stop()
		p.path = next
		p.start(nil, "serve")
		one.removed.Store(false)
		before := one.served.Load()
		p.await("requests to the new instance", func() bool { return one.served.Load() > before+20 })
		r.progress(rng)
		replaced++
	}, 11)
	stopPolling()
	polls.Wait()
	if n := r.counts.cutOff.Load(); n != 0 || proxy.failed.Load() != 0 {
		t.Errorf("%d operations and %d of %d requests failed", n, proxy.failed.Load(), proxy.requests.Load())
	}
	t.Logf("%d operations in %d requests while three instances were replaced", r.counts.acknowledged.Load(), proxy.requests.Load())
	// An instance of the old version that starts again is refused.
	old := newProgram(t, r.db)
	if isPrevious {
		old.path = previous
	}
	if out, err := old.run([]string{"MERGEGATE_DATA=" + r.data}, "serve"); err == nil {
		t.Errorf("the old version starts on the newer schema: %s", out)
	}
	r.heal()
	r.assertInvariants()
}
