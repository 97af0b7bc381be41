package main

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

// program is a Mergegate process.
type program struct {
	t *testing.T
	// path is the binary: the program as it is shipped, or the test binary.
	path    string
	cmd     *exec.Cmd
	url     string
	data    string
	env     []string
	output  *lockedBuffer
	ended   chan struct{}
	endedBy error
}

// lockedBuffer is written by a process and read by a test.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// newProgram prepares the shipped program with its own data folder; start starts it.
func newProgram(t *testing.T, db modelstest.Database) *program {
	t.Helper()
	path, err := shipped()
	if err != nil {
		t.Fatal(err)
	}
	address, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	p := &program{t: t, path: path, url: "http://" + address, data: t.TempDir()}
	p.env = []string{
		asProgram + "=1", "GORACE=" + os.Getenv("GORACE"), "PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "MERGEGATE_DATA=" + p.data, "MERGEGATE_LISTEN=" + address,
		"MERGEGATE_BASE_URL=" + p.url, "MERGEGATE_OUTBOUND_ALLOW=127.0.0.0/8",
	}
	if db.Driver == models.DriverPostgres {
		p.env = append(p.env, "MERGEGATE_DATABASE_URL="+db.DSN, "MERGEGATE_SECRET_KEY=MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3BxcnN0dXY=")
	}
	return p
}

// useTestBinary makes the program the test binary: with the race detector if the
// tests have it, and with what dieAt and bodyTimeoutVariable do. It starts slowly.
func (p *program) useTestBinary() { p.path = os.Args[0] }

// database returns the driver and data source name of the program.
func (p *program) database() (driver, dsn string) {
	for _, setting := range p.env {
		if dsn, ok := strings.CutPrefix(setting, "MERGEGATE_DATABASE_URL="); ok {
			return models.DriverPostgres, dsn
		}
	}
	return models.DriverSQLite, filepath.Join(p.data, "mergegate.db")
}

// admin creates an administrator with an access token. The program must not be
// running.
func (p *program) admin() client { return p.adminNamed("ada") }

func (p *program) adminNamed(name string) client {
	p.t.Helper()
	if out, err := p.run(nil, "migrate"); err != nil {
		p.t.Fatalf("migrate: %v\n%s", err, out)
	}
	driver, dsn := p.database()
	store, err := models.Open(models.Config{Driver: driver, DSN: dsn})
	if err != nil {
		p.t.Fatal(err)
	}
	defer store.Close()
	user, err := store.CreateUser(p.t.Context(), models.User{}, models.UserInput{Username: name, Name: strings.ToUpper(name[:1]) + name[1:], Admin: true})
	if err != nil {
		p.t.Fatal(err)
	}
	token := auth.NewAccessToken()
	_, err = store.CreatePersonalToken(p.t.Context(), user, models.AccessTokenInput{
		Name: "test", Scopes: []string{models.ScopeAPI}, ExpiresAt: time.Now().Add(24 * time.Hour), Digest: auth.Digest(token),
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return client{t: p.t, url: p.url, token: token}
}

// run runs a command of the program to its end.
func (p *program) run(env []string, args ...string) (string, error) {
	cmd := exec.Command(p.path, args...)
	cmd.Env = append(append([]string(nil), p.env...), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// start starts a server command and waits until it is ready.
func (p *program) start(env []string, args ...string) {
	p.t.Helper()
	p.cmd = exec.Command(p.path, args...)
	p.cmd.Env = append(append([]string(nil), p.env...), env...)
	p.output = &lockedBuffer{}
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	ended := make(chan struct{})
	p.ended = ended
	cmd := p.cmd
	go func() {
		p.endedBy = cmd.Wait()
		close(ended)
	}()
	p.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		if p.t.Failed() {
			p.t.Logf("output of %v:\n%s", args, p.output)
		}
	})
	p.await("readiness", func() bool {
		resp, err := http.Get(p.url + "/readyz")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// await waits until something holds, twenty seconds at most, or the program
// has ended.
func (p *program) await(what string, holds func() bool) {
	p.t.Helper()
	deadline := time.Now().Add(patience)
	for !holds() {
		select {
		case <-p.ended:
			p.t.Fatalf("waiting for %s: the program ended (%v):\n%s", what, p.endedBy, p.output)
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("timed out waiting for %s", what)
		}
	}
}

// awaitEnd waits until the program has ended.
func (p *program) awaitEnd() {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.t.Fatal("the program does not end")
	}
}

// stop ends the program with SIGTERM.
func (p *program) stop() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	p.awaitEnd()
	if p.endedBy != nil {
		p.t.Fatalf("SIGTERM: %v\n%s", p.endedBy, p.output)
	}
}
