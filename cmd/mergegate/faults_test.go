package main

import (
	"database/sql"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// faultKind is one kind of fault. run prepares a run and returns the fault, which
// is repeated while users work.
type faultKind struct {
	name string
	run  func(t *testing.T) (*faultRun, func(*rand.Rand))
}

// faultKinds are the faults of the short tests and of the soak test.
var faultKinds = []faultKind{
	{"kill on SQLite", func(t *testing.T) (*faultRun, func(*rand.Rand)) {
		r := newFaultRun(t, modelstest.SQLite(t), faultOptions{instances: 1, users: 2, services: 2})
		return r, r.kill
	}},
	{"kill of two instances", func(t *testing.T) (*faultRun, func(*rand.Rand)) {
		r := newFaultRun(t, modelstest.Postgres(t), faultOptions{instances: 2, users: 2, services: 2})
		return r, r.kill
	}},
	{"cut connections of three instances", cutConnections},
	{"restart of PostgreSQL", restartPostgres},
	{"paused instance", pauseInstances},
	{"full disk on SQLite", func(t *testing.T) (*faultRun, func(*rand.Rand)) { return fillDisk(t, modelstest.SQLite(t)) }},
	{"full disk of repositories", func(t *testing.T) (*faultRun, func(*rand.Rand)) { return fillDisk(t, modelstest.Postgres(t)) }},
}

// cutConnections ends single sessions of PostgreSQL, and all connections at once.
func cutConnections(t *testing.T) (*faultRun, func(*rand.Rand)) {
	proxy, db := newDatabaseProxy(t, modelstest.Postgres(t))
	r := newFaultRun(t, db, faultOptions{instances: 3, users: 2, services: 2})
	return r, func(rng *rand.Rand) {
		r.progress(rng)
		if rng.IntN(3) > 0 {
			r.exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND random() < 0.5")
			return
		}
		proxy.cut()
		sleep(rng, 10*time.Millisecond, 300*time.Millisecond)
		proxy.comeBack()
	}
}

// restartPostgres restarts a server of its own, properly or by a crash.
func restartPostgres(t *testing.T) (*faultRun, func(*rand.Rand)) {
	server, err := modelstest.StartServer()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	admin, err := sql.Open("pgx", server.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	// The test servers commit asynchronously, which may lose commits in a crash.
	for _, statement := range []string{"CREATE DATABASE faults", "ALTER DATABASE faults SET synchronous_commit = on"} {
		if _, err := admin.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	dsn := strings.Replace(server.DSN, "/postgres?", "/faults?", 1)
	r := newFaultRun(t, modelstest.Database{Driver: models.DriverPostgres, DSN: dsn}, faultOptions{instances: 2, users: 2, services: 2})
	return r, func(rng *rand.Rand) {
		r.progress(rng)
		signal := syscall.SIGINT
		if rng.IntN(2) == 0 {
			signal = syscall.SIGQUIT
			r.crashes.Add(1)
		}
		if err := server.Restart(signal); err != nil {
			t.Error(err)
		}
	}
}

// pauseInstances stops an instance with SIGSTOP until its leases have run out and
// others have taken its deliveries.
func pauseInstances(t *testing.T) (*faultRun, func(*rand.Rand)) {
	r := newFaultRun(t, modelstest.Postgres(t), faultOptions{instances: 2, users: 2, services: 2})
	return r, func(rng *rand.Rand) {
		r.progress(rng)
		process := r.instances[rng.IntN(2)].cmd.Process
		if err := process.Signal(syscall.SIGSTOP); err != nil {
			t.Error(err)
			return
		}
		// Let the leases of the paused instance run out without waiting for it.
		r.exec("UPDATE delivery_leases SET leased_until = now() - interval '1 second'")
		r.exec("UPDATE service_queues SET next_at = now()")
		sleep(rng, 100*time.Millisecond, 500*time.Millisecond)
		if err := process.Signal(syscall.SIGCONT); err != nil {
			t.Error(err)
		}
	}
}

// smallDisk names the environment variable with an empty folder on a disk of at most
// 64 MB, for those who cannot mount one. Its files are removed.
const smallDisk = "MERGEGATE_TEST_SMALL_DISK"

// mountSmallDisk returns a folder on a small disk.
func mountSmallDisk(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv(smallDisk); dir != "" {
		data, err := os.MkdirTemp(dir, "")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(data) })
		return data
	}
	data := t.TempDir()
	err := syscall.Mount("tmpfs", data, "tmpfs", 0, "size=64m")
	if err != nil && os.Getenv(modelstest.DatabasesVariable) == "sqlite" {
		t.Skipf("make test needs root or %s for this test: mount a small disk: %v", smallDisk, err)
	}
	if err != nil {
		t.Fatalf("mount a small disk: %v; run the tests as root, or set %s to a folder on a disk of at most 64 MB", err, smallDisk)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(data, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return data
}

// fillDisk fills the disk of the data folder and frees it again.
func fillDisk(t *testing.T, db modelstest.Database) (*faultRun, func(*rand.Rand)) {
	data := mountSmallDisk(t)
	r := newFaultRun(t, db, faultOptions{instances: 1, users: 2, services: 2, data: data})
	filler := filepath.Join(data, "filler")
	return r, func(rng *rand.Rand) {
		r.progress(rng)
		f, err := os.Create(filler)
		if err != nil {
			t.Error(err)
			return
		}
		chunk := make([]byte, 64<<10)
		for err == nil {
			_, err = f.Write(chunk[:1+rng.IntN(len(chunk))])
		}
		f.Close()
		sleep(rng, 50*time.Millisecond, 500*time.Millisecond)
		if err := os.Remove(filler); err != nil {
			t.Error(err)
		}
	}
}

// exec changes the database directly.
func (r *faultRun) exec(statement string) {
	r.t.Helper()
	db, closeDB := r.sql()
	defer closeDB()
	// The statement may end its own connection's proxy.
	if _, err := db.Exec(statement); err != nil {
		r.t.Logf("%s: %v", statement, err)
	}
}

// TestFaults runs each kind of fault for a few seconds.
func TestFaults(t *testing.T) {
	for i, kind := range faultKinds {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			kind.check(t, 0, 3, uint64(i))
		})
	}
}

// check repeats the fault for a while and at least so many times, and checks the
// invariants.
func (k faultKind) check(t *testing.T, d time.Duration, faults int64, seed uint64) tally {
	t.Helper()
	r, fault := k.run(t)
	r.during(d, faults, fault, seed)
	r.heal()
	r.assertInvariants()
	n := r.tally()
	t.Logf("seed %d: %s", seed, n)
	return n
}
