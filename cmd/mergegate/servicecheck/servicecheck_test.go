package servicecheck

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	standard "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const (
	testSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	testToken  = "mgat-test"
)

// service is a status check service that can do one thing wrong.
type service struct {
	wrong string
	api   string
	mu    sync.Mutex
	seen  map[string]bool
	work  sync.WaitGroup
}

type delivered struct {
	Project          struct{ ID int64 }
	ObjectAttributes struct {
		ID, IID                    int64
		Action, OldRev, State      string
		LastCommit                 struct{ ID string } `json:"last_commit"`
		Future                     any
		MergeStatus, Title, Source any
	} `json:"object_attributes"`
	ExternalApprovalRule struct{ ID int64 } `json:"external_approval_rule"`
	Mergegate            struct{ Test bool }
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	limit := int64(1 << 20)
	if s.wrong == "limits bodies to 100 KB" {
		limit = 100_000
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
		return
	}
	var p delivered
	if err := json.Unmarshal(body, &p); err != nil {
		http.Error(w, "no JSON", http.StatusBadRequest)
		return
	}
	switch s.wrong {
	case "refuses everything":
		http.Error(w, "no", http.StatusForbidden)
		return
	case "redirects":
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
		return
	case "is not at this path":
		http.NotFound(w, r)
		return
	case "fails on close":
		if p.ObjectAttributes.State == "closed" {
			http.Error(w, "panic", http.StatusInternalServerError)
			return
		}
	case "refuses unknown fields":
		if bytes.Contains(body, []byte(`"future"`)) {
			http.Error(w, "unknown field", http.StatusUnprocessableEntity)
			return
		}
	}
	if !s.verified(r.Header, body) {
		status := http.StatusUnauthorized
		if s.wrong == "fails on a wrong signature" {
			status = http.StatusInternalServerError
		}
		w.WriteHeader(status)
		if s.wrong == "works before it verifies" {
			s.start(p)
		}
		return
	}
	key := r.Header.Get("Idempotency-Key")
	if s.wrong == "tells repeats by SHA" {
		key = p.ObjectAttributes.LastCommit.ID
	}
	s.mu.Lock()
	repeated := s.seen[key]
	s.seen[key] = true
	s.mu.Unlock()
	if repeated && s.wrong != "works again for a repeat" {
		if s.wrong == "refuses a repeat" {
			w.WriteHeader(http.StatusConflict)
		}
		return
	}
	w.WriteHeader(http.StatusAccepted)
	o := p.ObjectAttributes
	if o.State != "opened" || p.Mergegate.Test && s.wrong != "responds to tests" || o.Action == "reopen" && s.wrong == "ignores reopen" {
		return
	}
	s.start(p)
}

// verified reports whether the service takes a delivery for a signed one.
func (s *service) verified(header http.Header, body []byte) bool {
	if strings.HasPrefix(s.wrong, "does not sign") || s.wrong == "verifies nothing" {
		return true
	}
	mac := hmac.New(sha256.New, []byte(testSecret))
	mac.Write(body)
	sum := hex.EncodeToString(mac.Sum(nil))
	given := header.Get("X-Gitlab-Signature")
	gitlab := given == sum
	if s.wrong == "compares a prefix" {
		gitlab = strings.HasPrefix(sum, given)
	}
	hook, err := standard.NewWebhook(testSecret)
	if err != nil {
		panic(err)
	}
	at, _ := strconv.ParseInt(header.Get("webhook-timestamp"), 10, 64)
	recent := time.Since(time.Unix(at, 0)).Abs() < 5*time.Minute
	switch s.wrong {
	case "compares a prefix", "verifies like GitLab's services":
		return gitlab
	case "ignores the timestamp":
		return gitlab && hook.VerifyIgnoringTimestamp(body, header) == nil
	case "trusts the timestamp":
		return gitlab && recent
	}
	return gitlab && hook.Verify(body, header) == nil
}

func (s *service) start(p delivered) {
	s.work.Go(func() { s.respond(p) })
}

