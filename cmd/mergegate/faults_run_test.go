package main

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// shipped builds the program as it is shipped, once per test run: without the
// race detector it starts and serves several times faster.
var shipped = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "mergegate-shipped-")
	if err != nil {
		return "", err
	}
	shippedDir.Store(&dir)
	path := filepath.Join(dir, "mergegate")
	cmd := exec.Command("go", "build", "-ldflags=-w", "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-trimpath")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

var shippedDir atomic.Pointer[string]

func removeShipped() {
	if dir := shippedDir.Load(); dir != nil {
		_ = os.RemoveAll(*dir)
	}
}

// faultRun is a run with faults: instances of the program on one database, users
// who push and edit, and services that receive. Afterwards assertInvariants
// compares what was acknowledged, stored and received.
type faultRun struct {
	t         *testing.T
	db        modelstest.Database
	data      string
	instances []*program
	api       client
	projectID int64
	project   string
	services  map[int64]*service
	users     []*faultUser
	// entry is the address for users in front of the instances; "" if they use them
	// directly.
	entry string
	// failing makes services answer some deliveries with 500.
	failing atomic.Bool
	// crashes of PostgreSQL may each lose the claim of an attempt, which does not wait for
	// the disk; the log then lacks that attempt.
	crashes atomic.Int64
	counts  struct{ kills, faults, acknowledged, cutOff atomic.Int64 }
}

// faultOptions describe a run.
type faultOptions struct {
	instances int
	users     int
	services  int
	data      string // "" for a temporary folder
	program   string // "" for the shipped program
	env       []string
}

// newFaultRun starts the instances and creates a project with services.
func newFaultRun(t *testing.T, db modelstest.Database, o faultOptions) *faultRun {
	t.Helper()
	r := &faultRun{t: t, db: db, data: o.data, services: map[int64]*service{}}
	if r.data == "" {
		r.data = t.TempDir()
	}
	for range o.instances {
		p := newProgram(t, db)
		p.data = r.data
		if o.program != "" {
			p.path = o.program
		}
		p.env = append(append(p.env, o.env...), "MERGEGATE_DATA="+r.data, "MERGEGATE_API_RATE_PER_TOKEN=0", "MERGEGATE_API_RATE_PER_ADDRESS=0")
		r.instances = append(r.instances, p)
	}
	r.api = r.instances[0].admin()
	for _, p := range r.instances {
		p.start(nil, "serve")
	}
	var project struct {
		ID   int64  `json:"id"`
		Path string `json:"path_with_namespace"`
	}
	r.api.call("POST", "/projects", map[string]any{"name": "Pear", "path": "pear", "initialize_with_readme": true},
		201, &project)
	r.projectID, r.project = project.ID, project.Path
	for i := range o.services {
		s := newService(t)
		s.mu.Lock()
		s.answer = func(received) int {
			if r.failing.Load() && rand.IntN(8) == 0 {
				return http.StatusInternalServerError
			}
			return http.StatusAccepted
		}
		s.mu.Unlock()
		r.services[r.addService(fmt.Sprint("service ", i), s.url)] = s
	}
	for i := range o.users {
		u := &faultUser{run: r, rng: rand.New(rand.NewPCG(1, uint64(i))), tree: clone(t, r.api.url, r.project, r.api.token), name: fmt.Sprint("user", i)}
		u.tree.git("config", "http.lowSpeedLimit", "1")
		u.tree.git("config", "http.lowSpeedTime", "60")
		r.users = append(r.users, u)
	}
	return r
}

// addService registers a service and returns its id.
func (r *faultRun) addService(name, url string) int64 {
	r.t.Helper()
	var check struct {
		ID int64 `json:"id"`
	}
	r.api.call("POST", fmt.Sprintf("/projects/%d/external_status_checks", r.projectID),
		map[string]any{"name": name, "external_url": url, "shared_secret": testSecret}, 201, &check)
	return check.ID
}

// during runs the users and repeats the fault, until the time is over and there were
// at least so many faults.
func (r *faultRun) during(d time.Duration, faults int64, fault func(*rand.Rand), seed uint64) {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.t.Context())
	defer cancel()
	end := time.Now().Add(d)
	r.failing.Store(true)
	var work sync.WaitGroup
	for i, u := range r.users {
		u.rng = rand.New(rand.NewPCG(seed, uint64(2+i)))
		work.Go(func() { u.work(ctx) })
	}
	for rng := rand.New(rand.NewPCG(seed, 1)); r.counts.faults.Load() < faults || time.Now().Before(end); {
		fault(rng)
		r.counts.faults.Add(1)
	}
	cancel()
	r.failing.Store(false)
	work.Wait()
}

// kill kills an instance, often with its git processes, and starts it again.
func (r *faultRun) kill(rng *rand.Rand) {
	r.progress(rng)
	p := r.instances[rng.IntN(len(r.instances))]
	victims := []int{p.cmd.Process.Pid}
	if rng.IntN(3) > 0 {
		victims = append(victims, descendants(p.cmd.Process.Pid)...)
	}
	for _, pid := range victims {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	<-p.ended
	r.counts.kills.Add(1)
	p.start(nil, "serve")
}

// progress waits until some operations were acknowledged, so that faults come as
// often as the machine allows, and then for a random time within an operation.
func (r *faultRun) progress(rng *rand.Rand) {
	want := r.counts.acknowledged.Load() + 1 + rng.Int64N(6)
	for end := time.Now().Add(5 * time.Second); r.counts.acknowledged.Load() < want && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
	}
	sleep(rng, 0, 300*time.Millisecond)
}

