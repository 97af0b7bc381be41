package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models/modelstest"
)

// The example configuration of nginx, in front of two instances: forms, large
// pushes and fetches, the client's address, and the loss of an instance.
func TestNginx_InFrontOfTwoInstances(t *testing.T) {
	t.Parallel()
	address, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	base := "https://" + address
	db := modelstest.Postgres(t)
	first, second := newProgram(t, db), newProgram(t, db)
	for _, p := range []*program{first, second} {
		p.env = append(p.env, "MERGEGATE_DATA="+first.data, "MERGEGATE_BASE_URL="+base, "MERGEGATE_TRUSTED_PROXIES=127.0.0.1/32")
	}
	api := first.admin()
	for _, p := range []*program{first, second} {
		p.start(nil, "serve")
	}
	n := startNginx(t, address, first.url, second.url)

	// A sign-in form with a large cookie and a forged address, from 127.0.0.2.
	form := url.Values{"login": {"nobody"}, "password": {"wrong"}}
	req, err := http.NewRequest("POST", base+"/users/sign_in", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", base)
	req.Header.Set("Cookie", "large="+strings.Repeat("x", 12<<10))
	req.Header.Set("X-Forwarded-For", "203.0.113.9")
	if status, body := n.do(req); status != http.StatusUnprocessableEntity {
		t.Errorf("sign-in with a wrong password: %d %s", status, body)
	}
	first.await("the address of the client in the log", func() bool {
		return strings.Contains(first.output.String()+second.output.String(), "path=/users/sign_in route=/users/sign_in status=422")
	})
	if log := first.output.String() + second.output.String(); !strings.Contains(log, "ip=127.0.0.2") || strings.Contains(log, "203.0.113.9") {
		t.Errorf("the log has a wrong address of the client:\n%s", log)
	}

	// A push and a clone of 8 MB, neither stored by nginx.
	api.call("POST", "/projects", map[string]any{"name": "Pear", "path": "pear", "initialize_with_readme": true}, 201, nil)
	trust := []string{"-c", "http.sslCAInfo=" + n.certificate}
	remote := strings.Replace(base, "://", "://token:"+api.token+"@", 1) + "/ada/pear.git"
	tree := workTree{t: t, dir: t.TempDir()}
	tree.git(append(trust, "clone", "-q", remote, ".")...)
	large := make([]byte, 8<<20)
	_, _ = rand.Read(large) // never fails
	tree.git("checkout", "-q", "-b", "feature")
	head := tree.commit("large", string(large))
	tree.git(append(trust, "push", "-q", "origin", "feature")...)
	again := workTree{t: t, dir: t.TempDir()}
	again.git(append(trust, "clone", "-q", "-b", "feature", remote, ".")...)
	if got := strings.TrimSpace(again.git("rev-parse", "HEAD")); got != head {
		t.Errorf("cloned %s, want %s", got, head)
	}
	if log := n.read("error.log"); strings.Contains(log, "buffered to a temporary file") {
		t.Errorf("nginx stored a request or a response:\n%s", log)
	}

	// The token of a query is not logged.
	req, err = http.NewRequest("GET", base+"/api/v4/user?private_token="+api.token, nil)
	if err != nil {
		t.Fatal(err)
	}
	if status, body := n.do(req); status != http.StatusOK {
		t.Errorf("a token in the query: %d %s", status, body)
	}

	// One instance dies.
	if err := second.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	second.awaitEnd()
	for range 6 {
		req, err := http.NewRequest("GET", base+"/users/sign_in", nil)
		if err != nil {
			t.Fatal(err)
		}
		if status, body := n.do(req); status != http.StatusOK {
			t.Fatalf("after the loss of an instance: %d %s", status, body)
		}
	}
	log := n.read("access.log")
	if !strings.Contains(log, `"GET /api/v4/user HTTP/`) || strings.Contains(log, api.token) {
		t.Errorf("the access log has no request or a token:\n%s", log)
	}
	first.stop()
}

// nginx is a running nginx with the example configuration.
type nginx struct {
	t           *testing.T
	dir         string
	certificate string
	browser     *http.Client
}

// startNginx starts nginx on address in front of these instances. It differs from
// the example in addresses, paths and the certificate.
func startNginx(t *testing.T, address string, instances ...string) *nginx {
	t.Helper()
	path, err := exec.LookPath("nginx")
	if err != nil {
		if path, err = exec.LookPath("/usr/sbin/nginx"); err != nil {
			t.Fatal("nginx is missing; make setup installs it")
		}
	}
	n := &nginx{t: t, dir: t.TempDir()}
	pool := n.writeCertificate()
	example, err := os.ReadFile("../../deploy/nginx/mergegate.conf")
	if err != nil {
		t.Fatal(err)
	}
	var servers strings.Builder
	for _, instance := range instances {
		fmt.Fprintf(&servers, "server %s max_fails=1 fail_timeout=10s;\n", strings.TrimPrefix(instance, "http://"))
	}
	plain, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	config := string(example)
	for old, replacement := range map[string]string{
		"server 127.0.0.1:8080 max_fails=1 fail_timeout=10s;": servers.String(),
		"listen 80;":                           "listen " + plain + ";",
		"listen [::]:80;":                      "",
		"listen 443 ssl http2;":                "listen " + address + " ssl http2;",
		"listen [::]:443 ssl http2;":           "",
		"/var/log/nginx/mergegate.log":         "access.log",
		"/etc/ssl/certs/git.example.com.pem":   n.certificate,
		"/etc/ssl/private/git.example.com.key": filepath.Join(n.dir, "key.pem"),
	} {
		if strings.Count(config, old) != 1 {
			t.Fatalf("the example configuration does not have %q once", old)
		}
		config = strings.Replace(config, old, replacement, 1)
	}
	main := "pid nginx.pid; error_log error.log warn; daemon off; worker_processes 1;\nevents {}\nhttp {\n" +
		"client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n" +
		config + "}\n"
	if os.Getuid() == 0 {
		main = "user root;\n" + main // its worker reads a folder of this user
	}
	if err := os.WriteFile(filepath.Join(n.dir, "nginx.conf"), []byte(main), 0o600); err != nil {
		t.Fatal(err)
	}
	var output lockedBuffer
	cmd := exec.Command(path, "-p", n.dir, "-c", "nginx.conf", "-e", "error.log")
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
	})
	for connection := net.Conn(nil); connection == nil; connection, _ = net.Dial("tcp", address) {
		select {
		case <-ended:
			t.Fatalf("nginx ended: %s%s", output.String(), n.read("error.log"))
		case <-time.After(10 * time.Millisecond):
		}
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	from := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	n.browser = &http.Client{Jar: jar, Transport: &http.Transport{DialContext: from.DialContext, TLSClientConfig: &tls.Config{RootCAs: pool}}}
	t.Cleanup(n.browser.CloseIdleConnections)
	return n
}

// writeCertificate makes a certificate for 127.0.0.1 and returns a pool with it.
func (n *nginx) writeCertificate() *x509.CertPool {
	n.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		n.t.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		n.t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		n.t.Fatal(err)
	}
	n.certificate = filepath.Join(n.dir, "certificate.pem")
	for path, block := range map[string]*pem.Block{
		n.certificate:                   {Type: "CERTIFICATE", Bytes: der},
		filepath.Join(n.dir, "key.pem"): {Type: "PRIVATE KEY", Bytes: secret},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			n.t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return pool
}

// do sends a request through nginx from 127.0.0.2.
func (n *nginx) do(req *http.Request) (int, string) {
	n.t.Helper()
	resp, err := n.browser.Do(req)
	if err != nil {
		n.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		n.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// read returns a file that nginx wrote.
func (n *nginx) read(name string) string {
	n.t.Helper()
	content, err := os.ReadFile(filepath.Join(n.dir, name))
	if err != nil {
		n.t.Fatal(err)
	}
	return string(content)
}
