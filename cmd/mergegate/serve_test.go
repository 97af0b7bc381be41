package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/mergegate/mergegate/handlers/apiv4"
	"github.com/mergegate/mergegate/models/modelstest"
)

// world is a running program with a project, a service and an open merge request,
// all created through API and git.
type world struct {
	*program
	api     client
	project string // namespace/path
	id      int64
	check   int64
	head    string
	tree    workTree
	service *service
}

const testSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLw0="

// newWorld starts the shipped program with one project. env are more settings.
func newWorld(t *testing.T, db modelstest.Database, env ...string) *world {
	t.Helper()
	p := newProgram(t, db)
	p.env = append(p.env, env...)
	return newWorldOf(t, p)
}

// newRaceWorld is newWorld with the race detector, if the tests have it.
func newRaceWorld(t *testing.T, db modelstest.Database) *world {
	t.Helper()
	p := newProgram(t, db)
	p.useTestBinary()
	return newWorldOf(t, p)
}

func newWorldOf(t *testing.T, p *program) *world {
	t.Helper()
	w := &world{program: p, service: newService(t)}
	w.api = w.admin()
	w.start(nil, "serve")
	var project struct {
		ID   int64  `json:"id"`
		Path string `json:"path_with_namespace"`
	}
	w.api.call("POST", "/projects", map[string]any{"name": "Pear", "path": "pear", "initialize_with_readme": true, "only_allow_merge_if_all_status_checks_passed": true}, 201, &project)
	w.id, w.project = project.ID, project.Path
	var check struct {
		ID int64 `json:"id"`
	}
	w.api.call("POST", fmt.Sprintf("/projects/%d/external_status_checks", w.id), map[string]any{"name": "Licence desk", "external_url": w.service.url + "?team=a", "shared_secret": testSecret}, 201, &check)
	w.check = check.ID
	w.tree = clone(t, w.url, w.project, w.api.token)
	w.tree.git("checkout", "-q", "-b", "feature")
	w.head = w.tree.commit("trim.txt", "one\n")
	out := w.tree.git("push", "-o", "merge_request.create", "-o", "merge_request.title=Trim cache", "origin", "feature")
	if !strings.Contains(out, w.url+"/"+w.project+"/-/merge_requests/1") {
		t.Fatalf("the push does not tell where the merge request is:\n%s", out)
	}
	return w
}

func (w *world) respond(sha, status string) (int, []byte) {
	return w.api.try("POST", fmt.Sprintf("/projects/%d/merge_requests/1/status_check_responses", w.id), map[string]any{"external_status_check_id": w.check, "sha": sha, "status": status})
}

func (w *world) mergeRequest() (mr struct {
	State  string `json:"state"`
	SHA    string `json:"sha"`
	Detail string `json:"detailed_merge_status"`
}) {
	w.api.call("GET", fmt.Sprintf("/projects/%d/merge_requests/1", w.id), nil, 200, &mr)
	return mr
}

// Push, signed delivery, response and merge with real git and HTTP.
func TestPushResponseMerge(t *testing.T) {
	t.Parallel()
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		t.Parallel()
		w := newRaceWorld(t, db)
		w.await("the first event", func() bool { return len(w.service.got("open")) == 1 })
		verify(t, w.service.got("open")[0])

		old := w.head
		w.head = w.tree.commit("trim.txt", "two\n")
		w.tree.git("push", "-q", "origin", "feature")
		w.await("the push", func() bool { return len(w.service.got("update")) == 1 })
		event := w.service.got("update")[0]
		verify(t, event)
		if got := event.header.Get("Traceparent"); got != "" {
			t.Errorf("Traceparent %q without tracing", got)
		}
		if event.field("object_attributes", "oldrev") != old || event.field("object_attributes", "last_commit", "id") != w.head || event.field("external_approval_rule", "id") != fmt.Sprint(w.check) {
			t.Fatalf("the event of the push: %s", event.body)
		}

		if status, body := w.respond(old, "passed"); status != 409 || !strings.Contains(string(body), "SHA does not match HEAD of source branch: "+w.head) {
			t.Fatalf("a stale answer: %d %s", status, body)
		}
		if status, body := (client{t: t, url: w.url}).try("POST", fmt.Sprintf("/projects/%d/merge_requests/1/status_check_responses", w.id), map[string]any{}); status != 401 {
			t.Fatalf("without a token: %d %s", status, body)
		}
		merge := fmt.Sprintf("/projects/%d/merge_requests/1/merge", w.id)
		if status, body := w.api.try("PUT", merge, nil); status != 405 {
			t.Fatalf("merging with a pending check: %d %s", status, body)
		}
		if mr := w.mergeRequest(); mr.Detail != "status_checks_must_pass" || mr.SHA != w.head {
			t.Fatalf("%+v", mr)
		}
		if status, body := w.respond(w.head, "passed"); status != 201 {
			t.Fatalf("the answer: %d %s", status, body)
		}
		w.api.call("PUT", merge, map[string]any{"sha": w.head}, 200, nil)
		w.await("the merge event", func() bool { return len(w.service.got("merge")) == 1 })
		w.tree.git("fetch", "-q", "origin")
		w.tree.git("merge-base", "--is-ancestor", w.head, "origin/main")
		w.stop()
	})
}

