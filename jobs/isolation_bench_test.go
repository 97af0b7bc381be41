package jobs

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// Phases of BenchmarkIsolation. An attempt at a hanging service takes ten seconds.
const (
	isolationRounds = 2
	quietPhase      = 6 * time.Second
	badPhase        = 12 * time.Second
)

// isolationProject is one project of a scenario. Each service is a kind and a host:
// "good", "hang", "dead" and "slow" services behave alike in the quiet phases.
type isolationProject struct {
	services      [][2]string
	mergeRequests int
}

// isolationScenario is a set of projects. Only the good services of the first measured
// projects are measured.
type isolationScenario struct {
	name     string
	projects []isolationProject
	measured int
	// every is the time between pushes.
	every time.Duration
}

func repeat(n int, kind string, host func(i int) string) (services [][2]string) {
	for i := range n {
		services = append(services, [2]string{kind, host(i)})
	}
	return services
}

func isolationScenarios() []isolationScenario {
	same := func(int) string { return "127.0.0.1" }
	oneHost := isolationProject{mergeRequests: 4}
	oneHost.services = append(append(repeat(32, "good", same), repeat(4, "hang", same)...), repeat(4, "dead", same)...)
	victim := isolationProject{repeat(10, "good", same), 4}
	hostile := isolationProject{repeat(20, "hang", func(i int) string { return fmt.Sprintf("127.0.2.%d", i+1) }), 4}
	var ten []isolationProject
	for p := range 10 {
		host := func(i int) string { return fmt.Sprintf("127.0.%d.%d", p+10, i+1) }
		services := append(append(repeat(16, "good", host), repeat(2, "hang", host)...), repeat(2, "dead", host)...)
		ten = append(ten, isolationProject{services, 2})
	}
	slow := isolationProject{append(repeat(10, "good", same), [2]string{"slow", "127.0.0.1"}), 50}
	return []isolationScenario{
		{"40 services on one host, 4 hang, 4 dead", []isolationProject{oneHost}, 1, 500 * time.Millisecond},
		{"20 hanging hosts of another project", []isolationProject{victim, hostile}, 1, 125 * time.Millisecond},
		{"10 projects x 20 services, 10% hang, 10% dead", ten, 10, 500 * time.Millisecond},
		{"one service takes 8 s, 50 merge requests", []isolationProject{slow}, 1, 250 * time.Millisecond},
	}
}

// BenchmarkIsolation measures the time from just before a commit to the receipt by good
// services, in alternating phases without and with bad services, and prints a table. It
// fails if the 99th percentile with bad services exceeds the one without by more than
// 20 % and 50 ms.
func BenchmarkIsolation(b *testing.B) {
	for _, scenario := range isolationScenarios() {
		b.Run("sqlite/"+scenario.name, func(b *testing.B) { benchmarkIsolation(b, modelstest.SQLite(b), scenario) })
		b.Run("postgres/"+scenario.name, func(b *testing.B) { benchmarkIsolation(b, modelstest.Postgres(b), scenario) })
	}
}

func benchmarkIsolation(b *testing.B, db modelstest.Database, scenario isolationScenario) {
	w := newFixture(b, db, func(c *models.Config) { c.Now = time.Now })
	r := newIsolationReceiver(b)
	pushes := w.isolationPushes(r, scenario)
	w.start()
	var quiet, bad []time.Duration
	var recovery time.Duration
	number := 0
	phase := func(length time.Duration) []time.Duration {
		r.reset()
		tick := time.NewTicker(scenario.every)
		defer tick.Stop()
		for end := time.Now().Add(length); time.Now().Before(end); <-tick.C {
			pushes[number%len(pushes)]()
			number++
		}
		time.Sleep(500 * time.Millisecond) // the last ones arrive
		return r.latencies(b)
	}
	for b.Loop() {
		for range isolationRounds {
			quiet = append(quiet, phase(quietPhase)...)
			r.setBad(b, true)
			bad = append(bad, phase(badPhase)...)
			r.setBad(b, false)
			begin := time.Now()
			w.waitDelivered(b)
			recovery = max(recovery, time.Since(begin))
		}
	}
	without, with := milliseconds(quiet, 0.99), milliseconds(bad, 0.99)
	b.ReportMetric(milliseconds(quiet, 0.50), "quiet-p50-ms")
	b.ReportMetric(milliseconds(bad, 0.50), "bad-p50-ms")
	b.ReportMetric(without, "quiet-p99-ms")
	b.ReportMetric(with, "bad-p99-ms")
	fmt.Printf("| %-8s | %-46s | %6d | %8.1f | %8.1f | %8.1f | %8.1f | %6.1f s |\n", db.Driver, scenario.name, len(quiet)+len(bad),
		milliseconds(quiet, 0.50), milliseconds(bad, 0.50), without, with, recovery.Seconds())
	if with > 1.2*without+50 {
		b.Errorf("p99 with bad services %.1f ms, without %.1f ms", with, without)
	}
}

