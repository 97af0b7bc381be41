package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
)

// receiver is a service that stores deliveries and sends no response by itself.
type receiver struct {
	server *httptest.Server

	mu       sync.Mutex
	deaf     bool
	payloads []string // of which seen have been looked at
	seen     int
	fault    string // what was wrong with a request
}

// scriptReceiver starts the service: receiver SECRET. It sets RECEIVER, its
// address.
func scriptReceiver(ts *testscript.TestScript, _ bool, args []string) {
	r := &receiver{}
	r.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		mac := hmac.New(sha256.New, []byte(args[0]))
		mac.Write(body)
		r.mu.Lock()
		defer r.mu.Unlock()
		switch {
		case err != nil: // cut off by a crash: it will come again
			return
		case r.deaf:
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		case req.Header.Get("X-Gitlab-Event") != "Merge Request Hook":
			r.fault = "X-Gitlab-Event is " + req.Header.Get("X-Gitlab-Event")
		case req.Header.Get("X-Gitlab-Signature") != hex.EncodeToString(mac.Sum(nil)):
			r.fault = "the signature is wrong"
		}
		r.payloads = append(r.payloads, string(body))
		w.WriteHeader(http.StatusAccepted)
	}))
	stateOf(ts).receiver = r
	ts.Setenv("RECEIVER", r.server.URL)
}

// scriptDeaf makes the service answer 503 to everything: deaf.
func scriptDeaf(ts *testscript.TestScript, _ bool, _ []string) { stateOf(ts).receiver.setDeaf(true) }

// scriptListening ends deaf: listening.
func scriptListening(ts *testscript.TestScript, _ bool, _ []string) {
	stateOf(ts).receiver.setDeaf(false)
}

func (r *receiver) setDeaf(deaf bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.deaf = deaf
}

// skipTo looks at payloads until one matches all patterns.
func (r *receiver) skipTo(ts *testscript.TestScript, patterns []*regexp.Regexp) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fault != "" {
		ts.Fatalf("a delivery: %s", r.fault)
	}
	for r.seen < len(r.payloads) {
		r.seen++
		misses := func(p *regexp.Regexp) bool { return !p.MatchString(r.payloads[r.seen-1]) }
		if !slices.ContainsFunc(patterns, misses) {
			return true
		}
	}
	return false
}

// last is the payload that was looked at last.
func (r *receiver) last() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen == 0 {
		return ""
	}
	return r.payloads[r.seen-1]
}
