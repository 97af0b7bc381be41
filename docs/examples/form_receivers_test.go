package examples_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"github.com/mergegate/mergegate/auth"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/webhook"
)

// formReceiver says how to run one of the programs that the form of a service shows.
type formReceiver struct {
	id, file string
	// packages maps the programs that it needs to their Debian packages.
	packages map[string]string
	// command runs the program in dir at a port.
	command func(dir, port string) []string
	// path is the path of the service's URL.
	path string
	// chunked is the status for a body without Content-Length.
	chunked int
}

var formReceivers = []formReceiver{
	{id: "go", file: "main.go", path: "/", chunked: http.StatusAccepted, command: func(dir, _ string) []string {
		return []string{filepath.Join(dir, "receiver")}
	}},
	{id: "python", file: "receiver.py", packages: map[string]string{"python3": "python3"}, path: "/", chunked: http.StatusLengthRequired,
		command: func(dir, _ string) []string { return []string{"python3", filepath.Join(dir, "receiver.py")} }},
	{id: "node", file: "receiver.mjs", packages: map[string]string{"node": "nodejs"}, path: "/", chunked: http.StatusAccepted,
		command: func(dir, _ string) []string { return []string{"node", filepath.Join(dir, "receiver.mjs")} }},
	{
		id: "shell", file: "cgi-bin/receiver", path: "/cgi-bin/receiver", chunked: http.StatusLengthRequired,
		packages: map[string]string{"busybox": "busybox", "curl": "curl", "jq": "jq", "openssl": "openssl"},
		command: func(dir, port string) []string {
			return []string{"busybox", "httpd", "-f", "-p", "127.0.0.1:" + port, "-h", dir}
		},
	},
}

// TestFormReceivers_AnswerDeliveries runs the programs as the form shows them, apart from the
// port.
func TestFormReceivers_AnswerDeliveries(t *testing.T) {
	for _, r := range formReceivers {
		for _, secret := range secrets {
			t.Run(r.id+" "+secret, func(t *testing.T) {
				t.Parallel()
				var address string
				s := newSite(t, secret, func(s *site) string {
					dir, port := t.TempDir(), freePort(t)
					r.write(t, dir, strings.Replace(s.formCode(r.id), "8000", port, 1))
					r.start(t, dir, port, secret)
					address = "127.0.0.1:" + port
					return "http://" + address + r.path
				})
				mr, claimed := s.open("They are ripe.")
				send := func(name string, client *webhook.Client, claimed models.ClaimedDelivery, at time.Time, want int) {
					t.Helper()
					if got := client.Send(t.Context(), claimed, at); got.HTTPStatus != want {
						t.Errorf("%s: status %d (%s), want %d", name, got.HTTPStatus, got.ErrorDetail, want)
					}
				}
				for _, wrong := range []string{"guessed", ""} {
					forged := claimed
					forged.Secret = wrong
					send("signed with "+wrong, s.sender, forged, time.Now(), http.StatusUnauthorized)
				}
				send("old", s.sender, claimed, time.Now().Add(-10*time.Minute), http.StatusUnauthorized)
				send("from the future", s.sender, claimed, time.Now().Add(10*time.Minute), http.StatusUnauthorized)
				send("changed", s.changing(func(sent *http.Request) { sent.Header.Set("Webhook-Id", "other") }), claimed, time.Now(), http.StatusUnauthorized)
				abort(t, address, r.path)
				if got := s.Status(mr, s.service); got != models.StatusPending || len(s.answers) > 0 {
					t.Errorf("the check is %s after forged deliveries, with %d answers", got, len(s.answers))
				}

				send("chunked", s.changing(func(sent *http.Request) { sent.ContentLength = -1 }), claimed, time.Now(), r.chunked)
				if r.chunked != http.StatusAccepted {
					send("signed", s.sender, claimed, time.Now(), http.StatusAccepted)
				}
				select {
				case status := <-s.answers:
					if got := s.Status(mr, s.service); status != http.StatusCreated || got != models.StatusPassed {
						t.Errorf("the answer has the status %d, the check is %s", status, got)
					}
				case <-time.After(20 * time.Second):
					t.Fatal("the program does not answer")
				}
			})
		}
	}
}

