package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
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
	"github.com/mergegate/mergegate/cmd/mergegate/browsertest"
	"github.com/mergegate/mergegate/gitrepo"
	"github.com/mergegate/mergegate/gitrepo/hooktest"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/models/modelstest"
)

const (
	// asProgram makes the test binary run as the program.
	asProgram = "MERGEGATE_TEST_AS_PROGRAM"
	// dieAt names the point at which the program kills itself with SIGKILL.
	dieAt = "MERGEGATE_TEST_DIE_AT"
	// bodyTimeoutVariable shortens the time limit of request bodies.
	bodyTimeoutVariable = "MERGEGATE_TEST_BODY_TIMEOUT"
)

// TestMain lets the test binary also run as a hook of git and as the program that
// tests start.
func TestMain(m *testing.M) {
	if name, ok := gitrepo.IsHook(os.Args[0]); ok {
		hooktest.Exit(gitrepo.RunHook(name, os.Stdin, os.Stdout, os.Stderr, os.Environ()))
	}
	if os.Getenv(asProgram) != "" {
		die := func() error { return syscall.Kill(os.Getpid(), syscall.SIGKILL) }
		bodyTimeout, _ = time.ParseDuration(os.Getenv(bodyTimeoutVariable))
		switch os.Getenv(dieAt) {
		case "push":
			storeHooks.BeforePushCommit = die
		case "merge":
			storeHooks.AfterMergeMoved = die
		}
		main()
		return
	}
	code := browsertest.Main(m)
	removeShipped()
	os.Exit(code)
}

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
	deadline := time.Now().Add(20 * time.Second)
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
	case <-time.After(30 * time.Second):
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

// client calls the API with a token.
type client struct {
	t     *testing.T
	url   string
	token string
}

// call sends a request and decodes the JSON response into into, which may be nil.
func (c client) call(method, path string, body any, wantStatus int, into any) {
	c.t.Helper()
	status, answer := c.try(method, path, body)
	if status != wantStatus {
		c.t.Fatalf("%s %s: %d %s, want %d", method, path, status, answer, wantStatus)
	}
	if into == nil {
		return
	}
	if err := json.Unmarshal(answer, into); err != nil {
		c.t.Fatalf("%s %s: %v in %s", method, path, err, answer)
	}
}

func (c client) try(method, path string, body any) (int, []byte) {
	c.t.Helper()
	var reader io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			c.t.Fatal(err)
		}
		reader = bytes.NewReader(text)
	}
	req, err := http.NewRequest(method, c.url+"/api/v4"+path, reader)
	if err != nil {
		c.t.Fatal(err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("PRIVATE-TOKEN", c.token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp.StatusCode, answer
}

// workTree is a clone of a project.
type workTree struct {
	t   *testing.T
	dir string
}

// clone clones a project with a token.
func clone(t *testing.T, url, path, token string) workTree {
	t.Helper()
	w := workTree{t: t, dir: t.TempDir()}
	w.git("clone", "-q", strings.Replace(url, "://", "://token:"+token+"@", 1)+"/"+path+".git", ".")
	return w
}

// git runs git and returns what it printed.
func (w workTree) git(args ...string) string {
	w.t.Helper()
	out, err := w.tryGit(args...)
	if err != nil {
		w.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return out
}

func (w workTree) tryGit(args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = w.dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + w.dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=Ines", "GIT_AUTHOR_EMAIL=ines@orchard.test", "GIT_COMMITTER_NAME=Ines", "GIT_COMMITTER_EMAIL=ines@orchard.test",
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// commit writes a file and commits it; it returns the commit's id.
func (w workTree) commit(name, text string) string {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.git("add", ".")
	w.git("commit", "-q", "-m", "Write "+name)
	return strings.TrimSpace(w.git("rev-parse", "HEAD"))
}

// received is a request that a service received.
type received struct {
	header http.Header
	body   []byte
	at     time.Time
}

// field returns the value at a path of the payload.
func (r received) field(path ...string) string {
	var v any
	if err := json.Unmarshal(r.body, &v); err != nil {
		return err.Error()
	}
	for _, key := range path {
		object, _ := v.(map[string]any)
		v = object[key]
	}
	return fmt.Sprint(v)
}

// service is an external service of a test.
type service struct {
	t   *testing.T
	url string
	mu  sync.Mutex
	all []received
	// answer decides the status of the answer; nil for 202.
	answer func(received) int
}

// newService starts a service on a free address.
func newService(t *testing.T) *service {
	s := &service{t: t}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.url = "http://" + l.Addr().String() + "/hook"
	server := &http.Server{Handler: s}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return s
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	got := received{header: r.Header.Clone(), body: body, at: time.Now()}
	s.mu.Lock()
	s.all = append(s.all, got)
	answer := s.answer
	s.mu.Unlock()
	if answer != nil {
		w.WriteHeader(answer(got))
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

// got returns the requests with this action; "" means all.
func (s *service) got(action string) []received {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []received
	for _, r := range s.all {
		if action == "" || r.field("object_attributes", "action") == action {
			list = append(list, r)
		}
	}
	return list
}
