package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

const (
	// loadTime is the environment variable with the duration of TestLoad.
	loadTime = "MERGEGATE_TEST_LOAD_TIME"
	// loadPages poll every three seconds.
	loadPages   = 2000
	loadAnswers = 50 // per second
	loadEvents  = 20 // per second, each for models.SeedServices services
	loadSize    = 100_000
	// loadOpeningVariable is the environment variable for loadOpening.
	loadOpeningVariable = "MERGEGATE_TEST_LOAD_OPENING"
)

// loadOpening is the time in which the pages are opened, before the measurement.
var loadOpening = 20 * time.Second

// TestLoad runs a server on PostgreSQL with many open pages, responses and events, and
// prints the times of polls and the server's memory. It runs only if its time is set.
func TestLoad(t *testing.T) {
	if os.Getenv(loadTime) == "" {
		t.Skip("make bench-load runs this test")
	}
	limit, err := time.ParseDuration(os.Getenv(loadTime))
	if err != nil {
		t.Fatal(err)
	}
	if opening := os.Getenv(loadOpeningVariable); opening != "" {
		if loadOpening, err = time.ParseDuration(opening); err != nil {
			t.Fatal(err)
		}
	}
	var received atomic.Int64
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { received.Add(1) }))
	t.Cleanup(receiver.Close)
	db := modelstest.Postgres(t)
	p := newProgram(t, db)
	if out, err := p.run(nil, "seed", "--merge-requests", fmt.Sprint(loadSize)); err != nil {
		t.Fatalf("seed: %v\n%s", err, out)
	}
	l := newLoad(t, p, db, receiver.URL)
	p.start([]string{"MERGEGATE_API_RATE_PER_TOKEN=0", "MERGEGATE_API_RATE_PER_ADDRESS=0", "MERGEGATE_LOG_LEVEL=warn"}, "serve")
	l.signIn()
	ctx, cancel := context.WithTimeout(t.Context(), loadOpening+limit)
	defer cancel()
	var running sync.WaitGroup
	for i := range loadPages {
		running.Go(func() { l.poll(ctx, l.iids[i]) })
	}
	running.Go(func() { every(ctx, time.Second/loadAnswers, &running, l.answer) })
	running.Go(func() { every(ctx, time.Second/loadEvents, &running, l.edit) })
	running.Wait()
	l.report(p.cmd.Process.Pid, received.Load(), limit)
	var waiting int
	if err := db.SQL(t).QueryRow("SELECT count(*) FROM deliveries WHERE state = 'waiting'").Scan(&waiting); err != nil {
		t.Fatal(err)
	}
	t.Logf("deliveries waiting: %d", waiting)
}

// load is the traffic of TestLoad.
type load struct {
	t             *testing.T
	url, project  string
	password      string
	token, cookie string
	http          *http.Client
	projectID     int64
	iids          []int64 // of open merge requests
	services      []int64
	head          string

	mu sync.Mutex
	// pages is how many pages have got their first answer, and open when the last one got
	// it. The other times are measured from then on.
	pages    int
	open     time.Time
	times    map[string][]time.Duration
	failures map[string]int
}

