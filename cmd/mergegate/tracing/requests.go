package tracing

import (
	"context"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/mergegate/mergegate/gitrepo"
	"github.com/mergegate/mergegate/handlers/githttp"
	"github.com/mergegate/mergegate/models"
	"github.com/mergegate/mergegate/static"
)

// Requests starts a trace for each request, except for probes and assets. A traceparent
// in the request becomes a link: strangers must not decide which traces are recorded.
func (t *Tracing) Requests(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r, route := c.Request(), c.Path()
		if route == "/healthz" || route == "/readyz" || strings.HasPrefix(r.URL.Path, static.Prefix) {
			return next(c)
		}
		options := []trace.SpanStartOption{
			trace.WithNewRoot(), trace.WithSpanKind(trace.SpanKindServer),
			trace.WithAttributes(compact(attribute.String("http.request.method", r.Method), attribute.String("http.route", route),
				attribute.String("url.path", r.URL.Path), attribute.String("mergegate.request_id", models.RequestID(r.Context())))...),
		}
		if linked := parse(r.Header.Get("Traceparent")); linked.IsValid() {
			options = append(options, trace.WithLinks(trace.Link{SpanContext: linked}))
		}
		ctx, span := t.tracer.Start(r.Context(), strings.TrimSpace(r.Method+" "+route), options...)
		defer span.End()
		c.SetRequest(r.WithContext(ctx))
		err := next(c)
		status := c.Response().Status
		span.SetAttributes(attribute.Int("http.response.status_code", status))
		if status >= 500 {
			span.SetStatus(codes.Error, http.StatusText(status))
		}
		return err
	}
}

// transport traces the hooks of pushes.
type transport struct {
	githttp.Transport
	tracer trace.Tracer
}

// Transport returns a transport with spans for the hooks of pushes.
func (t *Tracing) Transport(inner githttp.Transport) githttp.Transport {
	return transport{inner, t.tracer}
}

// ReceivePack implements githttp.Transport.
func (t transport) ReceivePack(w http.ResponseWriter, r *http.Request, projectID int64, requestID string, handler gitrepo.PushHandler) error {
	return t.Transport.ReceivePack(w, r, projectID, requestID, pushHandler{handler, t.tracer, projectID})
}

// pushHandler starts a span for each hook.
type pushHandler struct {
	gitrepo.PushHandler
	tracer    trace.Tracer
	projectID int64
}

// PreReceive implements gitrepo.PushHandler.
func (h pushHandler) PreReceive(ctx context.Context, p gitrepo.Push) (refusal string) {
	ctx, span := h.start(ctx, "pre-receive", p)
	defer span.End()
	refusal = h.PushHandler.PreReceive(ctx, p)
	if refusal != "" {
		span.SetAttributes(attribute.Bool("mergegate.refused", true))
	}
	return refusal
}

// PostReceive implements gitrepo.PushHandler.
func (h pushHandler) PostReceive(ctx context.Context, p gitrepo.Push) (message string) {
	ctx, span := h.start(ctx, "post-receive", p)
	defer span.End()
	return h.PushHandler.PostReceive(ctx, p)
}

func (h pushHandler) start(ctx context.Context, hook string, p gitrepo.Push) (context.Context, trace.Span) {
	return h.tracer.Start(ctx, hook, trace.WithAttributes(
		attribute.Int64("mergegate.project_id", h.projectID), attribute.Int("mergegate.refs", len(p.Updates))))
}

// Git starts a span for a git process within a trace; it is gitrepo.Options.Observe.
func (t *Tracing) Git(ctx context.Context, command string) (ended func(error)) {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return func(error) {}
	}
	_, span := t.tracer.Start(ctx, "git "+command)
	return func(err error) {
		if err != nil {
			span.SetAttributes(attribute.String("error.type", "git"))
		}
		span.End()
	}
}