func (s *service) respond(p delivered) {
	o := p.ObjectAttributes
	token, iid, project := testToken, o.IID, p.Project.ID
	form := url.Values{
		"external_status_check_id": {fmt.Sprint(p.ExternalApprovalRule.ID)}, "sha": {o.LastCommit.ID}, "status": {"passed"},
	}
	times := 1
	switch s.wrong {
	case "sends no response":
		return
	case "stays pending":
		form.Set("status", "pending")
	case "sends the SHA shortened":
		form.Set("sha", o.LastCommit.ID[:8])
	case "sends oldrev":
		if o.OldRev != "" {
			form.Set("sha", o.OldRev)
		}
	case "sends another SHA":
		form.Set("sha", strings.Repeat("a", 40))
	case "sends another service":
		form.Set("external_status_check_id", "1")
	case "sends an unknown status":
		form.Set("status", "success")
	case "sends no status":
		form.Del("status")
	case "sends a long description":
		form.Set("description", strings.Repeat("é", 256))
	case "sends a relative link":
		form.Set("target_url", "/result")
	case "sends no token":
		token = ""
	case "sends another token":
		token = "mgat-other"
	case "uses the global id":
		iid = o.ID
	case "uses another project":
		project++
	case "insists after 409":
		times = 6
	}
	for range times {
		address := fmt.Sprintf("%s/api/v4/projects/%d/merge_requests/%d/status_check_responses", s.api, project, iid)
		if s.wrong == "asks for the merge request" {
			address = strings.TrimSuffix(address, "/status_check_responses")
		}
		r, err := http.NewRequest(http.MethodPost, address, strings.NewReader(form.Encode()))
		if err != nil {
			panic(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("PRIVATE-TOKEN", token)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			return // the check has ended
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusConflict {
			return
		}
	}
}

// check runs the check against a service that does one thing wrong.
func check(t *testing.T, wrong string, change func(*Options)) *Report {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &service{wrong: wrong, api: "http://" + l.Addr().String(), seen: map[string]bool{}}
	server := httptest.NewServer(s)
	defer server.Close()
	defer s.work.Wait()
	o := Options{
		URL: server.URL + "/hook?key=1", Secret: testSecret, Token: testToken, Listener: l,
		AnswerWithin: 20 * time.Second, Settle: 200 * time.Millisecond, Progress: io.Discard,
	}
	if change != nil {
		change(&o)
	}
	report, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestRun_CorrectService_HasNoFaults(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"signed":     nil,
		"any token":  func(o *Options) { o.Token = "" },
		"no answers": func(o *Options) { o.AnswerWithin = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			report := check(t, "", change)
			if len(report.Faults)+len(report.Advice) != 0 {
				t.Errorf("faults %v, advice %v", report.Faults, report.Advice)
			}
			names := map[string]bool{}
			for _, d := range report.Deliveries {
				names[d.Name] = true
			}
			for _, want := range []string{"open", "update", "push", "close", "reopen", "approved", "unapproved", "merge", "retry", "test", "repeat"} {
				if !names[want] {
					t.Errorf("%s was not sent", want)
				}
			}
		})
	}
}

func TestRun_WithoutSecret_SaysThatSignaturesAreUnchecked(t *testing.T) {
	report := check(t, "verifies nothing", func(o *Options) { o.Secret = "" })
	if len(report.Faults) != 0 || len(report.Advice) != 1 || !strings.Contains(report.Advice[0].Text, "signatures were not checked") {
		t.Errorf("faults %v, advice %v", report.Faults, report.Advice)
	}
}

// faultsOf are the services that do one thing wrong, with the fault that is
// found: its delivery and a part of its text.
var faultsOf = map[string][]string{
	"verifies nothing": {
		"unsigned: accepted a delivery without signature", "other-secret: signed with another secret",
		"changed-body: changed after it was signed", "changed-signature: one wrong digit", "empty-signature: empty signatures",
	},
	"compares a prefix":          {"unsigned: without signature", "empty-signature: empty signatures"},
	"ignores the timestamp":      {"old-timestamp: can be replayed", "future-timestamp: can be replayed"},
	"trusts the timestamp":       {"old-timestamp: can change the time", "future-timestamp: can change the time"},
	"fails on a wrong signature": {"unsigned: answered a delivery without signature with HTTP 500"},
	"works before it verifies":   {"unsigned: refused a delivery without signature, but sent a response"},
	"works again for a repeat":   {"repeat: did the work again"},
	"refuses a repeat":           {"repeat: did not accept a delivery that it had received before"},
	"tells repeats by SHA":       {"retry: did not respond after Retry"},
	"ignores reopen":             {"reopen: did not respond after a merge request with a new HEAD was reopened"},
	"responds to tests":          {"test: sent a response to a test delivery", "test-sample: sent a response to a test delivery"},
	"limits bodies to 100 KB":    {"large: refused a body of 249 KiB with HTTP 413"},
	"refuses unknown fields":     {"unknown-fields: fields that it does not know with HTTP 422"},
	"refuses everything":         {"open: refused a correct delivery with HTTP 403"},
	"redirects":                  {"open: a redirect, HTTP 302"},
	"is not at this path":        {"open: answered with HTTP 404"},
	"fails on close":             {"close: answered with HTTP 500"},
	"sends no response":          {"open: sent no response"},
	"stays pending":              {"open: sent pending, but no final response"},
	"sends the SHA shortened":    {"API: a shortened SHA", "open: API refused"},
	"sends oldrev":               {"push: the previous HEAD only"},
	"sends another SHA":          {"API: was last_commit.id of no delivery"},
	"sends another service":      {"API: external_status_check_id 1"},
	"sends an unknown status":    {`API: the status "success"`},
	"sends no status":            {"API: has no status"},
	"sends a long description":   {"API: more than 255 characters"},
	"sends a relative link":      {`API: the target_url "/result"`},
	"sends no token":             {"API: without an access token"},
	"sends another token":        {"API: with another access token"},
	"uses the global id":         {"API: object_attributes.id"},
	"uses another project":       {"API: project.id"},
	"insists after 409":          {"reordered-old: again and again after 409"},
}

func TestRun_WrongService_NamesTheFault(t *testing.T) {
	for wrong, wants := range faultsOf {
		t.Run(wrong, func(t *testing.T) {
			t.Parallel()
			report := check(t, wrong, func(o *Options) {
				// Services that respond do so at once. The others are not awaited.
				o.AnswerWithin = 150 * time.Millisecond
			})
			for _, want := range wants {
				delivery, text, _ := strings.Cut(want, ": ")
				if !slices.ContainsFunc(report.Faults, func(f Finding) bool {
					return f.Delivery == delivery && strings.Contains(f.Text, text) && f.Mend != ""
				}) {
					t.Errorf("no fault %q in %+v", want, report.Faults)
				}
			}
		})
	}
}

func TestRun_ServiceForGitLab_GetsAdvice(t *testing.T) {
	report := check(t, "verifies like GitLab's services", nil)
	if len(report.Faults) != 0 || len(report.Advice) != 1 || !strings.Contains(report.Advice[0].Text, "can be replayed") {
		t.Errorf("faults %v, advice %v", report.Faults, report.Advice)
	}
	var text strings.Builder
	report.Print(&text)
	if !strings.Contains(text.String(), "advice: timestamps: ") || !strings.Contains(text.String(), "No faults found in 25 deliveries.") {
		t.Errorf("printed:\n%s", text.String())
	}
}

func TestRun_UnknownRequests_AreAdvice(t *testing.T) {
	report := check(t, "asks for the merge request", func(o *Options) { o.AnswerWithin = time.Millisecond })
	if !slices.ContainsFunc(report.Advice, func(f Finding) bool {
		return strings.Contains(f.Text, "requested POST /api/v4/projects/4201/merge_requests/1,")
	}) {
		t.Errorf("advice %v", report.Advice)
	}
}

func TestJudgeReceipt_SlowAnswers(t *testing.T) {
	for _, c := range []struct {
		delivery Delivery
		fault    bool
	}{
		{Delivery{HTTPStatus: 0, Duration: Millis(10 * time.Second), Error: "No answer in time."}, true},
		{Delivery{HTTPStatus: 202, Duration: Millis(7 * time.Second)}, false},
	} {
		report := &Report{}
		run := &checker{api: newAPI("", report), report: report}
		if got := run.judgeReceipt(&sent{delivery: &c.delivery}); got == c.fault {
			t.Errorf("%+v is received: %v", c.delivery, got)
		}
		findings := append(report.Faults, report.Advice...)
		if len(report.Faults) != map[bool]int{true: 1}[c.fault] || len(findings) != 1 || !strings.Contains(findings[0].Text, "ten seconds") {
			t.Errorf("%+v: %+v", c.delivery, findings)
		}
	}
}

func TestRun_CannotRun_ReturnsError(t *testing.T) {
	for name, address := range map[string]string{
		"relative URL": "/hook", "other scheme": "ftp://127.0.0.1/", "nobody listens": "http://127.0.0.1:1/",
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if report, err := Run(t.Context(), Options{URL: address, Listener: l, Progress: io.Discard}); err == nil {
			t.Errorf("%s: report %+v", name, report)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Run(ctx, Options{URL: "http://127.0.0.1:1/", Wait: time.Minute, Listener: l, Progress: io.Discard}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