// newLoad gives the seed's services a receiver that answers, and its user a password
// and a token.
func newLoad(t *testing.T, p *program, db modelstest.Database, receiver string) *load {
	f := modelstest.Open(t, db)
	ctx, s := t.Context(), f.Store
	l := &load{
		t: t, url: p.url, password: auth.NewPassword(), token: auth.NewAccessToken(), times: map[string][]time.Duration{}, failures: map[string]int{},
		http: &http.Client{
			Transport:     &http.Transport{MaxIdleConnsPerHost: loadPages, MaxConnsPerHost: loadPages},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	user, err := s.UserByUsername(ctx, models.SeedNamespace)
	check(err)
	digest, err := auth.HashPassword(ctx, l.password)
	check(err)
	check(s.SetPassword(ctx, user, digest, "", false))
	_, err = s.CreatePersonalToken(ctx, user, models.AccessTokenInput{
		Name: "load", Scopes: []string{models.ScopeAPI}, ExpiresAt: f.Clock.Now().Add(300 * 24 * time.Hour), Digest: auth.Digest(l.token),
	})
	check(err)
	conn := db.SQL(t)
	for _, table := range []string{"external_status_checks", "merge_request_checks"} {
		_, err := conn.Exec("UPDATE "+table+" SET external_url = $1 || '/' || id WHERE project_id = 1", receiver)
		check(err)
	}
	list, _, err := s.MergeRequests(ctx, models.MergeRequestFilter{ProjectIDs: []int64{1}, State: models.StateOpened}, models.Page{Number: 1, Size: loadPages})
	check(err)
	for _, mr := range list {
		l.iids, l.head, l.projectID = append(l.iids, mr.IID), mr.HeadSHA, mr.ProjectID
	}
	services, _, err := s.ExternalStatusChecks(ctx, 1, models.Page{})
	check(err)
	for _, service := range services {
		l.services = append(l.services, service.ID)
	}
	project, err := s.Project(ctx, 1)
	check(err)
	l.project = "/" + project.FullPath()
	if len(l.iids) != loadPages {
		t.Fatalf("%d open merge requests, want %d", len(l.iids), loadPages)
	}
	return l
}

func (l *load) signIn() {
	resp, err := l.http.PostForm(l.url+"/users/sign_in", url.Values{"login": {models.SeedNamespace}, "password": {l.password}})
	if err != nil {
		l.t.Fatal(err)
	}
	defer resp.Body.Close()
	for _, c := range resp.Cookies() {
		l.cookie += c.Name + "=" + c.Value + "; "
	}
	if resp.StatusCode != http.StatusSeeOther {
		l.t.Fatalf("sign in: %s", resp.Status)
	}
}

var revPattern = regexp.MustCompile(`rev=([0-9a-z]+)`)

// poll is an open page.
func (l *load) poll(ctx context.Context, iid int64) {
	const interval = 3 * time.Second
	rev, wait := "", time.Duration(rand.Int64N(int64(loadOpening)))
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = interval
		kind := "poll"
		if rev == "" {
			kind = "first poll"
		}
		path := fmt.Sprintf("%s/-/merge_requests/%d/status_checks?rev=%s", l.project, iid, rev)
		if m := revPattern.FindSubmatch(l.send(ctx, kind, http.MethodGet, path, nil)); m != nil {
			rev = string(m[1])
		}
	}
}

func (l *load) answer(ctx context.Context) {
	status := []string{"passed", "failed"}[rand.IntN(2)]
	body := fmt.Sprintf(`{"external_status_check_id":%d,"sha":%q,"status":%q}`, l.services[rand.IntN(len(l.services))], l.head, status)
	path := fmt.Sprintf("/api/v4/projects/%d/merge_requests/%d/status_check_responses", l.projectID, l.iids[rand.IntN(len(l.iids))])
	l.send(ctx, "answer", http.MethodPost, path, []byte(body))
}

func (l *load) edit(ctx context.Context) {
	path := fmt.Sprintf("/api/v4/projects/%d/merge_requests/%d", l.projectID, l.iids[rand.IntN(len(l.iids))])
	l.send(ctx, "event", http.MethodPut, path, fmt.Appendf(nil, `{"title":"Edit %d"}`, rand.Int64()))
}

// send sends a request, records how long it took, and returns the body of an answer 200.
func (l *load) send(ctx context.Context, kind, method, path string, body []byte) []byte {
	req, err := http.NewRequestWithContext(ctx, method, l.url+path, bytes.NewReader(body))
	if err != nil {
		l.t.Error(err)
		return nil
	}
	if strings.HasPrefix(path, "/api/") {
		req.Header.Set("PRIVATE-TOKEN", l.token)
		req.Header.Set("Content-Type", "application/json")
	} else {
		req.Header.Set("Cookie", l.cookie)
		req.Header.Set("HX-Request", "true")
	}
	start := time.Now()
	resp, err := l.http.Do(req)
	if err != nil {
		if ctx.Err() == nil {
			l.record(kind, 0, err.Error())
		}
		return nil
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= 300 {
		l.record(kind, 0, resp.Status)
	} else if err == nil {
		l.record(kind, time.Since(start), "")
	}
	if resp.StatusCode != http.StatusOK {
		return nil
	}
	return answer
}

func (l *load) record(kind string, took time.Duration, failure string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if failure != "" {
		l.failures[kind+": "+failure]++
		return
	}
	if kind == "first poll" || l.pages == loadPages {
		l.times[kind] = append(l.times[kind], took)
	}
	if kind == "first poll" {
		if l.pages++; l.pages == loadPages {
			l.open = time.Now()
		}
	}
}

// every calls f at each interval until ctx ends, whether or not earlier calls returned.
func every(ctx context.Context, interval time.Duration, running *sync.WaitGroup, f func(context.Context)) {
	ticks := time.NewTicker(interval)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
			running.Go(func() { f(ctx) })
		}
	}
}

func (l *load) report(pid int, received int64, limit time.Duration) {
	measured := time.Since(l.open)
	for _, kind := range []string{"first poll", "poll", "answer", "event"} {
		times := l.times[kind]
		if len(times) == 0 {
			l.t.Errorf("no %s succeeded", kind)
			continue
		}
		slices.Sort(times)
		at := func(share float64) time.Duration {
			return times[int(share*float64(len(times)-1))].Round(time.Microsecond * 100)
		}
		seconds := measured.Seconds()
		if kind == "first poll" {
			seconds = loadOpening.Seconds()
		}
		l.t.Logf("%-10s %7.1f/s  p50 %8v  p95 %8v  p99 %8v  max %8v", kind, float64(len(times))/seconds, at(.5), at(.95), at(.99), at(1))
	}
	l.t.Logf("deliveries received: %.1f/s", float64(received)/(loadOpening+limit).Seconds())
	for failure, n := range l.failures {
		l.t.Errorf("%d × %s", n, failure)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		l.t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if strings.HasPrefix(line, "VmHWM") || strings.HasPrefix(line, "VmRSS") {
			l.t.Log("server ", strings.TrimSpace(line))
		}
	}
}
