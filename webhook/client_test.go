package webhook

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// nameServer is a DNS server for tests. Each name has a list of answers, one per
// query; the last one repeats. Other names do not exist.
type nameServer struct {
	answers map[string][][]string
	mu      sync.Mutex
	asked   map[string]int
}

// start serves on loopback until the test ends and returns a resolver that uses
// only this server.
func (s *nameServer) start(t *testing.T) *net.Resolver {
	t.Helper()
	s.asked = map[string]int{}
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buffer := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			if reply := s.reply(buffer[:n]); reply != nil {
				conn.WriteTo(reply, from)
			}
		}
	}()
	t.Cleanup(func() { conn.Close(); <-done })
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

// reply returns the answer to a query. Only A records exist.
func (s *nameServer) reply(packet []byte) []byte {
	var question dnsmessage.Message
	if err := question.Unpack(packet); err != nil || len(question.Questions) != 1 {
		return nil
	}
	q := question.Questions[0]
	message := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: question.ID, Response: true, RecursionAvailable: true, RecursionDesired: true},
		Questions: question.Questions,
	}
	name := strings.TrimSuffix(q.Name.String(), ".")
	rounds, known := s.answers[name]
	if !known {
		message.RCode = dnsmessage.RCodeNameError
	}
	if known && q.Type == dnsmessage.TypeA {
		s.mu.Lock()
		round := min(s.asked[name], len(rounds)-1)
		s.asked[name]++
		s.mu.Unlock()
		for _, text := range rounds[round] {
			message.Answers = append(message.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class},
				Body:   &dnsmessage.AResource{A: netip.MustParseAddr(text).As4()},
			})
		}
	}
	reply, err := message.Pack()
	if err != nil {
		return nil
	}
	return reply
}

// Resolved addresses are checked at each connection, so DNS rebinding does not
// bypass the check.
func TestSend_HostName_ChecksResolvedAddress(t *testing.T) {
	cases := map[string]struct {
		allow   string
		answers [][]string
		kinds   []string // error of each attempt
	}{
		"loopback":                         {"", [][]string{{"127.0.0.1"}}, []string{ErrorRefusedAddress}},
		"all addresses are private":        {"", [][]string{{"10.0.0.1", "127.0.0.1"}}, []string{ErrorRefusedAddress}},
		"rebinding between attempts":       {"127.0.0.1/32", [][]string{{"127.0.0.1"}, {"10.0.0.1"}, {"127.0.0.1"}}, []string{"", ErrorRefusedAddress, ""}},
		"falls back to what is allowed":    {"127.0.0.1/32", [][]string{{"10.0.0.1", "127.0.0.1"}}, []string{""}},
		"host allowed by name":             {"service.example", [][]string{{"127.0.0.1"}}, []string{""}},
		"host allowed, but metadata":       {"service.example", [][]string{{"169.254.169.254"}}, []string{ErrorRefusedAddress}},
		"host allowed on another port":     {"service.example:1", [][]string{{"127.0.0.1"}}, []string{ErrorRefusedAddress}},
		"another host allowed":             {"example", [][]string{{"127.0.0.1"}}, []string{ErrorRefusedAddress}},
		"address allowed, reached by name": {"127.0.0.1", [][]string{{"127.0.0.1"}}, []string{""}},
		"no such name":                     {"", nil, []string{ErrorDNS}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var requests int
			url := receiver(t, func(http.ResponseWriter, *http.Request) { requests++ })
			server := &nameServer{}
			if c.answers != nil {
				server.answers = map[string][][]string{"service.example": c.answers}
			}
			client := NewClient(Options{Allow: parseAllow(t, c.allow), Resolver: server.start(t)})
			want := 0
			for i, kind := range c.kinds {
				if kind == "" {
					want++
				}
				result := client.Send(t.Context(), deliveryTo(strings.Replace(url, "127.0.0.1", "service.example", 1)), attemptAt)
				if result.Error != kind || result.Succeeded() != (kind == "") {
					t.Errorf("attempt %d: %+v, want %q", i+1, result, kind)
				}
			}
			if requests != want {
				t.Errorf("%d requests were received, want %d", requests, want)
			}
		})
	}
}
