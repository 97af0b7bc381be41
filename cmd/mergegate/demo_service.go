package main

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
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/caarlos0/env/v11"
)

// demoService is an external service as a user of Mergegate would write it. It
// shares no code with the server and knows only its secret, the address of the
// API and, unless it answers with callback tokens, its access token. It decides by a
// rule on the title of a merge request.
type demoService struct {
	Name   string `env:"NAME,required"`
	Listen string `env:"LISTEN,required"`
	API    string `env:"API,required"` // base URL of Mergegate
	Secret string `env:"SECRET,required,unset"`
	// Token is an access token. Without it the service answers with the callback token of
	// each delivery.
	Token string        `env:"TOKEN,unset"`
	Delay time.Duration `env:"DELAY" envDefault:"15s"`
	// Rule is "passes-with:WORD" or "fails-with:WORD".
	Rule string `env:"RULE,required"`
	// PassText and FailText are the descriptions in the responses.
	PassText string `env:"PASS_TEXT"`
	FailText string `env:"FAIL_TEXT"`

	log    *slog.Logger
	client *http.Client
	work   sync.WaitGroup
	mu     sync.Mutex
	seen   map[string]bool // Idempotency-Keys of received deliveries
}

// demoServicePrefix is the prefix of the environment variables of a demo
// service.
const demoServicePrefix = "MERGEGATE_DEMO_SERVICE_"

// demoServiceCommand runs one demo service until ctx ends.
func demoServiceCommand(ctx context.Context, args []string) error {
	if len(args) != 0 {
		return errUsage
	}
	s := &demoService{log: slog.New(slog.NewTextHandler(os.Stderr, nil)), client: &http.Client{Timeout: 10 * time.Second}, seen: map[string]bool{}}
	if err := env.ParseWithOptions(s, env.Options{Prefix: demoServicePrefix}); err != nil {
		return err
	}
	s.log = s.log.With("service", s.Name)
	l, err := net.Listen("tcp", s.Listen)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: s.receive(ctx), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second}
	stopped := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stopped()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	s.work.Wait()
	return nil
}

// demoPayload has the fields of a payload that the service reads.
type demoPayload struct {
	ObjectKind string `json:"object_kind"`
	Project    struct {
		ID int64 `json:"id"`
	} `json:"project"`
	ObjectAttributes struct {
		IID        int64  `json:"iid"`
		Title      string `json:"title"`
		State      string `json:"state"`
		LastCommit struct {
			ID string `json:"id"`
		} `json:"last_commit"`
	} `json:"object_attributes"`
	ExternalApprovalRule struct {
		ID int64 `json:"id"`
	} `json:"external_approval_rule"`
	Mergegate struct {
		Test bool `json:"test"`
	} `json:"mergegate"`
}

// receive returns the handler of the service. POST accepts a payload with 202, or
// rejects a wrong signature with 401; the response follows through the API. GET
// serves the page to which the responses link.
func (s *demoService) receive(ctx context.Context) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "%s, an external service of the demo.\nRule for the title of a merge request: %s\n", s.Name, s.Rule)
	})
	mux.HandleFunc("POST /{$}", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil {
			http.Error(w, "cannot read the body", http.StatusBadRequest)
			return
		}
		if !s.signed(body, r.Header.Get("X-Gitlab-Signature")) {
			s.log.Warn("payload rejected: wrong signature", "from", r.RemoteAddr)
			http.Error(w, "bad signature", http.StatusUnauthorized)
			return
		}
		var p demoPayload
		if err := json.Unmarshal(body, &p); err != nil || p.ObjectKind != "merge_request" {
			http.Error(w, "not a merge request event", http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusAccepted)
		if p.Mergegate.Test || p.ObjectAttributes.State != "opened" || s.repeated(r.Header.Get("Idempotency-Key")) {
			return
		}
		s.work.Add(1)
		go func() {
			defer s.work.Done()
			s.judge(ctx, p, r.Header.Get("X-Mergegate-Callback-Token"))
		}()
	})
	return mux
}

// signed reports whether signature is the HMAC of the body.
func (s *demoService) signed(body []byte, signature string) bool {
	sum, err := hex.DecodeString(signature)
	mac := hmac.New(sha256.New, []byte(s.Secret))
	mac.Write(body)
	return err == nil && hmac.Equal(sum, mac.Sum(nil))
}

// repeated reports whether a delivery with this key was received before, and
// stores the key.
func (s *demoService) repeated(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen[key] {
		return true
	}
	if len(s.seen) > 10000 {
		clear(s.seen)
	}
	s.seen[key] = true
	return false
}

// judge waits for the delay of the service and then sends its response.
func (s *demoService) judge(ctx context.Context, p demoPayload, callbackToken string) {
	select {
	case <-ctx.Done():
		return
	case <-time.After(s.Delay):
	}
	status, text := s.verdict(p.ObjectAttributes.Title)
	answer := map[string]any{
		"external_status_check_id": p.ExternalApprovalRule.ID, "sha": p.ObjectAttributes.LastCommit.ID, "status": status,
		"description": text, "target_url": "http://" + s.Listen + "/",
	}
	body, err := json.Marshal(answer)
	if err != nil {
		s.log.Error("encoding the response failed", "error", err)
		return
	}
	mergeRequest := fmt.Sprintf("%s/api/v4/projects/%d/merge_requests/%d", s.API, p.Project.ID, p.ObjectAttributes.IID)
	url := mergeRequest + "/status_check_responses"
	if s.Token == "" {
		// The address is also in X-Mergegate-Callback-URL, but a forged one could divert the token.
		url = fmt.Sprintf("%s/status_checks/%d/callback", mergeRequest, p.ExternalApprovalRule.ID)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		s.log.Error("response not sent", "error", err)
		return
	}
	req.Header.Set("Content-Type", "application/json")
	if s.Token == "" {
		req.Header.Set("X-Mergegate-Callback-Token", callbackToken)
	} else {
		req.Header.Set("PRIVATE-TOKEN", s.Token)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		s.log.Error("response not sent", "error", err)
		return
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		// 409: HEAD has changed, and another payload follows.
		s.log.Info("response rejected", "http_status", resp.StatusCode, "merge_request", p.ObjectAttributes.IID)
		return
	}
	s.log.Info("response sent", "merge_request", p.ObjectAttributes.IID, "status", status)
}

// verdict applies the rule to a title and returns the status and its
// description.
func (s *demoService) verdict(title string) (status, text string) {
	rule, word, _ := strings.Cut(s.Rule, ":")
	has := strings.Contains(strings.ToLower(title), strings.ToLower(word))
	if has == (rule == "passes-with") {
		return "passed", s.PassText
	}
	return "failed", s.FailText
}
