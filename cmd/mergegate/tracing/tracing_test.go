package tracing

import (
	"errors"
	"net/http/httptest"
	"testing"

	"github.com/labstack/echo/v4"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/mergegate/mergegate/models"
)

// newTracing returns tracing whose spans the recorder has.
func newTracing() (*Tracing, *tracetest.SpanRecorder) {
	recorder := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
	return &Tracing{provider: provider, tracer: provider.Tracer("test")}, recorder
}

// Without a span, as in jobs, all attempts at the deliveries of an event share a new trace.
func TestTraceParent_OutsideOfRequests_StartsTrace(t *testing.T) {
	tracing, recorder := newTracing()
	event := tracing.TraceParent(models.WithRequestID(t.Context(), "job_1"))
	for range 2 {
		ctx, ended := tracing.StartAttempt(t.Context(), models.ClaimedDelivery{Delivery: models.Delivery{TraceParent: event}})
		if inner := tracing.TraceParent(ctx); inner[:36] != event[:36] || inner == event {
			t.Errorf("attempt %s, event %s", inner, event)
		}
		ended(models.AttemptResult{Error: "timeout"})
	}
	spans := recorder.Ended()
	if len(spans) != 3 || spans[0].Name() != "event" || spans[0].Attributes()[0].Value.AsString() != "job_1" ||
		spans[1].Parent().SpanID() != spans[0].SpanContext().SpanID() || spans[1].Status().Code != codes.Error {
		t.Errorf("spans %v", spans)
	}
}

func TestStartAttempt_InvalidTraceParent_StartsTrace(t *testing.T) {
	tracing, recorder := newTracing()
	for _, stored := range []string{"", "00-zz", "an older format"} {
		_, ended := tracing.StartAttempt(t.Context(), models.ClaimedDelivery{Delivery: models.Delivery{TraceParent: stored}})
		ended(models.AttemptResult{HTTPStatus: 200})
	}
	for _, span := range recorder.Ended() {
		if span.Parent().IsValid() || !span.SpanContext().IsValid() {
			t.Errorf("span %v", span)
		}
	}
}

func TestAddHeader_CustomHeader_IsKept(t *testing.T) {
	tracing, _ := newTracing()
	ctx, span := tracing.tracer.Start(t.Context(), "deliver")
	defer span.End()
	custom, plain := httptest.NewRequest("POST", "/", nil).WithContext(ctx), httptest.NewRequest("POST", "/", nil).WithContext(ctx)
	custom.Header.Set("Traceparent", "mine")
	tracing.AddHeader(custom)
	tracing.AddHeader(plain)
	if got := custom.Header.Get("Traceparent"); got != "mine" {
		t.Errorf("custom header %q", got)
	}
	if got := plain.Header.Get("Traceparent"); got != tracing.TraceParent(ctx) {
		t.Errorf("header %q", got)
	}
}

// A client can neither choose the trace of a request, nor whether it is recorded, nor add
// to it.
func TestRequests_TraceParentOfClient_IsOnlyALink(t *testing.T) {
	tracing, recorder := newTracing()
	e := echo.New()
	e.Use(tracing.Requests)
	for _, path := range []string{"/healthz", "/readyz", "/-/page"} {
		e.GET(path, func(c echo.Context) error { return errors.New("failure") })
		r := httptest.NewRequest("GET", path+"?private_token=secret", nil)
		r.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")
		r.Header.Set("Tracestate", "vendor=secret")
		r.Header.Set("Baggage", "key=secret")
		e.ServeHTTP(httptest.NewRecorder(), r)
	}
	spans := recorder.Ended()
	if len(spans) != 1 || spans[0].Name() != "GET /-/page" || spans[0].Parent().IsValid() {
		t.Fatalf("spans %v", spans)
	}
	link := spans[0].Links()[0].SpanContext
	if link.TraceID().String() != "0af7651916cd43dd8448eb211c80319c" || link.TraceState().Len() != 0 || spans[0].SpanContext().TraceID() == link.TraceID() {
		t.Errorf("link %v", link)
	}
	for _, a := range spans[0].Attributes() {
		if a.Key == "url.path" && a.Value.AsString() != "/-/page" {
			t.Errorf("path %s", a.Value.AsString())
		}
	}
}
