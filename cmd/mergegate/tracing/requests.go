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

// transport remembers the spans of pushes.
type transport struct {
	githttp.Transport
	*Tracing
}

// Transport returns a transport whose pushes Hooks can find.
func (t *Tracing) Transport(inner githttp.Transport) githttp.Transport { return transport{inner, t} }

// Service implements githttp.Transport.
func (t transport) Service(w http.ResponseWriter, r *http.Request, projectID int64, service string, userID int64, requestID string) error {
	if service == gitrepo.ReceivePack {
		t.pushes.Store(requestID, trace.SpanContextFromContext(r.Context()))
		defer t.pushes.Delete(requestID)
	}
	return t.Transport.Service(w, r, projectID, service, userID, requestID)
}

// Hooks returns a handler of git's hooks that continues the traces of their pushes.
func (t *Tracing) Hooks(inner gitrepo.HookHandler) gitrepo.HookHandler {
	return func(ctx context.Context, r gitrepo.HookRequest) gitrepo.HookResponse {
		if parent, ok := t.pushes.Load(r.RequestID); ok {
			ctx = trace.ContextWithSpanContext(ctx, parent.(trace.SpanContext))
		}
		ctx, span := t.tracer.Start(ctx, r.Kind, trace.WithAttributes(
			attribute.Int64("mergegate.project_id", r.ProjectID), attribute.Int("mergegate.refs", len(r.Updates))))
		defer span.End()
		answer := inner(ctx, r)
		if answer.Refuse {
			span.SetAttributes(attribute.Bool("mergegate.refused", true))
		}
		return answer
	}
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