// verify checks both signatures, the second with the Standard Webhooks library.
func verify(t *testing.T, r received) {
	t.Helper()
	mac := hmac.New(sha256.New, []byte(testSecret))
	mac.Write(r.body)
	if got := r.header.Get("X-Gitlab-Signature"); got != hex.EncodeToString(mac.Sum(nil)) {
		t.Errorf("X-Gitlab-Signature %q does not fit", got)
	}
	webhook, err := standardwebhooks.NewWebhook(testSecret)
	if err != nil {
		t.Fatal(err)
	}
	if err := webhook.Verify(r.body, r.header); err != nil {
		t.Errorf("webhook-signature: %v", err)
	}
	if r.header.Get("X-Gitlab-Event") != "Merge Request Hook" || r.header.Get("X-Gitlab-Event-UUID") == "" ||
		r.header.Get("Idempotency-Key") != r.header.Get("webhook-id") || !strings.HasPrefix(r.header.Get("User-Agent"), "Mergegate/") {
		t.Errorf("headers %v", r.header)
	}
}

// The program is killed after git moved the ref and before the row is written. The
// push fails for its user; after a restart HEAD is updated and the event is sent.
func TestKill_DuringPush_PushIsRecovered(t *testing.T) {
	t.Parallel()
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		t.Parallel()
		w := newWorld(t, db)
		w.await("the first event", func() bool { return len(w.service.got("open")) == 1 })
		w.stop()
		w.useTestBinary()
		w.start([]string{dieAt + "=push"}, "serve")
		old := w.head
		w.head = w.tree.commit("trim.txt", "two\n")
		if out, err := w.tree.tryGit("push", "origin", "feature"); err == nil {
			t.Fatalf("the push reports success although it was not processed:\n%s", out)
		}
		w.awaitEnd()
		w.start(nil, "serve")
		w.awaitSweep(func() bool { return w.mergeRequest().SHA == w.head })
		w.await("the event", func() bool { return len(w.service.got("update")) == 1 })
		event := w.service.got("update")[0]
		if event.field("object_attributes", "oldrev") != old || event.field("user", "username") != "ada" {
			t.Fatalf("the event: %s", event.body)
		}
	})
}

// The program is killed after the target moved and before the row is written. After
// a restart the merge is completed with exactly one merge event.
func TestKill_DuringMerge_MergeIsCompleted(t *testing.T) {
	t.Parallel()
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		t.Parallel()
		w := newWorld(t, db)
		if status, body := w.respond(w.head, "passed"); status != 201 {
			t.Fatalf("%d %s", status, body)
		}
		w.stop()
		w.useTestBinary()
		w.start([]string{dieAt + "=merge"}, "serve")
		req, err := http.NewRequest("PUT", fmt.Sprintf("%s/api/v4/projects/%d/merge_requests/1/merge", w.url, w.id), nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("PRIVATE-TOKEN", w.api.token)
		if resp, err := http.DefaultClient.Do(req); err == nil {
			resp.Body.Close()
			t.Fatalf("the dying server answered %d", resp.StatusCode)
		}
		w.awaitEnd()
		w.start(nil, "serve")
		w.awaitSweep(func() bool { return w.mergeRequest().State == "merged" })
		w.await("the event", func() bool { return len(w.service.got("merge")) > 0 })
		w.stop()
		w.start(nil, "serve")
		w.tree.git("fetch", "-q", "origin")
		w.tree.git("merge-base", "--is-ancestor", w.head, "origin/main")
		if n := len(w.service.got("merge")); n != 1 {
			t.Fatalf("%d merge events", n)
		}
	})
}

