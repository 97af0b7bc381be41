package main

import (
	"database/sql"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models/modelstest"
	"github.com/mergegate/mergegate/webhook/badreceivers"
)

// maxServerMemory is how much memory a server may use with all bad receivers at
// once, in bytes.
const maxServerMemory = 256 << 20

// listenAs serves connections on a loopback address of their own, because the
// attempts to one host share a limit. It returns the address.
func listenAs(t *testing.T, host string, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[conn] = true
			mu.Unlock()
			serving.Go(func() {
				defer conn.Close()
				if _, err := conn.Read(make([]byte, 1)); err == nil {
					serve(conn)
				}
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for conn := range open {
			conn.Close()
		}
		mu.Unlock()
		serving.Wait()
	})
	return l.Addr().String()
}

// TestFaults_BadReceivers has every kind of bad receiver as a service of one merge
// request. A good service receives each event meanwhile, every attempt ends in time,
// and the server keeps within its memory and stops when asked to.
func TestFaults_BadReceivers(t *testing.T) {
	t.Parallel()
	r := newFaultRun(t, modelstest.SQLite(t), faultOptions{instances: 1, users: 1, services: 1})
	bad := map[int64]string{}
	register := func(scheme string, receivers map[string]badreceivers.Receiver) {
		for name, receiver := range receivers {
			host := fmt.Sprintf("127.1.%d.1", len(bad)+1)
			bad[r.addService(scheme+" "+name, scheme+"://"+listenAs(t, host, receiver.Serve)+"/")] = name
		}
	}
	register("http", badreceivers.All)
	register("https", badreceivers.TLS)

	u := r.users[0]
	u.open()
	var good *service
	for _, s := range r.services {
		good = s
	}
	for want := 1; want <= 4; want++ {
		if want > 1 {
			u.push()
		}
		pushed := time.Now()
		r.instances[0].await("the good service", func() bool { return len(good.got("")) == want })
		t.Logf("event %d was received after %v, with %d bad services", want, time.Since(pushed).Round(time.Millisecond), len(bad))
	}

	// Attempts end within ten seconds, and their leases with them.
	attempted := func() (services, slow int) {
		r.query(func(rows *sql.Rows) error { return rows.Scan(&services, &slow) },
			"SELECT count(DISTINCT d.external_status_check_id), coalesce(sum(a.duration_ms > 11000), 0) FROM delivery_attempts a JOIN deliveries d ON d.id = a.delivery_id")
		return services, slow
	}
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		services, slow := attempted()
		if slow > 0 {
			t.Fatalf("%d attempts took longer than eleven seconds", slow)
		}
		if services == len(bad)+len(r.services) {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("attempts to %d of %d services were recorded", services, len(bad)+len(r.services))
		}
	}
	if peak := peakMemory(t, r.instances[0].cmd.Process.Pid); peak > maxServerMemory {
		t.Errorf("the server used %d MB", peak>>20)
	}
	began := time.Now()
	r.instances[0].stop()
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("the server stopped after %v", took)
	}
	r.query(func(rows *sql.Rows) error {
		var leased int
		err := rows.Scan(&leased)
		if leased > 0 {
			t.Errorf("%d leases are left", leased)
		}
		return err
	}, "SELECT count(*) FROM delivery_leases")
}

// peakMemory returns the greatest resident memory of a process so far.
func peakMemory(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "VmHWM:" {
			kb, err := strconv.Atoi(fields[1])
			if err != nil {
				t.Fatal(err)
			}
			return kb << 10
		}
	}
	t.Fatalf("no VmHWM in %s", status)
	return 0
}