// isolationPushes creates a scenario and returns functions that push to its merge
// requests, projects in turn.
func (w fixture) isolationPushes(r *isolationReceiver, scenario isolationScenario) (pushes []func()) {
	w.T.Helper()
	var committing time.Time
	w.Store.SetHooks(models.Hooks{BeforePushCommit: func() error { committing = time.Now(); return nil }})
	byProject := make([][]func(), len(scenario.projects))
	for p, project := range scenario.projects {
		w.Fixture.Project = w.NewProject(w.Owner, fmt.Sprintf("project-%d", p), models.VisibilityPrivate)
		fixed := *w.Fixture
		for i, service := range project.services {
			path := service[0]
			if path == "good" && p >= scenario.measured {
				path = "other"
			}
			url := fmt.Sprintf("http://%s/%s/%d/%d", net.JoinHostPort(service[1], r.port(service[0])), path, p, i)
			fixture{&fixed, w.Deliverer}.service(fmt.Sprintf("service-%d", i), url, "")
		}
		good := 0
		for _, service := range project.services {
			if service[0] == "good" && p < scenario.measured {
				good++
			}
		}
		for i := range project.mergeRequests {
			branch := fmt.Sprintf("branch-%d", i)
			w.Git.SetBranch(fixed.Project.ID, branch, w.Git.Tip(fixed.Project.ID, "feature"))
			fixed.MergeRequest(branch, "main")
			byProject[p] = append(byProject[p], func() {
				sha := fixed.Push(branch)
				r.expect(sha, committing, good)
			})
		}
	}
	for i := range 200 {
		for p := range byProject {
			pushes = append(pushes, byProject[p][i%len(byProject[p])])
		}
	}
	return pushes
}

// waitDelivered waits until nothing is waiting.
func (w fixture) waitDelivered(b *testing.B) {
	b.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		var n int
		if err := w.Store.DB().QueryRow("SELECT COUNT(*) FROM deliveries WHERE state = 'waiting'").Scan(&n); err != nil {
			b.Fatal(err)
		}
		if n == 0 {
			return
		}
	}
	b.Fatal("deliveries are still waiting a minute after the bad services recovered")
}

// isolationReceiver listens on all loopback addresses. Its second port is closed while
// services are bad.
type isolationReceiver struct {
	live, dead string
	server     http.Server

	mu       sync.Mutex
	bad      bool
	recover  chan struct{}
	listener net.Listener
	commits  map[string]time.Time
	expected int
	arrived  map[string][]time.Time
}

func newIsolationReceiver(b *testing.B) *isolationReceiver {
	b.Helper()
	r := &isolationReceiver{recover: make(chan struct{})}
	close(r.recover)
	r.server.Handler = r
	listen := func() (net.Listener, string) {
		l, err := net.Listen("tcp4", "0.0.0.0:0")
		if err != nil {
			b.Fatal(err)
		}
		go func() { _ = r.server.Serve(l) }()
		_, port, _ := net.SplitHostPort(l.Addr().String())
		return l, port
	}
	_, r.live = listen()
	r.listener, r.dead = listen()
	b.Cleanup(func() { _ = r.server.Close() })
	r.reset()
	return r
}

func (r *isolationReceiver) port(kind string) string {
	if kind == "dead" {
		return r.dead
	}
	return r.live
}

// setBad makes the bad services bad or good.
func (r *isolationReceiver) setBad(b *testing.B, bad bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bad = bad
	if bad {
		r.recover = make(chan struct{})
		_ = r.listener.Close()
		return
	}
	close(r.recover)
	var err error
	if r.listener, err = net.Listen("tcp4", "0.0.0.0:"+r.dead); err != nil {
		b.Fatal(err)
	}
	go func() { _ = r.server.Serve(r.listener) }()
}

func (r *isolationReceiver) ServeHTTP(_ http.ResponseWriter, req *http.Request) {
	at := time.Now()
	kind, _, _ := strings.Cut(strings.TrimPrefix(req.URL.Path, "/"), "/")
	body, _ := io.ReadAll(req.Body)
	r.mu.Lock()
	bad, recovered := r.bad, r.recover
	if kind == "good" {
		var payload modelstest.Payload
		_ = json.Unmarshal(body, &payload)
		r.arrived[payload.Head] = append(r.arrived[payload.Head], at)
	}
	r.mu.Unlock()
	if !bad {
		return
	}
	ctx := req.Context()
	switch kind {
	case "slow":
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, 8*time.Second)
		defer cancel()
		fallthrough
	case "hang":
		select {
		case <-ctx.Done():
		case <-recovered:
		}
	}
}

func (r *isolationReceiver) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.commits, r.arrived, r.expected = map[string]time.Time{}, map[string][]time.Time{}, 0
}

// expect registers a push that n good services receive.
func (r *isolationReceiver) expect(sha string, at time.Time, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n > 0 {
		r.commits[sha] = at
		r.expected += n
	}
}

// latencies returns the times from commit to receipt. It fails if a good service missed
// more than a few events: a newer push supersedes an event that has not been sent.
func (r *isolationReceiver) latencies(b *testing.B) (all []time.Duration) {
	b.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for sha, at := range r.commits {
		for _, arrived := range r.arrived[sha] {
			all = append(all, arrived.Sub(at))
		}
	}
	if len(all) < r.expected*99/100 {
		b.Errorf("good services received %d of %d deliveries", len(all), r.expected)
	}
	return all
}