// Without a secret, anybody could sign with the empty one.
func TestFormReceivers_NoSecret_RefuseToRun(t *testing.T) {
	s := newSite(t, secrets[0], func(*site) string { return "https://desk.example/" })
	for _, r := range formReceivers {
		dir := t.TempDir()
		r.write(t, dir, strings.Replace(s.formCode(r.id), "8000", freePort(t), 1))
		command := r.command(dir, "")
		if r.id == "shell" {
			command = []string{"sh", filepath.Join(dir, r.file)}
		}
		cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
		cmd.Env = append(os.Environ(), "SECRET=", "CONTENT_LENGTH=0")
		timer := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
		out, err := cmd.CombinedOutput()
		if !timer.Stop() || err == nil || !strings.Contains(string(out), "set SECRET to the shared secret") {
			t.Errorf("%s: %v\n%s", r.id, err, out)
		}
	}
}

// formCode returns the program that the form for a new service shows to the project's Owner.
func (s *site) formCode(id string) string {
	s.T.Helper()
	const password = "a long enough password"
	ctx := s.T.Context()
	digest, err := auth.HashPassword(ctx, password)
	check(s.T, err)
	check(s.T, s.Store.SetPassword(ctx, s.Owner, digest, "", false))
	jar, err := cookiejar.New(nil)
	check(s.T, err)
	client := &http.Client{Jar: jar}
	const path = "/olga/pear/-/settings/merge_requests/status_checks/new"
	page, err := client.PostForm(s.url+"/users/sign_in", url.Values{"login": {"olga"}, "password": {password}, "return_to": {path}})
	check(s.T, err)
	defer page.Body.Close()
	doc, err := goquery.NewDocumentFromReader(page.Body)
	check(s.T, err)
	code := doc.Find("#receiver-" + id).Text()
	if want := fmt.Sprintf("%s/api/v4/projects/%d/", s.url, s.Project.ID); !strings.Contains(code, want) || strings.Count(code, "8000") != 1 {
		s.T.Fatalf("%s: the program lacks %s or the port 8000:\n%s", id, want, code)
	}
	return code
}

// changing returns a client that changes each request after it was signed.
func (s *site) changing(change func(*http.Request)) *webhook.Client {
	options := s.options
	options.Modify = change
	return webhook.NewClient(options)
}

// write writes the program to dir, where start finds it.
func (r formReceiver) write(t *testing.T, dir, code string) {
	t.Helper()
	for program, name := range r.packages {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("%s is not installed; make setup installs the Debian package %s", program, name)
		}
	}
	file := filepath.Join(dir, r.file)
	check(t, os.MkdirAll(filepath.Dir(file), 0o700))
	check(t, os.WriteFile(file, []byte(code), 0o700))
	if r.id == "go" {
		if out, err := exec.Command("go", "build", "-o", filepath.Join(dir, "receiver"), file).CombinedOutput(); err != nil {
			t.Fatalf("go build: %v\n%s", err, out)
		}
	}
}

// start starts the program in a child process and waits until it accepts connections.
func (r formReceiver) start(t *testing.T, dir, port, secret string) {
	t.Helper()
	command := r.command(dir, port)
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "SECRET="+secret, "no_proxy=*")
	cmd.Stderr = t.Output()
	check(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the program does not listen: %v", err)
		}
	}
}

// abort ends a request within its body and waits until the connection is closed. The program
// must survive that.
func abort(t *testing.T, address, path string) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	check(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "POST "+path+" HTTP/1.1\r\nHost: desk.example\r\nContent-Length: 100\r\n\r\nshort")
	check(t, err)
	check(t, conn.(*net.TCPConn).CloseWrite())
	check(t, conn.SetReadDeadline(time.Now().Add(20*time.Second)))
	_, err = io.Copy(io.Discard, conn)
	check(t, err)
}

// freePort returns a port on which nothing listens.
func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	check(t, err)
	return port
}
