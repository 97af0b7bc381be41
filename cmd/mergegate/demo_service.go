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

// demoService is an external service as somebody else would write it: it knows
// its own secret and token and Mergegate's address, and nothing else of
// Mergegate. It passes or fails a merge request by a rule on its title.
type demoService struct {
	Name   string        `env:"NAME,required"`
	Listen string        `env:"LISTEN,required"`
	API    string        `env:"API,required"` // Mergegate's address
	Secret string        `env:"SECRET,required,unset"`
	Token  string        `env:"TOKEN,required,unset"`
	Delay  time.Duration `env:"DELAY" envDefault:"15s"`
	// Rule is "passes-with:WORD" or "fails-with:WORD".
	Rule string `env:"RULE,required"`
	// Texts of the answers, and the page that they link to.
	PassText string `env:"PASS_TEXT"`
	FailText string `env:"FAIL_TEXT"`

	log    *slog.Logger
	client *http.Client
	work   sync.WaitGroup
	mu     sync.Mutex
	seen   map[string]bool // Idempotency-Keys, to answer a repeat once
}

// demoServicePrefix begins the names of a demo service's settings.
const demoServicePrefix = "MERGEGATE_DEMO_SERVICE_"

// demoServiceCommand serves until ctx ends.
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

// demoPayload is what the service reads of a payload.
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

// receive takes payloads: a bad signature is refused, a good one is taken with
// 202 and answered through the API after a while. GET serves the page that the
// answers link to.
func (s *demoService) receive(ctx context.Context) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "%s, one of the demo's external services.\nIts rule on the title of a merge request: %s\n", s.Name, s.Rule)
	})
	mux.HandleFunc("POST /{$}", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil {
			http.Error(w, "the body cannot be read", http.StatusBadRequest)
			return
		}
		if !s.signed(body, r.Header.Get("X-Gitlab-Signature")) {
			s.log.Warn("a payload without a good signature was refused", "from", r.RemoteAddr)
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
			s.judge(ctx, p)
		}()
	})
	return mux
}

// signed reports whether the signature is the HMAC of the body.
func (s *demoService) signed(body []byte, signature string) bool {
	sum, err := hex.DecodeString(signature)
	mac := hmac.New(sha256.New, []byte(s.Secret))
	mac.Write(body)
	return err == nil && hmac.Equal(sum, mac.Sum(nil))
}

// repeated reports whether a delivery was taken before.
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

// judge looks at the title for a while and then answers.
func (s *demoService) judge(ctx context.Context, p demoPayload) {
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
		s.log.Error("the answer cannot be written", "error", err)
		return
	}
	url := fmt.Sprintf("%s/api/v4/projects/%d/merge_requests/%d/status_check_responses", s.API, p.Project.ID, p.ObjectAttributes.IID)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		s.log.Error("the answer cannot be sent", "error", err)
		return
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("PRIVATE-TOKEN", s.Token)
	resp, err := s.client.Do(req)
	if err != nil {
		s.log.Error("the answer did not arrive", "error", err)
		return
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		// 409: the merge request has moved on, and another payload is coming.
		s.log.Info("the answer was not taken", "http", resp.StatusCode, "merge_request", p.ObjectAttributes.IID)
		return
	}
	s.log.Info("answered", "merge_request", p.ObjectAttributes.IID, "status", status)
}

// verdict applies the rule to a title.
func (s *demoService) verdict(title string) (status, text string) {
	rule, word, _ := strings.Cut(s.Rule, ":")
	has := strings.Contains(strings.ToLower(title), strings.ToLower(word))
	if has == (rule == "passes-with") {
		return "passed", s.PassText
	}
	return "failed", s.FailText
}