// sleep waits between from and to.
func sleep(rng *rand.Rand, from, to time.Duration) {
	time.Sleep(from + time.Duration(rng.Int64N(int64(to-from))))
}

// descendants returns the processes below pid.
func descendants(pid int) []int {
	children := map[int][]int{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		stat, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		_, rest, _ := bytes.Cut(stat, []byte(") "))
		fields := strings.Fields(string(rest))
		child, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if len(fields) < 2 || err != nil {
			continue
		}
		if parent, err := strconv.Atoi(fields[1]); err == nil {
			children[parent] = append(children[parent], child)
		}
	}
	var all []int
	for next := children[pid]; len(next) > 0; next = next[1:] {
		all = append(all, next[0])
		next = append(next, children[next[0]]...)
	}
	return all
}

// query reads the database, also while a server uses it.
func (r *faultRun) query(scan func(*sql.Rows) error, query string) {
	r.t.Helper()
	db, closeDB := r.sql()
	defer closeDB()
	rows, err := db.Query(query)
	if err != nil {
		r.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			r.t.Fatal(err)
		}
	}
	if err := rows.Err(); err != nil {
		r.t.Fatal(err)
	}
}

func (r *faultRun) sql() (db *sql.DB, closeDB func()) {
	r.t.Helper()
	driver, dsn := r.instances[0].database()
	name := "pgx"
	if driver == models.DriverSQLite {
		name, dsn = "sqlite", "file:"+dsn+"?_pragma=busy_timeout(10000)&_time_format=sqlite"
	}
	db, err := sql.Open(name, dsn)
	if err != nil {
		r.t.Fatal(err)
	}
	return db, func() { _ = db.Close() }
}

// age makes the database believe that an hour has passed: attempts are due, leases
// of dead processes have run out, and interrupted operations are old enough to be
// recovered. No server may run.
func (r *faultRun) age() {
	r.t.Helper()
	db, closeDB := r.sql()
	defer closeDB()
	past := time.Now().UTC().Add(-time.Hour).Truncate(time.Microsecond)
	for _, statement := range []string{
		"UPDATE deliveries SET next_attempt_at = $1 WHERE state = 'waiting'",
		"UPDATE delivery_leases SET leased_until = $1",
		"UPDATE deliveries SET not_before = $1 WHERE not_before IS NOT NULL",
		"UPDATE service_queues SET next_at = $1",
		"UPDATE service_queues SET open_until = $1 WHERE open_until IS NOT NULL",
		"UPDATE service_queues SET probe_at = $1 WHERE probe_at IS NOT NULL",
		"UPDATE pending_pushes SET created_at = $1",
		"UPDATE merge_requests SET merging_started_at = $1 WHERE merging_started_at IS NOT NULL",
		"UPDATE merge_request_steps SET created_at = $1",
		"UPDATE repository_removals SET created_at = $1",
	} {
		if _, err := db.Exec(statement, past); err != nil {
			r.t.Fatalf("%s: %v", statement, err)
		}
	}
}

// heal stops the instances properly, lets time pass, starts them again and waits
// until nothing is left to do.
func (r *faultRun) heal() {
	r.t.Helper()
	for _, p := range r.instances {
		p.stop()
	}
	r.age()
	for _, p := range r.instances {
		p.start(nil, "serve")
	}
	r.settle()
}

// settle waits until nothing is left to do.
func (r *faultRun) settle() {
	r.t.Helper()
	const left = "SELECT (SELECT count(*) FROM deliveries WHERE state = 'waiting'), (SELECT count(*) FROM delivery_leases), " +
		"(SELECT count(*) FROM pending_pushes), (SELECT count(*) FROM merge_request_steps), (SELECT count(*) FROM repository_removals), " +
		"(SELECT count(*) FROM merge_requests WHERE state = 'opened' AND merging_started_at IS NOT NULL)"
	var n [6]int
	for end := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		r.query(func(rows *sql.Rows) error { return rows.Scan(&n[0], &n[1], &n[2], &n[3], &n[4], &n[5]) }, left)
		if n == [6]int{} {
			return
		}
		if time.Now().After(end) {
			r.t.Errorf("left after a minute without faults: %d deliveries, %d leases, %d pending pushes, %d steps of merge requests, %d removals of repositories, %d merges",
				n[0], n[1], n[2], n[3], n[4], n[5])
			r.query(func(rows *sql.Rows) error {
				var id, attempts int64
				var next, leased, last, action sql.NullString
				err := rows.Scan(&id, &action, &attempts, &next, &leased, &last)
				r.t.Logf("delivery %d (%s) after %d attempts: next at %s, leased until %s, last at %s", id,
					action.String, attempts, next.String, leased.String, last.String)
				return err
			}, `SELECT d.id, d.action, d.attempts, d.next_attempt_at, l.leased_until, d.last_attempt_at FROM deliveries d
				LEFT JOIN delivery_leases l ON l.delivery_id = d.id WHERE d.state = 'waiting' OR l.delivery_id IS NOT NULL`)
			return
		}
	}
}
