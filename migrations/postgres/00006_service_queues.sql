-- +goose Up

-- One row per service: when it can next be tried, and its circuit breaker. A claim reads
-- these rows instead of all waiting deliveries.
CREATE TABLE service_queues (
    external_status_check_id bigint PRIMARY KEY REFERENCES external_status_checks (id) ON DELETE CASCADE,
    project_id bigint NOT NULL,
    -- When a claim should look for deliveries of the service, null for never.
    next_at timestamptz,
    -- Whether the last attempt hung.
    hung boolean NOT NULL DEFAULT false,
    -- Failed attempts since the last success.
    failures integer NOT NULL DEFAULT 0,
    -- The breaker is open if opened_at is set.
    opened_at timestamptz,
    open_until timestamptz,
    open_times integer NOT NULL DEFAULT 0,
    probe_at timestamptz,
    probe_delivery_id bigint,
    last_http_status integer NOT NULL DEFAULT 0,
    last_error text NOT NULL DEFAULT ''
);
CREATE INDEX service_queues_next_at ON service_queues (next_at);
CREATE INDEX service_queues_project_id ON service_queues (project_id);
INSERT INTO service_queues (external_status_check_id, project_id, next_at)
    SELECT id, project_id, now() FROM external_status_checks;

-- Whether a claim has seen the delivery and counts it in service_queues.next_at. The
-- transaction of an event only inserts: it need not lock the service's queue.
ALTER TABLE deliveries ADD COLUMN queued boolean NOT NULL DEFAULT false;
-- How many attempts were made before they were due, as probes of an open breaker.
ALTER TABLE deliveries ADD COLUMN probes integer NOT NULL DEFAULT 0;
-- The service's Retry-After.
ALTER TABLE deliveries ADD COLUMN not_before timestamptz;
CREATE INDEX deliveries_arrived ON deliveries (id) WHERE state = 'waiting' AND NOT queued;
-- PostgreSQL would look for a service's first delivery in the old index and read those of
-- all services.
DROP INDEX deliveries_due;
CREATE INDEX deliveries_service_due ON deliveries (external_status_check_id, single_attempt, next_attempt_at, id) WHERE state = 'waiting';
CREATE INDEX deliveries_pair_waiting ON deliveries (merge_request_id, external_status_check_id, id) WHERE state = 'waiting';
CREATE INDEX deliveries_service_leased ON deliveries (external_status_check_id, leased_until) WHERE leased_until IS NOT NULL;

-- The parts of an attempt in microseconds, 0 if it did not get that far.
ALTER TABLE delivery_attempts ADD COLUMN dns_us bigint NOT NULL DEFAULT 0;
ALTER TABLE delivery_attempts ADD COLUMN connect_us bigint NOT NULL DEFAULT 0;
ALTER TABLE delivery_attempts ADD COLUMN tls_us bigint NOT NULL DEFAULT 0;
ALTER TABLE delivery_attempts ADD COLUMN first_byte_us bigint NOT NULL DEFAULT 0;
