-- +goose Up

-- The trace that the delivery belongs to, as a W3C traceparent, '' without tracing. Every
-- attempt continues it, also in another process.
ALTER TABLE deliveries ADD COLUMN trace_parent text NOT NULL DEFAULT '';
