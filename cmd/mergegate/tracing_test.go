package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/mergegate/mergegate/models/modelstest"
)

// collector receives traces as an OpenTelemetry collector does.
type collector struct {
	url string
	mu  sync.Mutex
	all []span
}

// span is a received span. Its ids are hexadecimal.
type span struct {
	name, trace, id, parent string
	attributes              map[string]string
	links                   []string // trace ids
	service                 string
}

func newCollector(t *testing.T) *collector {
	c := &collector{}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var request coltrace.ExportTraceServiceRequest
	if err := proto.Unmarshal(body, &request); err != nil || r.URL.Path != "/v1/traces" {
		http.Error(w, "not an OTLP request", http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range request.ResourceSpans {
		service := ""
		for _, a := range resource.Resource.Attributes {
			if a.Key == "service.name" {
				service = a.Value.GetStringValue()
			}
		}
		for _, scope := range resource.ScopeSpans {
			for _, s := range scope.Spans {
				c.all = append(c.all, newSpan(s, service))
			}
		}
	}
}

func newSpan(s *tracepb.Span, service string) span {
	got := span{
		name: s.Name, trace: hex.EncodeToString(s.TraceId), id: hex.EncodeToString(s.SpanId), parent: hex.EncodeToString(s.ParentSpanId),
		attributes: map[string]string{}, service: service,
	}
	for _, a := range s.Attributes {
		got.attributes[a.Key] = a.Value.GetStringValue()
		if a.Value.GetStringValue() == "" {
			got.attributes[a.Key] = fmt.Sprint(a.Value.GetIntValue())
		}
	}
	for _, l := range s.Links {
		got.links = append(got.links, hex.EncodeToString(l.TraceId))
	}
	return got
}

// await returns the n-th span of a name, counted from 0.
func (c *collector) await(p *program, name string, n int) (found span) {
	p.t.Helper()
	p.await(fmt.Sprintf("span %q %d", name, n), func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		i := 0
		for _, s := range c.all {
			if s.name != name {
				continue
			}
			if found = s; i == n {
				return true
			}
			i++
		}
		return false
	})
	return found
}

// One trace leads from a push through its delivery, also in the next process. The answer
// links to it, and log lines name it.
func TestTraces_PushDeliveryAnswer(t *testing.T) {
	t.Parallel()
	modelstest.Each(t, func(t *testing.T, db modelstest.Database) {
		t.Parallel()
		c := newCollector(t)
		w := newWorld(t, db, "OTEL_EXPORTER_OTLP_ENDPOINT="+c.url, "OTEL_BSP_SCHEDULE_DELAY=20")
		push := c.await(w.program, "POST /:namespace/:project/git-receive-pack", 0)
		// The first receive-pack lists the refs.
		hook, receive := c.await(w.program, "post-receive", 0), c.await(w.program, "git receive-pack", 1)
		deliver := c.await(w.program, "deliver", 0)
		if push.parent != "" || hook.parent != push.id || receive.parent != push.id || deliver.parent != hook.id ||
			hook.trace != push.trace || deliver.trace != push.trace || push.service != "mergegate" {
			t.Fatalf("push %+v\nhook %+v\nreceive-pack %+v\ndeliver %+v", push, hook, receive, deliver)
		}
		event := w.service.got("open")[0]
		verify(t, event)
		if want := "00-" + deliver.trace + "-" + deliver.id + "-01"; event.header.Get("Traceparent") != want {
			t.Errorf("traceparent %q, want %q", event.header.Get("Traceparent"), want)
		}
		if deliver.attributes["http.response.status_code"] != "202" || deliver.attributes["mergegate.delivery"] != event.header.Get("Idempotency-Key") {
			t.Errorf("delivery %+v", deliver.attributes)
		}
		for _, line := range []string{
			`msg=request .* route=/:namespace/:project/git-receive-pack .*request_id=` + push.attributes["mergegate.request_id"] + ` trace_id=` + push.trace + ` span_id=` + push.id,
			`msg="delivery attempt" .*trace_id=` + deliver.trace + ` span_id=` + deliver.id,
		} {
			w.await("log line "+line, func() bool { return regexp.MustCompile(line).MatchString(w.output.String()) })
		}

		if status, body := w.respond(w.head, "pending"); status != 201 {
			t.Fatalf("the first answer: %d %s", status, body)
		}
		const respond = "POST /api/v4/projects/:id/merge_requests/:iid/status_check_responses"
		if answer := c.await(w.program, respond, 0); answer.attributes["mergegate.status"] != "pending" || !slices.Equal(answer.links, []string{push.trace}) {
			t.Errorf("answer %+v, want a link to the delivery %s", answer, push.trace)
		}
		const ofService = "0af7651916cd43dd8448eb211c80319c"
		req, err := http.NewRequest("POST", fmt.Sprintf("%s/api/v4/projects/%d/merge_requests/1/status_check_responses", w.url, w.id),
			strings.NewReader(fmt.Sprintf("external_status_check_id=%d&sha=%s&status=passed", w.check, w.head)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("PRIVATE-TOKEN", w.api.token)
		req.Header.Set("Traceparent", "00-"+ofService+"-b7ad6b7169203331-00")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		answer := c.await(w.program, respond, 1)
		if answer.attributes["http.response.status_code"] != "201" || !slices.Equal(answer.links, []string{ofService, push.trace}) {
			t.Errorf("answer %+v, want links to %s and %s", answer, ofService, push.trace)
		}
		if id := resp.Header.Get("X-Request-Id"); answer.attributes["mergegate.request_id"] != id || id == "" {
			t.Errorf("request id %q, span %+v", id, answer.attributes)
		}

		// The first attempt fails; the next process makes the second one.
		w.service.mu.Lock()
		w.service.answer = func(received) int { return http.StatusServiceUnavailable }
		w.service.mu.Unlock()
		w.tree.commit("trim.txt", "two\n")
		w.tree.git("push", "-q", "origin", "feature")
		failed := c.await(w.program, "deliver", 1)
		w.stop()
		w.service.mu.Lock()
		w.service.answer = nil
		w.service.mu.Unlock()
		w.start(nil, "serve")
		repeated := c.await(w.program, "deliver", 2)
		if repeated.trace != failed.trace || repeated.parent != failed.parent || repeated.attributes["mergegate.attempt"] != "2" ||
			failed.attributes["http.response.status_code"] != "503" {
			t.Errorf("first attempt %+v\nsecond %+v", failed, repeated)
		}
	})
}

func TestTraces_InvalidSettings_NameTheVariable(t *testing.T) {
	t.Parallel()
	p := newProgram(t, modelstest.Database{Driver: "sqlite"})
	for setting, want := range map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=localhost:4318":   "OTEL_EXPORTER_OTLP_ENDPOINT must be",
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=ftp://x":   "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT must be",
		"OTEL_EXPORTER_OTLP_PROTOCOL=grpc":             "only http/protobuf is supported",
		"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/json": "only http/protobuf is supported",
	} {
		out, err := p.run([]string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1", setting}, "serve")
		if err == nil || !strings.Contains(out, want) {
			t.Errorf("%s: %v, %s", setting, err, out)
		}
	}
}
