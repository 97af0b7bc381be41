package webhook

import (
	"crypto/tls"
	"net/http/httptrace"
	"sync"
	"time"

	"github.com/mergegate/mergegate/models"
)

// stopwatch measures the parts of a request. The transport may call its hooks from
// several goroutines, also after the request has ended.
type stopwatch struct {
	mu                                  sync.Mutex
	dns, connect, handshake, written    time.Time
	dnsTime, connectTime, tlsTime, ttfb time.Duration
}

// hooks returns the hooks that measure a request.
func (s *stopwatch) hooks() *httptrace.ClientTrace {
	begin := func(at *time.Time) {
		s.mu.Lock()
		defer s.mu.Unlock()
		// Several addresses may be tried at once. The first one counts.
		if at.IsZero() {
			*at = time.Now()
		}
	}
	end := func(from *time.Time, took *time.Duration) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if !from.IsZero() {
			*took = time.Since(*from)
		}
	}
	return &httptrace.ClientTrace{
		DNSStart:     func(httptrace.DNSStartInfo) { begin(&s.dns) },
		DNSDone:      func(httptrace.DNSDoneInfo) { end(&s.dns, &s.dnsTime) },
		ConnectStart: func(string, string) { begin(&s.connect) },
		ConnectDone: func(_, _ string, err error) {
			if err == nil {
				end(&s.connect, &s.connectTime)
			}
		},
		TLSHandshakeStart: func() { begin(&s.handshake) },
		TLSHandshakeDone: func(_ tls.ConnectionState, err error) {
			if err == nil {
				end(&s.handshake, &s.tlsTime)
			}
		},
		WroteRequest:         func(httptrace.WroteRequestInfo) { begin(&s.written) },
		GotFirstResponseByte: func() { end(&s.written, &s.ttfb) },
	}
}

// timing returns what has been measured.
func (s *stopwatch) timing() models.Timing {
	s.mu.Lock()
	defer s.mu.Unlock()
	return models.Timing{
		DNSUS: s.dnsTime.Microseconds(), ConnectUS: s.connectTime.Microseconds(),
		TLSUS: s.tlsTime.Microseconds(), FirstByteUS: s.ttfb.Microseconds(),
	}
}
