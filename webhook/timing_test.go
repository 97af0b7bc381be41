package webhook

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mergegate/mergegate/models"
)

func TestSend_Timing_SplitsDuration(t *testing.T) {
	const wait = 30 * time.Millisecond
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		time.Sleep(wait) // what is measured
	}))
	defer server.Close()
	allow, err := ParseAllowList("127.0.0.0/8,localhost")
	if err != nil {
		t.Fatal(err)
	}
	client := NewClient(Options{Version: "test", Allow: allow})
	send := func(url string) models.AttemptResult {
		return client.Send(t.Context(), models.ClaimedDelivery{Delivery: models.Delivery{URL: url, Payload: []byte("{}")}}, time.Now())
	}

	r := send(strings.Replace(server.URL, "127.0.0.1", "localhost", 1))
	if r.HTTPStatus != 200 {
		t.Fatalf("result %+v", r)
	}
	if r.Timing.DNSUS <= 0 || r.Timing.ConnectUS <= 0 || r.Timing.TLSUS != 0 || r.Timing.FirstByteUS < wait.Microseconds() {
		t.Errorf("timing %+v", r.Timing)
	}
	if sum := r.Timing.DNSUS + r.Timing.ConnectUS + r.Timing.FirstByteUS; sum > r.Duration.Microseconds() {
		t.Errorf("the parts %+v take longer than the attempt, %v", r.Timing, r.Duration)
	}

	// The server speaks no TLS, so the handshake does not end.
	r = send(strings.Replace(server.URL, "http:", "https:", 1))
	if r.Timing.DNSUS != 0 || r.Timing.ConnectUS <= 0 || r.Timing.TLSUS != 0 || r.Timing.FirstByteUS != 0 {
		t.Errorf("timing of a failed handshake %+v", r.Timing)
	}
}