// awaitSweep waits for recovery. On PostgreSQL, recovery waits half a minute,
// because another instance may still be working.
func (w *world) awaitSweep(holds func() bool) {
	w.t.Helper()
	deadline := time.Now().Add(90 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			w.t.Fatalf("the sweep did not come:\n%s", w.output)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// The program is killed while a service handles a delivery. After a restart, the
// delivery is sent again with the same Idempotency-Key.
func TestKill_DuringDelivery_DeliveryIsRepeated(t *testing.T) {
	t.Parallel()
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		t.Parallel()
		w := newWorld(t, db)
		w.await("the first event", func() bool { return len(w.service.got("open")) == 1 })
		victim := w.cmd.Process
		w.service.mu.Lock()
		w.service.answer = func(received) int {
			_ = victim.Kill()
			return 500
		}
		w.service.mu.Unlock()
		w.tree.commit("trim.txt", "two\n")
		_, _ = w.tree.tryGit("push", "-q", "origin", "feature") // the kill may come before its end
		w.awaitEnd()
		w.service.mu.Lock()
		w.service.answer = nil
		w.service.mu.Unlock()
		w.start(nil, "serve")
		w.awaitSweep(func() bool { return len(w.service.got("update")) >= 2 })
		list := w.service.got("update")
		if a, b := list[0].header.Get("Idempotency-Key"), list[1].header.Get("Idempotency-Key"); a == "" || a != b {
			t.Fatalf("Idempotency-Keys %q and %q", a, b)
		}
	})
}

func TestSettings_Invalid_NamesTheSetting(t *testing.T) {
	t.Parallel()
	p := newProgram(t, modelstest.Database{Driver: "sqlite"})
	for name, test := range map[string]struct {
		env  []string
		want string
	}{
		"no metrics port":   {[]string{"MERGEGATE_METRICS_LISTEN=localhost"}, "MERGEGATE_METRICS_LISTEN is"},
		"no base URL":       {[]string{"MERGEGATE_LISTEN=0.0.0.0:0", "MERGEGATE_BASE_URL="}, "MERGEGATE_BASE_URL is missing"},
		"a path":            {[]string{"MERGEGATE_BASE_URL=https://x.test/git"}, "MERGEGATE_BASE_URL is not"},
		"no port":           {[]string{"MERGEGATE_LISTEN=localhost"}, "MERGEGATE_LISTEN is"},
		"another database":  {[]string{"MERGEGATE_DATABASE_URL=mysql://x"}, "MERGEGATE_DATABASE_URL must begin"},
		"no key":            {[]string{"MERGEGATE_DATABASE_URL=postgres://x/y"}, "MERGEGATE_SECRET_KEY is missing"},
		"a short key":       {[]string{"MERGEGATE_SECRET_KEY=c2hvcnQ="}, "MERGEGATE_SECRET_KEY is too short"},
		"a simple key":      {[]string{"MERGEGATE_SECRET_KEY=" + strings.Repeat("41", 32)}, "MERGEGATE_SECRET_KEY is too simple"},
		"two keys":          {[]string{"MERGEGATE_SECRET_KEY=a", "MERGEGATE_SECRET_KEY_FILE=b"}, "both set"},
		"an unreadable key": {[]string{"MERGEGATE_SECRET_KEY_FILE=/nonexistent"}, "MERGEGATE_SECRET_KEY_FILE cannot be read"},
		"an odd range":      {[]string{"MERGEGATE_OUTBOUND_ALLOW=10.0.0.0/99"}, "MERGEGATE_OUTBOUND_ALLOW is invalid"},
		"a log level":       {[]string{"MERGEGATE_LOG_LEVEL=loud"}, "MERGEGATE_LOG_LEVEL must be debug, info, warn or error"},
		"no number":         {[]string{"MERGEGATE_MAX_PACK_BYTES=1GB"}, "MERGEGATE_MAX_PACK_BYTES must be a whole number"},
		"no network":        {[]string{"MERGEGATE_TRUSTED_PROXIES=proxy"}, "MERGEGATE_TRUSTED_PROXIES has \"proxy\""},
		"a rate below 0":    {[]string{"MERGEGATE_API_RATE_PER_TOKEN=-1"}, "MERGEGATE_API_RATE_PER_TOKEN must be"},
		"too high a rate":   {[]string{"MERGEGATE_API_RATE_PER_ADDRESS=1000001"}, "MERGEGATE_API_RATE_PER_ADDRESS must be"},
		"a log format":      {[]string{"MERGEGATE_LOG_FORMAT=xml"}, "MERGEGATE_LOG_FORMAT"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := p.run(test.env, "serve")
			if err == nil || !strings.Contains(out, test.want) {
				t.Errorf("error %v, output %q, want %q", err, out, test.want)
			}
		})
	}
	// All faults at once.
	out, _ := p.run([]string{"MERGEGATE_LISTEN=x", "MERGEGATE_LOG_FORMAT=xml"}, "serve")
	if !strings.Contains(out, "MERGEGATE_LISTEN") || !strings.Contains(out, "MERGEGATE_LOG_FORMAT") || strings.Contains(out, "MERGEGATE_BASE_URL") {
		t.Errorf("wrong list of invalid settings: %s", out)
	}
}

