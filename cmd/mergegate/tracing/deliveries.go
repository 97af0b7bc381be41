package tracing

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/mergegate/mergegate/models"
)

// StartAttempt starts the span of an attempt. It continues the trace of the event, which
// the delivery has stored; it is jobs.Options.StartAttempt.
func (t *Tracing) StartAttempt(ctx context.Context, c models.ClaimedDelivery) (context.Context, func(models.AttemptResult)) {
	d := c.Delivery
	if parent := parse(d.TraceParent); parent.IsValid() {
		ctx = trace.ContextWithRemoteSpanContext(ctx, parent)
	}
	ctx, span := t.tracer.Start(ctx, "deliver", trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(compact(
		attribute.String("http.request.method", http.MethodPost), attribute.String("mergegate.delivery", d.UUID),
		attribute.String("mergegate.event", d.EventUUID), attribute.String("mergegate.action", string(d.Action)),
		attribute.Int("mergegate.attempt", d.Attempts), attribute.Int64("mergegate.project_id", d.ProjectID),
		attribute.Int64("mergegate.service_id", d.ExternalStatusCheckID), attribute.Int64("mergegate.merge_request_iid", d.MergeRequestIID),
	)...))
	return ctx, func(r models.AttemptResult) {
		span.SetAttributes(compact(attribute.Int("http.response.status_code", r.HTTPStatus), attribute.String("error.type", r.Error))...)
		if !r.Succeeded() {
			span.SetStatus(codes.Error, r.Error)
		}
		span.End()
	}
}

// AddHeader sets the traceparent of a delivery, unless the service has a custom header of
// that name; it is webhook.Options.Modify.
func (t *Tracing) AddHeader(r *http.Request) {
	if r.Header.Get("Traceparent") == "" {
		propagation.TraceContext{}.Inject(r.Context(), propagation.HeaderCarrier(r.Header))
	}
}

// CheckTraces finds the trace of a check's newest delivery. models.Store implements it.
type CheckTraces interface {
	TraceParentOfCheck(ctx context.Context, checkID int64) (string, error)
}

// Answered links the trace of an answer with that of the delivery, because few services
// send a traceparent. It is for apiv4.Deps.Answered.
func (t *Tracing) Answered(ctx context.Context, store CheckTraces, r models.RecordedResponse) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(attribute.String("mergegate.status", string(r.Response.Status)),
		attribute.Int64("mergegate.project_id", r.Response.ProjectID), attribute.Int64("mergegate.service_id", r.Response.ExternalStatusCheckID),
		attribute.Int64("mergegate.merge_request_iid", r.MergeRequest.IID))
	// The answer is recorded; without the link its trace only says less.
	traceParent, err := store.TraceParentOfCheck(ctx, r.Check.ID)
	if delivery := parse(traceParent); err == nil && delivery.IsValid() {
		span.AddLink(trace.Link{SpanContext: delivery})
	}
}
