// Package tracing sends traces to an OpenTelemetry collector: from a push, or another
// request, through the deliveries of its events to the answers of the services. [New]
// reads the standard OTEL_ variables; the methods of [Tracing] are the hooks and wrappers
// that main passes to the other packages, which do not know OpenTelemetry.
package tracing

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/mergegate/mergegate/models"
)

// Tracing creates spans and sends them.
type Tracing struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
}

const (
	endpointVariable = "OTEL_EXPORTER_OTLP_ENDPOINT"
	tracesVariable   = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
)

// New returns the tracing of this process, nil if no endpoint is set or
// OTEL_SDK_DISABLED is true. version is Mergegate's. Failures to send are logged.
func New(ctx context.Context, version string, log *slog.Logger) (*Tracing, error) {
	name := tracesVariable
	if os.Getenv(name) == "" {
		name = endpointVariable
	}
	if os.Getenv(name) == "" || strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") {
		return nil, nil
	}
	// The libraries log invalid values and use defaults.
	if u, err := url.Parse(os.Getenv(name)); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, fmt.Errorf("%s must be an http or https URL, such as http://localhost:4318", name)
	}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"} {
		if protocol := os.Getenv(name); protocol != "" && protocol != "http/protobuf" {
			return nil, fmt.Errorf("%s is %q; only http/protobuf is supported", name, protocol)
		}
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("sending traces failed", "error", err) }))
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("start sending traces: %w", err)
	}
	about, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", "mergegate"), attribute.String("service.version", version)),
		resource.WithHost(), resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about))
	return &Tracing{provider: provider, tracer: provider.Tracer("github.com/mergegate/mergegate")}, nil
}

// shutdownTime is how long Close waits for a collector.
const shutdownTime = 5 * time.Second

// Close sends the spans that are left.
func (t *Tracing) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTime)
	defer cancel()
	return t.provider.Shutdown(ctx)
}

// TraceParent returns the traceparent of a context, which is that of a new trace if a job
// causes the event; it is models.Config.TraceParent.
func (t *Tracing) TraceParent(ctx context.Context) string {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		var span trace.Span
		ctx, span = t.tracer.Start(ctx, "event", trace.WithAttributes(compact(attribute.String("mergegate.request_id", models.RequestID(ctx)))...))
		span.End()
	}
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier.Get("traceparent")
}

// parse returns the span context of a traceparent. It is invalid if the text is.
func parse(traceParent string) trace.SpanContext {
	carrier := propagation.MapCarrier{"traceparent": traceParent}
	return trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), carrier))
}

// compact removes attributes without a value.
func compact(attributes ...attribute.KeyValue) []attribute.KeyValue {
	return slices.DeleteFunc(attributes, func(a attribute.KeyValue) bool {
		return a.Value.Type() == attribute.STRING && a.Value.AsString() == "" || a.Value.Type() == attribute.INT64 && a.Value.AsInt64() == 0
	})
}
