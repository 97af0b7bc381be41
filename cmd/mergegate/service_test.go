package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

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
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // a part of a request, whose sender was killed, is nothing that a service receives
	}
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