func TestSettings_APILimits(t *testing.T) {
	t.Setenv("MERGEGATE_DATA", t.TempDir())
	t.Setenv("MERGEGATE_API_RATE_PER_TOKEN", "600")
	t.Setenv("MERGEGATE_API_RATE_PER_ADDRESS", "0")
	c, err := readConfig()
	if err != nil {
		t.Fatal(err)
	}
	want := apiv4.Limits{Token: apiv4.Limit{PerMinute: 600, Burst: 100}, Address: apiv4.Limit{PerMinute: -1}}
	if got := c.apiLimits(); got != want {
		t.Errorf("limits %+v, want %+v", got, want)
	}
}

func TestSQLite_SecondProcess_IsRejected(t *testing.T) {
	t.Parallel()
	p := newProgram(t, modelstest.Database{Driver: "sqlite"})
	p.start(nil, "serve")
	out, err := p.run([]string{"MERGEGATE_LISTEN=127.0.0.1:0"}, "serve")
	if err == nil || !strings.Contains(out, "another Mergegate process uses this data folder") {
		t.Errorf("a second start: %v, %s", err, out)
	}
	if out, err := p.run(nil, "healthcheck"); err != nil || out != "ready\n" {
		t.Errorf("healthcheck of a running server: %v, %s", err, out)
	}
	p.stop()
	if out, err := p.run(nil, "healthcheck"); err == nil || !strings.Contains(out, "the server does not answer") {
		t.Errorf("healthcheck of a stopped server: %v, %s", err, out)
	}
	p.start(nil, "serve")
	if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	p.awaitEnd()
	if p.endedBy != nil {
		t.Errorf("Ctrl-C: %v", p.endedBy)
	}
}

func TestUserCommand(t *testing.T) {
	t.Parallel()
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		t.Parallel()
		p := newProgram(t, db)
		out, err := p.run(nil, "user", "create", "--admin", "ada")
		if err != nil || !strings.Contains(out, "One-time password") {
			t.Fatalf("%v: %s", err, out)
		}
		for _, test := range []struct{ args, want string }{
			{"user create ada", "is taken"}, {"user create api", "is reserved"}, {"user create a/b", "is invalid"},
			{"user password nobody", "does not exist"}, {"user", "Usage"}, {"user remove x", "Usage"}, {"nonsense", "Usage"},
		} {
			if out, err := p.run(nil, strings.Fields(test.args)...); err == nil || !strings.Contains(out, test.want) {
				t.Errorf("%s: %v, %s", test.args, err, out)
			}
		}
		if out, err := p.run(nil, "user", "password", "ada"); err != nil {
			t.Errorf("%v: %s", err, out)
		}
		if info, err := os.Stat(p.data); err != nil || !info.IsDir() {
			t.Error(err)
		}
	})
}
